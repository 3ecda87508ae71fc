"""Which images train, validate and test: stratified, reproducible, and never through the middle of a group."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.folders import table_of
from biotune.datasets.image_set import FilesBelow, ImageSet
from biotune.datasets.listing import names_alike
from biotune.errors import InputError
from biotune.randomness import words
from biotune.wording import listed, plural

Indices = NDArray[np.int64]

LARGEST_FRACTION = 0.9
_TRAIN, _VALIDATION, _TEST = range(3)
_PARTS = ("train", "validation", "test")
_NAMES_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Splits:
    """Disjoint parts of an image set that together hold every image.

    Args:
        train: sorted indices into the image set.
        validation: sorted indices into the image set.
        test: sorted indices into the image set; may be empty.
        fingerprint: 16 hexadecimal digits of the SHA-256 over the ids and class names of all parts.
        part_fingerprints: the same of each part alone, by its name.
        notes: what the user should know, as sentences.
    """

    train: Indices
    validation: Indices
    test: Indices
    fingerprint: str
    part_fingerprints: dict[str, str]
    notes: tuple[str, ...] = ()


def require_learnable(image_set: ImageSet) -> None:
    """Refuse fewer than two classes, or a class without an image to train on."""
    trained = {
        image_set.class_names[label]
        for label, split in zip(image_set.labels, image_set.splits, strict=True)
        if split in ("train", "")
    }
    names = image_set.class_names
    ignored = "".join(f" {note}" for note in image_set.notes)
    if names and not trained:
        where = "; all are given to validate or test" if len(image_set) else ""
        raise InputError(f"'{image_set.name}' has no image to train on{where}.{ignored}")
    if lost := [name for name in names if name not in trained]:
        known = ", ".join(sorted(trained)[:_NAMES_SHOWN])
        raise InputError(
            f"the class '{lost[0]}' of '{image_set.name}' has no image to train on; the classes of train are {known}; "
            f"give it images or remove it.{ignored}"
        )
    if len(names) < 2:
        only = f"only one class, '{names[0]}'," if names else "no labelled image,"
        raise InputError(f"'{image_set.name}' has {only} but a classifier needs at least two{_deeper(image_set)}.")


def _deeper(image_set: ImageSet) -> str:
    """Return what to do where the one class folder of a folder holds folders, or a table lies beside it."""
    if not isinstance(image_set.files, FilesBelow) or image_set.files.root.resolve().name != image_set.name:
        return ""
    if any(image_id.count("/") > 1 for image_id in image_set.ids):
        return "; if the class folders lie inside that folder, give its path"
    return table_of(image_set.files.root)


def make_splits(image_set: ImageSet, validation_fraction: float, test_fraction: float, split_seed: int) -> Splits:
    """Assign every image to a part; parts that the source gives are kept as they are.

    Images that are given to train, or to nothing, are the pool from which a missing test part and a missing validation
    part are taken; both fractions are of the pool. Every class of the pool is shared out by largest remainders, and so
    that with one image it is in train, with two also in validation, with three also in test. With groups, whole groups
    are shared out: first the smallest that give each class its place in each part, then, largest first, each to the
    part that is furthest from its share.

    Args:
        image_set: the images.
        validation_fraction: share of the pool that validates, in [0, 0.9]; unused where the source gives the part.
        test_fraction: share of the pool that tests, in [0, 0.9]; 0: no test; unused where the source gives the part.
        split_seed: seed of the assignment.

    Returns:
        The parts.

    Raises:
        InputError: a fraction is out of range, they leave nothing to train on, or train or validation is empty.
    """
    _check_fractions(validation_fraction, test_fraction)
    part_of = np.array([_PARTS.index(split) if split else _TRAIN for split in image_set.splits], dtype=np.int64)
    pool = np.flatnonzero(part_of == _TRAIN)
    present = set(part_of.tolist())
    shares = np.array(
        [0.0, 0.0 if _VALIDATION in present else validation_fraction, 0.0 if _TEST in present else test_fraction]
    )
    shares[_TRAIN] = 1.0 - shares.sum()
    assign = _assign_images if image_set.groups is None else _assign_groups
    part_of[pool] = assign(image_set.subset(pool), shares, split_seed)
    train, validation, test = (np.flatnonzero(part_of == part) for part in (_TRAIN, _VALIDATION, _TEST))
    if len(train) == 0:
        raise InputError(f"'{image_set.name}' has no image to train on; give images to the split 'train'.")
    if len(validation) == 0:
        raise _no_validation(image_set.subset(pool), validation_fraction)
    notes = (*_carved_notes(image_set, part_of, present, test_fraction), *_notes(image_set, part_of))
    return Splits(train, validation, test, *_fingerprints(image_set, part_of), notes)


def stratified_sample(labels: NDArray[np.int64], indices: Indices, count: int, seed: int) -> Indices:
    """Choose ``count`` of the images at ``indices``, of every class its share and at least one.

    ``labels`` are those of the whole set, shape (n,). The result is sorted, shape (count,).

    Raises InputError: the count is not between the numbers of classes and images.
    """
    shuffled = shuffled_classes(labels, indices, seed, "sample")
    if not len(shuffled) <= count <= len(indices) or count == 0:
        raise InputError(
            f"cannot choose {count} of {len(indices)} images of {len(shuffled)} classes: "
            f"use {max(len(shuffled), 1)} to {len(indices)}, at least one of each class."
        )
    classes = sorted(shuffled)
    sizes = _apportion(count, np.array([len(shuffled[label]) for label in classes], dtype=np.float64))
    chosen = [shuffled[label][:size] for label, size in zip(classes, sizes, strict=True)]
    result: Indices = np.sort(np.concatenate(chosen))
    return result


def require_parts(image_set: ImageSet, train: Indices, validation: Indices, bad: Mapping[str, str]) -> None:
    """Refuse readable images that leave a class without one to train on, or none to validate on.

    ``train`` and ``validation`` are indices into the set; ``bad`` says by id why others cannot be read.
    """
    counts = np.bincount(image_set.labels[train], minlength=len(image_set.class_names))
    lost = [image_set.class_names[label] for label in np.flatnonzero(counts == 0)]
    if lost:
        label = image_set.class_names.index(lost[0])
        own = [name for name, one in zip(image_set.ids, image_set.labels, strict=True) if one == label and name in bad]
        first = f", for example {own[0]}: {bad[own[0]]}" if own else ""
        raise InputError(
            f"the class '{lost[0]}' has no readable training image; fix its files or remove its folder "
            f"({plural(len(bad), 'image')} could not be read{first})."
        )
    if len(validation) == 0:
        raise InputError("no validation image can be read; give more images or a larger --validation-fraction.")


def _no_validation(pool: ImageSet, fraction: float) -> InputError:
    """Say why no image of the pool validates."""
    none = f"'{pool.name}' has no image to validate on"
    if fraction == 0:
        return InputError(f"{none}, since the validation fraction is 0; raise it, or give a validation split.")
    if pool.groups is None or len(set(pool.groups)) == len(pool):
        return InputError(f"{none}, since every class has one image only; give more, or give a validation split.")
    group_of = {pool.class_names[label]: group for label, group in zip(pool.labels, pool.groups, strict=True)}
    named = listed([f"{name} in '{group}'" for name, group in group_of.items()], _NAMES_SHOWN)
    return InputError(
        f"{none}: every class lies within one group ({named}), and a group is never divided; give smaller groups, or "
        "give a validation split."
    )


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    for name, fraction in (("validation", validation_fraction), ("test", test_fraction)):
        if not 0.0 <= fraction <= LARGEST_FRACTION:
            raise InputError(f"the {name} fraction is {fraction}, but must lie in [0, {LARGEST_FRACTION}].")
    if validation_fraction + test_fraction >= 1.0:
        raise InputError(
            f"the validation fraction {validation_fraction} and the test fraction {test_fraction} leave nothing to "
            "train on; their sum must be below 1."
        )


def _apportion(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Share out ``total`` items by largest remainders; each positive weight gets one while items last, in order."""
    quotas = total * weights / weights.sum()
    least = ((weights > 0) & (np.cumsum(weights > 0) <= total)).astype(np.int64)
    sizes: NDArray[np.int64] = np.maximum(np.floor(quotas + 1e-9).astype(np.int64), least)
    while (spare := total - int(sizes.sum())) > 0:
        sizes[np.argmax(np.where(weights > 0, quotas - sizes, -np.inf))] += 1
    while spare < 0:
        sizes[np.argmax(np.where(sizes > least, sizes - quotas, -np.inf))] -= 1
        spare += 1
    return sizes


