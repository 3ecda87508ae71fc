"""Every entry on every data set and seed; what is stored is not measured again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alternatives.entries import entry_of
from benchmarks.alternatives.figure import draw_alternatives
from benchmarks.alternatives.process import measured
from benchmarks.alternatives.task import Task, write_task
from benchmarks.result_file import report, require_writable, write_report
from biotune.errors import InputError
from biotune.report.figures import to_png
from biotune.runner.setup import replace_fields
from biotune.runs.comparisons import folder_names
from biotune.runs.files import write_atomic
from biotune.settings.config import RunConfig
from biotune.significance import ranking
from biotune.statistics import mean_and_standard_error, paired_interval

RESULT, FIGURE = "alternatives.json", "alternatives.png"
REFERENCES = ("biotune-standard", "biotune-quick", "biotune-standard@auto", "biotune-quick@auto")
"""What the others are compared with: the first of these that was measured."""

Say = Callable[[str], None]
Found = dict[str, Any]


@dataclass(frozen=True)
class AlternativesPlan:
    """What is measured.

    Args:
        config: data, parts, network, image size and threads; ``sources`` replace its data source.
        sources: data sets.
        seeds: one repetition each.
        entries: their names.

    Raises:
        InputError: a name is unknown or given twice, or there is none.
    """

    config: RunConfig
    sources: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.entries:
            raise InputError("--entries names nothing; give some names, separated by commas.")
        for name in self.entries:
            entry_of(name)
            if self.entries.count(name) > 1:
                raise InputError(f"'{name}' is named twice in --entries; name each once.")


def measure_alternatives(plan: AlternativesPlan, folder: Path, command: str, say: Say) -> Found:
    """Do all that is not stored yet, seed by seed, and write ``alternatives.json`` and ``alternatives.png``.

    Args:
        plan: what is measured.
        folder: a new or empty folder, or that of the same benchmark; entries, seeds and data sets can be added later.
        command: the command as the user typed it.
        say: called with the name of each measurement.

    Returns:
        The content of ``alternatives.json``.

    Raises:
        InputError: bad input, or the folder holds another task; BioTuneError: an entry failed.
    """
    skipped = {name: entry_of(name).missing for name in plan.entries if entry_of(name).missing}
    if len(skipped) == len(plan.entries):
        raise InputError(" ".join(skipped.values()))
    require_writable(folder / RESULT)
    names = folder_names(plan.sources)
    config = _complete(plan.config)
    tasks = {name: _task(config, source, folder / name) for name, source in zip(names, plan.sources, strict=True)}
    able = [name for name in plan.entries if name not in skipped]
    found: dict[str, list[Found]] = {name: [] for name in tasks}
    for seed in plan.seeds:
        for data_set, task in tasks.items():
            found[data_set] += [_one(task, name, seed, say) for name in able]
    content = _content(plan, config, tasks, found, skipped, command)
    write_report(folder / RESULT, content)
    write_atomic(folder / FIGURE, to_png(draw_alternatives(content)))
    return content


def _complete(config: RunConfig) -> RunConfig:
    """Return the configuration with one thread where no number is given; entries see images of one size."""
    compute = replace_fields(config.compute, threads=config.compute.threads or 1, device="cpu")
    return replace_fields(config, compute=compute)


def _task(config: RunConfig, source: str, folder: Path) -> Task:
    return write_task(replace_fields(config, data=replace_fields(config.data, source=source)), folder)


def _one(task: Task, name: str, seed: int, say: Say) -> Found:
    """Return what is stored, or measure and store it."""
    stored = task.folder / f"{name}-seed-{seed}.json"
    if stored.exists():
        known: Found = json.loads(stored.read_text(encoding="utf-8"))
        return known
    say(f"{task.folder.name}: {name}, seed {seed}")
    found = measured(task, name, seed)
    write_atomic(stored, json.dumps(found) + "\n")
    return found


def _content(
    plan: AlternativesPlan,
    config: RunConfig,
    tasks: Mapping[str, Task],
    found: Mapping[str, Sequence[Found]],
    skipped: Mapping[str, str],
    command: str,
) -> Found:
    rows = {name: rows_of(task, found[name]) for name, task in tasks.items()}
    shared = list(next(iter(rows.values())))
    ranks = ranking({name: [rows[data_set][name]["accuracy"] for data_set in rows] for name in shared})
    content = {
        "settings": {
            "model": config.model.name,
            "image_size": next(iter(tasks.values())).image_size,
            "seeds": list(plan.seeds),
            "titles": {name: entry_of(name).title for name in shared},
            "data_sets": {
                name: {"classes": len(task.classes), **{part: len(own) for part, own in task.parts.items()}}
                for name, task in tasks.items()
            },
        },
        "skipped": dict(skipped),
        "mean_ranks": ranks.mean_ranks,
        "data_sets": rows,
        "results": [
            {"data_set": name, **{key: value for key, value in one.items() if key != "predicted"}}
            for name, own in found.items()
            for one in own
        ],
    }
    return report("alternatives", command, "cpu", config.compute.threads, content)


def rows_of(task: Task, found: Sequence[Found]) -> dict[str, Found]:
    """Return one row for each entry: means over seeds, the 95 % interval, medians of costs, and the difference.

    Args:
        task: says what is right.
        found: results of all entries and seeds.

    Returns:
        Entry -> ``accuracy``, its ``standard_error`` over seeds (None for one), ``low`` and ``high`` (resampled test
        images and seeds), ``macro``, ``cpu_s``, ``wall_s``, and ``difference``: BioTune minus the entry, or None.
    """
    correct = {name: _correct(task, found, name) for name in dict.fromkeys(one["entry"] for one in found)}
    reference = next((name for name in REFERENCES if name in correct), None)
    rows = {}
    for name, answers in correct.items():
        own = [one for one in found if one["entry"] == name]
        mean, error = mean_and_standard_error(answers.mean(axis=1).tolist())
        interval = paired_interval(answers, np.zeros_like(answers))
        other = None if reference in (None, name) else paired_interval(correct[str(reference)], answers)
        rows[name] = {
            "accuracy": mean,
            "standard_error": error,
            "low": interval.low,
            "high": interval.high,
            "macro": float(np.mean([one["macro"] for one in own])),
            "cpu_s": float(np.median([one["cpu_s"] for one in own])),
            "wall_s": float(np.median([one["wall_s"] for one in own])),
            "difference": None if other is None else other.to_json(),
        }
    return rows


def _correct(task: Task, found: Sequence[Found], name: str) -> NDArray[np.bool_]:
    """Return where an entry was right, shape (seeds, test images)."""
    answers = np.array([one["predicted"] for one in found if one["entry"] == name], dtype=np.int64)
    correct: NDArray[np.bool_] = answers == task.truth()
    return correct
