r"""How well many workers are used: runs rehearsed with measured task times, for 1 to 1,024 workers.

A training takes its work, in full fine-tunes, times the seconds that a training of like work took for it in a real run.
Search, race, sweep and desk are those of a run (``biotune.runner.rehearsal``); scores are drawn, so a simulation tells
time and not accuracy.

    python -m benchmarks.simulation --run runs/digits     task times of a finished run of one worker
    python -m benchmarks.simulation                       simulate with them
"""

import argparse
import heapq
import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from biotune.randomness import Stream
from biotune.recipe import Recipe
from biotune.records import GIVEN, Evaluation, Task
from biotune.report.figures import styled, to_png
from biotune.runner.limits import Limit
from biotune.runner.race import Race, Raced
from biotune.runner.rehearsal import Pretend, by_store, by_work, rehearse
from biotune.runner.search import race_tasks
from biotune.runner.session import Session
from biotune.runner.setup import Setup, set_up
from biotune.runs.events import silent
from biotune.runs.folder import CONFIG, STORE
from biotune.runs.store import RunStore
from biotune.settings.config import KEPT, RunConfig
from biotune.settings.resolve import load_config, resolve, result_hash
from biotune.trials.counting import Counter
from biotune.trials.desk import Order
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker

WORKERS = tuple(2**power for power in range(11))
ALIKE = 1.5
"""Trainings are alike whose work differs by this factor at most from that of the closest one that was measured."""

BASE: dict[str, dict[str, Any]] = {
    "data": {"source": "mnist5000", "train_images": 160, "validation_images": 40, "test_images": 200},
    "model": {"name": "tf_efficientnet_lite0", "image_size": 64},
    "compute": {"threads": 1, "device": "cpu", "workers": 1},
}
"""The data and network of the measured run."""


@dataclass(frozen=True)
class Setting:
    """One way to run.

    Args:
        name: as the table names it.
        changes: to the preset, by section.
        preset: where all other settings come from.
        asynchronous: whether a candidate goes on as soon as it is among the better ones so far.
    """

    name: str
    changes: Mapping[str, Mapping[str, Any]]
    preset: str = "standard"
    asynchronous: bool = False


SETTINGS = (
    Setting("quick", {}, preset="quick"),
    Setting("standard", {}),
    Setting("no baselines", {"final": {"baselines": ()}}),
    Setting("asynchronous", {}, asynchronous=True),
    Setting("population 36", {"search": {"population": 36}}),
    Setting("population 36, work 16", {"search": {"population": 36, "max_work": 16.0}}),
    Setting("population 144, work 64", {"search": {"population": 144, "max_work": 64.0}}),
    Setting(
        "population 144, work 64, asynchronous", {"search": {"population": 144, "max_work": 64.0}}, asynchronous=True
    ),
)


@dataclass(frozen=True)
class Point:
    """What so many workers reach.

    Args:
        workers: how many.
        seconds: from the first training to the end of the last.
        trained: seconds of all trainings together.
        busy: share of the workers' time in which they train.
    """

    workers: int
    seconds: float
    trained: float
    busy: float


def simulate(setting: Setting, times: Sequence[tuple[float, float]], workers: Sequence[int] = WORKERS) -> list[Point]:
    """Rehearse a run with each number of workers.

    Args:
        setting: how it is run.
        times: work in full fine-tuning epochs, and seconds, of measured trainings.
        workers: the numbers.

    Returns:
        One point each.
    """
    base = {section: {**fields} for section, fields in BASE.items()}
    for section, fields in setting.changes.items():
        base.setdefault(section, {}).update(fields)
    setup, worker = _set_up(resolve(setting.preset, base))
    counter = Counter(worker)
    pretend = by_times(counter, times)
    points = []
    for number in workers:
        with patch("biotune.runner.search.run_batch", asynchronous_batch) if setting.asynchronous else nullcontext():
            found = rehearse(setup, worker, counter, number, pretend)
        points.append(Point(number, found.seconds, found.trained, found.trained / (number * found.seconds)))
    return points


def by_times(counter: Counter, times: Sequence[tuple[float, float]]) -> Pretend:
    """Return what pretends trainings that take as long as some of like work took, drawn for each task."""
    plain = by_work(counter, 1.0)

    def pretend(task: Task) -> Evaluation:
        result = plain(task)
        work = max(result.seconds, min(times)[0])
        like = min((known for known, _ in times), key=lambda known: abs(math.log(known / work)))
        rates = [seconds / known for known, seconds in times if like / ALIKE <= known <= like * ALIKE]
        return replace(result, seconds=result.seconds * rates[Stream(int(task.key, 16), "rate").integer(len(rates))])

    return pretend


