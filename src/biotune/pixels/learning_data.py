"""What a run learns from: rows of pixels with labels in their parts, folds, and a test set that stays closed."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.folds import stratified_folds
from biotune.datasets.image_set import IMAGE, ImageSet
from biotune.datasets.splits import stratified_sample
from biotune.errors import InputError
from biotune.pixels.cache import Cache, Decoded
from biotune.pixels.cache_entry import Quarantined
from biotune.pixels.inputs import rows_of
from biotune.pixels.rows import ChosenImages, ImageRows
from biotune.records import Inputs
from biotune.settings.sections import DataConfig

Indices = NDArray[np.int64]

OUT_OF_FOLD = 5
"""Folds of all images to learn from, which estimate how good a choice is where there are no test images."""


FURTHER_PARTS = 1
"""Parts of the training images that judge a recipe besides the validation set, at most: each costs a training."""


@dataclass(frozen=True)
class Pixels:
    """Decoded images of one side of the test lock: uint8 (n, size, size, 3), class indices, shape (n,), and ids.

    Texts have tokens in the place of pixels, int32 (n, length). Of images in groups, ``groups`` names that of each.
    """

    images: ImageRows
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Side:
    """All images of one side of the test lock, those that cannot be read included.

    ``rows`` says which images of the source they are, ascending, shape (n,).
    """

    rows: Indices
    images: ImageSet
    decoded: Decoded

    @cached_property
    def readable(self) -> Indices:
        """The images that can be read, as indices into this side, ascending."""
        bad = {item.id for item in self.decoded.quarantined}
        return np.flatnonzero([image_id not in bad for image_id in self.images.ids])

    def positions(self, rows: Indices) -> Indices:
        """Return where images of the source are among the readable ones of this side, ascending; others left out."""
        known = self.rows[self.readable]
        return np.searchsorted(known, np.intersect1d(rows, known))

    def pixels(self) -> Pixels:
        """Return the images that can be read; nothing is copied."""
        if not self.decoded.quarantined:
            return Pixels(self.decoded.images, self.images.labels, self.images.ids, self.images.groups)
        left = self.images.subset(self.readable)
        return Pixels(ChosenImages(self.decoded.images, self.readable), left.labels, left.ids, left.groups)


@dataclass(frozen=True)
class LockedTest:
    """The test images, those that cannot be read included, opened once, after the recipe was chosen.

    ``content`` is the hash of all their pixels when they were first decoded.
    """

    images: ImageSet
    content: str
    preprocessing: Inputs
    cache: Cache

    def __len__(self) -> int:
        return len(self.images)

    def open(self) -> Pixels:
        """Return the images that can be read; raises InputError if one has changed since the run began."""
        decoded = rows_of(self.images, self.preprocessing, self.cache)
        if decoded.content != self.content:
            raise InputError(
                f"test {self.images.kind}s of '{self.images.name}' have changed since the run began; bring the old "
                "files back and run the same command again, or begin a new run."
            )
        return Side(np.arange(len(self.images)), self.images, decoded).pixels()


@dataclass(frozen=True)
class Fingerprints:
    """What must be the same for two runs to learn from the same data, as hexadecimal digits of SHA-256 hashes.

    They are over the ids and class names of all parts, the same of each part alone, and all pixels as decoded.
    """

    splits: str
    parts: dict[str, str]
    pixels: str


@dataclass(frozen=True)
class Leak:
    """Copies of one picture in several parts, with the part (``train``, ``validation`` or ``test``) and class of each.

    They are ``exact`` if all have the same bytes, else ``near``.
    """

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Remarks:
    """What the user should know of the images: those left out as unreadable, sentences to act on, and more sentences.

    The leaks are in place once ``biotune.inspection.leaks`` has looked for them.
    """

    quarantined: tuple[Quarantined, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()


@dataclass(frozen=True)
class LearningData:
    """What a run learns from.

    Args:
        name: name of the source.
        class_names: by label.
        selection: training and validation images.
        train: indices into ``selection``.
        validation: indices into ``selection``.
        groups: number of the group of every image of ``selection``, shape (n,), or None.
        test: the test images, closed, or None.
        fingerprints: of the splits and the pixels.
        remarks: what the user should know.
        sides: the images to learn from, then those to test on, as decoded: for the search for leaks alone. While they
            are held, their files stay in the cache.
        kind: what they are, ``IMAGE`` or ``TEXT``.
    """

    name: str
    class_names: tuple[str, ...]
    selection: Pixels
    train: Indices
    validation: Indices
    groups: Indices | None = None
    test: LockedTest | None = None
    fingerprints: Fingerprints = field(default_factory=lambda: Fingerprints("", {}, ""))
    remarks: Remarks = Remarks()
    sides: tuple[Side, ...] = ()
    kind: str = IMAGE

    @property
    def num_test(self) -> int:
        """Number of test images, those that cannot be read included; says so without opening them."""
        return len(self.test) if self.test else 0

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

    def further_parts(self, enough: int, split_seed: int) -> list[tuple[Indices, Indices]]:
        """Return (training, held-out) indices of further parts to judge on, none with enough validation images.

        Held out are disjoint parts of the training set, each about as large as the validation set, which is trained on
        instead: at most ``FURTHER_PARTS``, as many as bring the images that judge to ``enough``.
        """
        size = len(self.validation)
        count = min(FURTHER_PARTS, math.ceil((enough - size) / max(1, size)))
        units = len(self.train) if self.groups is None else len(np.unique(self.groups[self.train]))
        pieces = min(max(count + 1, round(len(self.train) / max(1, size))), units)
        if count < 1 or pieces < 2:
            return []
        pool = np.sort(np.concatenate([self.train, self.validation]))
        labels = self.selection.labels
        parts = stratified_folds(labels, self.train, pieces, split_seed, self.groups)[:count]
        return [(np.setdiff1d(pool, part), part) for part in parts if len(part)]

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
