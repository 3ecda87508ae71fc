"""From a source to what a run learns from: splits, decoded pixels, folds, and a test set that stays closed."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.data.folds import stratified_folds
from biotune.data.image_set import ImageSet
from biotune.data.images import Quarantined, decoded_cache
from biotune.data.splits import Splits, make_splits, stratified_sample
from biotune.errors import InputError
from biotune.records import Preprocessing
from biotune.runs.config import DataConfig

Indices = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pixels:
    """Decoded images of one side of the test lock.

    Args:
        images: uint8 (n, size, size, 3), memory-mapped.
        labels: class index, shape (n,).
        ids: of the images.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class LearningData:
    """What a run learns from.

    Args:
        name: of the source.
        class_names: by label.
        selection: training and validation images.
        train: indices into ``selection``.
        validation: indices into ``selection``.
        test_images: the test images, not decoded into memory; see ``open_test``.
        fingerprint: of the splits.
        part_fingerprints: of each part, by its name.
        groups: number of the group of every image of ``selection``, shape (n,), or None.
        content: 16 hexadecimal digits of the SHA-256 over all pixels as decoded.
        quarantined: images that could not be read, and were left out.
        notes: sentences for the user.
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
    notes: tuple[str, ...]

    def open_test(self, preprocessing: Preprocessing) -> Pixels | None:
        """Return the test images; called once, after the recipe was chosen."""
        if self.test_images is None:
            return None
        pixels, bad = decoded_cache(self.test_images, preprocessing, cache_folder())
        return _readable(self.test_images, pixels, bad)

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


def cache_folder() -> Path:
    """Return the folder of decoded images: BIOTUNE_CACHE, or ``biotune`` in the user's cache folder."""
    base = os.environ.get("BIOTUNE_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "biotune"


def take_in(
    image_set: ImageSet, config: DataConfig, preprocessing: Preprocessing, progress: Progress | None = None
) -> LearningData:
    """Split a source and decode every image once.

    Args:
        image_set: the opened source.
        config: fractions, sizes, split seed.
        preprocessing: size and resizing of the decoded images.
        progress: called with (images done, images in all).

    Returns:
        The data; the test images are decoded on disk but not opened.

    Raises:
        InputError: anything wrong with the source, or too few readable images to learn from.
    """
    splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
    train, validation, test = _limited(image_set, splits, config)
    chosen = np.sort(np.concatenate([train, validation]))
    tested = image_set.subset(test) if len(test) else None
    total = len(chosen) + len(test)
    selected = image_set.subset(chosen)
    pixels, bad = decoded_cache(selected, preprocessing, cache_folder(), _offset(progress, 0, total))
    contents, bad_tests = [pixels], tuple[Quarantined, ...]()
    if tested is not None:
        test_pixels, bad_tests = decoded_cache(
            tested, preprocessing, cache_folder(), _offset(progress, len(chosen), total)
        )
        contents.append(test_pixels)
    readable = _readable_mask(selected, bad)
    positions = np.full(len(image_set), -1)
    positions[chosen[readable]] = np.arange(int(readable.sum()))
    data = LearningData(
        name=image_set.name,
        class_names=image_set.class_names,
        selection=_readable(selected, pixels, bad),
        train=_kept(positions[train]),
        validation=_kept(positions[validation]),
        test_images=tested if tested is not None and len(bad_tests) < len(tested) else None,
        fingerprint=splits.fingerprint,
        part_fingerprints=splits.part_fingerprints,
        groups=_group_numbers(selected.groups, readable),
        content=_content(contents),
        quarantined=(*bad, *bad_tests),
        notes=(*image_set.notes, *splits.notes),
    )
    _require_classes(data)
    return replace(data, notes=(*data.notes, *_fold_notes(data, config)))


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


def _readable(image_set: ImageSet, pixels: NDArray[np.uint8], bad: tuple[Quarantined, ...]) -> Pixels:
    if not bad:
        return Pixels(pixels, image_set.labels, image_set.ids)
    rows = np.flatnonzero(_readable_mask(image_set, bad))
    return Pixels(pixels[rows], image_set.labels[rows], tuple(image_set.ids[row] for row in rows))


def _content(parts: Iterable[NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()[:16]


def _kept(positions: Indices) -> Indices:
    return np.sort(positions[positions >= 0])


def _offset(progress: Progress | None, start: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _all: progress(start + done, total)


def _group_numbers(groups: tuple[str, ...] | None, readable: NDArray[np.bool_]) -> Indices | None:
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


def _require_classes(data: LearningData) -> None:
    counts = np.bincount(data.selection.labels[data.train], minlength=len(data.class_names))
    lost = [data.class_names[label] for label in np.flatnonzero(counts == 0)]
    if lost:
        raise InputError(
            f"the class '{lost[0]}' has no readable training image; mend its files or remove its folder "
            f"({len(data.quarantined)} images could not be read)."
        )
    if len(data.validation) == 0:
        raise InputError("no validation image can be read; give more images or a larger --validation-fraction.")
