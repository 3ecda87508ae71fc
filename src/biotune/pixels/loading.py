"""From a labelled set to what a run learns from: split, decode once, leave out what cannot be read."""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from biotune.datasets.image_set import IMAGE, TEXT, ImageSet
from biotune.datasets.splits import Splits, make_splits, require_parts, stratified_sample
from biotune.errors import InputError
from biotune.images.rgb import NEARLY_BLACK, nearly_black_warning
from biotune.pixels.cache import Cache, cache_folder
from biotune.pixels.cache_entry import Quarantined
from biotune.pixels.inputs import rows_of
from biotune.pixels.learning_data import Fingerprints, Indices, LearningData, LockedTest, Remarks, Side
from biotune.pixels.reading import Progress as Counted
from biotune.records import Inputs
from biotune.runs.events import Message, Observer, Progress, silent
from biotune.settings.sections import CacheConfig, DataConfig
from biotune.wording import listed, plural

_SELDOM_S = 0.2
"""Least time between two reports of progress, so that reporting costs nothing beside decoding."""

_NAMED = 5

_DOING = {IMAGE: "decoding images", TEXT: "reading texts"}


def load(
    image_set: ImageSet,
    config: DataConfig,
    preprocessing: Inputs,
    cache: CacheConfig | None = None,
    observer: Observer = silent,
) -> LearningData:
    """Split a source and decode every image, or encode every text, once.

    Args:
        image_set: the opened source.
        config: fractions, sizes, split seed; whether unreadable images are left out or refused.
        preprocessing: size and resizing of the decoded images; vocabulary and length of texts.
        cache: limit of the decoded images on disk, and whether to verify them; None: the defaults.
        observer: receives the progress, and what is written where.

    Returns:
        The data; the test images are decoded on disk but not opened.

    Raises:
        InputError: anything wrong with the source, or too few readable images to learn from.
    """
    splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
    train, validation, test = limited(image_set, splits, config)
    cache = cache or CacheConfig()
    store = Cache(cache_folder(), int(cache.limit_gib * 2**30), cache.verify)
    sides = _decode(image_set, [np.union1d(train, validation), test], preprocessing, store, observer)

    selected = sides[0]
    quarantined = tuple(item for side in sides for item in side.decoded.quarantined)
    require_readable(quarantined, config.bad_images, image_set.kind)
    readable = selected.rows[selected.readable]
    bad = {item.id: item.reason for item in quarantined}
    require_parts(image_set, np.intersect1d(train, readable), np.intersect1d(validation, readable), bad)

    content = hashlib.sha256("".join(side.decoded.content for side in sides).encode())
    nearly_black = nearly_black_warning(sum(side.decoded.facts.count(NEARLY_BLACK) for side in sides))
    closed = [
        LockedTest(side.images, side.decoded.content, preprocessing, replace(store, verify=False))
        for side in sides[1:]
        if len(side.readable)
    ]
    data = LearningData(
        name=image_set.name,
        class_names=image_set.class_names,
        selection=selected.pixels(),
        train=selected.positions(train),
        validation=selected.positions(validation),
        groups=_group_numbers(selected),
        test=closed[0] if closed else None,
        fingerprints=Fingerprints(splits.fingerprint, splits.part_fingerprints, content.hexdigest()[:16]),
        remarks=Remarks(quarantined, (nearly_black,) if nearly_black else (), (*image_set.notes, *splits.notes)),
        sides=sides,
        kind=image_set.kind,
    )
    notes = (*data.remarks.notes, *_fold_notes(data, config))
    return replace(data, remarks=replace(data.remarks, notes=notes))


def require_readable(bad: Sequence[Quarantined], policy: str, kind: str = IMAGE) -> None:
    """Refuse images, or texts, that cannot be read where the policy is ``error``; name the first five and count all."""
    if policy != "error" or not bad:
        return
    named = listed([f"{item.id} ({item.reason})" for item in bad], _NAMED)
    count = plural(len(bad), kind) if len(bad) > 1 else f"one {kind}"
    raise InputError(f"{count} cannot be read: {named}; fix or remove them, or leave them out with --bad-images skip.")


class _Reporter:
    """Tells the observer how far the decoding of several parts is, a few times a second, and at its end."""

    def __init__(self, observer: Observer, total: int, what: str) -> None:
        self._what = what
        self._observer = observer
        self._total = total
        self._clock = -math.inf
        self._work: tuple[float, int] | None = None

    def part(self, start: int) -> Counted:
        """Return what counts the images of a part that comes after ``start`` others."""
        return lambda done, _part: self._count(start, done)

    def say(self, text: str, warning: bool) -> None:
        """Pass a sentence on."""
        self._observer(Message(text, warning))

    def _count(self, start: int, in_part: int) -> None:
        now, done = time.monotonic(), start + in_part
        if in_part == 1 and (self._work is None or done <= self._work[1]):
            self._work = now, done
        is_opening = self._work is None  # of files that are there: no work that would be worth a line
        if done < self._total and (is_opening or now - self._clock < _SELDOM_S):
            return
        self._clock = now
        begun, before = self._work or (now, done)
        left = (now - begun) / (done - before) * (self._total - done) if before < done < self._total else None
        self._observer(Progress(self._what, done, self._total, seconds_left=left))


def learning_rows(image_set: ImageSet, config: DataConfig) -> tuple[Indices, Indices]:
    """Return which images of a source train and which validate, as ``load`` has it; none is opened."""
    splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
    train, validation, _ = limited(image_set, splits, config)
    return train, validation


def limited(image_set: ImageSet, splits: Splits, config: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Return the parts, each cut to its configured number of images (0 = all), stratified."""
    parts = (splits.train, splits.validation, splits.test)
    limits = (config.train_images, config.validation_images, config.test_images)
    train, validation, test = (
        stratified_sample(image_set.labels, part, limit, config.split_seed) if 0 < limit < len(part) else part
        for part, limit in zip(parts, limits, strict=True)
    )
    return train, validation, test


def _decode(
    image_set: ImageSet, parts: Sequence[Indices], preprocessing: Inputs, cache: Cache, observer: Observer
) -> tuple[Side, ...]:
    """Decode the images of several parts, one part after the other; empty ones are left out."""
    report, done = _Reporter(observer, sum(map(len, parts)), _DOING[image_set.kind]), 0
    sides = []
    for rows in parts:
        if len(rows):
            images = image_set.subset(rows)
            decoded = rows_of(images, preprocessing, cache, report.part(done), report.say)
            sides.append(Side(rows, images, decoded))
            done += len(rows)
    return tuple(sides)


def _group_numbers(side: Side) -> Indices | None:
    """Return the number of the group of every readable image."""
    groups = side.images.groups
    if groups is None:
        return None
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups], dtype=np.int64)[side.readable]


def _fold_notes(data: LearningData, config: DataConfig) -> tuple[str, ...]:
    """Deal the folds once, so that impossible ones are refused early, and name the classes that some of them lack."""
    labels = data.selection.labels
    trained = [set(labels[train].tolist()) for train, _ in data.folds(config)]
    lacking = sorted(set(labels[data.train].tolist()) - set.intersection(*trained))
    names = listed([data.class_names[label] for label in lacking], _NAMED)
    return (f"Classes that some training folds lack ({len(lacking)}): {names}.",) if lacking else ()
