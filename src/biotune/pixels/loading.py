"""From a source to what a run learns from: splits, decoded pixels, folds, and a test set that stays closed."""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.folds import stratified_folds
from biotune.datasets.image_set import ImageSet
from biotune.datasets.splits import Splits, make_splits, require_parts, stratified_sample
from biotune.errors import InputError
from biotune.images.rgb import NEARLY_BLACK, nearly_black_warning
from biotune.pixels.cache import Cache, Decoded, cache_folder, decoded_images
from biotune.pixels.cache_entry import Quarantined
from biotune.pixels.reading import Progress as Counted
from biotune.pixels.rows import ChosenImages, ImageRows
from biotune.records import Preprocessing
from biotune.runs.events import Message, Observer, Progress, silent
from biotune.settings.sections import CacheConfig, DataConfig

Indices = NDArray[np.int64]
OUT_OF_FOLD = 5
"""Folds of all images to learn from, where a few validation images cannot tell recipes apart."""

_SELDOM_S = 0.2
_NAMED = 5


@dataclass(frozen=True)
class Pixels:
    """Decoded images of one side of the test lock.

    Args:
        images: uint8 (n, size, size, 3), memory-mapped or decoded on demand.
        labels: class index, shape (n,).
        ids: of the images.
    """

    images: ImageRows
    labels: NDArray[np.int64]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Copies of one picture in several parts.

    Args:
        kind: ``exact`` if all have the same bytes, else ``near``.
        paths: ids of the images.
        splits: the part of each: ``train``, ``validation`` or ``test``.
        classes: the class of each.
    """

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """The images of one side of the test lock, as they were decoded.

    Args:
        images: n images, those that cannot be read included.
        parts: ``train``, ``validation`` or ``test`` for every image.
        decoded: their pixels and what is known of them.
    """

    images: ImageSet
    parts: tuple[str, ...]
    decoded: Decoded


@dataclass(frozen=True)
class LearningData:
    """What a run learns from.

    Args:
        name: of the source.
        class_names: by label.
        selection: training and validation images.
        train: indices into ``selection``.
        validation: indices into ``selection``.
        test_images: the test images, closed; see ``open_test``.
        fingerprint: of the splits.
        part_fingerprints: of each part, by its name.
        groups: number of the group of every image of ``selection``, shape (n,), or None.
        content: 16 hexadecimal digits of a SHA-256 over all pixels as decoded.
        quarantined: images that could not be read, and were left out.
        sides: the images to learn from, and those to test on if there are any, as they were decoded.
        leaks: pictures that are in several parts, once ``biotune.inspection.leaks`` has looked for them.
        warnings: sentences for the user, to act on.
        notes: more sentences for the user.
        cache: where the decoded images are kept.
        test_content: hash of the pixels of the test images.
        leases: keep the files of decoded images from being removed.
    """

    name: str
    class_names: tuple[str, ...]
    selection: Pixels
    train: Indices
    validation: Indices
    test_images: ImageSet | None
    fingerprint: str
    part_fingerprints: dict[str, str]
    groups: Indices | None
    content: str
    quarantined: tuple[Quarantined, ...]
    sides: tuple[Side, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    cache: Cache
    test_content: str
    leases: tuple[object, ...]
    leaks: tuple[Leak, ...] = ()

    def open_test(self, preprocessing: Preprocessing) -> Pixels | None:
        """Return the test images; called once, after the recipe was chosen.

        Args:
            preprocessing: as they were taken in.

        Returns:
            The images that can be read, or None without a test set.

        Raises:
            InputError: a test image has changed since the run began.
        """
        if self.test_images is None:
            return None
        decoded = decoded_images(self.test_images, preprocessing, self.cache)
        if decoded.content != self.test_content:
            raise InputError(
                f"test images of '{self.name}' have changed since the run began; bring the old files back and run the "
                "same command again, or begin a new run."
            )
        return _readable(self.test_images, decoded)

    def out_of_fold(self, split_seed: int) -> list[tuple[Indices, Indices]]:
        """Return (training, held-out) indices of five folds of all training and validation images; fewer if need be.

        Of the images that are not held out, no more are trained on than the training set has, every class its share.
        """
        pool = np.sort(np.concatenate([self.train, self.validation]))
        units = len(pool) if self.groups is None else len(np.unique(self.groups[pool]))
        parts = stratified_folds(self.selection.labels, pool, min(OUT_OF_FOLD, units), split_seed, self.groups)
        folds = [(np.setdiff1d(pool, part), part) for part in parts]
        most, labels = len(self.train), self.selection.labels
        return [
            (train if len(train) <= most else stratified_sample(labels, train, most, split_seed), held_out)
            for train, held_out in folds
        ]

    def folds(self, config: DataConfig) -> list[tuple[Indices, Indices]]:
        """Return (training, validation) indices of each fold; the validation set is folded only where configured."""
        if config.folds == 1:
            return [(self.train, self.validation)]
        labels, seed = self.selection.labels, config.split_seed
        train = stratified_folds(labels, self.train, config.folds, seed, self.groups)
        validation = (
            stratified_folds(labels, self.validation, config.folds, seed, self.groups)
            if config.fold_validation
            else (self.validation,) * config.folds
        )
        return list(zip(train, validation, strict=True))


def take_in(
    image_set: ImageSet,
    config: DataConfig,
    preprocessing: Preprocessing,
    cache: CacheConfig | None = None,
    observer: Observer = silent,
) -> LearningData:
    """Split a source and decode every image once.

    Args:
        image_set: the opened source.
        config: fractions, sizes, split seed; whether unreadable images are left out or refused.
        preprocessing: size and resizing of the decoded images.
        cache: limit of the decoded images on disk, and whether to verify them; None: the defaults.
        observer: receives the progress, and what is written where.

    Returns:
        The data; the test images are decoded on disk but not opened.

    Raises:
        InputError: anything wrong with the source, or too few readable images to learn from.
    """
    splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
    train, validation, test = _limited(image_set, splits, config)
    chosen = np.sort(np.concatenate([train, validation]))
    tested = image_set.subset(test) if len(test) else None
    selected = image_set.subset(chosen)

    store = _cache(cache or CacheConfig())
    report = _Reporter(observer, len(chosen) + len(test))
    decoded = decoded_images(selected, preprocessing, store, report.part(0), report.say)
    closed = decoded_images(tested, preprocessing, store, report.part(len(chosen)), report.say) if tested else None
    bad_tests = closed.quarantined if closed else ()
    require_readable((*decoded.quarantined, *bad_tests), config.bad_images)

    parts = np.where(np.isin(chosen, validation), "validation", "train").tolist()
    sides: tuple[Side, ...] = (Side(selected, tuple(parts), decoded),)
    if tested and closed:
        sides = (*sides, Side(tested, ("test",) * len(test), closed))
    warnings = (nearly_black_warning(sum(side.decoded.facts.count(NEARLY_BLACK) for side in sides)),)

    readable = np.flatnonzero(_readable_mask(selected, decoded.quarantined))
    positions = np.full(len(image_set), -1)
    positions[chosen[readable]] = np.arange(len(readable))
    quarantined = (*decoded.quarantined, *bad_tests)
    kept_train, kept_validation = (part[positions[part] >= 0] for part in (train, validation))
    require_parts(image_set, kept_train, kept_validation, len(quarantined))
    data = LearningData(
        name=image_set.name,
        class_names=image_set.class_names,
        selection=_readable(selected, decoded),
        train=np.sort(positions[kept_train]),
        validation=np.sort(positions[kept_validation]),
        test_images=tested if tested is not None and len(bad_tests) < len(tested) else None,
        fingerprint=splits.fingerprint,
        part_fingerprints=splits.part_fingerprints,
        groups=_group_numbers(selected.groups, readable),
        content=hashlib.sha256((decoded.content + (closed.content if closed else "")).encode()).hexdigest()[:16],
        quarantined=quarantined,
        sides=sides,
        notes=(*image_set.notes, *splits.notes),
        warnings=tuple(filter(None, warnings)),
        cache=replace(store, verify=False),
        test_content=closed.content if closed else "",
        leases=tuple(part.lease for part in (decoded, closed) if part),
    )
    return replace(data, notes=(*data.notes, *_fold_notes(data, config)))


def require_readable(bad: Sequence[Quarantined], policy: str) -> None:
    """Refuse images that cannot be read where the policy is ``error``; name the first five and count all."""
    if policy != "error" or not bad:
        return
    named = ", ".join(f"{item.id} ({item.reason})" for item in bad[:_NAMED])
    others = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    count = f"{len(bad):,} images" if len(bad) > 1 else "one image"
    raise InputError(
        f"{count} cannot be read: {named}{others}; mend or remove them, or leave them out with --bad-images skip."
    )


class _Reporter:
    """Tells the observer how far the decoding of several parts is, a few times a second, and at its end.

    Args:
        observer: receives the events.
        total: images of all parts.
    """

    def __init__(self, observer: Observer, total: int) -> None:
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
        self._observer(Progress("decoding images", done, self._total, seconds_left=left))


def _cache(config: CacheConfig) -> Cache:
    return Cache(cache_folder(), int(config.limit_gib * 2**30), config.verify)


def _limited(image_set: ImageSet, splits: Splits, config: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Return the parts, each cut to its configured number of images (0 = all), stratified."""
    parts = (splits.train, splits.validation, splits.test)
    limits = (config.train_images, config.validation_images, config.test_images)
    train, validation, test = (
        stratified_sample(image_set.labels, part, limit, config.split_seed) if 0 < limit < len(part) else part
        for part, limit in zip(parts, limits, strict=True)
    )
    return train, validation, test


