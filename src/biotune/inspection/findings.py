"""What an inspection means: the content of ``biotune check --json``, with warnings and what to do about them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.splits import make_splits, require_learnable, require_parts
from biotune.errors import InputError
from biotune.images.rgb import NEARLY_BLACK, nearly_black_warning
from biotune.inspection.inspection import Inspection
from biotune.settings.sections import DataConfig
from biotune.wording import shorten

SCHEMA_VERSION = 1
UNASSIGNED = "unassigned"

SMALL_SIDE = 64
"""Pretrained networks see little in images whose shorter side has fewer pixels."""

_SMALL_CLASS = 5
_LARGEST_SHARE = 0.9
_LARGEST_RATIO = 10
_LONG = 3.0
_NAMES_SHOWN = 3
_NAME_LENGTH = 40
_FATE = {
    1: "trains only; the class has no score of its own",
    2: "one trains, one validates; the class is not tested",
}


def findings(inspection: Inspection) -> dict[str, Any]:
    """Return what was found as JSON-able data; docs/check.md lists every key.

    Args:
        inspection: of a source.

    Returns:
        Counts, sizes, problems, warnings (most important first) and one closing sentence.
    """
    image_set, rows = inspection.image_set, inspection.readable
    splits = _splits(inspection)
    labels = image_set.labels[rows]
    classes = _by_class(inspection, labels)
    duplicates = [_described(inspection, splits, group.kind, group.rows) for group in inspection.duplicates]
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": image_set.name,
        "images": len(rows),
        "classes": classes,
        "splits": {
            split: {
                "images": int((splits[rows] == split).sum()),
                "classes": _by_class(inspection, labels[splits[rows] == split]),
            }
            for split in _in_order(splits)
        },
        "quarantined": [{"path": item.id, "reason": item.reason} for item in inspection.quarantined],
        "leaks": [item for item in duplicates if len(set(item["splits"])) > 1],
        "label_conflicts": [item for item in duplicates if len(set(item["classes"])) > 1],
        "duplicates": duplicates,
        "torn_by_a_random_split": _torn(duplicates),
        "straddling_groups": _straddling(inspection, splits),
        "small_classes": [
            {"class": name, "images": count, "fate": _FATE.get(count, "few to learn from and to score")}
            for name, count in classes.items()
            if 0 < count < _SMALL_CLASS
        ],
        "sizes": _sizes(inspection),
        "formats": inspection.formats,
        "modes": inspection.modes,
        "notes": inspection.notes,
        "ignored": list(image_set.notes),
        "refusal": _refusal(inspection),
    }
    found["warnings"] = _warnings(found)
    found["conclusion"] = _conclusion(found)
    return found


def _refusal(inspection: Inspection) -> str | None:
    """Return why a run with the default fractions would be refused, or None; a test set alone is for evaluation."""
    image_set, config = inspection.image_set, DataConfig()
    if not {"train", ""} & set(image_set.splits):
        return None
    try:
        require_learnable(image_set)
        splits = make_splits(image_set, config.validation_fraction, config.test_fraction, config.split_seed)
        train, validation = (np.intersect1d(part, inspection.readable) for part in (splits.train, splits.validation))
        require_parts(image_set, train, validation, len(inspection.quarantined))
    except InputError as error:
        return str(error)
    return None


def _splits(inspection: Inspection) -> NDArray[np.str_]:
    """Return the split of every image; those without one go with the training images if there are given splits."""
    given = inspection.image_set.splits
    default = "train" if any(given) else UNASSIGNED
    return np.array([split or default for split in given])


def _in_order(splits: NDArray[np.str_]) -> list[str]:
    present = set(splits.tolist())
    return [split for split in ("train", "validation", "test", UNASSIGNED) if split in present]


def _by_class(inspection: Inspection, labels: NDArray[np.int64]) -> dict[str, int]:
    names = inspection.image_set.class_names
    return dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def _described(
    inspection: Inspection, splits: NDArray[np.str_], kind: str, rows: Sequence[int]
) -> dict[str, str | list[str]]:
    image_set = inspection.image_set
    described: dict[str, str | list[str]] = {
        "kind": kind,
        "paths": [image_set.ids[row] for row in rows],
        "splits": [str(splits[row]) for row in rows],
        "classes": [image_set.class_names[image_set.labels[row]] for row in rows],
    }
    if image_set.groups is not None:
        described["groups"] = [image_set.groups[row] for row in rows]
    return described


def _torn(duplicates: Iterable[dict[str, Any]]) -> int:
    """Count the groups of copies without given splits that no group of the source keeps together."""
    return sum(
        set(item["splits"]) == {UNASSIGNED} and len(set(item.get("groups", item["paths"]))) > 1 for item in duplicates
    )


def _straddling(inspection: Inspection, splits: NDArray[np.str_]) -> list[dict[str, Any]]:
    parts: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(inspection.image_set.groups or (), splits.tolist(), strict=False):
        parts[group].add(split)
    return [{"group": group, "splits": sorted(found)} for group, found in parts.items() if len(found) > 1]


def _sizes(inspection: Inspection) -> dict[str, Any] | None:
    if len(inspection.readable) == 0:
        return None
    widths, heights = inspection.widths, inspection.heights
    ratios = widths / heights
    spread = {
        name: {"min": values.min().item(), "median": np.median(values).item(), "max": values.max().item()}
        for name, values in (("width", widths), ("height", heights), ("aspect_ratio", ratios))
    }
    return {
        **spread,
        "smaller_than_64": int((np.minimum(widths, heights) < SMALL_SIDE).sum()),
        "longer_than_3_to_1": int((np.maximum(ratios, 1 / ratios) > _LONG).sum()),
    }


def _warnings(found: dict[str, Any]) -> list[str]:
    """Return what a careful person would act on, most important first."""
    return [
        sentence
        for sentence in (
            f"A run will be refused: {found['refusal']}" if found["refusal"] else "",
            _leak_warning(found),
            _conflict_warning(found),
            _quarantine_warning(found),
            _straddling_warning(found),
            _torn_warning(found),
            *_class_warnings(found),
            nearly_black_warning(found["notes"].get(NEARLY_BLACK, 0)),
            *_size_warnings(found),
            _repeated_warning(found),
        )
        if sentence
    ]


def _leak_warning(found: dict[str, Any]) -> str:
    leaks = found["leaks"]
    if not leaks:
        return ""
    pairs = Counter(" and ".join(sorted(set(item["splits"]), key=_rank)) for item in leaks)
    parts = ", ".join(f"{count} between {names}" for names, count in pairs.items())
    return (
        f"{_many(len(leaks), 'picture')} in several splits: {parts}. Scores will be too good; remove the copies from "
        "one of the splits."
    )


def _rank(split: str) -> int:
    return ("train", "validation", "test", UNASSIGNED).index(split)


def _conflict_warning(found: dict[str, Any]) -> str:
    count = len(found["label_conflicts"])
    return f"{_many(count, 'picture')} in several classes; a label is wrong, or the classes overlap." if count else ""


def _quarantine_warning(found: dict[str, Any]) -> str:
    bad = len(found["quarantined"])
    return (
        f"{bad:,} of {bad + found['images']:,} images cannot be read and will be left out; mend or remove them."
        if bad
        else ""
    )


def _straddling_warning(found: dict[str, Any]) -> str:
    groups = found["straddling_groups"]
    names = _named([item["group"] for item in groups])
    return (
        f"Groups that straddle the splits: {len(groups):,} ({names}); scores will be too good. Give each group one "
        "split."
        if groups
        else ""
    )


def _torn_warning(found: dict[str, Any]) -> str:
    torn = found["torn_by_a_random_split"]
    return (
        f"{_many(torn, 'group')} of copies could be torn apart by a random split; remove the copies, or give both a "
        "group in a CSV file."
        if torn
        else ""
    )


def _class_warnings(found: dict[str, Any]) -> list[str]:
    counts: dict[str, int] = found["classes"]
    warnings = []
    if lost := [name for name, count in counts.items() if not count]:
        warnings.append(f"No image can be used of {_many(len(lost), 'class')}: {_named(lost)}.")
    if small := found["small_classes"]:
        listed = _named([f"{shorten(item['class'], 30)} ({item['images']})" for item in small])
        warnings.append(
            f"{_many(len(small), 'class')} with fewer than {_SMALL_CLASS} images: {listed}. Their scores will mean "
            "little, or there will be none."
        )
    for split, part in found["splits"].items():
        lacking = [name for name, count in part["classes"].items() if not count and counts[name]]
        if lacking:
            warnings.append(f"The split {split} lacks {_many(len(lacking), 'class')}: {_named(lacking)}.")
    largest = max(counts, key=lambda name: counts[name])
    least = min((count for count in counts.values() if count), default=0)
    share = counts[largest] / max(found["images"], 1)
    if share >= _LARGEST_SHARE or (least and counts[largest] >= _LARGEST_RATIO * least):
        warnings.append(
            f"The class {_named([largest])} has {share:.0%} of the images, {counts[largest] / max(least, 1):.0f} times "
            "as many as the smallest; read the macro accuracy, and see --imbalance."
        )
    return warnings


def _size_warnings(found: dict[str, Any]) -> list[str]:
    sizes = found["sizes"]
    if sizes is None:
        return []
    warnings = []
    if small := sizes["smaller_than_64"]:
        warnings.append(
            f"{_many(small, 'image')} of {found['images']:,} with a side below {SMALL_SIDE} pixels; pretrained "
            "networks see little in them unless they are enlarged (--image-size 64 or more)."
        )
    if long := sizes["longer_than_3_to_1"]:
        warnings.append(
            f"{_many(long, 'image')} more than {_LONG:.0f} times as long as wide; --resize crop sees their middle "
            "only, pad and squash see all."
        )
    return warnings


def _repeated_warning(found: dict[str, Any]) -> str:
    """Say what is left of the duplicates: copies inside one given split."""
    count = sum(len(set(item["splits"])) == 1 and item["splits"][0] != UNASSIGNED for item in found["duplicates"])
    return f"{_many(count, 'group')} of copies inside one split; they count more than once." if count else ""


def _conclusion(found: dict[str, Any]) -> str:
    if not found["images"]:
        return "No image can be used."
    count = len(found["warnings"])
    order = ", the most important first" if count > 1 else ""
    return f"{_many(count, 'thing')} to look at{order}." if count else "Nothing to worry about."


def _many(count: int, noun: str) -> str:
    plural = {"class": "classes"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else plural}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(shorten(name, _NAME_LENGTH) for name in names[:_NAMES_SHOWN]) + more
