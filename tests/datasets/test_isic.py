"""The ISIC challenges, read from tiny files of the archive's layout."""

from pathlib import Path

import numpy as np
import pytest

import layouts
from biotune.datasets.sources import open_source
from biotune.datasets.splits import make_splits
from biotune.errors import InputError

HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"


def write_2016(root: Path) -> Path:
    folder = root / "isic2016"
    for part, lines in {
        "Training": ("ISIC_0000000,benign", "ISIC_0000001,malignant"),
        "Test": ("ISIC_0000003,0.0", "ISIC_0000009,1.0", "ISIC_0000010,0.0"),
    }.items():
        table = layouts.new_file(folder / f"ISBI2016_ISIC_Part3_{part}_GroundTruth.csv")
        table.write_text("".join(f"{line}\r\n" for line in lines))
        for line in lines:
            layouts.write_photo(folder / f"ISBI2016_ISIC_Part3_{part}_Data" / f"{line[:12]}.jpg")
    return root


def write_2020(root: Path, rows: list[tuple[str, str, int]], table: str, images: str) -> Path:
    folder = root / "isic2020"
    lines = [f"{name},{patient},male,45.0,torso,unknown,-,{target}" for name, patient, target in rows]
    layouts.new_file(folder / table).write_text("\n".join([HEADER, *lines]) + "\n")
    for name, _, _ in rows:
        layouts.write_photo(folder / images / f"{name}.jpg")
    return root


THREE = [("ISIC_1", "IP_7", 0), ("ISIC_2", "IP_9", 1), ("ISIC_3", "IP_7", 0)]


def test_2016_has_its_official_test_set(tmp_path: Path) -> None:
    images = open_source("isic2016", write_2016(tmp_path))

    assert images.class_names == ("benign", "malignant")
    assert images.labels.tolist() == [0, 1, 0, 1, 0]
    assert images.splits == ("train", "train", "test", "test", "test")
    assert images.ids[3] == "ISBI2016_ISIC_Part3_Test_Data/ISIC_0000009.jpg"
    assert images.groups is None


@pytest.mark.parametrize(
    ("table", "images"),
    [
        ("ISIC_2020_Training_GroundTruth.csv", "train"),
        ("ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_JPEG/train"),
        ("train.csv", "jpeg/train"),
    ],
)
def test_2020_is_grouped_by_patient_and_not_split(table: str, images: str, tmp_path: Path) -> None:
    found = open_source("isic2020", write_2020(tmp_path, THREE, table, images))

    assert found.class_names == ("benign", "malignant")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.groups == ("IP_7", "IP_9", "IP_7")
    assert found.splits == ("", "", "")
    assert found.ids == tuple(f"{images}/{name}.jpg" for name, _, _ in THREE)


def test_2020_is_shared_out_60_20_20_and_no_patient_twice(tmp_path: Path) -> None:
    rows = [(f"ISIC_{index}", f"IP_{index // 4}", int(index % 8 == 0)) for index in range(160)]
    images = open_source("isic2020", write_2020(tmp_path, rows, "train.csv", "train"))
    splits = make_splits(images, validation_fraction=0.2, test_fraction=0.2, split_seed=0)
    parts = (splits.train, splits.validation, splits.test)

    assert [len(part) for part in parts] == [96, 32, 32]
    assert [int(images.labels[part].sum()) for part in parts] == [12, 4, 4]
    patients = [{np.array(images.groups)[row] for row in part} for part in parts]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 40


def test_patients_who_share_an_image_are_one_group(tmp_path: Path) -> None:
    """a=b and b=c join three patients, whatever the order; images that are not in the table count for nothing."""
    rows = [(f"ISIC_{name}", f"IP_{name}", 0) for name in "abcd"]
    write_2020(tmp_path, rows, "train.csv", "train")
    pairs = "image_name_1,image_name_2\nISIC_c,ISIC_b\nISIC_a,ISIC_b\nISIC_d,ISIC_of_the_test_set\n"
    (tmp_path / "isic2020" / "ISIC_2020_Training_Duplicates.csv").write_text(pairs)
    groups = open_source("isic2020", tmp_path).groups

    assert groups is not None
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_an_image_without_a_patient_stands_for_itself(tmp_path: Path) -> None:
    rows = [("ISIC_1", "", 0), ("ISIC_2", "", 1)]

    assert open_source("isic2020", write_2020(tmp_path, rows, "train.csv", "train")).groups == ("ISIC_1", "ISIC_2")


@pytest.mark.parametrize("name", ["isic2016", "isic2020"])
def test_what_has_to_be_fetched_by_hand_is_said(name: str, tmp_path: Path) -> None:
    expected = rf"'{name}' is not here; unpack the files of challenge\.isic-archive\.com.* into '{tmp_path}/{name}'"
    with pytest.raises(InputError, match=expected):
        open_source(name, tmp_path)


def test_a_table_without_images_is_refused(tmp_path: Path) -> None:
    write_2020(tmp_path, THREE, "train.csv", "elsewhere")

    with pytest.raises(InputError, match=r"no images in .*; unpack ISIC_2020_Training_JPEG\.zip there"):
        open_source("isic2020", tmp_path)


def test_missing_images_are_counted(tmp_path: Path) -> None:
    write_2020(tmp_path, THREE, "train.csv", "train")
    (tmp_path / "isic2020" / "train" / "ISIC_2.jpg").unlink()

    with pytest.raises(InputError, match=r"1 of the 3 images of the data set 'isic2020' .*for example ISIC_2\.jpg"):
        open_source("isic2020", tmp_path)


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    write_2020(tmp_path, THREE, "train.csv", "train")
    (tmp_path / "isic2020" / "train.csv").write_text("image_name,target\nISIC_1,0\n")

    with pytest.raises(InputError, match=r"train\.csv' has no column 'patient_id'; it needs image_name, patient_id"):
        open_source("isic2020", tmp_path)


@pytest.mark.parametrize("label", ["unknown", "2.0"])
def test_an_unknown_label_is_refused(label: str, tmp_path: Path) -> None:
    write_2016(tmp_path)
    table = tmp_path / "isic2016" / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv"
    table.write_text(f"ISIC_0000003,{label}\n")

    with pytest.raises(InputError, match=r"'isic2016' in .* are damaged or incomplete"):
        open_source("isic2016", tmp_path)