def _readable_mask(image_set: ImageSet, bad: tuple[Quarantined, ...]) -> NDArray[np.bool_]:
    names = {item.id for item in bad}
    return np.array([name not in names for name in image_set.ids])


def _readable(image_set: ImageSet, decoded: Decoded) -> Pixels:
    if not decoded.quarantined:
        return Pixels(decoded.images, image_set.labels, image_set.ids)
    rows = np.flatnonzero(_readable_mask(image_set, decoded.quarantined))
    ids = tuple(image_set.ids[row] for row in rows)
    return Pixels(ChosenImages(decoded.images, rows), image_set.labels[rows], ids)


def _group_numbers(groups: tuple[str, ...] | None, readable: Indices) -> Indices | None:
    if groups is None:
        return None
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups], dtype=np.int64)[readable]


def _fold_notes(data: LearningData, config: DataConfig) -> tuple[str, ...]:
    """Deal the folds once, so that impossible ones are refused early, and name the classes that some of them lack."""
    labels = data.selection.labels
    trained = [set(labels[train].tolist()) for train, _ in data.folds(config)]
    lacking = sorted(set(labels[data.train].tolist()) - set.intersection(*trained))
    names = f"{', '.join(data.class_names[label] for label in lacking[:5])}{', ...' if len(lacking) > 5 else ''}"
    return (f"Classes that some training folds lack ({len(lacking)}): {names}.",) if lacking else ()