def asynchronous_batch(
    session: Session,
    race: Race,
    limit: Limit,
    recipes: Sequence[Recipe],
    fold: int,
    detail: str,
    stop_at: int | None = None,
) -> list[Raced]:
    """Stand in for ``run_batch``: a candidate goes on when it is among the better third of those that came before it.

    Nobody waits for the end of a rung. Which candidates go on depends on the order in which trainings end, as in ASHA
    (Li et al., 2020); a run would have to decide by the order of asking, and wait a little more.
    """
    del limit
    desk, last = session.desk, len(session.tasks.rungs) - 1 if stop_at is None else stop_at
    reached: list[list[float]] = [[] for _ in range(last + 1)]
    raced = [Raced(()) for _ in recipes]
    pending = {(at, 0): race_tasks(session.tasks, GIVEN, recipe, None, None, 0) for at, recipe in enumerate(recipes)}
    ready = deque(task for wanted in pending.values() for task in wanted)
    desk.ledger.shown = session.search_name
    while pending:
        while ready and desk.has_room:
            task = ready.popleft()
            if desk.known(task) is None and not desk.is_running(task):
                desk.begin(session.search_name, Order(task, detail))
        if any(desk.is_running(task) for wanted in pending.values() for task in wanted):
            desk.take_one()
        for (at, rung), wanted in list(pending.items()):
            results = [result for task in wanted if (result := desk.known(task)) is not None]
            if len(results) < len(wanted):
                continue
            del pending[at, rung]
            for task, result in zip(wanted, results, strict=True):
                if not task.is_infeasible:
                    desk.ledger.book(session.search_name, task, result)
            raced[at] = race.arrived(results, rung, fold)
            reached[rung].append(raced[at].fitness)
            is_ok = rung < last and raced[at].outcome == "ok"
            if is_ok and raced[at].fitness in heapq.nlargest(math.ceil(KEPT * len(reached[rung])), reached[rung]):
                pending[at, rung + 1] = race_tasks(session.tasks, GIVEN, recipes[at], raced[at], None, rung + 1)
                ready.extendleft(pending[at, rung + 1])
    return raced


def measured(folder: Path) -> list[tuple[float, float]]:
    """Return the work and the CPU seconds of the trainings of a finished run of one worker, by work."""
    config, *_ = load_config(folder / CONFIG)
    setup, worker = _set_up(config)
    counter = Counter(worker)
    plain, rows = by_work(counter, 1.0), set[tuple[float, float]]()
    with RunStore(folder / STORE, read_only=True) as store:
        known = by_store(store, plain)

        def noted(task: Task) -> Evaluation:
            result = known(task)
            rows.add((round(plain(task).seconds, 4), round(result.cpu_seconds, 4)))
            return result

        rehearse(setup, worker, counter, 1, noted, result_hash(setup.config, setup.facts))
    return sorted(rows)


def _set_up(config: RunConfig) -> tuple[Setup, Worker]:
    setup = set_up(config, None, silent, dry=True)
    data = trial_data(setup.data, setup.config)
    spec = WorkerSpec(setup.config, len(setup.data.class_names), setup.loaded.weights_sha256, data, Path())
    return setup, Worker(spec, setup.loaded)


def draw(found: Mapping[str, Sequence[Point]]) -> Figure:
    """Draw how many times as fast as one worker each number of workers is."""
    with styled():
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.subplots()
        for number, (name, points) in enumerate(found.items()):
            gained = [points[0].seconds / point.seconds for point in points]
            line = "--" if "asynchronous" in name else "-"
            axes.plot([point.workers for point in points], gained, line, marker="o", color=f"C{number}", label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xlabel("workers")
        axes.set_ylabel("times as fast as one worker")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.legend()
        return figure


def table(found: Mapping[str, Sequence[Point]]) -> str:
    """Return a table in Markdown: how many times as fast as one worker, and how much of the time workers train."""
    numbers = [point.workers for point in next(iter(found.values()))]
    lines = ["| run | hours of one worker | " + " | ".join(map(str, numbers)) + " |", "|---" * (len(numbers) + 2) + "|"]
    for name, points in found.items():
        one = points[0].seconds
        cells = " | ".join(f"{one / point.seconds:.1f} ({100 * point.busy:.0f} %)" for point in points)
        lines.append(f"| {name} | {one / 3600:.2g} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure task times from a run, or simulate, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="finished run of one worker whose task times are to be written")
    parser.add_argument("--times", type=Path, default=Path("docs/results/task_seconds.json"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/simulation.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/results/simulation.png"))
    arguments = parser.parse_args()
    if arguments.run:
        content = {"columns": ["epochs of full fine-tuning", "CPU seconds"], "rows": measured(arguments.run)}
        arguments.times.write_text(json.dumps(content) + "\n")
        return
    times = [tuple(row) for row in json.loads(arguments.times.read_text())["rows"]]
    found = {}
    for setting in SETTINGS:
        found[setting.name] = simulate(setting, times)
        print(table({setting.name: found[setting.name]}), flush=True)
    rows = {name: [asdict(point) for point in points] for name, points in found.items()}
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    arguments.figure.write_bytes(to_png(draw(found)))


if __name__ == "__main__":
    main()
