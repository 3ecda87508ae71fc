"""From pixels of any kind to 8-bit RGB, strip by strip: what is held is the source, the result and little more."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.images.limits import RefusalError

CONVERTED = ("CMYK", "LAB", "YCbCr")
"""Modes of Pillow whose conversion to RGB is worth a note."""

FIRST_FRAME = "first of several frames"
OVER_WHITE = "transparency over white"
TURNED_NOTE = "turned upright"
WHITE_IS_ZERO = "white is zero, inverted"
NEARLY_BLACK = "16-bit values divided by 257, none above an eighth of the range"
_EIGHTH = 65535 / 8

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = tuple(_UPRIGHT)
"""EXIF orientations other than upright; any other value counts as upright."""

_STRIP_PIXELS = 2**18

Pixels = NDArray[Any]


class Picture(NamedTuple):
    """A decoded image of mode RGB, and what is known of its file: how it stores pixels, what else was done to them."""

    pixels: Image.Image
    format: str
    mode: str
    notes: tuple[str, ...]


class GreyScale(NamedTuple):
    """A linear map of deep values to 0..255 by a factor of 8-bit steps a unit, and the rule in a few words.

    What becomes 0 is ``low``; values that are not finite do, too.
    """

    low: float
    factor: float
    note: str

    def apply(self, values: Pixels) -> NDArray[np.uint8]:
        """Return values as uint8, of the same shape; they must not exceed the range that the map was made for."""
        exact = values.astype(np.float64)
        return np.round((np.where(np.isfinite(exact), exact, self.low) - self.low) * self.factor).astype(np.uint8)


def grey_scale(strips: Iterator[Pixels]) -> GreyScale:
    """Choose the map for all values of an image, which come in strips of one type; its note is the rule.

    * Whole numbers within 0..255 are kept.
    * Whole numbers within 0..65535 are divided by 257: a fixed window, the same for every file. Data of 12 bits become
      nearly black by it, which has a note of its own.
    * Of all others, the range of the file becomes 0..255; a constant image becomes black.

    Raises RefusalError: no value is a finite number.
    """
    low, high, whole = np.inf, -np.inf, False
    for strip in strips:
        whole = np.issubdtype(strip.dtype, np.integer)
        known = strip if whole else strip[np.isfinite(strip)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low > high:
        raise RefusalError("it holds no finite number")
    if whole and low >= 0 and high <= 255:
        return GreyScale(0.0, 1.0, "wide values up to 255 kept")
    if whole and low >= 0 and high <= 65535:
        return GreyScale(0.0, 1 / 257, "16-bit values divided by 257" if high > _EIGHTH else NEARLY_BLACK)
    return GreyScale(low, 255 / (high - low) if high > low else 0.0, "values stretched to 0..255")


def nearly_black_warning(count: int) -> str:
    """Return the sentence about images with the note ``NEARLY_BLACK``, or an empty text where there are none."""
    if not count:
        return ""
    images = "one image holds" if count == 1 else f"{count:,} images hold"
    return (
        f"{images[0].upper()}{images[1:]} 16-bit values of which none is above an eighth of the range (12-bit data, "
        "say), so that they are nearly black; save them with values up to 65535, or as 8-bit images."
    )


def rows(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield (first row, row after the last) of strips of about a quarter of a million pixels."""
    step = max(1, _STRIP_PIXELS // width)
    yield from ((top, min(top + step, height)) for top in range(0, height, step))


def assemble(width: int, height: int, strip: Callable[[int, int], Image.Image]) -> Image.Image:
    """Make an RGB image of strips: ``strip`` returns the rows from top to bottom (exclusive) as an RGB image."""
    parts = list(rows(width, height))
    if len(parts) == 1:
        return strip(0, height)
    whole = Image.new("RGB", (width, height))
    for top, bottom in parts:
        whole.paste(strip(top, bottom), (0, top))
    return whole


def upright(image: Image.Image, orientation: object) -> Image.Image:
    """Turn or mirror an image as its EXIF orientation says."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return 8-bit pixels of shape (height, width) or (height, width, 3) as an RGB image."""
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def to_rgb(image: Image.Image, white_is_zero: bool = False) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert a loaded image of any of Pillow's modes; return it, and what was done besides 8-bit grey and palettes.

    Grey of more than 8 bits is scaled as ``grey_scale`` says; transparent pixels are composited over white; other
    colour spaces are converted by Pillow, without colour profiles.

    Args:
        image: the image; the value in ``image.info["transparency"]`` is on the scale of its pixels.
        white_is_zero: grey of more than 8 bits is stored as a negative.

    Returns:
        A new image of mode RGB, and notes.
    """
    width, height = image.size

    def part(top: int, bottom: int) -> Image.Image:
        return image.crop((0, top, width, bottom))

    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        scale = grey_scale(np.asarray(part(*strip)) for strip in rows(width, height))
        transparent = image.info.get("transparency")

        def grey(top: int, bottom: int) -> Image.Image:
            values = np.asarray(part(top, bottom))
            scaled = 255 - scale.apply(values) if white_is_zero else scale.apply(values)
            return from_array(scaled if transparent is None else np.where(values == transparent, np.uint8(255), scaled))

        done = {scale.note: True, WHITE_IS_ZERO: white_is_zero, OVER_WHITE: transparent is not None}
        return assemble(width, height, grey), tuple(note for note, is_done in done.items() if is_done)
    if _is_transparent(image):
        whole = assemble(width, height, lambda top, bottom: _over_white(part(top, bottom)))
        return whole, (OVER_WHITE,)
    if image.mode == "RGB":
        return image.convert("RGB"), ()
    notes = (f"{image.mode} converted",) if image.mode in CONVERTED else ()
    return assemble(width, height, lambda top, bottom: part(top, bottom).convert("RGB")), notes


def _is_transparent(image: Image.Image) -> bool:
    """Return whether some pixel may be; an alpha channel that is full everywhere is none."""
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        low, _high = image.getchannel(image.getbands()[-1]).getextrema()
        return isinstance(low, int | float) and low < 255
    return image.has_transparency_data


def _over_white(image: Image.Image) -> Image.Image:
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(layer, mask=layer.getchannel("A"))
    return opaque
