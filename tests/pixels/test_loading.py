"""From a source to what a run learns from: groups and rare classes in parts and folds."""

import csv
from pathlib import Path

import numpy as np
import pytest

from biotune.datasets import open_source
from biotune.errors import InputError
from biotune.pixels import load
from biotune.pixels.learning_data import FURTHER_PARTS
from biotune.records import Preprocessing
from biotune.settings.sections import DataConfig
from tiny import write_image

SMALL = Preprocessing(image_size=4)


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A CSV of 60 images of 20 patients in two classes, and one broken image."""
    with (tmp_path / "scans.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "group"])
        for number in range(60):
            write_image(tmp_path / f"{number}.png", number)
            rows.writerow([f"{number}.png", number % 2, f"patient {number // 3}"])
    (tmp_path / "7.png").write_bytes(b"broken")
    return tmp_path / "scans.csv"


def test_no_patient_is_in_two_parts_or_folds(patients: Path) -> None:
    data = load(open_source(patients), DataConfig(folds=3, fold_validation=True), SMALL)

    patient = np.array([int(name.removesuffix(".png")) // 3 for name in data.selection.ids])
    parts = [part for fold in data.folds(DataConfig(folds=3, fold_validation=True)) for part in fold]
    owners = [set(patient[part].tolist()) for part in parts]
    tested = {int(name.removesuffix(".png")) // 3 for name in data.test.images.ids}
    assert sum(map(len, owners)) + len(tested) == len(set.union(*owners, tested)) == 20
    assert sum(map(len, parts)) == len(data.selection.ids)
    assert [item.id for item in data.remarks.quarantined] == ["7.png"]


def test_more_folds_than_patients_are_refused(patients: Path) -> None:
    with pytest.raises(InputError, match=r"25 folds of \d+ groups: use 1 to \d+ folds, since groups stay together"):
        load(open_source(patients), DataConfig(folds=25), SMALL)


def test_a_class_that_a_fold_lacks_is_named(write_images) -> None:
    root = write_images(*(f"{name}/{number}.png" for name in "ab" for number in range(10)), "rare/1.png")

    notes = load(open_source(root), DataConfig(folds=2), SMALL).remarks.notes

    assert notes[-3:] == (
        "Classes without a validation image: rare.",
        "Classes without a test image: rare.",
        "Classes that some training folds lack (1): rare.",
    )


def test_a_thousand_classes_of_three_images(write_images) -> None:
    root = write_images(*(f"{name}/{number}.png" for name in range(1000) for number in range(3)))

    data = load(open_source(root), DataConfig(), SMALL)

    assert (len(data.train), len(data.validation), len(data.test)) == (1000, 1000, 1000)
    assert data.class_names[-1] == "999"


def test_out_of_fold_every_image_is_held_out_once_and_no_patient_is_split(patients: Path) -> None:
    data = load(open_source(patients), DataConfig(), SMALL)
    patient = np.array([int(name.removesuffix(".png")) // 3 for name in data.selection.ids])

    folds = data.out_of_fold(split_seed=0)

    assert len(folds) == 5
    pool = sorted([*data.train, *data.validation])
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == pool
    for train, held_out in folds:
        assert set(train) <= set(pool) - set(held_out)
        assert len(train) == min(len(data.train), len(pool) - len(held_out))
        assert not set(patient[train]) & set(patient[held_out])


def test_out_of_fold_needs_no_five_groups(write_images) -> None:
    root = write_images(*(f"{name}/{number}.png" for name in "ab" for number in range(2)))
    data = load(open_source(root), DataConfig(test_fraction=0.0), SMALL)
    assert [len(held_out) for _, held_out in data.out_of_fold(split_seed=0)] == [1, 1, 1, 1]


@pytest.mark.parametrize(("enough", "count"), [(0, 0), (1, 0), (10**6, 1)])
def test_further_parts_are_disjoint_and_leave_every_patient_whole(patients: Path, enough: int, count: int) -> None:
    data = load(open_source(patients), DataConfig(), SMALL)
    patient = np.array([int(name.removesuffix(".png")) // 3 for name in data.selection.ids])
    pool = set(data.train.tolist()) | set(data.validation.tolist())

    parts = data.further_parts(enough, split_seed=0)

    assert len(parts) == count
    judged = np.concatenate([data.validation, *(held_out for _, held_out in parts)])
    assert len(set(judged.tolist())) == len(judged)
    assert set(judged.tolist()) <= pool
    for train, held_out in parts:
        assert set(train.tolist()) == pool - set(held_out.tolist())
        assert not set(patient[train]) & set(patient[held_out])


def test_further_parts_are_as_many_as_make_enough_images_and_as_large_as_the_validation_set(write_images) -> None:
    root = write_images(*(f"{name}/{number}.png" for name in "ab" for number in range(50)))
    data = load(open_source(root), DataConfig(), SMALL)
    size = len(data.validation)
    for enough, count in ((size, 0), (size + 1, 1), (2 * size, 1), (99 * size, FURTHER_PARTS)):
        parts = data.further_parts(enough, split_seed=0)
        assert [abs(len(held_out) - size) <= 2 for _, held_out in parts] == [True] * count


def test_further_parts_of_two_images(write_images) -> None:
    """There is nothing to set aside where a class has one training image."""
    root = write_images(*(f"{name}/{number}.png" for name in "ab" for number in range(2)))
    data = load(open_source(root), DataConfig(test_fraction=0.0), SMALL)
    for train, held_out in data.further_parts(200, split_seed=0):
        assert len(train)
        assert not set(train) & set(held_out)
