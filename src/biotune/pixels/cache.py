"""Every image decoded once: from a file that is shared between runs, or again whenever it is needed."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from biotune.datasets.image_set import ImageSet
from biotune.errors import InputError
from biotune.images.decoding import UnreadableImageError, content_digest, decode_with_facts, decoder_versions, quiet
from biotune.pixels.cache_entry import Entry, Notes, Quarantined
from biotune.pixels.eviction import Lease, free_bytes, make_room
from biotune.pixels.facts_table import ROW_BYTES, FactsTable
from biotune.pixels.reading import Progress, Row, in_order, read_rows
from biotune.pixels.rows import ImageRows, ImagesOnDemand
from biotune.records import Preprocessing
from biotune.user_files import user_path
from biotune.wording import file_size, plural

_FORMAT = 6
"""Part of every key: raised whenever the same images would give other files."""

_PATIENCE_S = 1.0
"""How long to wait for another process before saying so: opening a finished cache takes less."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNCHANGED = "Verified: the decoded images and the content of every source are as they were recorded."

Say = Callable[[str, bool], None]


def cache_folder() -> Path:
    """Return the folder of decoded images: BIOTUNE_CACHE, or ``biotune`` in the user's cache folder.

    Raises InputError: BIOTUNE_CACHE cannot be a path.
    """
    chosen = os.environ.get("BIOTUNE_CACHE")
    return user_path(chosen, "BIOTUNE_CACHE") if chosen else user_cache_path("biotune", appauthor=False)


@dataclass(frozen=True)
class Cache:
    """Where decoded images are kept.

    All files in the folder may take ``limit_bytes``; what does not fit is decoded again whenever it is needed. With
    ``verify``, everything is read again, sources included, and compared with its hashes.
    """

    folder: Path
    limit_bytes: int = 64 * 2**30
    verify: bool = False


@dataclass(frozen=True)
class Decoded:
    """All images of a set, decoded and resized.

    Args:
        images: n images, zero where one could not be read.
        facts: of every image.
        quarantined: the images that could not be read, in order.
        content: hash of all pixels, hexadecimal; see ``Notes``.
        lease: keeps the files from being removed.
    """

    images: ImageRows
    facts: FactsTable
    quarantined: tuple[Quarantined, ...]
    content: str
    lease: Lease | None


def decoded_images(
    image_set: ImageSet,
    preprocessing: Preprocessing,
    cache: Cache,
    progress: Progress | None = None,
    say: Say = lambda _text, _warning: None,
) -> Decoded:
    """Return all images, decoded and resized, from files that are made once.

    The files are named after the SHA-256 of everything that their content depends on (ids, paths, file sizes and times,
    or the bytes of arrays; size and way of resizing; the decoders' versions) and written atomically. Opening them reads
    no pixels: see ``Entry.read`` for what is compared. Damaged ones are made again. Memory does not grow with the
    number of images. Where the pixels would not fit the cache, they are decoded on demand: the same, only slower.

    Args:
        image_set: n images.
        preprocessing: size, way and interpolation; mean and std are not applied.
        cache: where the files are kept.
        progress: called with (images done, n), from the calling thread.
        say: called with a sentence for the user, and whether it is a warning.

    Returns:
        The images and what is known of them.

    Raises:
        InputError: pixels are to be kept in a folder that cannot be written.
    """
    return _Request(image_set, preprocessing, cache, progress, say).answer()


