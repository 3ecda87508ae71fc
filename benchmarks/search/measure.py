"""Accuracy against cost of searches: independent repetitions over data sets and root seeds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.result_file import report, write_report
from benchmarks.search.figure import draw_search
from benchmarks.search.goals import judged
from benchmarks.search.pooled import by_data_set, search_bands, search_rows
from benchmarks.search.repetitions import Repetition, compare_searches, in_unit
from biotune.comparison.entries import BIOTUNE, OTHER_SEARCHES
from biotune.errors import InputError
from biotune.report.figures import to_png
from biotune.runner.setup import replace_fields, with_device
from biotune.runs.comparisons import folder_names
from biotune.runs.events import Observer
from biotune.runs.files import write_atomic
from biotune.runs.folder import StopSignal
from biotune.search import SEARCHES
from biotune.settings.config import RunConfig

DEFAULT_SEARCHES = ("random", "tpe", "cmaes", "dehb", "greedy")
COMPARED_PRESETS = ("paper", "reference")
RESULT, FIGURE = "search.json", "search.png"
_OWN_NAME = re.compile(r"search\.(json|png)|([a-z]+-)?seed-\d+")


@dataclass(frozen=True)
class SearchPlan:
    """The searches and data sets of a comparison.

    Args:
        config: BioTune's configuration; ``sources`` and ``seeds`` replace its data source and root seed.
        sources: data sets.
        seeds: root seeds, one for each repetition.
        others: other searches, with the same work as BioTune's.
        presets: name -> configuration of other protocols, which run to their own end.

    Raises:
        InputError: there is nothing to compare, a seed or search is named twice, or a search does not support the
            sizes.
    """

    config: RunConfig
    sources: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    others: tuple[str, ...] = DEFAULT_SEARCHES
    presets: Mapping[str, RunConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (*self.others, *self.presets)
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"'{twice[0]}' is named twice in --searches; name each once.")
        for name in self.others:
            SEARCHES[name].require(self.config.search.settings(self.config.data.folds))


def parse_searches(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the searches and the presets of a list such as ``random,tpe,paper``.

    Args:
        text: names, separated by commas.

    Returns:
        The names of searches and those of presets.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    known = (*OTHER_SEARCHES, *COMPARED_PRESETS)
    if wrong := [name for name in names if name not in known]:
        raise InputError(f"--searches cannot name '{wrong[0]}'; choose from {', '.join(known)}.")
    if not names:
        raise InputError(f"--searches names nothing; give some of {', '.join(known)}.")
    return tuple(name for name in names if name in OTHER_SEARCHES), tuple(n for n in names if n in COMPARED_PRESETS)


def measure_search(
    plan: SearchPlan, folder: Path, command: str, observer: Observer, stop: StopSignal | None = None
) -> dict[str, Any]:
    """Do all remaining repetitions, and write ``search.json`` and ``search.png``.

    Every repetition is an independent run: its root seed gives the points of the search and the seeds of all trainings.
    The splits of the data stay the same, and so do the test images.

    Args:
        plan: what to compare.
        folder: a new or empty folder, or that of the same benchmark; seeds and data sets can be added later.
        command: the command as the user typed it.
        observer: receives messages and progress.
        stop: a request to stop; everything finished stays stored.

    Returns:
        The content of ``search.json``.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    _require_ours(folder)
    stop = stop or StopSignal()
    plan = replace(plan, config=with_device(plan.config, None))
    repetitions = [
        _repetition(plan, source, name, seed, folder, observer, stop)
        for seed in plan.seeds
        for source, name in zip(plan.sources, folder_names(plan.sources), strict=True)
    ]
    content = _content(plan, command, repetitions)
    write_report(folder / RESULT, content)
    write_atomic(folder / FIGURE, to_png(draw_search(content)))
    return content


def _repetition(
    plan: SearchPlan, source: str, name: str, seed: int, folder: Path, observer: Observer, stop: StopSignal
) -> Repetition:
    """Run all searches on one data set with one root seed."""
    own = _at(plan.config, source, seed)
    unit, searches, facts = compare_searches(own, plan.others, folder / f"seed-{seed}" / name, observer, stop)
    for preset, config in plan.presets.items():
        place = folder / f"{preset}-seed-{seed}" / name
        other_unit, found, _ = compare_searches(_at(config, source, seed), (), place, observer, stop)
        searches[preset] = in_unit(found[BIOTUNE], other_unit, unit)
    return Repetition(name, seed, unit, searches, facts)


def _at(config: RunConfig, source: str, seed: int) -> RunConfig:
    """Return a configuration for one data set and root seed; seeds of trainings that a preset gives are dropped.

    All of them compute in float32, as the papers' preset does.
    """
    search = replace_fields(config.search, given_seeds=())
    final = replace_fields(config.final, baselines=(), test_all=False)
    data = replace_fields(config.data, source=source)
    compute = replace_fields(config.compute, precision="float32")
    return replace_fields(config, data=data, seed=seed, search=search, final=final, compute=compute)


def _content(plan: SearchPlan, command: str, repetitions: Sequence[Repetition]) -> dict[str, Any]:
    parts = by_data_set(repetitions)
    rows = search_rows(repetitions)
    content = {
        "settings": {
            "preset": plan.config.preset,
            "data_sets": {name: part[0].facts["data"] for name, part in parts.items()},
            "seeds": list(plan.seeds),
            "searches": [BIOTUNE, *plan.others, *plan.presets],
            "final_seeds": plan.config.final.seeds,
            "model": repetitions[0].facts["model"],
            "protocol": repetitions[0].facts["protocol"],
        },
        "goals": judged(rows),
        "searches": rows,
        "data_sets": {
            name: {"searches": search_rows(part), "curves": search_bands(part)} for name, part in parts.items()
        },
        "repetitions": [each.to_json() for each in repetitions],
    }
    compute = plan.config.compute
    return report("search", command, compute.device, compute.threads, content)


def _require_ours(folder: Path) -> None:
    """Refuse a folder that holds something else."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not _OWN_NAME.fullmatch(path.name) and not path.name.startswith("."):
            raise InputError(
                f"'{folder}' holds '{path.name}', which is not of this benchmark; choose a new folder with --out."
            )
