"""DICOM against pydicom's own functions, real photos through TIFF, and life without the extra."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.pixels import apply_modality_lut, apply_windowing, pixel_array

from biotune.images.decoding import UnreadableImageError, decode, decode_with_facts, quiet
from image_files import many_scans
from medical_zoo import HOUNSFIELD, MEDICAL, RAMP, dicom, written


def _pixels(write: Callable[[Path], None], path: Path) -> np.ndarray:
    write(path)
    return np.asarray(decode(path))


@pytest.mark.parametrize(
    "fields",
    [
        {"WindowCenter": 40, "WindowWidth": 400},
        {"WindowCenter": 40, "WindowWidth": 1},
        {"WindowCenter": [1500.5, 3], "WindowWidth": [800, 3]},
        {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 100, "WindowWidth": 4000, "RescaleSlope": 2.5, "RescaleIntercept": -90},
    ],
)
@pytest.mark.parametrize("values", [HOUNSFIELD, RAMP], ids=["signed", "unsigned"])
def test_windows_are_those_of_pydicom(tmp_path: Path, values: np.ndarray, fields: dict) -> None:
    path = tmp_path / "a.dcm"
    ours = _pixels(dicom(values, **fields), path)

    data = pydicom.dcmread(path)
    theirs = apply_windowing(apply_modality_lut(pixel_array(path), data), data)
    slope, start = fields.get("RescaleSlope", 1), fields.get("RescaleIntercept", 0)
    low, high = (-32768, 32767) if values.dtype == np.int16 else (0, 65535)
    expected = 255 * (theirs - (low * slope + start)) / ((high - low) * slope)
    assert np.abs(ours[..., 0] - expected).max() <= 0.51
    assert (ours == ours[..., :1]).all()


def test_without_a_window_the_range_of_the_frame_counts(tmp_path: Path) -> None:
    rising = _pixels(dicom(RAMP, RescaleSlope=1, RescaleIntercept=-500), tmp_path / "a.dcm")
    falling = _pixels(dicom(RAMP, "MONOCHROME1"), tmp_path / "b.dcm")

    assert rising[0, :, 0].tolist() == [0, 64, 128, 191, 255]
    assert falling[0, :, 0].tolist() == [255, 191, 127, 64, 0]


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "examples_ybr_color.dcm"])
def test_files_of_scanners(name: str) -> None:
    """Real files that come with pydicom."""
    path = Path(pydicom.data.get_testdata_file(name, download=False) or "")
    if not path.is_file():
        pytest.skip(f"{name} does not come with this pydicom")
    with quiet():
        image, facts = decode_with_facts(path)

    assert facts.format == "DICOM"
    assert (image.width, image.height) == (pydicom.dcmread(path).Columns, pydicom.dcmread(path).Rows)
    assert np.asarray(image).std() > 10


def test_a_photo_in_sixteen_bits_and_many_channels_is_the_photo(tmp_path: Path) -> None:
    photo = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (600, 500, 3), dtype=np.uint8)
    deep = np.concatenate([photo.astype(np.uint16) * 257, np.zeros((600, 500, 2), np.uint16)], axis=2)

    together = _pixels(written(deep, "uint16", photometric="minisblack", planarconfig="contig"), tmp_path / "a.tif")
    apart = _pixels(
        written(
            np.moveaxis(deep, 2, 0), "uint16", photometric="minisblack", planarconfig="separate", compression="zlib"
        ),
        tmp_path / "b.tif",
    )

    np.testing.assert_array_equal(together, photo)
    np.testing.assert_array_equal(apart, photo)


def test_a_strip_that_inflates_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    written(np.zeros((4, 1000, 5)), "uint16", photometric="minisblack", planarconfig="contig", compression="zlib")(path)
    content = path.read_bytes()
    path.write_bytes(content.replace((1000).to_bytes(2, "little"), (10).to_bytes(2, "little"), 1))

    with pytest.raises(UnreadableImageError, match="its pixel count does not match its header"):
        decode(path)


def test_the_scans_of_a_jpeg_in_dicom_are_counted(tmp_path: Path) -> None:
    many = dicom(many_scans(100), "MONOCHROME2", uid.JPEGBaseline8Bit, Rows=64, Columns=64)

    many(tmp_path / "a.dcm")

    with pytest.raises(UnreadableImageError, match="more than 100 scans"):
        decode(tmp_path / "a.dcm")


@pytest.mark.parametrize(("name", "what"), [("head.dcm", "DICOM"), ("five.tif", "this kind of TIFF")])
def test_without_the_extra_the_reason_is_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    """An absent package cannot be had here, so that its import fails."""

    def absent(name: str) -> None:
        raise ImportError(name)

    next(one for one in MEDICAL if one.name == name).write(tmp_path / name)
    monkeypatch.setattr(importlib, "import_module", absent)

    with pytest.raises(UnreadableImageError, match=rf"{what} needs another package: pip install 'biotune\[medical\]'"):
        decode(tmp_path / name)
