"""From RGB images to the network's square uint8 input, decoded once and kept in a memory-mapped file."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from biotune.data.decoding import UnreadableImageError, decode, decoder_versions
from biotune.data.image_set import ImageSet, ImageSource
from biotune.data.reading import Progress, read_all
from biotune.errors import InputError
from biotune.records import Preprocessing

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_FORMAT = 2

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Quarantined:
    """An image that could not be read.

    Args:
        id: of the image in its image set.
        reason: why, in a few words.
    """

    id: str
    reason: str


def resize(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Resize an RGB image to the network's square input; antialiased, and the only implementation of resizing.

    ``crop`` computes only what the centre crop keeps, so extreme shapes cost no more memory than others.

    Args:
        image: of mode RGB, any size.
        preprocessing: size, way and interpolation.

    Returns:
        uint8 pixels, shape (image_size, image_size, 3).

    Raises:
        InputError: the way of resizing or the interpolation is unknown.
    """
    size = preprocessing.image_size
    if preprocessing.interpolation not in _RESAMPLING:
        raise InputError(f"unknown interpolation '{preprocessing.interpolation}': use bilinear or bicubic.")
    resample = _RESAMPLING[preprocessing.interpolation]
    match preprocessing.resize:
        case "squash":
            square = image.resize((size, size), resample)
        case "crop":
            side = min(image.size) * preprocessing.crop_fraction
            left, top = (image.width - side) / 2, (image.height - side) / 2
            square = image.resize((size, size), resample, box=(left, top, left + side, top + side))
        case "pad":
            scale = size / max(image.size)
            width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            square = Image.new("RGB", (size, size), "black")
            square.paste(image.resize((width, height), resample), ((size - width) // 2, (size - height) // 2))
        case unknown:
            raise InputError(f"unknown way of resizing '{unknown}': use crop, squash or pad.")
    return np.asarray(square)


def load_image(source: ImageSource, preprocessing: Preprocessing) -> Pixels:
    """Read one image and resize it.

    Args:
        source: a file, the content of one, or uint8 pixels of shape (height, width) or (height, width, 1 or 3).
        preprocessing: see ``resize``.

    Returns:
        uint8 pixels, shape (image_size, image_size, 3).

    Raises:
        InputError: the array has another shape or type; UnreadableImageError: the file cannot be used.
    """
    return resize(decode(source), preprocessing)


def decoded_cache(
    image_set: ImageSet, preprocessing: Preprocessing, folder: Path, progress: Progress | None = None
) -> tuple[Pixels, tuple[Quarantined, ...]]:
    """Return all images, decoded and resized, from a file that is made once.

    The file is named after the SHA-256 of everything that its content depends on (ids, file sizes and times, or the
    bytes of arrays; size and way of resizing; the decoders' versions) and written atomically, with a JSON file beside
    it that holds its hash and the quarantine. A damaged file is made again. Memory does not grow with the number of
    images.

    Args:
        image_set: n images.
        preprocessing: size, way and interpolation; mean and std are not applied.
        folder: where the files are kept; made if missing.
        progress: called with (images done, n), from the calling thread.

    Returns:
        The uint8 pixels, shape (n, image_size, image_size, 3), read-only and memory-mapped, zero for images that could
        not be read; and those images with the reasons, in order.

    Raises:
        InputError: the disk is full or the folder cannot be written; says how many bytes are needed.
    """
    key = _manifest_hash(image_set, preprocessing)
    path = folder / f"{key}.npy"
    shape = (len(image_set), preprocessing.image_size, preprocessing.image_size, 3)
    cached = _open(path, shape)
    if cached is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                cached = _open(path, shape) or _make(path, shape, image_set, preprocessing, progress)
        except OSError as error:
            raise InputError(
                f"cannot write the decoded images to '{folder}' ({_bytes_needed(shape):,} bytes): {error.strerror}; "
                "make room or choose another folder."
            ) from None
    elif progress is not None:
        progress(len(image_set), len(image_set))
    return cached


def _manifest_hash(image_set: ImageSet, preprocessing: Preprocessing) -> str:
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
            # The mode is part of it: a file that was unreadable for its permissions is read once they are mended.
            add(image_id, os.fspath(file.absolute()), status.st_size, status.st_mtime_ns, status.st_mode)
        except OSError:
            add(image_id, os.fspath(file.absolute()), None)
    return digest.hexdigest()


def _open(path: Path, shape: tuple[int, ...]) -> tuple[Pixels, tuple[Quarantined, ...]] | None:
    """Return a cache file and its quarantine, or None where either is missing or damaged."""
    try:
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != notes["sha256"]:
                return None
        pixels = np.load(path, mmap_mode="r")
        quarantined = tuple(Quarantined(image_id, reason) for image_id, reason in notes["quarantined"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (pixels, quarantined) if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _bytes_needed(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) + 4096


def _make(
    path: Path, shape: tuple[int, ...], image_set: ImageSet, preprocessing: Preprocessing, progress: Progress | None
) -> tuple[Pixels, tuple[Quarantined, ...]]:
    """Decode all images into a cache file; the caller holds its lock, so the temporary file has one writer."""
    free = shutil.disk_usage(path.parent).free
    if _bytes_needed(shape) > free:
        raise InputError(
            f"the decoded images need {_bytes_needed(shape):,} bytes in '{path.parent}', but {free:,} are free; "
            "make room, choose another folder or a smaller image size."
        )
    temporary = path.with_suffix(".tmp")
    try:
        quarantined = _write_pixels(temporary, shape, image_set, preprocessing, progress)
        with temporary.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        temporary.replace(path)
        with temporary.open("wb") as stream:
            notes = {"sha256": sha256, "quarantined": [[item.id, item.reason] for item in quarantined]}
            stream.write(json.dumps(notes).encode())
            _flush(stream)
        temporary.replace(path.with_suffix(".json"))
    finally:
        temporary.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r"), quarantined


def _write_pixels(
    file: Path, shape: tuple[int, ...], image_set: ImageSet, preprocessing: Preprocessing, progress: Progress | None
) -> tuple[Quarantined, ...]:
    """Write row after row: a full disk is then an error, where a memory map would kill the process."""
    quarantined: list[Quarantined] = []
    no_pixels = np.zeros(shape[1:], dtype=np.uint8)
    with file.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for index, row in read_all(image_set, lambda image, _: resize(image, preprocessing)):
            if isinstance(row, UnreadableImageError):
                quarantined.append(Quarantined(image_set.ids[index], row.reason))
                stream.write(no_pixels.data)
            else:
                stream.write(row.data)
            if progress is not None:
                progress(index + 1, shape[0])
        _flush(stream)
    return tuple(quarantined)


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
