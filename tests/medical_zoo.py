"""DICOM files and the TIFFs that Pillow cannot read, each with the one outcome that docs/data.md promises."""

import io
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import ArrayLike
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space

import image_files
from image_files import RED, WHITE, Write, content, encoded, plain
from image_zoo import CUT, Specimen

WINDOW, STRETCHED = ("window applied",), ("values stretched to 0..255",)


def dicom(
    pixels: ArrayLike, kind: str = "MONOCHROME2", syntax: str = uid.ExplicitVRLittleEndian, **fields: object
) -> Write:
    """A DICOM file of pixels of shape (height, width[, 3]), or of encoded bytes with their sizes in fields."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.UID(syntax)
    meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = uid.generate_uid(entropy_srcs=["biotune"])
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PhotometricInterpretation = kind
    data.SamplesPerPixel = 3 if kind.startswith(("RGB", "YBR")) else 1
    data.PlanarConfiguration = 0
    values = np.frombuffer(pixels, np.uint8) if isinstance(pixels, bytes) else np.asarray(pixels)
    data.BitsAllocated, data.PixelRepresentation = 8 * values.dtype.itemsize, int(values.dtype.kind == "i")
    data.PixelData = encapsulate([pixels]) if isinstance(pixels, bytes) else values.tobytes()
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    if values.ndim > 1:
        data.Rows, data.Columns = values.shape[-3:-1] if data.SamplesPerPixel == 3 else values.shape[-2:]
    data.BitsStored, data.HighBit = data.BitsAllocated, data.BitsAllocated - 1
    for name, value in fields.items():
        setattr(data, name, value)
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return content(buffer.getvalue())


def without_pixels() -> Write:
    def write(path: Path) -> None:
        dicom(np.zeros((1, 2), np.uint8))(path)
        path.write_bytes(path.read_bytes().split(b"\x28\0\2\0", maxsplit=1)[0])

    return write


def written(values: ArrayLike, dtype: str, **options: object) -> Write:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.asarray(values, dtype=dtype), **options)
    return content(buffer.getvalue())


def lzw(path: Path) -> None:
    """Five channels that claim to be in LZW."""
    written(np.zeros((4, 4, 5)), "uint16", photometric="minisblack", planarconfig="contig")(path)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(5)


HOUNSFIELD = np.array([[-1000, 39, 40, 41, 3000]], dtype=np.int16)
RAMP = np.array([[0, 1000, 2000, 3000, 4000]], dtype=np.uint16)
COLOURS = np.array([[RED, WHITE], [(0, 0, 255), (0, 0, 0)]], dtype=np.uint8)
CHANNELS = np.arange(4 * 4 * 5).reshape(4, 4, 5) * 700
LUT = np.array([65535, 0], dtype="<u2").tobytes(), np.zeros(2, "<u2").tobytes()
PALETTE = {f"{colour}PaletteColorLookupTableDescriptor": [2, 0, 16] for colour in ("Red", "Green", "Blue")} | {
    "RedPaletteColorLookupTableData": LUT[0],
    "GreenPaletteColorLookupTableData": LUT[1],
    "BluePaletteColorLookupTableData": LUT[1],
}
TOO_LARGE = "one of these that would take more than 640 MB"
NUMBERS = "TIFF of 64-bit, half-precision or signed 8-bit numbers"

MEDICAL = (
    Specimen(
        "DICOM with a window",
        "head.dcm",
        dicom(
            HOUNSFIELD + 1024, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[40, 400], WindowWidth=[80, 2000]
        ),
        WINDOW,
        (0, 0, 0),
        (5, 1),
    ),
    Specimen("DICOM with a window", "no ending", dicom(RAMP, WindowCenter=-5000, WindowWidth=10), WINDOW, WHITE),
    Specimen("DICOM without a window", "plain.dcm", dicom(RAMP), STRETCHED, (0, 0, 0)),
    Specimen(
        "DICOM, MONOCHROME1", "x-ray.dcm", dicom(RAMP, "MONOCHROME1"), (*STRETCHED, "MONOCHROME1 inverted"), WHITE
    ),
    Specimen(
        "DICOM of several frames",
        "film.dcm",
        dicom(np.stack([RAMP[:, ::-1], RAMP]), NumberOfFrames=2),
        ("first of several frames", *STRETCHED),
        WHITE,
    ),
    Specimen("DICOM in RGB", "photo.dcm", dicom(COLOURS, "RGB"), (), RED, (2, 2)),
    Specimen(
        "DICOM in YBR",
        "ybr.dcm",
        dicom(convert_color_space(COLOURS, "RGB", "YBR_FULL"), "YBR_FULL"),
        ("YBR converted",),
        RED,
    ),
    Specimen(
        "DICOM in YBR",
        "jpeg.dcm",
        dicom(encoded(plain(), "JPEG", quality=95), "YBR_FULL_422", uid.JPEGBaseline8Bit, Rows=16, Columns=16),
        ("YBR converted",),
        RED,
    ),
    Specimen(
        "DICOM with a palette",
        "palette.dcm",
        dicom(np.array([[0, 1]], np.uint8), "PALETTE COLOR", **PALETTE),
        ("palette converted", "16-bit values divided by 257"),
        RED,
    ),
    Specimen(
        "DICOM in JPEG Lossless or another compression that Pillow cannot read",
        "lossless.dcm",
        dicom(b"\xff\xd8", "RGB", uid.JPEGLosslessSV1, Rows=16, Columns=16),
        reason="cannot be read",
    ),
    Specimen(
        "deflated DICOM",
        "deflated.dcm",
        dicom(RAMP, syntax=uid.DeflatedExplicitVRLittleEndian),
        reason="deflated DICOM cannot be read",
    ),
    Specimen("DICOM without an image", "report.dcm", without_pixels(), reason="it holds no image"),
    Specimen(TOO_LARGE, "bomb.dcm", dicom(RAMP, Rows=60000, Columns=60000), reason="pixels are more than"),
    Specimen(
        TOO_LARGE,
        "bomb.tif",
        content(image_files.tiff(50_000, 1_000, bytes(1000), t258=64, t339=3)),
        reason="pixels are more than",
    ),
    Specimen(
        CUT,
        "claim.dcm",
        dicom(RAMP, Rows=1000, Columns=1000),
        reason="damaged (its pixel count does not match its header)",
    ),
    Specimen(
        CUT,
        "cut.dcm",
        lambda path: (dicom(RAMP)(path), path.write_bytes(path.read_bytes()[:-1]))[0],
        reason="damaged (its pixel count does not match its header)",
    ),
    Specimen(
        "DICOM whose window has no width",
        "no width.dcm",
        dicom(RAMP, WindowCenter=1, WindowWidth=0),
        reason="its window has no width",
    ),
    Specimen(
        "DICOM without its preamble of 128 bytes",
        "bare.dcm",
        lambda path: (dicom(RAMP)(path), path.write_bytes(path.read_bytes()[132:]))[0],
        reason="its content is none of JPEG, PNG, BMP, TIFF, WEBP, GIF, DICOM",
    ),
    Specimen(
        "TIFF of complex numbers, or a volume",
        "complex.tif",
        written([[1, 2j]], "complex64"),
        reason="it is not a flat image of numbers",
    ),
    Specimen(
        "floating-point numbers of which none is finite",
        "nothing.tif",
        written(np.full((2, 2), np.nan), "float64"),
        reason="it holds no finite number",
    ),
    Specimen(
        CUT,
        "jpeg claim.dcm",
        dicom(encoded(plain(), "JPEG"), "YBR_FULL_422", uid.JPEGBaseline8Bit, Rows=8, Columns=8),
        reason="damaged (its pixel count does not match its header)",
    ),
    Specimen(NUMBERS, "double.tif", written([[1, 0.5, 0]], "float64"), STRETCHED, WHITE),
    Specimen(NUMBERS, "half.tif", written([[1, 0.5, 0]], "float16"), STRETCHED, WHITE),
    Specimen(NUMBERS, "signed.tif", written([[-128, 127]], "int8"), STRETCHED, (0, 0, 0)),
    Specimen(NUMBERS, "deflated.tif", written([[1, 0.5, 0]], "float64", compression="zlib"), STRETCHED, WHITE),
    Specimen(
        "TIFF of 16-bit colour in separate planes",
        "planes.tif",
        written([[[65535, 0]], [[0, 0]], [[257, 0]]], "uint16", photometric="rgb", planarconfig="separate"),
        ("16-bit values divided by 257",),
        (255, 0, 1),
        (2, 1),
    ),
    Specimen(
        "TIFF of 2, 4 or more channels that Pillow cannot read",
        "five.tif",
        written(CHANNELS + 257, "uint16", photometric="minisblack", planarconfig="contig", compression="zlib"),
        ("other channels left out", "16-bit values divided by 257"),
        (1, 4, 6),
        (4, 4),
    ),
    Specimen(
        "TIFF of 2, 4 or more channels that Pillow cannot read",
        "two.tif",
        written(CHANNELS[..., :2] // 257 + 7, "uint16", photometric="minisblack", planarconfig="contig"),
        ("other channels left out", "wide values up to 255 kept"),
        (7, 7, 7),
        (4, 4),
    ),
    Specimen(
        "EXIF orientation other than upright",
        "turned.tif",
        written([[1, 0.5, 0]], "float64", extratags=[(274, "H", 1, 6)]),
        ("turned upright", *STRETCHED),
        WHITE,
        (1, 3),
    ),
    Specimen("such a TIFF with LZW", "lzw.tif", lzw, reason="pip install imagecodecs"),
    Specimen(
        "such a TIFF in another compression than deflate",
        "lzma.tif",
        written([[1, 0.5, 0]], "float64", compression="lzma"),
        reason="its compression, LZMA, cannot be read",
    ),
)
