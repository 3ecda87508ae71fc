"""From an image file to RGB pixels: every kind of file has one outcome, decoded or refused with a reason."""

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from biotune.data.image_set import ImageSource
from biotune.errors import InputError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
"""The only decoders that are ever tried, by content and not by file name."""

MAX_PIXELS = 80_000_000
"""Larger images are refused before decoding; these are 320 MB as Pillow holds RGB, and below what it warns of."""

_BLOCK = 2**20
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image once it was decoded.

    Args:
        width: in pixels, upright.
        height: in pixels, upright.
        format: one of ``FORMATS``; empty for pixels in memory.
        mode: Pillow's name of how the file stores its pixels, for example RGB, L, P, CMYK or I;16.
        digest: SHA-256 of the encoded bytes (of the array's bytes and shape for pixels in memory).
        look: 32 bytes, the 256-bit difference hash: similar pictures differ in few bits.
        notes: what was done to the pixels besides decoding, in a few words each.
    """

    width: int
    height: int
    format: str
    mode: str
    digest: bytes
    look: bytes
    notes: tuple[str, ...] = ()


class UnreadableImageError(InputError):
    """An image that cannot be used, with ``path`` (or another name) and a short ``reason``."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read the image '{self.path}': {self.reason}; replace the file or leave it out."


def decode(source: ImageSource) -> Image.Image:
    """Decode the first frame of an image, upright, as RGB.

    * The EXIF orientation is applied.
    * Transparent pixels are composited over white.
    * CMYK and other colour spaces are converted by Pillow, without colour profiles.
    * 16-bit grey: if no value exceeds 255 they are kept, otherwise divided by 257 (the window 0..65535 for any file).
    * Floating-point and wider integer grey: the range of the file becomes 0..255; a constant image becomes black.

    Args:
        source: a regular file (pipes and devices are refused without being opened), the content of one, or uint8
            pixels of shape (height, width) or (height, width, 1 or 3).

    Returns:
        An image of mode RGB.

    Raises:
        UnreadableImageError: not a regular file, not one of ``FORMATS``, more than ``MAX_PIXELS`` pixels, or damaged.
        InputError: an array of another type or shape.
    """
    with quiet():
        return examine(source)[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings about damaged or huge files from the user: each file has its outcome instead.

    Filters of warnings belong to the whole process, so threads that decode share one such context around them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def examine(source: ImageSource) -> tuple[Image.Image, ImageFacts]:
    """Do what ``decode`` does, inside a ``quiet`` context of the caller, and say what was found."""
    if isinstance(source, np.ndarray):
        image = _from_array(source)
        digest = hashlib.sha256(str(source.shape).encode() + np.ascontiguousarray(source).tobytes()).digest()
        return image, ImageFacts(image.width, image.height, "", "L" if source.ndim == 2 else "RGB", digest, look(image))
    name = source if isinstance(source, Path) else "an image in memory"
    try:
        return _examine(source, name)
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImageError(name, f"it claims more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableImageError(name, f"its content is none of {', '.join(FORMATS)}") from None
    except OSError as error:
        raise UnreadableImageError(name, error.strerror or f"damaged ({_first_line(error)})") from None
    except Exception as error:  # decoders meet damaged bytes with many other kinds of errors
        raise UnreadableImageError(name, f"damaged ({_first_line(error)})") from None


def look(image: Image.Image) -> bytes:
    """Return the 256-bit difference hash of an RGB image: whether each of 16 x 16 cells is darker than its right one.

    Source: Neal Krawetz, "Kind of like that" (2013), with 16 columns and rows instead of 8.
    """
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()


def _examine(source: Path | bytes, name: Path | str) -> tuple[Image.Image, ImageFacts]:
    if isinstance(source, Path) and not stat.S_ISREG(source.stat().st_mode):
        raise UnreadableImageError(name, "it is not a regular file")
    # Not opened by name: Pillow would map plain TIFF files, and garbles those that lie on their side.
    content = source.read_bytes() if isinstance(source, Path) else source
    if not content:
        raise UnreadableImageError(name, "it is empty")
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise UnreadableImageError(name, f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
        mode, kind = image.mode, image.format or ""
        image.load()
        pixels = _upright(_rgb(image), image)
    digest = hashlib.sha256(content).digest()
    return pixels, ImageFacts(pixels.width, pixels.height, kind, mode, digest, look(pixels))


def _from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    if (
        pixels.dtype != np.uint8
        or pixels.size == 0
        or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3)))
    ):
        raise InputError(
            f"an image of type {pixels.dtype} and shape {pixels.shape} was given; "
            "use uint8 pixels of shape (height, width), (height, width, 1) or (height, width, 3)."
        )
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels)).convert("RGB")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(layer, mask=layer.getchannel("A"))
    return opaque


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values of more than 8 bits as ``decode`` says; values that are not finite become black."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high <= 65535:
        low, scale = 0.0, 1.0 if high <= 255 else 1 / 257
    else:
        scale = 255 / (high - low) if high > low else 0.0
    flat = values.ravel()
    scaled = np.empty(flat.shape, dtype=np.uint8)
    for start in range(
        0, len(flat), _BLOCK
    ):  # block by block: float64 copies of the whole would be many times the image
        block = flat[start : start + _BLOCK].astype(np.float64)
        scaled[start : start + _BLOCK] = np.round((np.where(np.isfinite(block), block, low) - low) * scale)
    return scaled.reshape(values.shape)


def _upright(pixels: Image.Image, source: Image.Image) -> Image.Image:
    """Apply the orientation of the source's EXIF data; Pillow has applied it already for TIFF."""
    try:
        orientation = source.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged EXIF data is no reason to refuse good pixels
        return pixels
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return pixels if turn is None else pixels.transpose(turn)
