"""The cases of the study: a data set with a network, and how long it is trained. A further one is a further line."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.refine_study.networks import frozen_features, lstm, mlp, only_a_head, small_resnet
from biotune.datasets import open_source
from biotune.datasets.folds import stratified_folds
from biotune.datasets.splits import make_splits, stratified_sample
from biotune.datasets.text_tables import TextCells
from biotune.models import load_model
from biotune.pixels.loading import load
from biotune.pixels.rows import ImageRows
from biotune.records import Preprocessing
from biotune.settings.sections import DataConfig
from biotune.texts.words import Encoder, build_vocabulary

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Labelled inputs of a network.

    Args:
        inputs: one row each: pixels in [0, 1], features, or word numbers.
        labels: class index of each, shape (n,).
        groups: number of the group of each; None where all stand alone.
    """

    inputs: Tensor
    labels: Labels
    groups: Labels | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: Labels) -> "Examples":
        """Return the examples at rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Examples(self.inputs[torch.from_numpy(rows)], self.labels[rows], groups)


@dataclass(frozen=True)
class Material:
    """What a case learns from: examples for training and validation, and a test set that is the same for all seeds."""

    learning: Examples
    test: Examples
    num_classes: int


Read = Callable[[str], Material]
"""From the folder of the data sets to the material."""


Network = Callable[[tuple[int, ...], int], nn.Module]
"""From the shape of an input and the number of classes to a network, untrained; its last layer is called ``head``."""


@dataclass(frozen=True)
class Case:
    """A data set with a network.

    Args:
        data: name of the data set.
        read: reads it.
        network: makes the network.
        epochs: of the training before refinement.
        more: further epochs, of the entry that goes on training.
        most: examples of training and validation together, at most; all seeds draw other ones where there are more.
        core: True to make the measurements that only few cases get: larger searches, other sizes and layers.
        special: topics of ``special`` that are measured on it.
    """

    data: str
    read: Read
    network: Network
    epochs: int
    more: int
    most: int = 5000
    core: bool = False
    special: tuple[str, ...] = ()

    def parts(self, material: Material, seed: int) -> tuple[Examples, Examples]:
        """Return the examples that train and those that are held out, a fifth, as drawn for a seed."""
        learning = material.learning
        rows = np.arange(len(learning))
        if len(rows) > self.most:
            rows = stratified_sample(learning.labels, rows, self.most, seed)
        held_out, *rest = stratified_folds(learning.labels, rows, 5, seed, learning.groups)
        return learning.at(np.sort(np.concatenate(rest))), learning.at(held_out)


TEST = 5000
"""Test examples at most."""

VOCABULARY, WORDS = 5000, 40
"""Words that a network of texts knows, and words of a text that it sees."""

TEST_FRACTION = 0.4
"""Share of the images that is set aside for the test where a data set has no test images of its own."""


def images(name: str, side: int, root: str, grey: bool = True) -> Material:
    """Read a set of images, all but the test images in one part; grey ones keep one channel."""
    preprocessing = Preprocessing(side, (0.0,) * 3, (1.0,) * 3)
    source = open_source(name, root)
    config = DataConfig(source=name, root=root, test_fraction=TEST_FRACTION, test_images=TEST)
    data = load(source, config, preprocessing)
    if data.test is None:
        raise ValueError(f"{name} has no test images.")
    opened = data.test.open()
    learning = Examples(_pixels(data.selection.images, grey), data.selection.labels, data.groups)
    return Material(learning, Examples(_pixels(opened.images, grey), opened.labels), len(data.class_names))


def _pixels(rows: ImageRows, grey: bool) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(rows[np.arange(len(rows))])).permute(0, 3, 1, 2)
    return (pixels[:, :1] if grey else pixels).float().div_(255).contiguous()


def features(name: str, side: int, root: str) -> Material:
    """Read a set of images as what the classifier of a pretrained EfficientNet-Lite0 gets of them."""
    colours = images(name, side, root, grey=False)
    loaded = load_model("tf_efficientnet_lite0", colours.num_classes, image_size=side)
    see = partial(frozen_features, loaded)
    learning = replace(colours.learning, inputs=see(colours.learning.inputs))
    return Material(learning, replace(colours.test, inputs=see(colours.test.inputs)), colours.num_classes)


def texts(name: str, root: str) -> Material:
    """Read a set of texts as rows of tokens, padded; the vocabulary is that of all texts but the test ones."""
    source = open_source(name, root)
    parts = make_splits(source, 0.2, TEST_FRACTION, 0)
    rows = {"learning": np.union1d(parts.train, parts.validation), "test": parts.test[:TEST]}
    every = cast(TextCells, source.reader).texts
    read = {part: [every[row] for row in chosen] for part, chosen in rows.items()}
    known = build_vocabulary(read["learning"], VOCABULARY, 1, WORDS)
    encoder = Encoder(known)
    tokens = {part: torch.from_numpy(np.stack([encoder.row(text) for text in ours])) for part, ours in read.items()}
    learning, test = (Examples(tokens[part], source.labels[rows[part]]) for part in rows)
    return Material(learning, test, len(source.class_names))


def _text(name: str) -> Case:
    return Case(name, partial(texts, name), partial(lstm, num_tokens=VOCABULARY + 2), 5, 2, most=4000)


def _fashion(network: Network, epochs: int, more: int, **fields: Any) -> Case:
    return Case("fashion_mnist", partial(images, "fashion_mnist", 28), network, epochs, more, **fields)


def _usps(network: Network, epochs: int, more: int, **fields: Any) -> Case:
    return Case("usps", partial(images, "usps_gpml", 16), network, epochs, more, **fields)


def _lite0(name: str) -> Case:
    return Case(name, partial(features, name, 64), only_a_head, 10, 5, most=600)


CASES: dict[str, Case] = {
    "fashion_mnist mlp": _fashion(mlp, 10, 5, core=True, special=("classes", "calibration", "rounding")),
    "fashion_mnist mlp, 1 epoch": _fashion(mlp, 1, 1),
    "fashion_mnist resnet": _fashion(small_resnet, 8, 2, most=1500, special=("norms",)),
    "usps mlp": _usps(mlp, 10, 5, core=True, special=("calibration", "rounding")),
    "mnist5000 mlp": Case("mnist5000", partial(images, "mnist5000", 28), mlp, 10, 5),
    "mfeat_digits mlp": Case("mfeat_digits", partial(images, "mfeat_digits", 16), mlp, 10, 5),
    "digits8 mlp": Case("digits8", partial(images, "digits8", 8), mlp, 10, 5),
    "emoji_makers lite0": _lite0("emoji_makers"),
    "ufoai_materials lite0": _lite0("ufoai_materials"),
    "text_vader lstm": _text("text_vader"),
    "text_orange lstm": _text("text_orange"),
}
"""Name of a case -> what it is."""
