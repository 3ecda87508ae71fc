"""``biotune check``: output for people and for programs, files, exit codes; the documented keys are those there are."""

import csv
import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tiny

ODD = "=2+2 & <b>$\\frac{$"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Splits with one of each fault: a leak, a damaged file, a hidden file, an odd class name, a small class."""
    root = tmp_path / "photos"
    for split, first in (("train", 0), ("test", 500)):
        tiny.write_classes(root / split, {ODD: 6, "green": 6}, first_seed=first)
    tiny.write_classes(root / "train", {"rare": 1}, first_seed=900)
    shutil.copy(root / "train" / ODD / "000.png", root / "test" / ODD / "@leak.png")
    (root / "train" / "green" / "-bad.png").write_text("no image")
    (root / "train" / "green" / ".hidden.png").touch()
    return root


@pytest.fixture
def found(cli, photos) -> dict[str, Any]:
    ended = cli("check", photos, "--json")
    assert ended.code == 0
    return json.loads(ended.out)


def test_what_is_found(found) -> None:
    assert (found["images"], found["classes"]) == (26, {ODD: 13, "green": 12, "rare": 1})
    assert [(part, content["images"]) for part, content in found["splits"].items()] == [("train", 13), ("test", 13)]
    assert [item["path"] for item in found["quarantined"]] == ["train/green/-bad.png"]
    assert found["leaks"] == found["duplicates"]
    assert found["leaks"] == [
        {
            "kind": "exact",
            "paths": [f"test/{ODD}/@leak.png", f"train/{ODD}/000.png"],
            "splits": ["test", "train"],
            "classes": [ODD, ODD],
        }
    ]
    assert found["ignored"] == ["Ignored hidden files and folders: 1."]


def test_output_for_people_is_narrow_and_begins_with_what_matters(cli, photos, monkeypatch) -> None:
    monkeypatch.setattr("biotune.cli.app.out._width", 80)
    ended = cli("check", photos)
    lines = ended.out.splitlines()

    assert ended.code == 0
    assert max(map(len, lines)) <= 80
    assert lines[0] == "photos: 26 images of 3 classes, 1 more that cannot be read"
    assert lines[2].startswith("1. 1 picture in several splits: 1 between train and test.")
    assert f"test/{ODD}/@leak.png" in ended.out
    assert lines[-1] == "6 things to look at, the most important first."
    assert "reading images: 1/27\nreading images: 27/27\nlooking for copies: 27/27\n" in ended.err


def test_nothing_to_worry_about(cli, tmp_path) -> None:
    for number in range(12):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((96, 96), 40 + number).save(path)
    ended = cli("check", tmp_path / "set", "--strict")

    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "Nothing to worry about."


def test_an_empty_class_is_found(cli, tmp_path) -> None:
    (tiny.write_classes(tmp_path / "set", {"a": 6, "b": 6}) / "c").mkdir()
    found = json.loads(cli("check", tmp_path / "set", "--json").out)

    assert found["classes"] == {"a": 6, "b": 6, "c": 0}
    assert found["warnings"][0] == (
        "A run will be refused: the class 'c' of 'set' has no image to train on; the classes of train are a, b; "
        "give it images or remove it."
    )


def test_a_test_set_alone_can_be_checked(cli, tmp_path) -> None:
    tiny.write_classes(tmp_path / "set" / "test", {"a": 6, "b": 6})
    found = json.loads(cli("check", tmp_path / "set", "--json").out)

    assert found["splits"] == {"test": {"images": 12, "classes": {"a": 6, "b": 6}}}
    assert [warning for warning in found["warnings"] if "refused" in warning] == []


def test_a_table_without_a_labelled_image(cli, tmp_path) -> None:
    columns = {"image": [b"", b""], "label": pa.array([None, None], pa.string())}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")

    ended = cli("check", tmp_path / "x.parquet")

    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith("x.parquet' has no labelled image; there is nothing to check.")


def test_every_copy_is_printed_with_its_own_class(cli, tmp_path) -> None:
    tiny.write_classes(tmp_path / "set", {"a": 6, "b": 6})
    for copy in ("a/copy.png", "b/copy.png"):
        shutil.copy(tmp_path / "set" / "a" / "000.png", tmp_path / "set" / copy)
    lines = [line.split() for line in cli("check", tmp_path / "set").out.splitlines()]

    assert ["3", "exact", "a/000.png", "a"] in lines
    assert ["a/copy.png", "a"] in lines
    assert ["b/copy.png", "b"] in lines


def test_strict_fails_after_the_result(cli, photos) -> None:
    ended = cli("check", photos, "--json", "--strict")

    assert ended.code == 2
    assert json.loads(ended.out)["images"] == 26
    assert ended.err.splitlines()[-1] == "biotune: photos: 6 things to look at, the most important first."


def test_files_for_a_report(cli, photos, tmp_path) -> None:
    folder = tmp_path / "a" / "report"
    assert cli("check", photos, "--out", folder, "--contact-sheet", tmp_path / "sheet.PNG").code == 0
    with (folder / "duplicates.csv").open(newline="") as stream:
        copies = list(csv.DictReader(stream))
    with (folder / "quarantine.csv").open(newline="") as stream:
        bad = list(csv.DictReader(stream))

    assert {path.name for path in folder.iterdir()} == {"contact-sheet.png", "duplicates.csv", "quarantine.csv"}
    assert [(row["copies"], row["path"], row["split"], row["class"]) for row in copies] == [
        ("1", f"test/{ODD}/@leak.png", "test", f"'{ODD}"),
        ("1", f"train/{ODD}/000.png", "train", f"'{ODD}"),
    ]
    assert [row["path"] for row in bad] == ["train/green/-bad.png"]
    assert (tmp_path / "sheet.PNG").read_bytes() == (folder / "contact-sheet.png").read_bytes()
    with Image.open(tmp_path / "sheet.PNG") as sheet:
        assert sheet.format == "PNG"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--contact-sheet", "sheet.jpg"), "give a name that ends in .png"),
        (("--contact-sheet", "no/such/sheet.png"), "there is no folder 'no/such' for the contact sheet"),
        (
            ("--write", "no/such/groups.csv"),
            "there is no folder 'no/such' for the groups; make it or give another name.",
        ),
        (("--out", "/dev/null/x"), "cannot make the folder '/dev/null/x'"),
    ],
)
def test_wrong_use(cli, images, options: tuple[str, ...], sentence: str) -> None:
    ended = cli("check", images, *options)

    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err.splitlines()[-1]


def test_no_such_source(cli) -> None:
    assert cli("check", "no/where").code == 2


def test_a_named_data_set(cli) -> None:
    found = json.loads(cli("check", "digits8", "--json").out)

    assert (found["images"], sum(found["classes"].values()), found["leaks"]) == (1797, 1797, [])


def test_a_full_folder_for_temporary_files_is_one_sentence(cli, images):
    """Files of at most 64 KiB, which the thumbnails of 60 images need: a disk without room answers in the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        done = cli("check", images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.code == 2
    assert "has no room for 184.3 kB of thumbnails; make room, or name another folder in TMPDIR." in done.err


def test_groups_of_near_copies_are_written(cli, tmp_path) -> None:
    folder = tiny.write_classes(tmp_path / "photos", {"blue": 3, "=green": 2})
    (folder / "blue" / "copy.png").write_bytes((folder / "blue" / "001.png").read_bytes())
    plain, joined = tmp_path / "plain.csv", tmp_path / "joined.csv"

    alone = cli("check", folder, "--write", plain)
    together = cli("check", folder, "--groups", "near-copies", "--write", joined)

    assert "6 images in 6 groups, one each." in alone.err
    assert "6 images in 5 groups, 1 of them with several, the largest with 2." in together.err
    groups = {row["path"]: row["group"] for row in csv.DictReader(joined.read_text().splitlines())}
    assert groups["blue/copy.png"] == groups["blue/001.png"] == "blue/001.png"
    assert groups["'=green/000.png"] == "'=green/000.png"
    assert len(plain.read_text().splitlines()) == 7
    assert "a random split" in alone.out
    assert "a random split" not in together.out
