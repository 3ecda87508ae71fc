"""How well images of other sets are distinguished from those of a run's own test: ``RUN...``.

Half of the test images calibrate a distance, the other half and 100 images of each other set are judged by it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.datasets import register
from biotune.classifier import BATCH, Classifier, load_run
from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import make_splits
from biotune.images.decoding import content_digest
from biotune.inspection.groups import keep_together
from biotune.models import forward_logits
from biotune.models.familiarity import SHARE, Familiarity, compared, layers_to_compare
from biotune.pixels.inputs import read_row
from biotune.randomness import Stream
from biotune.runs import folder as files
from biotune.settings.resolve import load_config
from biotune.training.sources import batch_of

OTHERS = ("skimage_photos", "mnist5000", "fashion_mnist", "emoji_makers", "metal_surfaces", "dermo_patches")
LEARNED, TESTED, FOREIGN, SPLITS = 500, 400, 100, 10
"""Images that are compared with, of the test, and of each other set; random halves of the test images."""

Seen = dict[str, Tensor]


class Row(NamedTuple):
    """How a distance does: AUROC against each other set, shares of foreign and of own images that it calls unlike."""

    distance: str
    auroc: Mapping[str, float]
    found: Mapping[str, float]
    false_alarms: float


def measure(run: Path) -> list[Row]:
    """Return how several distances do for the exported network of a finished run."""
    classifier, (config, facts) = load_run(run, vote=False), load_config(run / files.CONFIG)
    own, stream, known = open_source(config.data.source), Stream(0, "unlike"), files.learned(run)
    splits = make_splits(
        keep_together(own, config.data),
        config.data.validation_fraction,
        config.data.test_fraction,
        config.data.split_seed,
    )
    others = np.concatenate([splits.train, splits.validation])
    learned = np.array([row for row in others if known is None or known(content_digest(own.image(int(row))))])
    shape = classifier.preprocessing.sample_shape
    layers = layers_to_compare(classifier.model, str(facts["model"]), facts["heads"], shape)
    before = _seen(classifier, own, _some(stream, learned, LEARNED), layers)
    test = _seen(classifier, own, _some(stream, splits.test, TESTED), layers)
    foreign = {}
    for name in OTHERS:
        if name != config.data.source:
            images = open_source(name)
            foreign[name] = _seen(classifier, images, _some(stream, np.arange(len(images)), FOREIGN), layers)
    head = [layer for layer in layers if layer.startswith("input of")]
    chosen = {"three layers and classifier": layers, "classifier alone": head, "three layers alone": layers[:-1]}
    rows = [_judged(name, _Distance(which, before), test, foreign, stream) for name, which in chosen.items()]
    rows.append(_judged("largest probability", _Sureness(), test, foreign, stream))
    return [*rows, _judged("energy", _Energy(), test, foreign, stream)]


class _Distance:
    """The distance to what was learned from, as ``Familiarity`` has it."""

    def __init__(self, layers: Sequence[str], learned: Seen) -> None:
        self._learned = {layer: learned[layer] for layer in layers}

    def __call__(self, calibrating: Seen, images: Seen) -> NDArray[np.float64]:
        """Return distances of which 1 is the threshold."""
        familiarity = Familiarity.calibrated(self._learned, calibrating)
        return np.asarray(familiarity.distances(images) / familiarity.threshold)


class _Sureness:
    """1 minus the largest probability."""

    def values(self, images: Seen) -> NDArray[np.float64]:
        """Return it for each image."""
        return 1 - np.asarray(torch.softmax(images[_LOGITS], dim=1).amax(dim=1).numpy())

    def __call__(self, calibrating: Seen, images: Seen) -> NDArray[np.float64]:
        """Return values of which those above 1 are above the threshold."""
        known = np.sort(self.values(calibrating))
        rank = min(int(np.ceil((1 - SHARE) * (len(known) + 1))), len(known))
        return np.asarray(1 + self.values(images) - known[rank - 1])


class _Energy(_Sureness):
    """Minus the logarithm of the sum of exponentials of the logits (Liu et al. 2020, arXiv 2010.03759)."""

    def values(self, images: Seen) -> NDArray[np.float64]:
        """Return it for each image."""
        return -np.asarray(torch.logsumexp(images[_LOGITS], dim=1).numpy())


_LOGITS = "logits"


def _judged(
    name: str,
    distance: _Distance | _Sureness,
    test: Seen,
    foreign: Mapping[str, Seen],
    stream: Stream,
) -> Row:
    """Return the means over random halves of the test images, of which one calibrates."""
    auroc, found, alarms = dict.fromkeys(foreign, 0.0), dict.fromkeys(foreign, 0.0), 0.0
    count = len(test[_LOGITS])
    for _ in range(SPLITS):
        order = np.argsort(stream.uniform(count))
        calibrating, judged = _rows(test, order[: count // 2]), _rows(test, order[count // 2 :])
        own = distance(calibrating, judged)
        alarms += float((own > 1).mean()) / SPLITS
        for other, images in foreign.items():
            theirs = distance(calibrating, images)
            labels = np.repeat([0, 1], [len(own), len(theirs)])
            auroc[other] += float(roc_auc_score(labels, np.concatenate([own, theirs]))) / SPLITS
            found[other] += float((theirs > 1).mean()) / SPLITS
    return Row(name, auroc, found, alarms)


def _rows(images: Seen, rows: NDArray[np.intp]) -> Seen:
    return {layer: values[torch.from_numpy(rows)] for layer, values in images.items()}


def _some(stream: Stream, rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return so many of the rows at most, drawn at random."""
    return rows[np.argsort(stream.uniform(len(rows)))[:most]]


def _seen(classifier: Classifier, images: ImageSet, rows: NDArray[np.intp], layers: Sequence[str]) -> Seen:
    """Return what the network makes of images, and its logits."""
    found: dict[str, list[Tensor]] = {layer: [] for layer in (*layers, _LOGITS)}
    pixels = [read_row(images.image(int(row)), classifier.preprocessing) for row in rows]
    with torch.inference_mode(), compared(classifier.model, layers) as values:
        for start in range(0, len(pixels), BATCH):
            batch = batch_of(pixels[start : start + BATCH], classifier.preprocessing)
            found[_LOGITS].append(forward_logits(classifier.model, batch).double())
            for layer in layers:
                found[layer].append(values[layer])
    return {layer: torch.cat(parts) for layer, parts in found.items()}


def _lines(run: Path) -> Iterator[str]:
    """Yield the tables of a run."""
    for row in measure(run):
        sets = ", ".join(f"{name} {row.auroc[name]:.2f} {row.found[name]:.0%}" for name in row.auroc)
        auroc, found = np.mean(list(row.auroc.values())), np.mean(list(row.found.values()))
        yield f"{row.distance}: AUROC {auroc:.3f}, found {found:.0%}, false alarms {row.false_alarms:.1%} ({sets})"


def main() -> None:
    """Print how the distances do for each run of the command line."""
    register()
    for run in map(Path, sys.argv[1:]):
        print(run)
        for line in _lines(run):
            print(" ", line, flush=True)


if __name__ == "__main__":
    main()
