"""The small grid search on validation that tunes what a recipe is compared with: its choices race like candidates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from biotune.randomness import derived_seeds
from biotune.records import Task
from biotune.results.entry import Tried
from biotune.runner.final import Choice
from biotune.runner.race import Race, Raced
from biotune.runner.search import race_tasks
from biotune.runner.session import Session
from biotune.settings.config import KEPT
from biotune.trials.desk import Order

RATES = (1.0, 3.0, 0.3, 10.0, 0.1, 0.03)
"""Learning rates that a sweep tries, as multiples of the run's, in this order."""

FIRST_RATES = 3
"""So many rates are tried before the method's own options, which the allowance might not reach otherwise."""

WIDEST = (-6, 4)
"""A grid of rates is widened to these steps of its ladder at most: from 0.001 to 100 times the run's rate."""

LEADERS, REPEATS = 3, 3
"""What is left of the allowance after the grid repeats the three best choices on up to three further seeds."""


@dataclass(frozen=True)
class Axis:
    """One thing that a sweep varies while all else stays as in the best choice so far.

    Args:
        values: in the order of trying.
        at: the choice that has a value in the place of that of another choice.
    """

    values: tuple[float, ...]
    at: Callable[[Choice, float], Choice]


@dataclass(frozen=True)
class Trial:
    """One choice that was tried.

    Args:
        choice: what was trained.
        fitness: one value per seed.
        finished: whether it came to the end of the race; fitness is that of the rung where it stopped otherwise.
    """

    choice: Choice
    fitness: tuple[float, ...]
    finished: bool


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Args:
        best: the choice of highest mean fitness among those that finished the race; the first of a tie.
        trials: every choice that was tried.
    """

    best: Choice
    trials: tuple[Trial, ...]

    @property
    def rows(self) -> tuple[Tried, ...]:
        """What was tried, as the results hold it."""
        return tuple(
            Tried(
                method=trial.choice.method,
                multipliers=trial.choice.recipe.multipliers if trial.choice.recipe else (),
                fitness=trial.fitness,
                finished=trial.finished,
            )
            for trial in self.trials
        )


def sweep(session: Session, phase: str, start: Choice, rates: Axis, own: Sequence[Axis], allowance: float) -> Swept:
    """Try choices on validation, one axis after the other around the best so far, within an allowance of work.

    The choices of an axis race like candidates of the search: the same rungs, the same judging, the same seeds. A
    method that trains other blocks in later epochs is judged at its end. First come a few rates, then the method's own
    options at the best of them, then the other rates; each step but the last may take half of what is left, and tries
    one choice at least. Where a rate at the edge of the grid wins, the next one beyond it is tried. What is left of the
    allowance repeats the best choices on further seeds. A choice begins where the work that is left can finish it,
    counted in arithmetic, not in seconds, so that a continued run chooses alike.

    Args:
        session: of the run, after the search.
        phase: name under which the cost is booked.
        start: the method as it is; chosen where nothing was tried.
        rates: learning rates.
        own: the method's own options.
        allowance: in epochs of full fine-tuning on all training images.

    Returns:
        The choice, and what was tried.
    """
    trying = _Trying(session, phase, start, allowance)
    steps = [(axis, axis.values) for axis in own]
    if own:
        steps.insert(0, (rates, rates.values[:FIRST_RATES]))
    steps.append((rates, rates.values))
    for place, (axis, values) in enumerate(steps, 1):
        trying.along(axis, values, 1.0 if place == len(steps) else 0.5)
    trying.widen(rates)
    for seed in derived_seeds(REPEATS, session.config.seed, "sweep"):
        trying.repeat(seed)
    session.ledger.plan(phase, session.ledger.trainings(phase))
    found = trying.found()
    session.say(f"{phase[0].upper()}{phase[1:]}: {_written(found)}.")
    return found


def _written(found: Swept) -> str:
    """Write what was tried and what was chosen."""
    tried = [
        f"{trial.choice.label} {np.mean(trial.fitness):.4f}{'' if trial.finished else ' (stopped)'}"
        for trial in found.trials
    ]
    return f"tried {', '.join(tried) or 'nothing'}; chosen: {found.best.label or found.best.method}"


@dataclass
class _Trying:
    """The state of one sweep."""

    session: Session
    phase: str
    start: Choice
    allowance: float
    raced: dict[Choice, Raced] = field(default_factory=dict)
    repeated: dict[Choice, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tasks = self.session.tasks
        (seed, *_) = tasks.search_seeds
        (first, *_) = tasks.judged(self.start.method, self.start.recipe, seed)
        self.is_even = self.session.counter.is_even(first)
        self.race = Race(len(tasks.rungs) if self.is_even else 1, elites=1)
        self._work: dict[Choice, list[float]] = {}

    @property
    def used(self) -> float:
        """Work so far."""
        return self.session.work(self.phase)

    @property
    def best(self) -> Choice:
        """The best choice so far."""
        finished = [choice for choice, raced in self.raced.items() if raced.finished and raced.outcome == "ok"]
        return max(finished or self.raced, key=self._mean, default=self.start)

    def _values(self, choice: Choice) -> list[float]:
        """Return the fitness of a choice, by seeds of the search and then by further ones."""
        results = self.raced[choice].results
        seeds = len(self.session.tasks.search_seeds)
        each = len(results) // seeds
        values = [float(np.mean([r.fitness for r in results[i * each : (i + 1) * each]])) for i in range(seeds)]
        return values + self.repeated.get(choice, [])

    def _mean(self, choice: Choice) -> float:
        return float(np.mean(self._values(choice)))

    def found(self) -> Swept:
        """Return the best choice, and all that were tried."""
        trials = tuple(Trial(c, tuple(self._values(c)), raced.finished) for c, raced in self.raced.items())
        return Swept(self.best, trials)

    def along(self, axis: Axis, values: Sequence[float], share: float) -> None:
        """Try values of an axis around the best choice so far, within a share of the work that is left."""
        end = self.used + share * (self.allowance - self.used)
        around, first = self.best, True
        while self.used < self.allowance:
            made = dict.fromkeys(axis.at(around, value) for value in values)
            new = [choice for choice in made if choice not in self.raced]
            count = self._affordable(new, end - self.used) or min(len(new), int(first))
            if not count:
                return
            self._race(new[:count])
            first = False

    def widen(self, rates: Axis) -> None:
        """Try the rate beyond the edge of what was tried, as long as the edge wins and there is work for it."""
        while (beyond := self._beyond(rates)) is not None:
            if self._expected([beyond]) > self.allowance - self.used:
                return
            self._race([beyond])

    def _beyond(self, rates: Axis) -> Choice | None:
        """Return the choice beyond the edge, None if the best rate is not at an edge or there is nothing beyond."""
        best = self.best
        ladder = [step_of_ladder(step) for step in range(WIDEST[0], WIDEST[1] + 1)]
        tried = [rate for rate in ladder if rates.at(best, rate) in self.raced]
        value = next((rate for rate in tried if rates.at(best, rate) == best), None)
        if value is None:
            return None
        step = 1 if value == max(tried) else -1 if value == min(tried) else 0
        place = ladder.index(value) + step
        if step == 0 or not 0 <= place < len(ladder):
            return None
        beyond = rates.at(best, ladder[place])
        return None if beyond in self.raced else beyond

    def repeat(self, seed: int) -> None:
        """Judge the best choices on a further seed, as far as the work lasts."""
        tasks = self.session.tasks
        finished = [choice for choice, raced in self.raced.items() if raced.finished and raced.outcome == "ok"]
        leaders = sorted(finished, key=lambda choice: -self._mean(choice))[:LEADERS]
        wanted = {choice: tasks.judged(choice.method, choice.recipe, seed) for choice in leaders}
        orders, expected = list[Order](), self.used
        for choice, own in wanted.items():
            expected += self._work_of(own)
            orders += [Order(task, choice.label, expected <= self.allowance) for task in own]
        queue = self.session.desk.queue(self.phase, orders)
        for choice, own in wanted.items():
            if self.used + self._work_of(own) > self.allowance:
                return
            results = [queue.obtain(task) for task in own]
            self.repeated.setdefault(choice, []).append(float(np.mean([result.fitness for result in results])))

    def _race(self, choices: Sequence[Choice]) -> None:
        """Let choices race: as candidates of the search do, or straight to their end."""
        running = list(range(len(choices)))
        raced: list[Raced] = []
        for stage in range(self.race.num_rungs):
            wanted = [self._tasks(choices[index], raced[index] if stage else None, stage) for index in running]
            self.session.ledger.plan(self.phase, self.session.ledger.trainings(self.phase) + sum(map(len, wanted)))
            orders = [
                Order(task, choices[index].label) for index, own in zip(running, wanted, strict=True) for task in own
            ]
            queue = self.session.desk.queue(self.phase, orders)
            for index, own in zip(running, wanted, strict=True):
                results = [queue.obtain(task) for task in own] or raced[index].results
                raced[index : index + 1] = [self.race.arrived(results, stage)]
            running = self._that_fit(choices, self.race.promoted(raced, running, stage), stage + 1)
        self.raced.update(zip(choices, raced, strict=True))

    def _tasks(self, choice: Choice, before: Raced | None, stage: int) -> list[Task]:
        tasks = self.session.tasks
        if not self.is_even:
            return [t for seed in tasks.search_seeds for t in tasks.judged(choice.method, choice.recipe, seed)]
        return race_tasks(tasks, choice.method, choice.recipe, before, None, stage)

    def _affordable(self, choices: Sequence[Choice], work: float) -> int:
        """Return how many of the first choices can finish a race within so much work."""
        return max((n for n in range(len(choices) + 1) if self._expected(choices[:n]) <= work), default=0)

    def _that_fit(self, choices: Sequence[Choice], running: list[int], stage: int) -> list[int]:
        """Return those that may go on, the best first: more than a third did well, but the work may not be there."""
        if stage == self.race.num_rungs:
            return running
        left, first = self.allowance - self.used, not any(raced.finished for raced in self.raced.values())
        fit = [n for n in range(len(running) + 1) if self._expected([choices[i] for i in running[:n]], stage) <= left]
        return running[: max(max(fit, default=0), int(first))]

    def _expected(self, choices: Sequence[Choice], stage: int = 0) -> float:
        """Return the work of a race from a rung on, if nothing ends early: at each the mean choice, for those there."""
        count, total = len(choices), 0.0
        if not count:
            return 0.0
        for works in list(zip(*(self._works(choice) for choice in choices), strict=True))[stage:]:
            total += count * math.fsum(works) / len(works)
            count = max(1, math.ceil(KEPT * count))
        return total

    def _works(self, choice: Choice) -> list[float]:
        """Return the work that brings a choice to each rung from the one before."""
        if choice not in self._work:
            stages = [self._tasks(choice, None, stage) for stage in range(self.race.num_rungs)]
            self._work[choice] = [self._work_of(tasks) for tasks in stages]
        return self._work[choice]

    def _work_of(self, tasks: Sequence[Task]) -> float:
        """Return the work of tasks of which none stops early."""
        counter = self.session.counter
        return math.fsum(
            counter.work_of(task, task.last_epoch or task.epochs)
            - (counter.work_of(task, task.first_epoch) if task.first_epoch else 0.0)
            for task in tasks
        )


def step_of_ladder(step: int) -> float:
    """Return a rate of the ladder ..., 0.1, 0.3, 1, 3, 10, ...: step 0 is 1, each further step a factor of about 3."""
    return float(f"{3 if step % 2 else 1}e{step // 2}")
