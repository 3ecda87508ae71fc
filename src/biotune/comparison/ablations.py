"""Named variants of BioTune's search: what each part of it is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

from biotune.comparison.entries import BIOTUNE, Entry, parse_entries
from biotune.errors import InputError
from biotune.settings.search import SEARCHED_VALUES

_OPERATORS: Mapping[str, Mapping[str, Any]] = {
    "no exploitation": {"name": "evolution:exploit=off"},
    "no momentum": {"name": "evolution:momentum=false"},
    "no mutation": {"name": "evolution:mutation=false"},
    "no adaptation": {"name": "evolution:adaptation=off"},
    "random start": {"start": "random"},
    "one by one": {"name": "evolution:offspring=sequential"},
    "mu + lambda": {"name": "evolution:survivors=mu+lambda"},
    "fixed threshold 0.5": {"threshold": 0.5},
}
_LAWS: Mapping[str, Mapping[str, Any]] = {
    "scaled": {"law": "scaled"},
    "normalized": {"law": "normalized"},
    "mask only": {"law": "discriminative"},
    "rates only": {"threshold": "none"},
}
_VALUES: Mapping[str, Mapping[str, Any]] = {
    "blocks and rates only": {"values": ()},
    **{f"no choice of {name}": {"values": tuple(v for v in SEARCHED_VALUES if v != name)} for name in SEARCHED_VALUES},
    "one rate for all blocks": {"law": "one_rate", "threshold": "none"},
}
_BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "population 4, 1 generation": {"population": 4, "elites": 1, "generations": 1, "max_work": 0.0},
    "population 6, 2 generations": {"population": 6, "elites": 1, "generations": 2, "max_work": 0.0},
    "population 10, 10 generations": {"population": 10, "elites": 3, "generations": 10, "max_work": 0.0},
    "3 seeds": {"seeds": 3, "max_work": 0.0},
    "every candidate trained to the end": {"rungs": (1.0,), "max_work": 0.0},
}
_SHARES = {"10 % of the data": 10, "20 % of the data": 5, "25 % of the data": 4, "50 % of the data": 2}

ABLATIONS: dict[str, tuple[Entry, ...]] = {
    "operators": tuple(Entry(key, "search", changes) for key, changes in _OPERATORS.items()),
    "law": tuple(Entry(key, "search", changes) for key, changes in _LAWS.items()),
    "values": tuple(Entry(key, "search", changes) for key, changes in _VALUES.items()),
    "budget": tuple(Entry(key, "search", changes, equal_work=False) for key, changes in _BUDGETS.items()),
    "data": tuple(
        Entry(key, "search", {"max_work": 0.0}, equal_work=False, folds=folds) for key, folds in _SHARES.items()
    ),
}
"""Name -> variants. ``operators``, ``law`` (from gene to rate) and ``values`` (what is chosen besides blocks and rates,
or instead of them) get as much work as BioTune; ``budget`` and ``data`` (share of the training images in each
generation; the papers' Table III) run to their own end."""

UNLIMITED: Mapping[str, Mapping[str, Any]] = {"search": {"max_work": 0.0}}
"""What an ablation changes in the run's settings, unless the user says otherwise: under the allowance of ``quick`` and
``standard`` hardly a candidate is bred, so that operators have nothing to do."""


def entries_of(methods: str | None, name: str | None, rungs: Sequence[float]) -> tuple[Entry, ...]:
    """Return what a comparison compares: the methods that are named, all of them, or the variants of an ablation.

    Args:
        methods: as for ``parse_entries``; None for all.
        name: of an ablation; None for none.
        rungs: as for ``ablation``.

    Returns:
        Entries for a comparison.

    Raises:
        InputError: both, or an unknown name.
    """
    if name is None:
        return parse_entries("all" if methods is None else methods)
    if methods is not None:
        raise InputError("give either methods or an ablation: an ablation names its variants itself.")
    if name not in ABLATIONS:
        raise InputError(f"the ablation '{name}' is unknown; choose one of {', '.join(ABLATIONS)}.")
    return ablation(name, rungs)


def ablation(name: str, rungs: Sequence[float]) -> tuple[Entry, ...]:
    """Return BioTune as configured, then the variants of an ablation.

    Args:
        name: in ``ABLATIONS``.
        rungs: of BioTune's race: without one, every candidate goes straight to the last of them.

    Returns:
        Entries for a comparison.
    """
    no_race = (Entry("no race", "search", {"rungs": tuple(rungs[-1:])}),) if name == "operators" else ()
    return (Entry(BIOTUNE, "search"), *ABLATIONS[name], *no_race)
