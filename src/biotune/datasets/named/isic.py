"""The skin lesions of the ISIC challenges of 2016 and 2020, from the files of the ISIC archive.

They are dermoscopic photos, benign or malignant. They are not downloaded: the user unpacks them in the data root, into
``isic2016`` and ``isic2020``.
"""

import csv
from pathlib import Path

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import LabelledFile, first_existing, from_files
from biotune.errors import InputError

CLASSES = ("benign", "malignant")
_2016_PARTS = {"train": "Training", "test": "Test"}
_2020_LABELS = ("ISIC_2020_Training_GroundTruth.csv", "ISIC_2020_Training_GroundTruth_v2.csv", "train.csv")
_2020_IMAGES = ("train", "ISIC_2020_Training_JPEG/train", "jpeg/train")
_2020_DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
_2020_COLUMNS = ("image_name", "patient_id", "target")


def find_isic2016(root: Path) -> Path | None:
    """Return the folder with the two tables of task 3."""
    folder = root / "isic2016"
    return folder if all(_table_2016(folder, part).exists() for part in _2016_PARTS.values()) else None


def read_isic2016(folder: Path) -> ImageSet:
    """Return the 900 training and 379 test images of task 3 of 2016.

    The tables have no header. Their columns are the image's name and its class, which is a name in the training table
    and 0.0 or 1.0 in the test table.
    """
    rows = []
    for split, part in _2016_PARTS.items():
        images = folder / f"ISBI2016_ISIC_Part3_{part}_Data"
        with _table_2016(folder, part).open(encoding="utf-8-sig", newline="") as stream:
            rows += [LabelledFile(images / f"{name}.jpg", _class(label), split) for name, label in csv.reader(stream)]
    return from_files("isic2016", folder, CLASSES, rows)


def find_isic2020(root: Path) -> Path | None:
    """Return the folder with the table of the training images of 2020."""
    folder = root / "isic2020"
    return folder if first_existing(*(folder / name for name in _2020_LABELS)) else None


def read_isic2020(folder: Path) -> ImageSet:
    """Return the 33126 labelled images of 2020, grouped by patient; the official test images have no labels.

    If the archive's list of duplicates is next to the table, patients who share an image are one group.
    """
    table = first_existing(*(folder / name for name in _2020_LABELS))
    images = first_existing(*(folder / name for name in _2020_IMAGES))
    if table is None or images is None:
        raise InputError(
            f"the data set 'isic2020' has no images in '{folder}'; unpack ISIC_2020_Training_JPEG.zip there, which "
            "makes the folder train."
        )
    with table.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.DictReader(stream)
        if lacking := set(_2020_COLUMNS) - set(lines.fieldnames or ()):
            raise InputError(f"'{table}' has no column '{min(lacking)}'; it needs {', '.join(_2020_COLUMNS)}.")
        cells = [tuple(line[column] for column in _2020_COLUMNS) for line in lines]
    patient_of = {name: patient or name for name, patient, _ in cells}
    leader_of = _joined(patient_of, _pairs(folder / _2020_DUPLICATES))
    rows = [
        LabelledFile(images / f"{name}.jpg", _class(target), "", leader_of[patient_of[name]])
        for name, _, target in cells
    ]
    return from_files("isic2020", folder, CLASSES, rows)


def _table_2016(folder: Path, part: str) -> Path:
    return folder / f"ISBI2016_ISIC_Part3_{part}_GroundTruth.csv"


def _class(label: str) -> str:
    return label if label in CLASSES else CLASSES[int(float(label))]


def _pairs(file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return [(line["image_name_1"], line["image_name_2"]) for line in csv.DictReader(stream)]


def _joined(patient_of: dict[str, str], pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return patient -> representative of all patients that pairs of duplicate images link, also indirectly."""
    leader_of = {patient: patient for patient in patient_of.values()}

    def leader(patient: str) -> str:
        while leader_of[patient] != patient:
            patient = leader_of[patient]
        return patient

    for first, second in pairs:
        if first in patient_of and second in patient_of:
            leader_of[leader(patient_of[second])] = leader(patient_of[first])
    return {patient: leader(patient) for patient in leader_of}