@dataclass(frozen=True)
class _Request:
    """One call of ``decoded_images``, whose arguments it holds."""

    image_set: ImageSet
    preprocessing: Preprocessing
    cache: Cache
    progress: Progress | None
    say: Say

    def _entry(self) -> Entry:
        size = self.preprocessing.image_size
        key = _manifest_hash(self.image_set, self.preprocessing)
        return Entry(self.cache.folder, key, (len(self.image_set), size, size, 3))

    def answer(self) -> Decoded:
        entry = self._entry()
        lease: Lease | None = None
        images: ImageRows | None = None
        is_full = False
        try:
            self.cache.folder.mkdir(parents=True, exist_ok=True)
            lease = _lease(entry)
            notes = self._read_or_make(entry)
            facts = entry.open_facts(notes)
            if self._fits(entry) and notes.modified_ns is not None:
                images = entry.open_pixels()
        except OSError as error:
            is_full = error.errno in _FULL
            if isinstance(error, FileExistsError | NotADirectoryError) or (self.cache.limit_bytes and not is_full):
                raise _unusable(self.cache.folder, error) from None
            notes, facts = entry.collect(self._rows())
        if images is None:
            self._say_on_demand(entry, is_full and self._fits(entry))
            images = ImagesOnDemand(self.image_set, self.preprocessing, facts)
        quarantined = tuple(Quarantined(self.image_set.ids[row], reason) for row, reason in notes.quarantined)
        return Decoded(images, facts, quarantined, notes.content, lease)

    def _fits(self, entry: Entry) -> bool:
        """Return whether the pixels may be kept: not whether there is room for them now."""
        return entry.num_bytes <= self.cache.limit_bytes

    def _rows(self) -> Iterator[Row]:
        return read_rows(self.image_set, self.preprocessing, self.progress)

    def _read_or_make(self, entry: Entry) -> Notes:
        """Return the notes of an intact entry, verified where that is asked for, or make it."""
        with_pixels = self._fits(entry)
        notes = entry.read(with_pixels)
        difference = ""
        if notes is not None and self.cache.verify:
            difference = self._difference(entry, notes)
            self.say(f"{difference}; all images are decoded again." if difference else _UNCHANGED, bool(difference))
        if notes is not None and not difference:
            if self.progress is not None:
                self.progress(len(self.image_set), len(self.image_set))
            return notes
        with _locked(entry, self.say):
            if difference:
                entry.remove()
            return entry.read(with_pixels) or self._make(entry)

    def _make(self, entry: Entry) -> Notes:
        """Decode all images into an entry; the caller holds its lock, so the temporary files have one writer."""
        is_kept = self._fits(entry)
        if is_kept:
            room = make_room(entry.folder, entry.key, entry.num_bytes, self.cache.limit_bytes)
            if room.removed:
                size = file_size(room.removed_bytes)
                self.say(f"Removed decoded images that were used long ago ({size}) to make room.", False)
            is_kept = room.is_enough
        known = None if is_kept else entry.read(with_pixels=False)
        if known is not None:
            return replace(known, modified_ns=None)
        if free_bytes(entry.folder) < len(self.image_set) * ROW_BYTES + entry.num_bytes * is_kept:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if is_kept:
            images = plural(len(self.image_set), "decoded image")
            self.say(f"Writing {images}, {file_size(entry.num_bytes)}, to '{entry.folder}'.", False)
        return entry.write(self._rows(), is_kept)

    def _difference(self, entry: Entry, notes: Notes) -> str:
        """Hash everything again; say what is no longer as it was recorded, or nothing."""
        if self._fits(entry) and not entry.has_content(notes):
            return f"The decoded images in '{entry.pixels}' were damaged"
        image_set, digests = self.image_set, entry.open_facts(notes).digests
        changed = []
        with quiet():
            for row, is_same in in_order(len(image_set), lambda row: _is_same(image_set, row, digests[row].tobytes())):
                if not is_same:
                    changed.append(row)
                if self.progress is not None:
                    self.progress(row + 1, len(image_set))
        if not changed:
            return ""
        count = f"{len(changed):,} images have" if len(changed) > 1 else "One image has"
        return f"{count} another content under the same size and time, '{image_set.ids[changed[0]]}' first"

    def _say_on_demand(self, entry: Entry, disk_is_full: bool) -> None:
        full = f"the disk of '{entry.folder}'" if disk_is_full else f"the cache of {file_size(self.cache.limit_bytes)}"
        fix = "make room, or set BIOTUNE_CACHE to another folder" if disk_is_full else "--cache-gib"
        self.say(
            f"The {plural(len(self.image_set), 'decoded image')} need {file_size(entry.num_bytes)}, more than {full} "
            f"has room for: they are decoded whenever they are needed, which is slower ({fix}).",
            disk_is_full,
        )


def _unusable(folder: Path, error: OSError) -> InputError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InputError(f"decoded images are to be kept in '{folder}', which is not a folder; change BIOTUNE_CACHE.")
    return InputError(
        f"cannot write the decoded images to '{folder}': {error.strerror}; set BIOTUNE_CACHE to a folder that can be "
        "written, or keep none with --cache-gib 0."
    )


@contextmanager
def _locked(entry: Entry, say: Say) -> Iterator[None]:
    """Hold the entry; say so where that takes a while."""
    lock = FileLock(entry.lock)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        say("Another run is decoding the same images; waiting for it.", False)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lease(entry: Entry) -> Lease | None:
    try:
        return Lease(entry.folder, entry.key)
    except OSError:  # a folder that can only be read: the process that fills it cleans it up
        return None


def _manifest_hash(image_set: ImageSet, preprocessing: Preprocessing) -> str:
    """Return the key of an entry: 64 hexadecimal digits."""
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(json.dumps(values).encode() + b"\n")

    way = (preprocessing.resize, preprocessing.crop_fraction, preprocessing.interpolation)
    add(_FORMAT, decoder_versions(), preprocessing.image_size, *way)
    if image_set.arrays is not None:
        add(image_set.arrays.shape, image_set.ids)
        digest.update(np.ascontiguousarray(image_set.arrays).data)
    if image_set.reader is not None:
        add("reader", image_set.reader.fingerprint, image_set.ids)
    for image_id, file in zip(image_set.ids, image_set.files or (), strict=False):
        try:
            status = file.stat()
            # The mode is part of it: a file that was unreadable for its permissions is read once they are fixed.
            add(image_id, os.fspath(file.absolute()), status.st_size, status.st_mtime_ns, status.st_mode)
        except OSError:
            add(image_id, os.fspath(file.absolute()), None)
    return digest.hexdigest()


def _is_same(image_set: ImageSet, row: int, digest: bytes) -> bool:
    """Return whether an image has the content that was recorded, or still cannot be read."""
    try:
        if any(digest):
            return content_digest(image_set.image(row)) == digest
        decode_with_facts(image_set.image(row))
    except (UnreadableImageError, OSError):
        return not any(digest)
    return False
