"""From what reading the images showed to the findings of ``biotune check``: counts, problems, and what they mean."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.splits import make_splits, require_learnable, require_parts
from biotune.errors import InputError
from biotune.inspection import sentences
from biotune.inspection.duplicates import Duplicates
from biotune.inspection.findings import (
    SPLITS_IN_ORDER,
    UNASSIGNED,
    Copies,
    Findings,
    Sizes,
    SmallClass,
    SplitCounts,
    Spread,
    StraddlingGroup,
    Unreadable,
)
from biotune.inspection.inspection import Inspection
from biotune.settings.sections import DataConfig


def conclude(inspection: Inspection) -> Findings:
    """Return what an inspection means: counts, problems, warnings (most important first) and a closing sentence."""
    image_set, rows = inspection.image_set, inspection.readable
    splits = _splits(inspection)
    labels = image_set.labels[rows]
    classes = _by_class(inspection, labels)
    duplicates = tuple(_copies(inspection, splits, group) for group in inspection.duplicates)
    findings = Findings(
        name=image_set.name,
        images=len(rows),
        classes=classes,
        splits={
            split: SplitCounts(
                images=int((splits[rows] == split).sum()),
                classes=_by_class(inspection, labels[splits[rows] == split]),
            )
            for split in sorted(set(splits.tolist()), key=SPLITS_IN_ORDER.index)
        },
        quarantined=tuple(Unreadable(path=item.id, reason=item.reason) for item in inspection.quarantined),
        leaks=tuple(item for item in duplicates if len(set(item.splits)) > 1),
        label_conflicts=tuple(item for item in duplicates if len(set(item.classes)) > 1),
        duplicates=duplicates,
        torn_by_a_random_split=_torn(duplicates),
        straddling_groups=_straddling(inspection, splits),
        small_classes=tuple(
            SmallClass(class_name=name, images=count, fate=sentences.fate(count))
            for name, count in classes.items()
            if 0 < count < sentences.SMALL_CLASS
        ),
        sizes=_sizes(inspection),
        formats=inspection.formats,
        modes=inspection.modes,
        notes=inspection.notes,
        ignored=image_set.notes,
        refusal=_refusal(inspection),
    )
    findings = findings.model_copy(update={"warnings": sentences.warnings(findings)})
    return findings.model_copy(update={"conclusion": sentences.conclusion(findings)})


def _refusal(inspection: Inspection) -> str | None:
    """Return why a run with the default fractions would be refused, or None; a test set alone is for evaluation."""
    image_set, config = inspection.image_set, DataConfig()
    if not {"train", ""} & set(image_set.splits):
        return None
    try:
        require_learnable(image_set)
        splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
        train, validation = (np.intersect1d(part, inspection.readable) for part in (splits.train, splits.validation))
        require_parts(image_set, train, validation, {item.id: item.reason for item in inspection.quarantined})
    except InputError as error:
        return str(error)
    return None


def _splits(inspection: Inspection) -> NDArray[np.str_]:
    """Return the split of every image; those without one go with the training images if there are given splits."""
    given = inspection.image_set.splits
    default = "train" if any(given) else UNASSIGNED
    return np.array([split or default for split in given])


def _by_class(inspection: Inspection, labels: NDArray[np.int64]) -> dict[str, int]:
    names = inspection.image_set.class_names
    return dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def _copies(inspection: Inspection, splits: NDArray[np.str_], group: Duplicates) -> Copies:
    image_set, rows = inspection.image_set, group.rows
    return Copies(
        kind=group.kind,
        paths=tuple(image_set.ids[row] for row in rows),
        splits=tuple(str(splits[row]) for row in rows),
        classes=tuple(image_set.class_names[image_set.labels[row]] for row in rows),
        groups=tuple(image_set.groups[row] for row in rows) if image_set.groups is not None else None,
    )


def _torn(duplicates: Iterable[Copies]) -> int:
    """Count the groups of copies without given splits that no group of the source keeps together."""
    return sum(
        set(item.splits) == {UNASSIGNED} and len(set(item.paths if item.groups is None else item.groups)) > 1
        for item in duplicates
    )


def _straddling(inspection: Inspection, splits: NDArray[np.str_]) -> tuple[StraddlingGroup, ...]:
    parts: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(inspection.image_set.groups or (), splits.tolist(), strict=False):
        parts[group].add(split)
    return tuple(
        StraddlingGroup(group=group, splits=tuple(sorted(names))) for group, names in parts.items() if len(names) > 1
    )


def _sizes(inspection: Inspection) -> Sizes | None:
    if len(inspection.readable) == 0:
        return None
    widths, heights = inspection.widths, inspection.heights
    ratios = widths / heights
    return Sizes(
        width=_spread(widths),
        height=_spread(heights),
        aspect_ratio=_spread(ratios),
        smaller_than_64=int((np.minimum(widths, heights) < sentences.SMALL_SIDE).sum()),
        longer_than_3_to_1=int((np.maximum(ratios, 1 / ratios) > sentences.LONG).sum()),
    )


def _spread(values: NDArray[np.int32] | NDArray[np.float64]) -> Spread:
    return Spread(min=values.min().item(), median=np.median(values).item(), max=values.max().item())
