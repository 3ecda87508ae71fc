"""From an image file to RGB pixels: every kind of file has one outcome, decoded or refused with a reason."""

import hashlib
import io
import logging
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from biotune.errors import InputError
from biotune.images import medical, pillow_files
from biotune.images.limits import MAX_BYTES, MAX_PIXELS, RefusalError
from biotune.images.pillow_files import FORMATS
from biotune.images.rgb import Picture, from_array
from biotune.user_files import LFS_POINTER, without_blocking

ImageSource = Path | bytes | NDArray[np.uint8]
"""One image: a file, the content of a file, or pixels of shape (height, width[, 1 or 3])."""

Stream = io.BytesIO | io.BufferedReader
"""The content of an image file."""

for _library in ("PIL", "tifffile"):  # else their complaints about damaged files reach the screen
    logging.getLogger(_library).addHandler(logging.NullHandler())

_OTHER_CONTENT = f"its content is none of {', '.join(FORMATS)}, DICOM"
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known about a decoded image.

    Args:
        width: in pixels, upright.
        height: in pixels, upright.
        format: one of ``FORMATS``, or DICOM; empty for pixels in memory.
        mode: Pillow's name of how the file stores its pixels, for example RGB, L, P, CMYK or I;16; see
            ``biotune.images.medical`` for what it reads.
        digest: SHA-256 of the encoded bytes (of the array's bytes and shape for pixels in memory).
        difference_hash: 32 bytes, see ``difference_hash``: similar pictures differ in few of the 256 bits.
        notes: what was done to the pixels besides decoding, in the words of the table of docs/data.md.
    """

    width: int
    height: int
    format: str
    mode: str
    digest: bytes
    difference_hash: bytes
    notes: tuple[str, ...] = ()


class UnreadableImageError(InputError):
    """An image that cannot be used, with ``path`` (or what else it is called) and a short ``reason``."""

    what = "image"

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        if isinstance(self.path, Path):
            path = _printable(self.path)
            return f"cannot read the {self.what} '{path}': {self.reason}; replace the file or leave it out."
        return f"cannot read {self.path}: {self.reason}; replace it or leave it out."


def decode(source: ImageSource) -> Image.Image:
    """Decode the first frame of an image, upright, as RGB.

    * The EXIF orientation is applied.
    * Transparent pixels are composited over white.
    * CMYK and other colour spaces are converted by Pillow, without colour profiles.
    * Grey of more than 8 bits is scaled by one rule, see ``biotune.images.rgb.grey_scale``.
    * DICOM files, and TIFFs that Pillow cannot read, need the extra ``medical``; see ``biotune.images.medical``.

    Args:
        source: a regular file (pipes and devices are refused without being opened), the content of one, or uint8
            pixels of shape (height, width) or (height, width, 1 or 3).

    Returns:
        An image of mode RGB.

    Raises:
        UnreadableImageError: not a regular file, of another format, larger than ``biotune.images.limits`` allows, or
            damaged.
        InputError: an array of another type or shape.
    """
    with quiet():
        return decode_with_facts(source)[0]


def decoder_versions() -> tuple[str, ...]:
    """Return what decodes here, with versions: pixels and refusals depend on it."""
    versions = []
    for name in ("pillow", "pydicom", "tifffile", "imagecodecs"):
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return tuple(versions)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings about damaged or huge files from the user: each file has its outcome instead.

    Filters of warnings belong to the whole process, so threads that decode share one such context around them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode_with_facts(source: ImageSource) -> tuple[Image.Image, ImageFacts]:
    """Do what ``decode`` does, inside a ``quiet`` context of the caller, and return the facts of the image too."""
    if isinstance(source, np.ndarray):
        image = _from_array(source)
        mode = "RGB" if source.ndim == 3 and source.shape[2] == 3 else "L"
        return image, ImageFacts(image.width, image.height, "", mode, content_digest(source), difference_hash(image))
    try:
        with _opened(source) as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
            stream.seek(0)
            pixels, kind, mode, notes = _read(stream)
            facts = ImageFacts(*pixels.size, kind, mode, digest, difference_hash(pixels), tuple(notes))
            return pixels, facts
    except Exception as error:  # decoders meet damaged bytes with errors of almost any kind
        raise _unreadable(source, error) from None


def content_digest(source: ImageSource) -> bytes:
    """Return the SHA-256 of an image's encoded bytes, without decoding; of shape and bytes for pixels in memory.

    Raises UnreadableImageError: not a file that ``decode`` would open.
    """
    if isinstance(source, np.ndarray):
        return hashlib.sha256(str(source.shape).encode() + np.ascontiguousarray(source).tobytes()).digest()
    try:
        with _opened(source) as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (OSError, RefusalError) as error:
        raise _unreadable(source, error) from None


def read_bytes(source: Path | bytes, limit: int) -> bytes:
    """Return the content of a regular file, at most ``limit`` bytes, or of what is its content.

    Raises UnreadableImageError: not a file that ``decode`` would open, or a larger one.
    """
    try:
        with _opened(source) as stream:
            content = stream.read(limit + 1)
    except (OSError, RefusalError) as error:
        raise _unreadable(source, error) from None
    if len(content) > limit:
        raise _unreadable(source, RefusalError(f"it has more than {limit:,} bytes"))
    return content


def difference_hash(image: Image.Image) -> bytes:
    """Return the 256-bit difference hash of an RGB image: whether each of 16 x 16 cells is darker than its right one.

    The grey of a cell is the mean of 8 x 8 evenly spaced pixels, so that the hash costs the same for any size.

    Source: Neal Krawetz, "Kind of like that" (2013), with 16 columns and rows instead of 8.
    """
    sample = image.resize((17 * 8, 16 * 8), Image.Resampling.NEAREST).convert("L")
    grey = np.asarray(sample.resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Stream]:
    """Open a regular file of at most ``MAX_BYTES``, nothing else; a pipe that replaces it meanwhile cannot block."""
    if isinstance(source, bytes):
        _require_bytes(len(source))
        yield io.BytesIO(source)
        return
    _require_regular(source.stat())  # before opening, since opening a device may act on it
    with open(source, "rb", opener=without_blocking) as stream:
        status = os.fstat(stream.fileno())
        _require_regular(status)
        _require_bytes(status.st_size)
        yield stream


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusalError("it is not a regular file")


def _require_bytes(size: int) -> None:
    if size == 0:
        raise RefusalError("it is empty")
    if size > MAX_BYTES:
        raise RefusalError(f"{size:,} bytes are more than {MAX_BYTES:,}")


def _read(stream: Stream) -> Picture:
    """Decode by content: DICOM, what Pillow reads, and what is left of TIFF."""
    head = stream.read(132)
    stream.seek(0)
    if medical.is_dicom(head):
        return medical.read_dicom(stream)
    is_tiff = head.startswith(_TIFF_HEADS)
    try:
        return pillow_files.read(stream)
    except pillow_files.MisreadError:
        pass
    except UnidentifiedImageError:
        if not is_tiff:
            known = head.startswith(_HEADS) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
            raise RefusalError("damaged (its header cannot be read)" if known else _other_content(head)) from None
    stream.seek(0)
    return medical.read_tiff(stream)


def _other_content(head: bytes) -> str:
    """Say what a file of another kind holds, given its beginning; some programs store a few words for an image."""
    if head.startswith(LFS_POINTER):
        return f"{_OTHER_CONTENT}, but a pointer of Git LFS ('git lfs pull' fetches the image)"
    if len(head) < 100 and re.fullmatch(rb"[\w.~ -]*(?:/[\w.~ -]+)+\n?", head):
        return f"{_OTHER_CONTENT}, but a path ('{head.decode().strip()}'): a link that was stored as a text"
    return _OTHER_CONTENT


def _unreadable(source: Path | bytes, error: Exception) -> UnreadableImageError:
    return UnreadableImageError(source if isinstance(source, Path) else "an image in memory", _reason(error))


def _reason(error: Exception) -> str:
    """Say in a few words why an image cannot be used."""
    if isinstance(error, RefusalError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"it claims more than {MAX_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged ({(str(error) or type(error).__name__).splitlines()[0][:120]})"


def _printable(path: Path) -> str:
    """Return a path on one line, with escapes for what cannot be shown."""
    text = os.fsencode(path).decode("utf-8", errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (pixels.ndim == 2 or pixels.shape[2:] in ((1,), (3,))):
        raise InputError(
            f"an image of type {pixels.dtype} and shape {pixels.shape} was given; "
            "use uint8 pixels of shape (height, width), (height, width, 1) or (height, width, 3)."
        )
    return from_array(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)
