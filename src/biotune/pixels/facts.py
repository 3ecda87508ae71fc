"""The facts of many images as one table, 76 bytes an image, in a small file that is read where it is needed."""

import io
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from biotune.images.decoding import ImageFacts

_ROW = np.dtype([("width", "<u4"), ("height", "<u4"), ("kind", "<u4"), ("digest", "u1", (32,)), ("look", "u1", (32,))])
_PACKED = struct.Struct("<III32s32s")
ROW_BYTES = _PACKED.size
_UNREADABLE = bytes(_PACKED.size)

Kind = tuple[str, str, tuple[str, ...]]
"""Format, mode and notes: few differ, so they are kept once, outside the table."""


class FactsWriter:
    """Writes the facts of images to a stream, one after the other; ``kinds`` is needed to read them again.

    Args:
        stream: opened for writing bytes.
        count: number of images that will be added.
    """

    def __init__(self, stream: BinaryIO, count: int) -> None:
        self._stream = stream
        self._kinds: dict[Kind, int] = {}
        header = {"descr": np.lib.format.dtype_to_descr(_ROW), "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(stream, header)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the kinds in the file stand for."""
        return tuple(self._kinds)

    def add(self, facts: ImageFacts | None) -> None:
        """Write the facts of the next image; None where it could not be read."""
        if facts is None:
            self._stream.write(_UNREADABLE)
            return
        kind = self._kinds.setdefault((facts.format, facts.mode, facts.notes), len(self._kinds))
        self._stream.write(_PACKED.pack(facts.width, facts.height, kind, facts.digest, facts.look))


@dataclass(frozen=True, eq=False)
class FactsTable:
    """The facts of images, by their index; None for an image that could not be read.

    Args:
        table: the file, whose rows are read when they are asked for, or its content.
        kinds: see ``FactsWriter``.
    """

    table: Path | bytes
    kinds: tuple[Kind, ...]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> ImageFacts | None:
        row = self._rows[index]
        if row["width"] == 0:
            return None
        size = int(row["width"]), int(row["height"])
        kind, mode, notes = self.kinds[row["kind"]]
        return ImageFacts(*size, kind, mode, row["digest"].tobytes(), row["look"].tobytes(), notes)

    @property
    def digests(self) -> NDArray[np.uint8]:
        """SHA-256 of the encoded bytes of every image, shape (n, 32); zeros where it could not be read."""
        return np.asarray(self._rows["digest"])

    @property
    def looks(self) -> NDArray[np.uint8]:
        """Difference hash of every image, shape (n, 32); zeros where it could not be read."""
        return np.asarray(self._rows["look"])

    def count(self, note: str) -> int:
        """Return the number of images with a note."""
        noted = [number for number, (_kind, _mode, notes) in enumerate(self.kinds) if note in notes]
        return int((np.isin(self._rows["kind"], noted) & (self._rows["width"] > 0)).sum())

    @cached_property
    def _rows(self) -> NDArray[np.void]:
        rows: NDArray[np.void] = (
            np.load(io.BytesIO(self.table)) if isinstance(self.table, bytes) else np.load(self.table, mmap_mode="r")
        )
        return rows
