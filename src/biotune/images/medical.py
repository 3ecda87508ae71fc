"""DICOM files, and the TIFFs that Pillow cannot read: both need the extra ``medical``."""

import importlib
import io
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from biotune.images.limits import ORDINARY_COST, RefusalError, require_size
from biotune.images.pillow_files import require_affordable
from biotune.images.rgb import (
    FIRST_FRAME,
    TURNED,
    TURNED_NOTE,
    WHITE_IS_ZERO,
    Picture,
    Pixels,
    assemble,
    from_array,
    grey_scale,
    rows,
    upright,
)

_DEFLATED_SYNTAX = "1.2.840.10008.1.2.1.99"
_RLE_SYNTAX = "1.2.840.10008.1.2.5"
_META_GROUP = 2
_ORIENTATION = 274
_YBR = ("YBR_FULL", "YBR_FULL_422")
_COLOUR = ("RGB", *_YBR, "YBR_ICT", "YBR_RCT")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_MISCOUNTED = "damaged (its pixel count does not match its header)"
_DEFLATE, _LZW, _NO_COMPRESSION = (8, 32946), 5, 1

Strip = Callable[[int, int], Image.Image]
"""Rows top to bottom (exclusive) as RGB."""


def is_dicom(head: bytes) -> bool:
    """Return whether a file is DICOM, by its first 132 bytes."""
    return head[128:132] == b"DICM"


def read_dicom(stream: BinaryIO) -> Picture:
    """Decode the first frame of a DICOM file.

    The mode is the photometric interpretation and the stored bits, such as MONOCHROME2;12. Grey values go through the
    modality transform (rescale slope and intercept, or its table); then the first window becomes 0..255, by its
    function (linear, linear exact or sigmoid), or the range of the frame where there is no window; MONOCHROME1 is
    inverted. YBR and palettes are converted to RGB; colours of 16 bits are scaled as ``grey_scale`` says.

    Raises RefusalError: the extra is missing, or the file is too large, holds no pixels, or is compressed in a way that
    cannot be read; and errors of almost any kind where the file is damaged.

    Source: DICOM PS3.3, C.7.6.3.1.2 (photometric interpretation), C.11.1 (modality), C.11.2.1.2 and .3 (windows).
    """
    pydicom = _library("pydicom", "DICOM")
    header, frame = _first_frame(pydicom, stream)
    kind = str(header.PhotometricInterpretation)
    height, width = frame.shape[:2]
    notes = (FIRST_FRAME,) if int(header.get("NumberOfFrames") or 1) > 1 else ()
    if kind in _GREY and frame.ndim == 2:

        def known(part: Pixels) -> Pixels:
            values: Pixels = pydicom.pixels.apply_modality_lut(part, header).astype(np.float64)
            return values

        inverted = "MONOCHROME1 inverted" if kind == "MONOCHROME1" else ""
        strip, more = _scaled_strips(frame, known, _window(header), inverted)
    elif kind == "PALETTE COLOR":
        strip, more = _scaled_strips(frame, lambda part: pydicom.pixels.apply_color_lut(part, header)[..., :3])
        more = ("palette converted", *more)
    elif kind in _YBR:
        strip, more = _scaled_strips(frame, lambda part: pydicom.pixels.convert_color_space(part, "YBR_FULL", "RGB"))
        more = ("YBR converted", *more)
    elif kind in _COLOUR:
        strip, more = _scaled_strips(frame)
    else:
        raise RefusalError(f"its photometric interpretation {kind[:30]} cannot be read")
    pixels = assemble(width, height, strip)
    return Picture(pixels, "DICOM", f"{kind};{int(header.BitsStored)}", (*notes, *more))


def read_tiff(stream: BinaryIO) -> Picture:
    """Decode the first page of a TIFF through tifffile; its mode is the channels and their type, such as 5 x uint16.

    Three channels or more: the first three are red, green and blue; else the first is grey. Other channels are left
    out. Values are scaled as ``grey_scale`` says, all channels alike.

    Raises RefusalError: the extra is missing, or the file is too large, is a volume, or is compressed in a way that
    cannot be read; and errors of almost any kind where the file is damaged.
    """
    tifffile = _library("tifffile", "this kind of TIFF")
    with tifffile.TiffFile(stream) as file:
        page = file.pages[0]
        planes, depth, height, width, samples = page.shaped
        if depth != 1 or page.dtype is None or page.dtype.kind not in "uif":
            raise RefusalError("it is not a flat image of numbers")
        channels, itemsize = planes * samples, page.dtype.itemsize
        for size in ((width, height), (page.tilewidth, page.tilelength)):
            require_size(*size, ORDINARY_COST + 2 * channels * itemsize)
        _require_decodable(page, stream)
        values = page.asarray().reshape(page.shaped)
        orientation = int(page.tags.valueof(_ORIENTATION, default=1))
        has_several_pages = file.pages.is_multipage
    image = np.moveaxis(values[:, 0], 0, -1)[..., 0, :] if planes > 1 else values[0, 0]
    used = 3 if channels >= 3 else 1
    inverted = WHITE_IS_ZERO if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else ""
    strip, more = _scaled_strips(image[..., :used], inverted=inverted)
    pixels = upright(assemble(width, height, strip), orientation)
    done = {
        FIRST_FRAME: has_several_pages,
        TURNED_NOTE: orientation in TURNED,
        "other channels left out": used < channels,
    }
    notes = (*(note for note, is_done in done.items() if is_done), *more)
    return Picture(pixels, "TIFF", f"{channels} x {page.dtype.name}", notes)


def _library(name: str, what: str, install: str = "pip install 'biotune[medical]'") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise RefusalError(f"{what} needs another package: {install}") from None