def shuffled_classes(labels: NDArray[np.int64], indices: Indices, seed: int, purpose: str) -> dict[int, Indices]:
    """Return the images of each class in a random order that depends on the seed, the class and its size alone."""
    ordered = np.sort(indices)
    shuffled: dict[int, Indices] = {}
    for label in np.unique(labels[ordered]).tolist():
        members = ordered[labels[ordered] == label]
        shuffled[label] = members[np.argsort(words(len(members), seed, purpose, label), kind="stable")]
    return shuffled


def _assign_images(pool: ImageSet, shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    parts = np.empty(len(pool), dtype=np.int64)
    for members in shuffled_classes(pool.labels, np.arange(len(pool)), seed, "split").values():
        parts[members] = np.repeat(np.arange(len(shares)), _apportion(len(members), shares))
    return parts


def _assign_groups(pool: ImageSet, shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for group, label in zip(pool.groups or (), pool.labels.tolist(), strict=True):
        counts[group][label] += 1
    ties = dict(zip(sorted(counts), words(len(counts), seed, "split groups").tolist(), strict=True))
    small_first = sorted(counts, key=lambda group: (counts[group].total(), ties[group]))
    part_of = _share_out_groups({group: counts[group] for group in small_first}, shares, len(pool.class_names))
    return np.array([part_of[group] for group in pool.groups or ()], dtype=np.int64)


def _share_out_groups(counts: dict[str, Counter[int]], shares: NDArray[np.float64], num_classes: int) -> dict[str, int]:
    """Give every group a part; ``counts`` holds the images of each class in each group, the smallest group first."""
    totals = np.zeros(num_classes)
    groups_of: dict[int, list[str]] = defaultdict(list)
    for group, classes in counts.items():
        for label, count in classes.items():
            totals[label] += count
            groups_of[label].append(group)
    missing = np.outer(totals, shares)  # images of each class that each part lacks
    part_of: dict[str, int] = {}

    def put(group: str, part: int) -> None:
        part_of[group] = part
        for label, count in counts[group].items():
            missing[label, part] -= count

    rarest_first = sorted(groups_of, key=lambda label: (len(groups_of[label]), label))
    for part in np.flatnonzero(shares > 0).tolist():
        for label in rarest_first:
            free = [group for group in groups_of[label] if group not in part_of]
            if free and not any(part_of.get(group) == part for group in groups_of[label]):
                put(free[0], part)
    for group in reversed(counts):
        if group not in part_of:
            labels = list(counts[group])
            weights = np.array([counts[group][label] for label in labels]) / totals[labels]
            put(group, int(np.argmax(weights @ missing[labels])))
    return part_of


def _fingerprints(image_set: ImageSet, part_of: NDArray[np.int64]) -> tuple[str, dict[str, str]]:
    """Return the hash over all parts, and that of each."""
    whole, parts = hashlib.sha256(), dict[str, str]()
    for part, name in enumerate(_PARTS):
        alone = hashlib.sha256()
        for index in np.flatnonzero(part_of == part):
            row = json.dumps((name, image_set.ids[index], image_set.class_names[image_set.labels[index]])).encode()
            whole.update(row + b"\n")
            alone.update(row + b"\n")
        parts[name] = alone.hexdigest()[:16]
    return whole.hexdigest()[:16], parts


def _carved_notes(
    image_set: ImageSet, part_of: NDArray[np.int64], given: set[int], test_fraction: float
) -> tuple[str, ...]:
    """Say which parts the source does not give, and what became of them."""
    share = f"a stratified share of those to train on{', in whole groups,' if image_set.groups else ''}"
    notes: list[str] = []
    if _TEST not in given and (part_of == _TEST).any():
        notes.append(f"No test set is given: {share} is locked away as the test set.")
    elif _TEST not in given:
        why = "the test fraction is 0" if test_fraction == 0 else "the images are too few to take one from"
        notes.append(f"There is no test set: none is given, and {why}. Scores are of images that guided the choice.")
    if _VALIDATION not in given:
        notes.append(f"No validation set is given: {share} is used for validation.")
    return tuple(notes)


def _notes(image_set: ImageSet, part_of: NDArray[np.int64]) -> tuple[str, ...]:
    notes: list[str] = []
    assigned = sum(1 for split in image_set.splits if split)
    if 0 < assigned < len(image_set):
        notes.append(f"Images without a split, put with those to train on: {len(image_set) - assigned}.")
    num_classes = len(image_set.class_names)
    if alike := names_alike(image_set.class_names):
        notes.append(alike)
    present = np.bincount(image_set.labels, minlength=num_classes) > 0
    for part in (_VALIDATION, _TEST):
        counts = np.bincount(image_set.labels[part_of == part], minlength=num_classes)
        lacking = [image_set.class_names[label] for label in np.flatnonzero(present & (counts == 0))]
        if counts.any() and lacking:
            notes.append(f"Classes without a {_PARTS[part]} image: {listed(lacking, _NAMES_SHOWN)}.")
    pairs = set(zip(image_set.groups or (), part_of.tolist(), strict=False))
    straddling = sum(parts > 1 for parts in Counter(group for group, _ in pairs).values())
    if straddling:
        notes.append(f"Groups that straddle the given splits, so that scores may be too good: {straddling}.")
    return tuple(notes)
