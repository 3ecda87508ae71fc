"""What is said of a data set, against sets whose faults are known because the tests made them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.inspection.conclusions import conclude
from biotune.inspection.contact_sheet import ALERT, COLUMNS, TILE, Strip, Tile, contact_sheet
from biotune.inspection.inspection import inspect
from biotune.inspection.sheet import inspection_sheet


def found_in(source: Path | ImageSet) -> dict:
    return conclude(inspect(open_source(source) if isinstance(source, Path) else source)).to_json()


def arrays(
    labels: list[int], splits: list[str] | None = None, groups: list[str] | None = None, **shape: int
) -> ImageSet:
    """Random images of 70 x 80 pixels, or as ``height`` and ``width`` say."""
    count = len(labels)
    size = (count, shape.get("height", 80), shape.get("width", 70), 3)
    return ImageSet(
        name="made",
        ids=tuple(f"made/{row}" for row in range(count)),
        labels=np.array(labels),
        class_names=("a", "b"),
        splits=tuple(splits or [""] * count),
        groups=tuple(groups) if groups else None,
        files=None,
        arrays=np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8),
    )


def repeated(image_set: ImageSet, *copies: tuple[int, int]) -> ImageSet:
    """Overwrite images: (row, of which row it becomes a copy)."""
    assert image_set.arrays is not None
    for row, original in copies:
        image_set.arrays[row] = image_set.arrays[original]
    return image_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.write_classes(tmp_path / "photos", {"blue": 6, "green": 5})


def test_a_clean_set_of_large_enough_images() -> None:
    found = found_in(arrays([0] * 6 + [1] * 6))

    assert (found["images"], found["classes"]) == (12, {"a": 6, "b": 6})
    assert found["splits"] == {"unassigned": {"images": 12, "classes": {"a": 6, "b": 6}}}
    assert (found["quarantined"], found["duplicates"], found["warnings"]) == ([], [], [])
    assert found["conclusion"] == "Nothing to worry about."
    assert found["sizes"] == {
        "width": {"min": 70, "median": 70, "max": 70},
        "height": {"min": 80, "median": 80, "max": 80},
        "aspect_ratio": {"min": 0.875, "median": 0.875, "max": 0.875},
        "smaller_than_64": 0,
        "longer_than_3_to_1": 0,
    }
    assert isinstance(found["sizes"]["width"]["min"], int)
    assert (found["formats"], found["modes"], found["notes"]) == ({"pixels": 12}, {"RGB": 12}, {})


def test_files_that_cannot_be_read_and_what_is_ignored(folder: Path) -> None:
    (folder / "blue" / "empty.png").touch()
    (folder / "green" / "page.jpg").write_text("<html></html>")
    (folder / "green" / ".hidden.png").touch()
    found = found_in(folder)

    assert (found["images"], found["classes"]) == (11, {"blue": 6, "green": 5})
    assert found["quarantined"] == [
        {"path": "blue/empty.png", "reason": "it is empty"},
        {"path": "green/page.jpg", "reason": "its content is none of JPEG, PNG, BMP, TIFF, WEBP, GIF, DICOM"},
    ]
    assert found["ignored"] == ["Ignored hidden files and folders: 1."]
    assert found["warnings"][0].startswith("2 of 13 images cannot be read and will be left out")


def test_exact_and_near_copies_with_their_classes(folder: Path) -> None:
    picture = Image.effect_mandelbrot((200, 160), (-2, -1.2, 1, 1.2), 40).convert("RGB")
    picture.save(folder / "blue" / "large.jpg", quality=95)
    picture.resize((120, 90)).save(folder / "green" / "small.png")
    shutil.copy(folder / "blue" / "001.png", folder / "blue" / "again.png")
    found = found_in(folder)
    near = {
        "kind": "near",
        "paths": ["blue/large.jpg", "green/small.png"],
        "splits": ["unassigned", "unassigned"],
        "classes": ["blue", "green"],
    }

    assert found["duplicates"] == [
        {
            "kind": "exact",
            "paths": ["blue/001.png", "blue/again.png"],
            "splits": ["unassigned", "unassigned"],
            "classes": ["blue", "blue"],
        },
        near,
    ]
    assert (found["label_conflicts"], found["leaks"], found["torn_by_a_random_split"]) == ([near], [], 2)
    assert found["warnings"][:2] == [
        "1 picture in several classes; a label is wrong, or the classes overlap.",
        "2 groups of copies could be torn apart by a random split; remove the copies, or give both a group in a CSV "
        "file.",
    ]


@pytest.mark.parametrize(
    ("splits", "between"),
    [
        (["train"] * 5 + ["test"] * 5, "train and test"),
        (["train"] * 5 + ["validation"] * 5, "train and validation"),
        ([""] * 5 + ["test"] * 5, "train and test"),
    ],
)
def test_a_copy_in_another_split_is_a_leak(splits: list[str], between: str) -> None:
    found = found_in(repeated(arrays([0, 1] * 5, splits), (7, 3), (4, 2)))

    assert [item["paths"] for item in found["duplicates"]] == [["made/2", "made/4"], ["made/3", "made/7"]]
    assert [item["paths"] for item in found["leaks"]] == [["made/3", "made/7"]]
    assert found["torn_by_a_random_split"] == 0
    assert found["warnings"][0] == (
        f"1 picture in several splits: 1 between {between}. Scores will be too good; remove the copies from one of the "
        "splits."
    )
    assert "1 group of copies inside one split; they count more than once." in found["warnings"]


@pytest.mark.parametrize(("group", "torn"), [("p", 0), ("q", 1)])
def test_copies_of_one_group_are_not_torn_apart(group: str, torn: int) -> None:
    groups = [f"g{row}" for row in range(10)]
    groups[2], groups[7] = "p", group
    found = found_in(repeated(arrays([0, 1] * 5, groups=groups), (7, 2)))

    assert found["duplicates"][0]["groups"] == ["p", group]
    assert found["torn_by_a_random_split"] == torn


def test_a_group_in_two_splits() -> None:
    groups = ["p", "q", "r", "p", "q", "s"]
    found = found_in(arrays([0, 1] * 3, ["train"] * 3 + ["test", "train", "test"], groups))

    assert found["straddling_groups"] == [{"group": "p", "splits": ["test", "train"]}]
    assert "Groups that straddle the splits: 1 (p);" in found["warnings"][0]


@pytest.mark.parametrize(
    ("count", "fate"),
    [
        (1, "trains only; the class has no score of its own"),
        (2, "one trains, one validates; the class is not tested"),
        (4, "few to learn from and to score"),
    ],
)
def test_a_small_class(count: int, fate: str) -> None:
    found = found_in(arrays([0] * 8 + [1] * count))

    assert found["small_classes"] == [{"class": "b", "images": count, "fate": fate}]


@pytest.mark.parametrize(("smaller", "warned"), [(5, True), (6, False)])
def test_unequal_classes(smaller: int, warned: bool) -> None:
    found = found_in(arrays([0] * 50 + [1] * smaller))

    assert any("times as many as the smallest" in warning for warning in found["warnings"]) is warned


def test_a_split_without_a_class() -> None:
    found = found_in(arrays([0, 1] * 5 + [0] * 5, ["train"] * 10 + ["test"] * 5))

    assert found["warnings"] == ["The split test lacks 1 class: b."]


@pytest.mark.parametrize(
    ("width", "height", "warning"),
    [
        (64, 64, None),
        (63, 80, "10 images of 10 with a side below 64 pixels"),
        (300, 100, None),
        (301, 100, "10 images more than 3 times as long as wide"),
        (100, 301, "10 images more than 3 times as long as wide"),
    ],
)
def test_small_and_long_images(width: int, height: int, warning: str | None) -> None:
    warnings = found_in(arrays([0, 1] * 5, width=width, height=height))["warnings"]

    assert [bool(found.startswith(str(warning))) for found in warnings] == ([True] if warning else [])


def test_sixteen_bit_images_that_are_nearly_black(folder: Path) -> None:
    Image.fromarray(np.linspace(0, 4095, 6400, dtype=np.uint16).reshape(80, 80)).save(folder / "blue" / "deep.png")

    assert any(text.startswith("One image holds 16-bit values") for text in found_in(folder)["warnings"])


@pytest.mark.parametrize("groups", [["p"] * 12, ["p", "q"] * 6])
def test_groups_that_cannot_be_shared_out_are_found(groups: list[str]) -> None:
    found = found_in(arrays([0, 1] * 6, groups=groups))

    assert found["refusal"].startswith(
        "'made' has no image to validate on: every class lies within one group (a in 'p'"
    )
    assert found["warnings"] == [f"A run will be refused: {found['refusal']}"]


def test_one_image_of_each_class_is_refused_by_a_run() -> None:
    assert found_in(arrays([0, 1]))["refusal"] == (
        "'made' has no image to validate on, since every class has one image only; give more, or give a validation "
        "split."
    )


def test_a_run_trains_on_what_is_given() -> None:
    splits = ["train", "validation", "validation"]

    assert found_in(arrays([0, 0, 1], splits))["refusal"].startswith("the class 'b' of 'made' has no image to train")
    assert found_in(arrays([0, 1, 0], ["train", "train", "validation"]))["refusal"] is None


def test_a_class_of_which_no_training_image_can_be_read(folder: Path) -> None:
    for file in (folder / "green").iterdir():
        file.write_text("no image")

    assert found_in(folder)["refusal"] == (
        "the class 'green' has no readable training image; fix its files or remove its folder (5 images could not be "
        "read, for example green/000.png: its content is none of JPEG, PNG, BMP, TIFF, WEBP, GIF, DICOM)."
    )


def test_no_image_can_be_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "x.png").touch()
    found = found_in(tmp_path / "set")

    assert (found["images"], found["sizes"], found["duplicates"]) == (0, None, [])
    assert "No image can be used of 2 classes: a and b." in found["warnings"]
    assert found["conclusion"] == "No image can be used."
    assert found["warnings"][0].startswith("A run will be refused: ")


def test_the_sheet_shows_copies_strange_images_and_every_class(folder: Path) -> None:
    shutil.copy(folder / "blue" / "001.png", folder / "green" / "again.png")
    Image.new("RGB", (400, 20), "navy").save(folder / "green" / "long.png")
    inspection = inspect(open_source(folder))
    sheet = inspection_sheet(inspection, conclude(inspection))
    line = TILE + 6 + 3 * 14 + 10 + 15 + 26

    assert sheet.width == 2 * 24 + COLUMNS * (TILE + 10) - 10
    assert sheet.height == pytest.approx(4 * line + 100, abs=20)
    assert (0xD5, 0x5E, 0x00) in {color for _, color in sheet.getcolors(1 << 24) or ()}


NAMES = [
    "$\\frac{$",
    "日本語",
    "🙂🙃",
    "x" * 500,
    "",
    "\x00\n\t",
    "<script>alert(1)</script>",
    "\u202eevil",
    "\ud800",
    "   ",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name: str) -> None:
    tiles = tuple(Tile(Image.new("RGB", size, "red"), f"{name}\n{name}") for size in ((1, 1), (1, 900), (900, 2)))
    plain = contact_sheet("t", "r", [Strip("s", "r", tiles)])
    drawn = contact_sheet(name, name, [Strip(name, name, tiles)])

    assert drawn.size == plain.size
    # Nothing is drawn over the right edge, however long the name is.
    assert np.asarray(drawn)[:, -20:].min() == 255


def test_only_alerts_are_framed() -> None:
    tile = Image.new("RGB", (10, 10), "black")
    framed, plain = (contact_sheet("", "", [Strip("", "", (Tile(tile, "", alert),))]) for alert in (True, False))

    assert ALERT == "#d55e00"
    assert [(np.asarray(sheet) == (0xD5, 0x5E, 0)).all(axis=2).any() for sheet in (framed, plain)] == [True, False]
