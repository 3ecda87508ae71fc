"""The comparisons behind the papers' tables: what they will take, and doing them, one after the other."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paper.plan import Cell, Changes, Scale, config_of, entries_of
from biotune.comparison import ABLATIONS, ComparePlan, Entry, compare
from biotune.datasets import DATASETS, data_root, open_source
from biotune.datasets.splits import require_learnable
from biotune.results import Comparison
from biotune.runner.estimate import estimate_run
from biotune.runner.setup import replace_fields
from biotune.runs.comparisons import COMPARISON
from biotune.runs.events import Observer, silent
from biotune.runs.files import write_atomic
from biotune.runs.folder import StopSignal
from biotune.settings.config import RunConfig


@dataclass(frozen=True)
class Expected:
    """What a comparison will take.

    Args:
        cell: the comparison.
        trainings: at most, sweeps left out.
        seconds: at most, without early stopping and on this machine; None where its images are not here.
        lacking: where its images come from, if they are not here.
    """

    cell: Cell
    trainings: int
    seconds: float | None
    lacking: str = ""


def is_tuned(cell: Cell) -> bool:
    """Return whether each method also gets a sweep of its own; the papers' protocol has none."""
    return cell.protocol != "paper" and cell.part not in ABLATIONS


def measure(
    cells: Sequence[Cell],
    scale: Scale,
    changes: Changes,
    folder: Path,
    command: Callable[[Cell], str],
    observer: Observer = silent,
    stop: StopSignal | None = None,
) -> None:
    """Do comparisons, or what is left of them; each has a folder of its own, and continues where it was stopped.

    Args:
        cells: what to do, in this order.
        scale: their scale.
        changes: settings of the machine, as for ``config_of``.
        folder: holds the folders of all comparisons.
        command: what does a comparison again, to be written into its result.
        observer: receives messages and progress.
        stop: a request to stop.

    Raises:
        InputError: bad input; data sets of the user are looked at before the first takes its hours.
    """
    for source in scale.sources.values():
        require_learnable(open_source(source, config_of(cells[0], scale, changes).data.root))
    for cell in cells:
        config = config_of(cell, scale, changes)
        plan = ComparePlan(config, (config.data.source,), entries_of(cell, config), is_tuned(cell))
        compare(plan, folder / cell.name, command(cell), observer, stop)


def collect(cells: Iterable[Cell], folder: Path, results: Path) -> dict[Cell, Comparison]:
    """Copy the results of finished comparisons, and return all that are there, copied now or before.

    Args:
        cells: the comparisons.
        folder: holds their folders; need not exist.
        results: holds a result file for each, named by the cell.

    Returns:
        Those that are finished.
    """
    found: dict[Cell, Comparison] = {}
    for cell in cells:
        kept, done = results / f"{cell.name}.json", folder / cell.name / COMPARISON
        if done.exists():
            content = json.loads(done.read_text(encoding="utf-8"))
            results.mkdir(parents=True, exist_ok=True)
            write_atomic(kept, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
        if kept.exists():
            found[cell] = Comparison.read(kept)
    return found


def expected(cell: Cell, scale: Scale, changes: Changes) -> Expected:
    """Return what a comparison will take: trainings counted, time from a few measured steps."""
    config = config_of(cell, scale, changes)
    entries = entries_of(cell, config)
    trainings = sum(_trainings(entry, config) for entry in entries)
    info = DATASETS.get(config.data.source)
    if info is not None and info.find(data_root(config.data.root)) is None:
        return Expected(cell, trainings, None, info.bring)
    searches = [entry for entry in entries if entry.kind == "search"]
    estimates = [estimate_run(_searching(entry, config), None, silent) for entry in searches]
    swept = sum(entry.is_tuned for entry in entries) if is_tuned(cell) else 0
    methods = len(entries) - len(searches) + swept
    further = methods * config.final.seeds + swept * config.search.max_work
    seconds = sum(one.seconds for one in estimates) + further * estimates[0].full_finetune_seconds
    return Expected(cell, trainings, seconds)


def _trainings(entry: Entry, config: RunConfig) -> int:
    """Return how many trainings an entry takes at most, without a sweep."""
    if entry.kind != "search":
        return config.final.seeds
    own = _searching(entry, config)
    return own.search.evaluations * own.search.seeds + own.final_trainings(own.final.candidates)


def _searching(entry: Entry, config: RunConfig) -> RunConfig:
    """Return the configuration of a run with the search of an entry."""
    data = replace_fields(config.data, folds=entry.folds or config.data.folds)
    return replace_fields(config, data=data, search=config.search.changed(**entry.search))
