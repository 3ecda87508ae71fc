"""How the network of a run does on labelled images."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from biotune.classifier import BATCH, Classifier, load_run
from biotune.datasets import ImageSet, open_source
from biotune.datasets.image_set import IMAGE
from biotune.datasets.splits import make_splits
from biotune.errors import DamagedStateError, InputError
from biotune.images.decoding import UnreadableImageError, content_digest
from biotune.inspection.contact_sheet import Strip, Tile, contact_sheet
from biotune.inspection.groups import keep_together
from biotune.inspection.sheet import file_name, pictures
from biotune.metrics import METRICS, reported
from biotune.models import Backbone, Vote
from biotune.pixels.inputs import read_row, require_kind
from biotune.pixels.loading import limited
from biotune.pixels.own_data import is_own_data, name_of_data
from biotune.records import Inputs
from biotune.report.answer_files import write_answer_table, write_confusion_table
from biotune.report.answered import Answered
from biotune.results.evaluated import LISTED_MISTAKES, Evaluated
from biotune.results.groups import GroupScores
from biotune.results.scores import Mistake, class_scores, confusions, known
from biotune.runs import folder as files
from biotune.runs.files import make_output_folder, remove, write_atomic
from biotune.settings.resolve import load_config
from biotune.wording import label, percent, plural

EVERY = "all"
SCORED = ("train", "validation", "test", EVERY)
"""Which part of a source can be scored."""
ASIDE = "aside"
"""The part of the images that a run did not use, since ``--test-images`` and the like let it use fewer."""
_DRAWN_MISTAKES = 48
"""Images of the sheet of mistakes: six lines."""

Labels = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class ScoredRun:
    """How the network of a run does on labelled images, and what it answers on each.

    Args:
        results: the scores, as ``biotune evaluate --json`` prints them.
        answered: every answer.
        images: those that were scored, in the order of the answers.
    """

    results: Evaluated
    answered: Answered
    images: ImageSet

    def __repr__(self) -> str:
        found, wrong = self.results, len(self.answered.mistakes)
        seen = f", of which the run learned from {found.seen:,}" if found.seen else ""
        which = plural(found.images, found.kind if found.split == EVERY else f"{found.split} {found.kind}") + seen
        low, high = (percent(end, 1, "") for end in found.interval)
        return (
            f"<ScoredRun: accuracy {percent(found.accuracy)} (95 % interval {low} to {high} %) on {which}; "
            f"{plural(wrong, 'mistake')}>"
        )

    def mistakes(self, number: int = LISTED_MISTAKES) -> list[Mistake]:
        """Return at most so many wrong answers, the surest first."""
        return listed_mistakes(self.answered, number)

    def write(self, folder: str | Path) -> None:
        """Write ``answers.csv``, ``confusion.csv`` and, of images, ``mistakes.png``, the surest mistakes on one sheet.

        The folder is made if it is missing. Without a mistake, or of texts, there is no picture, and that of an earlier
        call is removed. Raises InputError: the folder is that of a run or a comparison, or cannot be made, or written.
        """
        folder = Path(folder)
        files.require_no_work(folder)
        make_output_folder(folder)
        write_answer_table(folder, self.answered)
        write_confusion_table(folder, self.answered)
        sheet = folder / "mistakes.png"
        if self.images.kind != IMAGE or not len(self.answered.mistakes):
            remove(sheet)
            return
        buffer = io.BytesIO()
        self._sheet().save(buffer, "PNG")
        write_atomic(sheet, buffer.getvalue())

    def _sheet(self) -> Image.Image:
        """Draw the surest mistakes, of which there is one at least."""
        rows = self.answered.mistakes[:_DRAWN_MISTAKES].tolist()
        captions = [_caption(one) for one in self.mistakes(_DRAWN_MISTAKES)]
        tiles = tuple(map(Tile, pictures(self.images, rows), captions))
        wrong, scored = plural(len(self.answered.mistakes), "mistake"), plural(len(self.images), "image")
        shown = "the surest first" if len(rows) == len(self.answered.mistakes) else f"the {len(rows)} surest"
        remark = "below each: the answer after its probability, the true class, the file"
        strip = Strip("Surest mistakes", remark, tiles)
        return contact_sheet(f"Mistakes on {self.images.name}", f"{wrong} on {scored}; {shown}.", [strip])


def _caption(mistake: Mistake) -> str:
    answer = f"{percent(mistake.probability, 0)}: {label(mistake.answer)}"
    return f"{answer}\ntrue: {label(mistake.truth)}\n{file_name(mistake.path)}"


def listed_mistakes(answered: Answered, number: int) -> list[Mistake]:
    """Return at most so many wrong answers, the surest first."""
    return [
        Mistake(
            path=answered.paths[row],
            truth=answered.classes[answered.labels[row]],
            answer=answered.classes[answered.predicted[row]],
            probability=float(answered.probability[row]),
        )
        for row in answered.mistakes[:number].tolist()
    ]


def evaluate_run(
    folder: str | Path,
    data: str | Path | ImageSet,
    data_root: str | Path | None = None,
    split: str = "",
    vote: bool | None = None,
    model: nn.Module | Backbone | None = None,
) -> ScoredRun:
    """Score a run on labelled images; classes are matched by name, unreadable images are left out and named.

    The parts of the run's own source (see ``is_own_data``) are those of the run, also where they were carved by it; of
    another one, the images are counted that the run learned from, by their content. Before a run is finished, its own
    test images stay closed: a score of them could end up deciding what the run becomes.

    Args:
        folder: the run folder.
        data: any source of images, or the images themselves.
        data_root: where named data sets lie; None: the usual place.
        split: ``train``, ``validation``, ``test`` or ``all``; an empty text: ``test`` if the source has one, else
            ``all``; of the own source of a run that is not finished, ``validation``.
        vote: as for ``load_run``.
        model: for the run of a module of one's own, as for ``load_run``.

    Returns:
        Accuracy, macro accuracy and the metric that the run was chosen by; recall, precision and F1 of each class,
        which classes are confused, and every answer.

    Raises:
        InputError: the part has no image, or none that can be read, or a class that the network does not know.
    """
    folder, classifier = Path(folder), load_run(folder, model, vote)
    source = data if isinstance(data, ImageSet) else open_source(data, data_root)
    data = source.name if isinstance(data, ImageSet) else data
    require_kind(classifier.preprocessing, source, f"the network of '{folder}'")
    parts, is_own = _parts(folder, source, classifier.preprocessing)
    split, chosen = _chosen(folder, data, source, parts, split, closed=is_own and bool(classifier.note))
    scored = source.subset(chosen)
    _require_known(classifier, scored, data)
    labels, probabilities, readable = _probabilities(classifier, scored)
    if not len(labels):
        raise InputError(
            f"none of the {len(chosen)} {source.kind}s of '{data}' can be read; give {source.kind}s that can."
        )
    images = scored.subset(readable)
    seen: int | None
    if is_own:
        seen = sum(parts[chosen[row]] in ("train", "validation") for row in readable)
    else:
        known_image = files.learned(folder)
        seen = known_image and sum(known_image(content_digest(images.image(row))) for row in range(len(images)))
    answered = Answered(
        classes=classifier.class_names,
        paths=images.ids,
        images=None,
        labels=labels,
        predicted=probabilities.argmax(axis=1),
        probability=probabilities.max(axis=1),
        probabilities=probabilities,
        groups=images.groups,
    )
    unread = set(range(len(scored))) - set(readable)
    results = Evaluated(
        split=split,
        kind=source.kind,
        own=is_own,
        seen=seen,
        aside=parts.count(ASIDE) if split != EVERY else 0,
        left_out=tuple(scored.ids[row] for row in sorted(unread)),
        networks=len(classifier.model.networks) if isinstance(classifier.model, Vote) else 1,
        note=classifier.note,
        **_scores(answered, load_config(folder / files.CONFIG)[0].training.metric),
    )
    return ScoredRun(results, answered, images)


def _chosen(
    folder: Path, data: str | Path, source: ImageSet, parts: list[str], split: str, closed: bool
) -> tuple[str, NDArray[np.intp]]:
    """Return the part that is scored, and its rows; ``closed`` says that the test images are not to be seen yet."""
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
    return split, chosen


def _scores(answered: Answered, metric: str) -> dict[str, Any]:
    """Return the fields of ``Evaluated`` that follow from the answers; ``metric`` is the one of the run."""
    labels, predicted, names = answered.labels, answered.predicted, answered.classes
    smallest = np.finfo(np.float64).tiny  # a probability of 0 has no logarithm
    logits = np.log(np.maximum(np.asarray(answered.probabilities), smallest))
    return {
        "images": len(labels),
        "metric": metric,
        "metrics": {name: known(METRICS[name].value(logits, labels)) for name in reported(metric)},
        "classes": tuple(
            row for row in class_scores(names, labels, predicted, groups=answered.groups) if row.f1 is not None
        ),
        "groups": GroupScores.of(answered.correct, answered.groups),
        "confusions": confusions(names, labels, predicted),
        "mistakes": tuple(listed_mistakes(answered, LISTED_MISTAKES)),
    }


def _parts(folder: Path, source: ImageSet, inputs: Inputs) -> tuple[list[str], bool]:
    """Return the part of every image, and whether the source is the run's own; without any split, empty texts."""
    chosen = load_config(folder / files.CONFIG)[0].data
    try:
        if source.name == name_of_data(folder):  # else looking for near-copies would be for nothing
            grouped = keep_together(source, chosen)
            splits = make_splits(grouped, chosen.validation_fraction, chosen.test_fraction, chosen.split_seed)
            train, validation, test = limited(grouped, splits, chosen)
            if is_own_data(folder, source.subset(np.union1d(train, validation)), splits.fingerprint, inputs):
                parts = np.full(len(source), ASIDE, dtype=object)
                parts[train], parts[validation], parts[test] = "train", "validation", "test"
                return parts.tolist(), True
    except (DamagedStateError, ValueError):  # also a source that cannot be split
        pass
    default = "train" if any(source.splits) else ""
    return [part or default for part in source.splits], False


