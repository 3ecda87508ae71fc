"""Every sentence of ``biotune check``: what a careful person would act on, and the closing one."""

from collections import Counter
from collections.abc import Iterator, Sequence

from biotune.datasets.listing import names_alike
from biotune.images.rgb import NEARLY_BLACK, nearly_black_warning
from biotune.inspection.findings import SPLITS_IN_ORDER, UNASSIGNED, Findings
from biotune.wording import listed, plural, shorten

SMALL_CLASS = 5
"""Classes of fewer images are named: a fifth of them tests, so none or one image does."""

SMALL_SIDE = 64
"""Pretrained networks see little in images whose shorter side has fewer pixels."""

LONG = 3.0
"""Images that are this many times as long as wide lose most of their content in a square crop."""

_LARGEST_SHARE, _LARGEST_RATIO = 0.9, 10
"""From here on, accuracy says little of the smaller classes: always answering with the largest gets 90 %."""

_NAMES_SHOWN, _NAME_LENGTH = 3, 40
_FATE = {
    1: "trains only; the class has no score of its own",
    2: "one trains, one validates; the class is not tested",
}


def fate(count: int) -> str:
    """Say what becomes of the images of a small class in a run."""
    return _FATE.get(count, "few to learn from and to score")


def warnings(findings: Findings) -> tuple[str, ...]:
    """Return what a careful person would act on, most important first."""
    return (
        *([f"A run will be refused: {findings.refusal}"] if findings.refusal else []),
        *_on_copies_and_files(findings),
        *_on_classes(findings),
        *filter(None, [nearly_black_warning(findings.notes.get(NEARLY_BLACK, 0))]),
        *_on_sizes(findings),
        *_on_repeated_images(findings),
    )


def conclusion(findings: Findings) -> str:
    """Return the closing sentence; the warnings are in place."""
    if not findings.images:
        return "No image can be used."
    if not findings.warnings:
        return "Nothing to worry about."
    order = ", the most important first" if len(findings.warnings) > 1 else ""
    return f"{plural(len(findings.warnings), 'thing')} to look at{order}."


def _on_copies_and_files(findings: Findings) -> Iterator[str]:
    if findings.leaks:
        pairs = Counter(" and ".join(sorted(set(item.splits), key=SPLITS_IN_ORDER.index)) for item in findings.leaks)
        parts = ", ".join(f"{count} between {names}" for names, count in pairs.items())
        yield (
            f"{plural(len(findings.leaks), 'picture')} in several splits: {parts}. Scores will be too good; remove the "
            "copies from one of the splits."
        )
    if conflicts := len(findings.label_conflicts):
        yield f"{plural(conflicts, 'picture')} in several classes; a label is wrong, or the classes overlap."
    if bad := len(findings.quarantined):
        yield f"{bad:,} of {bad + findings.images:,} images cannot be read and will be left out; fix or remove them."
    if groups := findings.straddling_groups:
        yield (
            f"Groups that straddle the splits: {len(groups):,} ({_named([item.group for item in groups])}); scores "
            "will be too good. Give each group one split."
        )
    if torn := findings.torn_by_a_random_split:
        yield (
            f"{plural(torn, 'group')} of copies could be torn apart by a random split; remove the copies, or give both "
            "a group in a CSV file."
        )


def _on_classes(findings: Findings) -> Iterator[str]:
    counts = findings.classes
    if alike := names_alike(counts):
        yield alike
    if lost := [name for name, count in counts.items() if not count]:
        yield f"No image can be used of {_classes(lost)}: {_named(lost)}."
    if small := findings.small_classes:
        names = _named([f"{shorten(item.class_name, 30)} ({item.images})" for item in small])
        yield (
            f"{_classes(small)} with fewer than {SMALL_CLASS} images: {names}. Their scores will mean little, or there "
            "will be none."
        )
    for split, part in findings.splits.items():
        if lacking := [name for name, count in part.classes.items() if not count and counts[name]]:
            yield f"The split {split} lacks {_classes(lacking)}: {_named(lacking)}."
    largest = max(counts, key=lambda name: counts[name])
    least = min((count for count in counts.values() if count), default=0)
    share = counts[largest] / max(findings.images, 1)
    if len(counts) > 1 and (share >= _LARGEST_SHARE or (least and counts[largest] >= _LARGEST_RATIO * least)):
        yield (
            f"The class {_named([largest])} has {share:.0%} of the images, {counts[largest] / max(least, 1):.0f} times "
            "as many as the smallest; read the macro accuracy, and see --imbalance."
        )


def _on_sizes(findings: Findings) -> Iterator[str]:
    if findings.sizes is None:
        return
    if small := findings.sizes.smaller_than_64:
        yield (
            f"{plural(small, 'image')} of {findings.images:,} with a side below {SMALL_SIDE} pixels; pretrained "
            "networks see little in them unless they are enlarged (--image-size 96 or auto)."
        )
    if long := findings.sizes.longer_than_3_to_1:
        yield (
            f"{plural(long, 'image')} more than {LONG:.0f} times as long as wide; --resize crop sees their middle "
            "only, pad and squash see all."
        )


def _on_repeated_images(findings: Findings) -> Iterator[str]:
    """Say what is left of the duplicates: copies inside one given split."""
    if count := sum(len(set(item.splits)) == 1 and item.splits[0] != UNASSIGNED for item in findings.duplicates):
        yield f"{plural(count, 'group')} of copies inside one split; they count more than once."


def _classes(names: Sequence[object]) -> str:
    return plural(len(names), "class", "classes")


def _named(names: Sequence[str]) -> str:
    return listed([shorten(name, _NAME_LENGTH) for name in names], _NAMES_SHOWN)
