"""Pictures with an opacity inside Debian's and npm's packages, read from tiny packages of the same layout."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.debian import files_in_package
from biotune.datasets.image_set import ImageSet
from biotune.datasets.registry import DATASETS
from biotune.datasets.sources import open_source
from biotune.errors import InputError

pytestmark = pytest.mark.usefixtures("benchmark_datasets")


def tarred(files: Mapping[str, bytes], links: Mapping[str, str] = {}, mode: str = "w:xz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return stream.getvalue()


def write_package(file: Path, files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> None:
    """A Debian package: an archive of ``ar`` whose members are padded to even length."""
    members = {"debian-binary": b"2.0", "control.tar.xz": b"odd", "data.tar.xz": tarred(files, links)}
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts += [f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode(), content]
        parts += [b"\n"] * (len(content) % 2)
    file.write_bytes(b"".join(parts))


def picture(level: int, size: tuple[int, int] = (4, 4), opacity: int = 255) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", size, (level, level, level, opacity)).save(stream, "PNG")
    return stream.getvalue()


def counts(images: ImageSet, split: str) -> list[int]:
    chosen = images.labels[np.array(images.splits) == split]
    return np.bincount(chosen, minlength=len(images.class_names)).tolist()


STAMPS = "./usr/share/tuxpaint/stamps/"
STAMP_OF = {
    "bird": "animals/birds/heron",
    "fish": "animals/shellfish/crab",
    "flower": "plants/flowers/rose",
    "fruit": "food/nuts/walnut",
    "hand sign": "symbols/alphabets/asl/a",
    "insect": "animals/insects/wasp",
    "mammal": "animals/marsupials/koala",
    "tool": "household/tools/saw",
    "vegetable": "food/vegetables/leek",
    "vehicle": "military/vehicles/jeep",
}


def write_stamps(root: Path) -> None:
    files = {f"{STAMPS}{place}{number}.png": picture(number) for place in STAMP_OF.values() for number in range(3)}
    files |= {f"{STAMPS}animals/birds/{number}.png": picture(7, (20, 40)) for number in range(40)}
    for other in ("animals/birds/cartoon/duck.png", "food/fruit/toys/ball.png", "plants/rose_mirror.png",
                  "clothes/hat.png", "animals/birds/heron0.txt"):  # fmt: skip
        files[f"{STAMPS}{other}"] = b"not read"
    write_package(root / "tuxpaint-stamps-default_2022_all.deb", files)


def test_stamps_are_photographs_of_ten_classes_split_in_the_set(tmp_path: Path) -> None:
    write_stamps(tmp_path)
    images = open_source("tuxpaint_stamps", tmp_path)

    assert images.class_names == tuple(STAMP_OF)
    assert images.arrays is not None
    assert images.arrays.shape == (43 + 9 * 3, 224, 224, 3)
    assert counts(images, "train") == [13] + [1] * 9
    assert counts(images, "test") == [30] + [2] * 9


def test_a_stamp_lies_in_the_middle_of_a_white_square(tmp_path: Path) -> None:
    write_stamps(tmp_path)
    images = open_source("tuxpaint_stamps", tmp_path)
    high = [image for image in images.arrays if image[112, 112].max() == 7]  # type: ignore[union-attr]

    assert len(high) == 40
    assert high[0][112, [5, 84, 140, 219], 0].tolist() == [255, 7, 7, 255]


def test_the_same_package_gives_the_same_images_in_the_same_order(tmp_path: Path) -> None:
    write_stamps(tmp_path)
    first, again = (open_source("tuxpaint_stamps", tmp_path) for _ in range(2))

    np.testing.assert_array_equal(first.arrays, again.arrays)  # type: ignore[arg-type]
    assert first.splits == again.splits


def write_emoji(root: Path) -> None:
    emoji = [
        *({"category": "Flags", "image": f"flag{number}.png"} for number in range(125)),
        *({"category": "Symbols", "image": f"symbol{number}.png"} for number in range(42)),
        {"category": "Symbols", "image": "google-alone.png"},
        {"category": "Component", "image": "skin.png"},
    ]
    for maker, level, left_out in (("google", 10, ""), ("twitter", 20, "google-alone.png")):
        files = {f"package/img/{maker}/64/{each['image']}": picture(level) for each in emoji}
        files.pop(f"package/img/{maker}/64/{left_out}", None)
        files["package/emoji.json"] = json.dumps(emoji).encode()
        files[f"package/img/{maker}/32/flag0.png"] = b"not read"
        (root / f"emoji-datasource-{maker}-16.0.0.tgz").write_bytes(tarred(files, mode="w:gz"))


def test_emoji_are_trained_on_one_maker_and_tested_on_another(tmp_path: Path) -> None:
    write_emoji(tmp_path)
    images = open_source("emoji_makers", tmp_path)
    trained = np.array(images.splits) == "train"

    assert images.class_names == ("Flags", "Symbols")
    assert counts(images, "train") == [40, 40]
    assert counts(images, "test") == [80, 2]
    assert images.arrays is not None
    assert np.unique(images.arrays[trained]).tolist() == [10]
    assert np.unique(images.arrays[~trained]).tolist() == [20]


def write_icons(root: Path) -> None:
    for package, folder, level in (
        ("oxygen-icon-theme", "oxygen/base/64x64", 30),
        ("gnome-icon-theme", "gnome/48x48", 40),
    ):
        start = f"./usr/share/icons/{folder}/"
        files = {f"{start}{context}/{number}.png": picture(level + row)
                 for row, context in enumerate(("actions", "apps", "devices", "mimetypes", "places"))
                 for number in range(102 if context == "apps" else 2)}  # fmt: skip
        files |= {f"{start}emblems/0.png": b"not read", f"{start}apps/0.svg": b"not read"}
        write_package(root / f"{package}_1_all.deb", files, {f"{start}apps/link.png": "0.png"})


def test_icons_are_of_two_makers_and_links_are_left_out(tmp_path: Path) -> None:
    write_icons(tmp_path)
    images = open_source("icon_makers", tmp_path)

    assert images.class_names == ("actions", "apps", "devices", "mimetypes", "places")
    assert counts(images, "train") == [2, 40, 2, 2, 2]
    assert counts(images, "test") == [2, 100, 2, 2, 2]
    assert images.arrays is not None
    levels = images.arrays[:, 0, 0, 0] - np.where(np.array(images.splits) == "train", 30, 40)
    assert levels.tolist() == images.labels.tolist()


@pytest.mark.parametrize("name", ["tuxpaint_stamps", "emoji_makers", "icon_makers"])
def test_a_missing_package_is_named_with_the_command_that_brings_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"is not here; run: cd .*{tmp_path.name} && (apt-get download|npm pack) "):
        DATASETS[name].load(tmp_path)


def test_one_of_two_packages_is_not_enough(tmp_path: Path) -> None:
    write_icons(tmp_path)
    (tmp_path / "gnome-icon-theme_1_all.deb").unlink()

    with pytest.raises(InputError, match="is not here"):
        DATASETS["icon_makers"].load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"no package"])
def test_a_file_that_is_no_package_is_refused(content: bytes, tmp_path: Path) -> None:
    package = tmp_path / "tuxpaint-stamps-default_0_all.deb"
    package.write_bytes(content)

    with pytest.raises(ValueError, match=r"it (is no Debian package|holds no files)"):
        list(files_in_package(package, lambda name: True))
    with pytest.raises(InputError, match="damaged or incomplete"):
        DATASETS["tuxpaint_stamps"].load(tmp_path)
