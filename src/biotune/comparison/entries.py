"""What takes part in a comparison: fine-tuning methods, searches, and what is derived from BioTune's recipe."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from biotune.errors import InputError
from biotune.methods import METHODS, canonical
from biotune.options import checked, split, written
from biotune.records import GIVEN
from biotune.search import SEARCHES

BIOTUNE, MASK = "biotune", "mask_one_rate"
TRAINABLE = tuple(name for name in METHODS if name != GIVEN)
OTHER_SEARCHES = tuple(name for name in SEARCHES if name != "evolution")
DEFAULT_METHODS = (BIOTUNE, *TRAINABLE, MASK)
"""The default table: every method, and BioTune's mask with one rate, which says what the mask alone is worth."""


@dataclass(frozen=True)
class Entry:
    """One row of a comparison.

    Args:
        key: its name in results: as typed, in canonical spelling.
        kind: ``search`` finds a recipe, ``method`` is trained as it is, ``mask`` trains the blocks of BioTune's recipe
            at one rate.
        search: settings of the search that differ from the run's.
        equal_work: whether a search ends when it has done as much work as BioTune's.
        folds: number of training folds, one per generation in turn; 0 to use the run's setting.
        typed: a method as typed, with options that the key leaves out since they are its defaults.
    """

    key: str
    kind: Literal["search", "method", "mask"]
    search: Mapping[str, Any] = field(default_factory=dict)
    equal_work: bool = True
    folds: int = 0
    typed: str = field(default="", compare=False)

    @property
    def is_tuned(self) -> bool:
        """Whether a sweep on validation is worth a second row; a search, and a method without rates, are their own."""
        return self.kind == "mask" or (self.kind == "method" and not METHODS[self.key.partition(":")[0]].is_solved)


def parse_entries(text: str) -> tuple[Entry, ...]:
    """Return the entries of a list such as ``biotune,full,l2_sp:alpha=0.1,beta=0,tpe``.

    After a comma, a piece with ``=`` but no ``:`` is another option of the method before it.

    Args:
        text: names of methods and searches, ``biotune``, ``mask_one_rate``, or ``all``; separated by commas.

    Returns:
        One entry per name, in order; BioTune first, if it takes part.

    Raises:
        InputError: an unknown name or option, a name twice, or nothing; in one sentence.
    """
    entries = [_entry(item) for item in _items(text)]
    keys = [entry.key for entry in entries]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise InputError(f"'{twice[0]}' is named twice in --methods; name each once.")
    if MASK in keys and BIOTUNE not in keys:
        raise InputError(f"'{MASK}' trains the blocks of BioTune's recipe; add '{BIOTUNE}' to --methods.")
    if not entries:
        raise InputError(f"--methods is empty; give some of {', '.join(_names())}, or all.")
    return tuple(sorted(entries, key=lambda entry: entry.key != BIOTUNE))


def _items(text: str) -> Iterable[str]:
    items: list[str] = []
    for piece in filter(None, (part.strip() for part in text.split(","))):
        if "=" in piece and ":" not in piece and items:
            items[-1] += f",{piece}"
        elif piece == "all":
            items += DEFAULT_METHODS
        else:
            items.append(piece)
    return items


def _entry(item: str) -> Entry:
    if item == BIOTUNE:
        return Entry(item, "search")
    if item == MASK:
        return Entry(item, "mask")
    name = item.partition(":")[0]
    if name in OTHER_SEARCHES:
        _, given = split(item, "search", SEARCHES)
        key = written(name, checked(SEARCHES[name].Options, given, f"search '{name}'"))
        return Entry(key, "search", {"name": key})
    if name not in TRAINABLE:
        near = difflib.get_close_matches(name, _names(), 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise InputError(f"'{item}' is neither a method nor a search{hint}; choose from {', '.join(_names())}.")
    return Entry(canonical(item), "method", typed=item)


def _names() -> tuple[str, ...]:
    return (*DEFAULT_METHODS, *OTHER_SEARCHES)
