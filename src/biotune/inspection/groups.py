"""Which images stay together: those of a group of the source and, if asked for, near-copies of one picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.datasets.image_set import TEXT, ImageSet
from biotune.errors import InputError
from biotune.inspection.duplicates import Duplicates, components
from biotune.inspection.inspection import inspect
from biotune.pixels.reading import Progress as Counted
from biotune.runs.events import Observer, Progress, silent
from biotune.settings.sections import DataConfig
from biotune.wording import plural


@dataclass(frozen=True)
class GroupCounts:
    """How many groups there are, how many of them hold several images, and how many the largest one holds."""

    groups: int
    several: int
    largest: int

    def sentence(self, images: int) -> str:
        """Say it, of so many images."""
        several = f"{self.several:,} of them with several, the largest with {self.largest:,}"
        return (
            f"{plural(images, 'image')} in {plural(self.groups, 'group')}, {several if self.several else 'one each'}."
        )


def count_groups(groups: Sequence[str]) -> GroupCounts:
    """Count the groups; there is one name for each image, of at least one."""
    sizes = Counter(groups).values()
    return GroupCounts(len(sizes), sum(size > 1 for size in sizes), max(sizes))


def groups_of(image_set: ImageSet, duplicates: Sequence[Duplicates] = ()) -> tuple[str, ...]:
    """Return the name of the group of every image: copies are in one group, and so are groups that share copies.

    Args:
        image_set: images, which may be in groups already.
        duplicates: groups of copies, by rows of the set.

    Returns:
        For each image the name that the source gives the group of the first image in it; without groups, its id.
    """
    named = image_set.groups or image_set.ids
    first = {name: row for row, name in reversed(list(enumerate(named)))}
    links = [(first[name], row) for row, name in enumerate(named)]
    links += [(group.rows[0], row) for group in duplicates for row in group.rows]
    numbers = components(len(image_set), np.array(links, dtype=np.int64).reshape(-1, 2))
    rows = np.unique(numbers, return_index=True)[1]  # the first of each group
    return tuple(named[row] for row in rows[numbers])


def keep_together(image_set: ImageSet, config: DataConfig, observer: Observer = silent) -> ImageSet:
    """Return the same images in the groups that a run asks for; near-copies are looked for if it does.

    Args:
        image_set: the source.
        config: says whether near-copies stay together.
        observer: receives the progress.

    Returns:
        The set, with a note on its groups if they were made here.

    Raises:
        InputError: near-copies of texts are asked for.
    """
    if config.groups == "source" or not len(image_set):
        return image_set
    if image_set.kind == TEXT:
        raise InputError(
            f"'{image_set.name}' holds texts; near-copies are looked for among images, leave --groups out."
        )
    groups = groups_of(image_set, inspect(image_set, _shown(observer)).duplicates)
    note = f"Near-copies stay in one part: {count_groups(groups).sentence(len(image_set))}"
    return replace(image_set, groups=groups, notes=(*image_set.notes, note))


def _shown(observer: Observer) -> Counted:
    """Return what reports every hundredth image, and the last one."""

    def count(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            observer(Progress("looking for near-copies", done, total))

    return count
