"""The sweep of a method: what it tries in which order, that its choices race, and how far an allowance carries."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from biotune.comparison.grids import own_of, rates
from biotune.methods import parse_method
from biotune.records import EpochRecord, Evaluation, Task
from biotune.runner.final import Choice
from biotune.runner.sweep import RATES, step_of_ladder, sweep


class Sweeping:
    """Stands in for session, desk, ledger, counter and tasks: a training costs its epochs, its score is given."""

    def __init__(self, score, rungs=(2, 4), folds=1, even=True):
        self.score, self.rungs, self.even = score, rungs, even
        self.search_seeds, self.judging = (0,), tuple(range(folds)) if folds > 1 else (None,)
        self.out_of_fold = folds > 1
        self.tasks = self.desk = self.ledger = self.counter = self
        self.config = SimpleNamespace(seed=0, data=SimpleNamespace(folds=1))
        self.booked, self.asked, self.said = {}, [], []

    def one(self, method, recipe, seed, fold=None, epochs=(0, 0)):
        return Task(method, recipe, fold, seed, 12, "hash", False, False, *epochs)

    def judged(self, method, recipe, seed):
        tasks = [self.one(method, recipe, seed, fold) for fold in self.judging]
        return [replace(task, last_epoch=self.rungs[-1]) if self.even else task for task in tasks]

    def is_even(self, _task):
        return self.even

    def work_of(self, _task, epochs):
        return float(epochs)

    def work(self, _phase):
        return float(sum((task.last_epoch or task.epochs) - task.first_epoch for task in self.booked.values()))

    def queue(self, _phase, _orders):
        return self

    def obtain(self, task):
        self.booked[task.key] = task
        self.asked.append(task)
        epochs = task.last_epoch or task.epochs
        score = self.score(parse_method(task.method)[1])
        return Evaluation("ok", score, 0, tuple(EpochRecord(e, 1, 1, score, score, score) for e in range(epochs)))

    def plan(self, _phase, _trainings):
        pass

    def trainings(self, _phase):
        return len(self.booked)

    def say(self, text):
        self.said.append(text)

    def sweep(self, method, allowance):
        self.found = sweep(self, "sweep x", Choice(method, None, method), rates(), own_of(method), allowance)
        return [trial.choice.method for trial in self.found.trials]


def at(rate, name="full"):
    return name if rate == 1 else f"{name}:rate={rate:g}"


def near(best):
    """Scores fall off on both sides of a rate."""
    order = sorted(RATES)
    return lambda options: round(1 - abs(order.index(best) - order.index(options.rate)) / 10, 9)


def test_rates_race_in_their_order_and_the_better_third_is_judged():
    sweeping = Sweeping(lambda options: near(1.0)(options) + 0.01 * (options.rate > 1))
    tried = sweeping.sweep("full", 1000.0)
    assert tried == [at(rate) for rate in (1.0, 3.0, 0.3, 10.0, 0.1, 0.03)]
    ends = {trial.choice.method: trial.finished for trial in sweeping.found.trials}
    assert [name for name, finished in ends.items() if finished] == [at(1.0), at(3.0)]
    assert sweeping.found.best.method == at(1.0)
    assert [(task.method, task.first_epoch, task.last_epoch) for task in sweeping.asked][:8] == [
        *((name, 0, 2) for name in tried),
        (at(1.0), 2, 4),
        (at(3.0), 2, 4),
    ]
    assert sweeping.said == [
        "Sweep x: tried full 1.0000, full:rate=3 0.9100, full:rate=0.3 0.9000 (stopped), "
        "full:rate=10 0.8100 (stopped), full:rate=0.1 0.8000 (stopped), full:rate=0.03 0.7000 (stopped); chosen: full."
    ]


@pytest.mark.parametrize(
    ("score", "beyond"),
    [(lambda o: o.rate / 1000, [30.0, 100.0]), (lambda o: 1 - o.rate / 1000, [0.01, 0.003, 0.001])],
)
def test_a_grid_whose_edge_wins_is_widened_on_that_side(score, beyond):
    sweeping = Sweeping(score)
    assert sweeping.sweep("full", 1000.0)[6:] == [at(rate) for rate in beyond]
    assert sweeping.found.best.method == at(beyond[-1])


def test_it_is_widened_only_while_the_next_rate_is_better():
    sweeping = Sweeping(lambda options: 1 - abs(options.rate - 30) / 1000)
    assert sweeping.sweep("full", 1000.0)[6:] == [at(30), at(100)]
    assert sweeping.found.best.method == at(30)


def test_the_ladder_has_steps_of_about_three():
    assert [step_of_ladder(step) for step in range(-4, 4)] == [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


@pytest.mark.parametrize(("name", "option"), [("lora", "r"), ("l2_sp", "alpha"), ("l1_sp", "alpha"), ("llrd", "decay")])
@pytest.mark.parametrize("allowance", [10.0, 20.0, 40.0])
def test_own_options_are_reached_before_the_rest_of_the_rates(name, option, allowance):
    """Ten epochs are what two choices and a half take."""
    sweeping = Sweeping(near(3.0))
    options = [parse_method(method)[1] for method in sweeping.sweep(name, allowance)]
    default = getattr(parse_method(name)[1], option)
    first = next(place for place, one in enumerate(options) if getattr(one, option) != default)
    assert first <= 3
    assert options[first].rate == (3.0 if first > 1 else 1.0)


def test_the_other_rates_are_tried_with_the_best_option():
    sweeping = Sweeping(lambda options: 0.5 + 0.1 * (options.r == 16) + 0.01 * (options.rate == 0.1))
    tried = sweeping.sweep("lora", 1000.0)
    assert tried[:5] == ["lora", "lora:rate=3", "lora:rate=0.3", "lora:r=4", "lora:r=16"]
    assert {method for method in tried if "rate=0.1" in method} == {"lora:rate=0.1,r=16"}
    assert sweeping.found.best.method == "lora:rate=0.1,r=16"


@pytest.mark.parametrize("folds", [1, 5])
@pytest.mark.parametrize("allowance", [3.0, 30.0, 60.0, 75.0, 200.0])
@pytest.mark.parametrize("score", [near(1.0), lambda _: 0.5, lambda options: options.rate / 99])
def test_what_has_begun_is_judged_and_the_allowance_holds(folds, allowance, score):
    """Beyond it goes the first choice at most, which is always tried; equal scores all deserve to go on."""
    sweeping = Sweeping(score, folds=folds)
    tried = sweeping.sweep("full", allowance)
    first = 2 + 4 * folds if folds > 1 else 4
    assert sweeping.work("") <= max(allowance, first)
    assert any(trial.finished for trial in sweeping.found.trials)
    assert tried[0] == "full"
    judged = [task for task in sweeping.asked if task.last_epoch == 4 and task.fold is not None]
    assert len(judged) % folds == 0 if folds > 1 else not judged


def test_without_work_the_method_stays_as_it_is():
    sweeping = Sweeping(near(1.0))
    assert sweeping.sweep("lora:r=2", 0.0) == []
    assert sweeping.found.best.method == "lora:r=2"


def test_a_method_of_stages_is_judged_at_its_end():
    sweeping = Sweeping(near(3.0), even=False)
    sweeping.sweep("lp_ft", 36.0)
    assert {(task.first_epoch, task.last_epoch) for task in sweeping.asked} == {(0, 0)}
    assert len(sweeping.asked) == 3


def test_what_is_left_repeats_the_best_on_further_seeds():
    sweeping = Sweeping(near(0.3))
    sweeping.sweep("full", 1000.0)
    best = next(trial for trial in sweeping.found.trials if trial.choice.method == at(0.3))
    assert len(best.fitness) == 4
    assert len({task.seed for task in sweeping.asked}) == 4
