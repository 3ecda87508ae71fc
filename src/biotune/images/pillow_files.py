"""What Pillow reads, upright and within bounded memory; files that it would misread are refused."""

import re
from typing import BinaryIO, NamedTuple

from PIL import Image, TiffImagePlugin

from biotune.images.limits import ORDINARY_COST, RefusalError, require_size
from biotune.images.rgb import FIRST_FRAME, TURNED, TURNED_NOTE, Picture, to_rgb, upright

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
"""The only decoders of Pillow that are ever tried, by content and not by file name."""

MAX_SCANS = 100
"""Scans of a JPEG: each goes over the whole image, and a scan of a hundred bytes can take a second."""

_ORIENTATION, _PHOTOMETRIC, _BITS, _PLANAR, _SAMPLES, _SAMPLE_FORMAT = 0x0112, 262, 258, 284, 277, 339
_TILE_WIDTH, _TILE_LENGTH = 322, 323
# In compressed data 0xff is followed by 0 or a restart marker (0xd0..0xd7).
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])", re.DOTALL)


class MisreadError(Exception):
    """Pillow would take the file for another kind, and give wrong pixels without a word."""


class _Loaded(NamedTuple):
    image: Image.Image
    format: str
    mode: str
    white_is_zero: bool
    notes: tuple[str, ...]


def read(stream: BinaryIO) -> Picture:
    """Decode the first frame of a file, upright and as RGB, with notes.

    The stream is at its beginning. It is not a name: Pillow would map plain TIFF files, and garbles those that lie on
    their side. Raises RefusalError: too large; MisreadError: a TIFF that Pillow cannot be trusted with; and whatever
    the decoders raise when they meet damaged bytes, of almost any kind.
    """
    loaded = _load(stream)
    pixels, notes = to_rgb(loaded.image, loaded.white_is_zero)
    return Picture(pixels, loaded.format, loaded.mode, loaded.notes + notes)


def _load(stream: BinaryIO) -> _Loaded:
    """Return the upright image as stored, so that its decoder's memory is free before it is converted."""
    with Image.open(stream, formats=FORMATS) as image:
        require_affordable(image, stream)
        mode, kind = image.mode, "JPEG" if image.format == "MPO" else image.format or ""
        white_is_zero = turned = False
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _require_understood(image)
            white_is_zero = image.tag_v2.get(_PHOTOMETRIC) == 0
            turned = image.tag_v2.get(_ORIENTATION) in TURNED
        has_several_frames = getattr(image, "is_animated", False)
        encoding = _encoding(image)
        image.load()
        _fix_transparency(image, encoding)
        stored, turned_here = _upright(image)
    done = {
        FIRST_FRAME: has_several_frames,
        "16-bit colour, high byte": ";16" in encoding and mode in ("RGB", "RGBA", "CMYK"),
        TURNED_NOTE: turned or turned_here,
    }
    return _Loaded(stored, kind, mode, white_is_zero, tuple(note for note, is_done in done.items() if is_done))


def require_affordable(image: Image.Image, stream: BinaryIO) -> None:
    """Refuse (RefusalError) too many pixels for the kind of image, or too many scans; see ``require_size``.

    The image was just opened from the stream, and is not loaded.
    """
    cost = ORDINARY_COST
    if image.format == "WEBP":
        cost = 16  # two canvases, their copy, and the image
    if image.format in ("JPEG", "MPO") and _has_several_scans(image, stream):
        cost = 4 + 2 * len(image.getbands())  # all coefficients are held until the last scan
        stream.seek(0)
        if _scans(stream.read()) > MAX_SCANS:
            raise RefusalError(f"it has more than {MAX_SCANS} scans")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        cost = 4 + max(_numbers(image, _BITS)) * max(_numbers(image, _SAMPLES)) // 8  # a strip may be the whole image
        require_size(int(image.tag_v2.get(_TILE_WIDTH, 0)), int(image.tag_v2.get(_TILE_LENGTH, 0)), cost)
    require_size(*image.size, cost)


def _has_several_scans(image: Image.Image, stream: BinaryIO) -> bool:
    """Pillow has stopped behind the marker of the first scan: two bytes of length, then how many channels it has."""
    return image.format == "MPO" or "progressive" in image.info or stream.read(3)[2:] < bytes([len(image.getbands())])


def _scans(content: bytes) -> int:
    """Count the scans of a JPEG's first image, stopping soon after too many."""
    count, place = 0, 2
    while count <= MAX_SCANS and (marker := _MARKER.search(content, place)):
        kind = marker[1][0]
        if kind == 0xD9:
            break
        count += kind == 0xDA
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
    return count


def _numbers(image: TiffImagePlugin.TiffImageFile, tag: int) -> tuple[int, ...]:
    value = image.tag_v2.get(tag, 1)
    return tuple(value) if isinstance(value, tuple) else (value,)


def _require_understood(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse what Pillow 13 misreads.

    These are separate planes of more than 8 bits, three planes or more that it takes for one, and signed bytes.
    """
    bits, bands, planes = max(_numbers(image, _BITS)), len(image.getbands()), image.tag_v2.get(_PLANAR) == 2
    lost = bands == 1 and max(_numbers(image, _SAMPLES)) >= 3
    signed = bits == 8 and max(_numbers(image, _SAMPLE_FORMAT)) == 2
    if (planes and (lost or (bands > 1 and bits > 8))) or signed:
        raise MisreadError


def _encoding(image: Image.Image) -> str:
    """Return Pillow's name of the bytes in the file, such as RGB;16B."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _fix_transparency(image: Image.Image, encoding: str) -> None:
    """Bring the transparent colour of a PNG to the scale of the pixels, which Pillow forgets."""
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and encoding.startswith("RGB;16"):
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif isinstance(colour, int) and encoding in ("L;2", "L;4"):
        image.info["transparency"] = colour * (85 if encoding == "L;2" else 17)


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Apply the orientation of the EXIF data (TIFF: done already), and say whether there was something to do."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF data does not make the pixels wrong
        return image, False
    return upright(image, orientation), orientation in TURNED
