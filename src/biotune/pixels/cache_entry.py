"""One entry of the cache of decoded images: its files, what they must hold to be trusted, and how they are written."""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from biotune.pixels.facts_table import FactsCollector, FactsTable, Kind
from biotune.pixels.reading import Row

_BUFFER_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Quarantined:
    """An image that could not be read: its id in the image set, and why, in a few words."""

    id: str
    reason: str


@dataclass(frozen=True)
class Notes:
    """What is kept beside the pixels, as JSON that ends in its own digest.

    Args:
        content: SHA-256 over the SHA-256 of every image's pixels, hexadecimal; those that could not be read are black.
        facts_sha256: of the table of facts.
        kinds: that the table refers to.
        quarantined: index and reason of every image that could not be read.
        modified_ns: time of the pixels' file, or None where no pixels are kept.
    """

    content: str
    facts_sha256: str
    kinds: tuple[Kind, ...]
    quarantined: tuple[tuple[int, str], ...]
    modified_ns: int | None

    def to_text(self) -> str:
        """Return the JSON text."""
        fields = asdict(self)
        return json.dumps({**fields, "digest": _digest(fields)})

    @classmethod
    def from_text(cls, text: str) -> "Notes":
        """Read the JSON text; ValueError, KeyError or TypeError where it is not what was written."""
        fields = json.loads(text)
        if fields.pop("digest") != _digest(fields):
            raise ValueError("the digest differs")
        kinds = tuple((kind, mode, tuple(notes)) for kind, mode, notes in fields.pop("kinds"))
        quarantined = tuple((row, reason) for row, reason in fields.pop("quarantined"))
        return cls(**fields, kinds=kinds, quarantined=quarantined)


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """The files of one list of images, decoded in one way.

    Every file's name begins with the key, 64 hexadecimal digits. The shape is images, height, width, 3.
    """

    folder: Path
    key: str
    shape: tuple[int, int, int, int]

    @property
    def pixels(self) -> Path:
        """The uint8 pixels, a NumPy file."""
        return self.folder / f"{self.key}.npy"

    @property
    def facts(self) -> Path:
        """The table of facts."""
        return self.folder / f"{self.key}.facts"

    @property
    def notes(self) -> Path:
        """The JSON file that is written last: without it, the others do not count."""
        return self.folder / f"{self.key}.json"

    @property
    def lock(self) -> Path:
        """Held by the process that writes or removes the entry."""
        return self.folder / f"{self.key}.lock"

    @cached_property
    def header(self) -> bytes:
        """First bytes of the pixels' file."""
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": self.shape})
        return stream.getvalue()

    @property
    def num_bytes(self) -> int:
        """Length of the pixels' file."""
        return len(self.header) + int(np.prod(self.shape))

    def read(self, with_pixels: bool) -> Notes | None:
        """Return the notes of an intact entry, or None where a file is missing, cut short or changed.

        The notes and the facts are compared with their digests; the pixels' file, where it is needed, with its length
        and time only: a file whose time differs (it was copied, say) is hashed, and its time is set back if the content
        is unchanged.
        """
        try:
            notes = Notes.from_text(self.notes.read_text(encoding="utf-8"))
            if _sha256(self.facts) != notes.facts_sha256:
                return None
            if not with_pixels:
                return notes
            if notes.modified_ns is None:
                return None
            status = self.pixels.stat()
            if status.st_size != self.num_bytes:
                return None
            if status.st_mtime_ns != notes.modified_ns:
                if not self.has_content(notes):
                    return None
                os.utime(self.pixels, ns=(status.st_atime_ns, notes.modified_ns))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return notes

    def has_content(self, notes: Notes) -> bool:
        """Return whether every byte of the pixels' file is as it was written; reads all of it."""
        content, length = hashlib.sha256(), int(np.prod(self.shape[1:]))
        with self.pixels.open("rb", buffering=_BUFFER_BYTES) as stream:
            if stream.read(len(self.header)) != self.header:
                return False
            for _ in range(self.shape[0]):
                content.update(hashlib.sha256(stream.read(length)).digest())
        return content.hexdigest() == notes.content

    def open_pixels(self) -> NDArray[np.uint8]:
        """Return the pixels, memory-mapped and read-only."""
        pixels: NDArray[np.uint8] = np.load(self.pixels, mmap_mode="r")
        return pixels

    def open_facts(self, notes: Notes) -> FactsTable:
        """Return the facts of all images, which are read when they are asked for."""
        return FactsTable(np.load(self.facts, mmap_mode="r"), notes.kinds)

    def write(self, rows: Iterable[Row], with_pixels: bool) -> Notes:
        """Write the entry and return its notes; the caller holds its lock.

        Files are written piece by piece (a full disk is then an error, where a memory map would kill the
        process) beside their final places, and moved there when all is done, the notes last. Without pixels, facts and
        notes are written only; the pixels are hashed all the same.
        """
        with ExitStack() as stack:
            facts = stack.enter_context(_replacing(self.facts))
            pixels = stack.enter_context(_replacing(self.pixels)) if with_pixels else None
            notes, table = self.collect(rows, pixels)
            digest = hashlib.sha256()
            for part in table.content():
                facts.write(part)
                digest.update(part)
            notes = replace(notes, facts_sha256=digest.hexdigest())
        if with_pixels:
            notes = replace(notes, modified_ns=self.pixels.stat().st_mtime_ns)
        with _replacing(self.notes) as stream:
            stream.write(notes.to_text().encode())
        return notes

    def collect(self, rows: Iterable[Row], pixels: BinaryIO | None = None) -> tuple[Notes, FactsTable]:
        """Go through all rows once; return what is noted of them, but for the files, and the facts of their images.

        ``pixels`` receives the content of the pixels' file; where it is None, the pixels are hashed and let go.
        """
        content = hashlib.sha256()
        quarantined: list[tuple[int, str]] = []
        facts = FactsCollector(self.shape[0])
        if pixels is not None:
            pixels.write(self.header)
        for index, row in enumerate(rows):
            content.update(row.digest)
            if row.facts is None:
                quarantined.append((index, row.reason))
            else:
                facts.put(index, row.facts)
            if pixels is not None:
                pixels.write(row.pixels.data)
        table = facts.table()
        return Notes(content.hexdigest(), "", table.kinds, tuple(quarantined), None), table

    def remove(self) -> None:
        """Delete the files, the notes first."""
        for path in (self.notes, self.pixels, self.facts):
            path.unlink(missing_ok=True)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its place, whole and durable, when the context ends without an error."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb", buffering=_BUFFER_BYTES) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