def _first_frame(pydicom: Any, stream: BinaryIO) -> tuple[Any, Pixels]:
    """Return the data set without its pixels, and the first frame: (height, width) or (height, width, 3)."""
    stream.seek(132)
    meta = pydicom.filereader.read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != _META_GROUP)
    syntax = pydicom.uid.UID(meta.TransferSyntaxUID)
    if syntax == _DEFLATED_SYNTAX:  # nothing bounds what it inflates to
        raise RefusalError("deflated DICOM cannot be read")
    stream.seek(0)
    header = pydicom.dcmread(stream, stop_before_pixels=True)
    if "Rows" not in header or "Columns" not in header:
        raise RefusalError("it holds no image")
    height, width, channels = int(header.Rows), int(header.Columns), int(header.SamplesPerPixel)
    sample_bytes = max(1, int(header.BitsAllocated) // 8)
    require_size(width, height, ORDINARY_COST + 2 * channels * sample_bytes)
    if syntax.is_encapsulated:
        _require_decoder(pydicom, syntax)
        _require_honest_frame(pydicom, stream, syntax, header, width * height * channels * sample_bytes)
    stream.seek(0)
    try:
        return header, pydicom.pixels.pixel_array(stream, index=0, raw=True)
    except AttributeError:  # a field that an image must have, or its pixels
        raise RefusalError("it holds no image") from None
    except ValueError:
        raise RefusalError(_MISCOUNTED) from None
    except RuntimeError:  # from all of pydicom's decoders
        raise _compression(syntax) from None


def _compression(syntax: Any) -> RefusalError:
    return RefusalError(f"its compression, {syntax.name}, cannot be read")


def _require_decoder(pydicom: Any, syntax: Any) -> None:
    with suppress(NotImplementedError):
        if pydicom.pixels.get_decoder(syntax).is_available:
            return
    raise _compression(syntax)


def _require_honest_frame(pydicom: Any, stream: BinaryIO, syntax: Any, header: Any, raw_bytes: int) -> None:
    """Refuse compressed data that decodes to more than the header says, or that would take too much time."""
    stream.seek(0)
    content = pydicom.dcmread(stream)
    frame = pydicom.encaps.get_frame(content.PixelData, 0, number_of_frames=int(header.get("NumberOfFrames") or 1))
    if syntax == _RLE_SYNTAX:
        honest = len(frame) <= 2 * raw_bytes + 64
    else:
        encoded = io.BytesIO(frame)
        try:
            with Image.open(encoded, formats=("JPEG", "JPEG2000")) as image:
                require_affordable(image, encoded)
                honest = image.size == (int(header.Columns), int(header.Rows))
        except UnidentifiedImageError:
            raise _compression(syntax) from None
    if not honest:
        raise RefusalError(_MISCOUNTED)


def _scaled_strips(
    values: Pixels,
    convert: Callable[[Pixels], Pixels] = np.asarray,
    window: Callable[[Pixels], NDArray[np.uint8]] | None = None,
    inverted: str = "",
) -> tuple[Strip, tuple[str, ...]]:
    """Return rows of an array as RGB, and notes.

    They are converted, then mapped to 0..255 by a window, or else as ``grey_scale`` says, and inverted where there is a
    note for that.
    """
    height, width = values.shape[:2]

    def converted(top: int, bottom: int) -> Pixels:
        part = convert(values[top:bottom])
        return part[..., 0] if part.ndim == 3 and part.shape[2] == 1 else part

    apply, note = window, "window applied"
    if apply is None:
        scale = grey_scale(converted(*strip) for strip in rows(width, height))
        apply, note = scale.apply, scale.note

    def strip(top: int, bottom: int) -> Image.Image:
        scaled = apply(converted(top, bottom))
        return from_array(255 - scaled if inverted else scaled)

    notes = () if converted(0, 1).dtype == np.uint8 else (note,)
    return strip, (*notes, inverted) if inverted else notes


def _window(header: Any) -> Callable[[Pixels], NDArray[np.uint8]] | None:
    """Return the map of the first window to 0..255, or None; values that are not finite become 0."""
    centre, width = (_first_number(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return None
    function = str(header.get("VOILUTFunction") or "LINEAR").upper()
    if function == "LINEAR":  # the middle and the span of whole numbers
        centre, width = centre - 0.5, width - 1
    if width < 0 or (width == 0 and function != "LINEAR"):
        raise RefusalError("damaged (its window has no width)")

    def share(values: Pixels) -> Pixels:
        if width == 0:
            return np.where(values > centre, 1.0, 0.0)
        if function == "SIGMOID":
            return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
        return np.clip((values - centre) / width + 0.5, 0, 1)

    return lambda values: np.round(255 * share(np.nan_to_num(values))).astype(np.uint8)


def _first_number(value: Any) -> float | None:
    """Return the first of one or several numbers, or None if there is none."""
    first = value if value is None or isinstance(value, str | float | int) else next(iter(value), None)
    return None if first in (None, "") else float(first)


def _require_decodable(page: Any, stream: BinaryIO) -> None:
    """Refuse compressions that cannot be read, and deflated parts that inflate to more than the page says."""
    if page.compression == _NO_COMPRESSION:
        return
    if page.compression == _LZW:
        _library("imagecodecs", "LZW compression of this kind of TIFF", "pip install imagecodecs")
        return
    if page.compression not in _DEFLATE:
        raise RefusalError(f"its compression, {getattr(page.compression, 'name', page.compression)}, cannot be read")
    expected = int(np.prod(page.chunks)) * page.dtype.itemsize
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        stream.seek(offset)
        if len(zlib.decompressobj().decompress(stream.read(size), expected + 1)) > expected:
            raise RefusalError(_MISCOUNTED)
