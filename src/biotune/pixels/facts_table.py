"""The facts of many images in one table, 76 bytes per image, kept in a small file of its own."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.images.decoding import ImageFacts

# Cached files hold these names, so they stay as they are; "look" is the difference hash.
_ROW = np.dtype([("width", "<u4"), ("height", "<u4"), ("kind", "<u4"), ("digest", "u1", (32,)), ("look", "u1", (32,))])
ROW_BYTES = _ROW.itemsize

Kind = tuple[str, str, tuple[str, ...]]
"""Format, mode and notes: few differ, so they are kept once, outside the table."""


@dataclass(frozen=True, eq=False)
class FactsTable:
    """The facts of images by index; None for an image that could not be read.

    Each image has a row, all zeros if it could not be read; the field ``kind`` of a row is an index into ``kinds``.
    """

    rows: NDArray[np.void]
    kinds: tuple[Kind, ...]

    def content(self) -> tuple[bytes, memoryview]:
        """Return the content of the file, the header and the rows of NumPy's format; the kinds are kept elsewhere."""
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(self.rows))
        return header.getvalue(), self.rows.view(np.uint8).data

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ImageFacts | None:
        row = self.rows[index]
        if row["width"] == 0:
            return None
        size = int(row["width"]), int(row["height"])
        kind, mode, notes = self.kinds[row["kind"]]
        return ImageFacts(*size, kind, mode, row["digest"].tobytes(), row["look"].tobytes(), notes)

    @property
    def digests(self) -> NDArray[np.uint8]:
        """SHA-256 of the encoded bytes of every image, shape (n, 32); zeros where it could not be read."""
        return np.asarray(self.rows["digest"])

    @property
    def hashes(self) -> NDArray[np.uint8]:
        """Difference hash of every image, shape (n, 32); zeros where it could not be read."""
        return np.asarray(self.rows["look"])

    def count(self, note: str) -> int:
        """Return the number of images with a note."""
        noted = [number for number, (_kind, _mode, notes) in enumerate(self.kinds) if note in notes]
        return int((np.isin(self.rows["kind"], noted) & (self.rows["width"] > 0)).sum())


class FactsCollector:
    """Collects the facts of ``count`` images, one after the other, in 76 bytes each."""

    def __init__(self, count: int) -> None:
        self._rows = np.zeros(count, dtype=_ROW)
        self._kinds: dict[Kind, int] = {}

    def put(self, index: int, facts: ImageFacts) -> None:
        """Keep the facts of an image."""
        kind = self._kinds.setdefault((facts.format, facts.mode, facts.notes), len(self._kinds))
        hashes = (np.frombuffer(content, dtype=np.uint8) for content in (facts.digest, facts.difference_hash))
        self._rows[index] = (facts.width, facts.height, kind, *hashes)

    def table(self) -> FactsTable:
        """Return the table of all images; those without facts could not be read."""
        return FactsTable(self._rows, tuple(self._kinds))
