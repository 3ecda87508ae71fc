"""Texts that a program holds: pairs of lists, data sets of pairs, rows of the library ``datasets``, and splits."""

import datasets
import numpy as np
import pandas as pd
import pytest

from biotune.datasets.image_set import TEXT
from biotune.datasets.in_memory import describe, open_data
from biotune.errors import InputError

TEXTS, LABELS = ["good film", "b\u00e4d film.png", "fine"], ["yes", "no", "yes"]


class Pairs:
    classes = ("no", "yes")

    def __init__(self, items) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def content(found):
    return [found.image(row).decode() for row in range(len(found))]


def classes(found):
    return [found.class_names[label] for label in found.labels]


@pytest.mark.parametrize(
    "data",
    [
        (TEXTS, LABELS),
        (np.array(TEXTS), np.array(LABELS)),
        (pd.Series(TEXTS, index=[2, 0, 1]), pd.Series(LABELS, index=[7, 8, 9])),
        (pd.DataFrame({"text": TEXTS, "label": LABELS}, index=[2, 0, 1]),) * 2,
        pd.Series(list(zip(TEXTS, LABELS, strict=True)), index=[2, 0, 1]),
        Pairs(list(zip(TEXTS, [1, 0, 1], strict=True))),
        Pairs(list(zip(TEXTS, np.array([1, 0, 1]), strict=True))),
        datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS, "other": [1, 2, 3]}),
        datasets.Dataset.from_dict(
            {"text": TEXTS, "label": [1, 0, 1]},
            features=datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"])),
        ),
    ],
)
def test_every_form_gives_the_same_texts(data):
    found = open_data(data, kind=TEXT)

    assert (found.kind, content(found), classes(found)) == (TEXT, TEXTS, LABELS)
    assert found.reader.fingerprint == open_data((TEXTS, LABELS), kind=TEXT).reader.fingerprint
    assert found.reader.fingerprint != open_data(([*TEXTS[:2], "fin"], LABELS), kind=TEXT).reader.fingerprint


@pytest.mark.parametrize("form", [dict, datasets.DatasetDict])
def test_splits_of_texts(form):
    rows = {"text": TEXTS, "label": LABELS}
    parts = {
        split: (TEXTS, LABELS) if form is dict else datasets.Dataset.from_dict(rows) for split in ("train", "test")
    }
    found = open_data(form(parts), kind=TEXT)

    assert (found.kind, found.splits) == (TEXT, ("train",) * 3 + ("test",) * 3)
    assert content(found) == TEXTS * 2


def test_what_a_configuration_calls_them():
    assert describe((TEXTS, LABELS), TEXT) == "3 texts in memory"
    assert describe({"train": (TEXTS, LABELS)}, TEXT) == "train: 3 texts in memory"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TEXTS, LABELS[:2]), "3 texts and 2 labels were given; give one label per text"),
        (([*TEXTS[:2], b"bytes"], LABELS), "text 2 is a bytes; give texts as str"),
        ((TEXTS, [1.5, 0.5, 1.5]), "the label 1.5 is neither a whole number nor a text"),
        (Pairs(["good", "bad"]), r"item 0 of the data set is not a pair \(text, label\) but a str"),
        (Pairs([("good", "maybe")]), "the label 'maybe' is none of the 2 classes that the data set names"),
        (Pairs([("good", 2)]), "the label 2 is none of the data set's 2 classes"),
        (7, r"data of the type int was given; give a path or name, a pair \(texts, labels\)"),
        ({}, "an empty dictionary was given"),
    ],
)
def test_what_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        open_data(data, kind=TEXT)


def test_splits_of_several_kinds(tmp_path):
    images = (np.zeros((3, 4, 4), dtype=np.uint8), LABELS)

    with pytest.raises(InputError, match="some splits hold images and others texts; give splits of one kind"):
        open_data({"train": open_data(images), "test": (TEXTS, LABELS)}, kind=TEXT)