def _require_known(classifier: Classifier, source: ImageSet, data: str | Path) -> None:
    present = {source.class_names[label] for label in source.labels.tolist()}
    if unknown := sorted(present - set(classifier.class_names)):
        raise InputError(
            f"the class '{unknown[0]}' of '{data}' is unknown to this network; "
            f"it knows {', '.join(classifier.class_names[:20])}."
        )


def _probabilities(classifier: Classifier, source: ImageSet) -> tuple[Labels, NDArray[np.float64], list[int]]:
    """Return the readable images' labels, as class indices of the network, and probabilities; and their rows."""
    index_of = {name: index for index, name in enumerate(classifier.class_names)}
    labels, rows, readable = list[int](), list[NDArray[np.float64]](), list[int]()
    for start in range(0, len(source), BATCH):
        pixels = []
        for index in range(start, min(start + BATCH, len(source))):
            try:
                pixels.append(read_row(source.image(index), classifier.preprocessing))
            except UnreadableImageError:
                continue
            labels.append(index_of[source.class_names[source.labels[index]]])
            readable.append(index)
        if pixels:
            rows.append(classifier.probabilities(pixels))
    found = np.concatenate(rows) if rows else np.zeros((0, len(classifier.class_names)))
    return np.array(labels, dtype=np.int64), found, readable
