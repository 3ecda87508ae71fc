"""How the network of a run does on labelled images."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import make_splits
from biotune.errors import DamagedStateError, InputError
from biotune.images.decoding import UnreadableImageError, content_digest
from biotune.metrics import METRICS, reported
from biotune.models import Vote
from biotune.pixels.inputs import read_row, require_kind
from biotune.predict import BATCH, Classifier, load_run
from biotune.results import Summary
from biotune.results.evaluated import Evaluated
from biotune.results.scores import class_scores, confusions, known
from biotune.runs import folder as files
from biotune.runs.unfinished import about_model
from biotune.settings.resolve import load_config

EVERY = "all"
SCORED = ("train", "validation", "test", EVERY)
"""Which part of a source can be scored."""

Labels = NDArray[np.int64]


def evaluate_run(
    folder: str | Path, data: str | Path, data_root: str | Path | None = None, split: str = "", vote: bool | None = None
) -> Evaluated:
    """Score a run on labelled images; classes are matched by name, unreadable images are left out and named.

    The parts of the run's own source are those of the run, also where they were carved by it. A source is the run's
    own if its name, ids, classes and parts are those that the run recorded; of another one, the images are counted that
    the run learned from, by their content. Before a run is finished, its own test
    images stay closed: a score of them could end up deciding what the run becomes.

    Args:
        folder: the run folder.
        data: any source of images.
        data_root: where named data sets lie; None: the usual place.
        split: ``train``, ``validation``, ``test`` or ``all``; an empty text: ``test`` if the source has one, else
            ``all``; of the own source of a run that is not finished, ``validation``.

        vote: as for ``load_run``.

    Returns:
        Accuracy, macro accuracy and the metric that the run was chosen by; recall, precision and F1 of each class, and
        which classes are confused.

    Raises:
        InputError: the part has no image, or none that can be read, or a class that the network does not know.
    """
    classifier, source = load_run(folder, vote=vote), open_source(data, data_root)
    require_kind(classifier.preprocessing, source, f"the network of '{folder}'")
    parts, is_own = _parts(Path(folder), source)
    closed = is_own and bool(classifier.note)
    split = split or ("validation" if closed else "test" if "test" in parts else EVERY)
    if split not in SCORED:
        raise InputError(f"unknown split '{split}'; use {', '.join(SCORED)}.")
    if closed and split in ("test", EVERY):
        raise InputError(
            f"the test images stay closed until the run in '{folder}' is finished; score its validation images "
            "(--split validation) or other data."
        )
    chosen = np.flatnonzero([split in (EVERY, part) for part in parts])
    if not len(chosen):
        there = ", ".join(f"{count} {part or 'without a split'}" for part, count in Counter(parts).items())
        raise InputError(
            f"'{data}' has no {'' if split == EVERY else split + ' '}{source.kind}s; it has {there or 'none'}."
        )
    scored = source.subset(chosen)
    _require_known(classifier, scored, data)
    labels, probabilities, left_out = _probabilities(classifier, scored)
    if not len(labels):
        raise InputError(
            f"none of the {len(chosen)} {source.kind}s of '{data}' can be read; give {source.kind}s that can."
        )
    unread = set(left_out)
    readable_rows = [row for row, image_id in enumerate(scored.ids) if image_id not in unread]
    seen = None
    if is_own:
        seen = sum(parts[chosen[row]] != "test" for row in readable_rows)
    elif known_image := files.learned(Path(folder)):
        seen = sum(known_image(content_digest(scored.image(row))) for row in readable_rows)
    metric = load_config(Path(folder) / files.CONFIG)[0].training.metric
    smallest = np.finfo(np.float64).tiny  # a probability of 0 has no logarithm
    logits, predicted, names = (
        np.log(np.maximum(probabilities, smallest)),
        probabilities.argmax(axis=1),
        classifier.class_names,
    )
    return Evaluated(
        split=split,
        images=len(labels),
        kind=source.kind,
        own=is_own,
        seen=seen,
        metric=metric,
        metrics={name: known(METRICS[name].value(logits, labels)) for name in reported(metric)},
        classes=tuple(row for row in class_scores(names, labels, predicted) if row.f1 is not None),
        confusions=confusions(names, labels, predicted),
        left_out=tuple(left_out),
        networks=len(classifier.model.networks) if isinstance(classifier.model, Vote) else 1,
        note=classifier.note,
    )


def _parts(folder: Path, source: ImageSet) -> tuple[list[str], bool]:
    """Return the part of every image, and whether the source is the run's own; without any split, empty texts."""
    config, facts = load_config(folder / files.CONFIG)
    try:
        about = about_model(folder)
        name = Summary.read(folder / files.SUMMARY).data.name if about is None else about.data
        splits = make_splits(source, config.data.validation_fraction, config.data.test_fraction, config.data.split_seed)
    except (DamagedStateError, ValueError):  # also a source that cannot be split
        name, splits = "", None
    if splits is not None and (source.name, splits.fingerprint) == (name, facts.get("data")):
        parts = np.full(len(source), "train", dtype=object)
        parts[splits.validation], parts[splits.test] = "validation", "test"
        return parts.tolist(), True
    default = "train" if any(source.splits) else ""
    return [part or default for part in source.splits], False


def _require_known(classifier: Classifier, source: ImageSet, data: str | Path) -> None:
    present = {source.class_names[label] for label in source.labels.tolist()}
    if unknown := sorted(present - set(classifier.class_names)):
        raise InputError(
            f"the class '{unknown[0]}' of '{data}' is unknown to this network; "
            f"it knows {', '.join(classifier.class_names[:20])}."
        )


def _probabilities(classifier: Classifier, source: ImageSet) -> tuple[Labels, NDArray[np.float64], list[str]]:
    """Return the readable images' labels, as class indices of the network, and probabilities; and the other ids."""
    index_of = {name: index for index, name in enumerate(classifier.class_names)}
    labels, rows, left_out = list[int](), list[NDArray[np.float64]](), list[str]()
    for start in range(0, len(source), BATCH):
        pixels = []
        for index in range(start, min(start + BATCH, len(source))):
            try:
                pixels.append(read_row(source.image(index), classifier.preprocessing))
                labels.append(index_of[source.class_names[source.labels[index]]])
            except UnreadableImageError:
                left_out.append(source.ids[index])
        if pixels:
            rows.append(classifier.probabilities(pixels))
    found = np.concatenate(rows) if rows else np.zeros((0, len(classifier.class_names)))
    return np.array(labels, dtype=np.int64), found, left_out
