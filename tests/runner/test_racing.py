"""The race: who goes on, what the search is told, what it costs, and that it survives kills and limits."""

import json
import math
from types import SimpleNamespace

import pytest

from biotune.records import GIVEN, INFEASIBLE, EpochRecord, Evaluation, Task
from biotune.runner.opening import opened
from biotune.runner.race import Race
from biotune.runner.search import run_batch
from biotune.runs.events import CandidateFinished, silent
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.settings.search import SearchConfig
from recipes import recipe
from tiny import BRIEF, run, tiny_config

RACED = {"search": {"rungs": (0.25, 0.5), "max_work": 0.0}, "training": {"epochs": 4, "learning_rate": 0.01}}


class Track:
    """Stands in for session, desk, tasks and limit: trainings take no time, and scores are given for every rung."""

    def __init__(self, scores, rungs=(1, 2, 4), elites=1, length=9, allowed=10**9, work=math.inf):
        self.work_left = work
        self.counter = SimpleNamespace(work_of=lambda _task, epochs: float(epochs))
        self.scores, self.rungs, self.length, self.left = scores, rungs, length, allowed
        self.config = SimpleNamespace(data=SimpleNamespace(folds=1), final=SimpleNamespace(companions=0))
        self.search_seeds, self.search_name, self.trained, self.finished = (0,), "search", [], []
        self.out_of_fold = False
        self.tasks = self.desk = self
        self.race = Race(len(rungs), elites)

    def run(self, names, stop_at=None, fold=0):
        return run_batch(self, self.race, self, [recipe(name) for name in names], fold, "", stop_at)

    def one(self, method, recipe, seed, fold, epochs):
        return Task(method, recipe, fold, seed, 9, "hash", False, False, *epochs)

    def queue(self, _phase, orders):
        self.asked = [order.task for order in orders]
        return self

    def obtain(self, task):
        assert task in self.asked
        if task.is_infeasible:
            return INFEASIBLE
        self.trained.append((task.recipe.multipliers[0], task.first_epoch, task.last_epoch))
        score = self.scores[task.recipe.multipliers[0]][self.rungs.index(task.last_epoch)]
        if score is None:
            return Evaluation("diverged", 0.0)
        epochs = min(self.length, task.last_epoch)
        return Evaluation("ok", score, 0, tuple(EpochRecord(e, 1, 1, score, score, score) for e in range(epochs)))

    def observer(self, event):
        self.finished.append(event)

    def allows(self, _candidates, trainings):
        return trainings < self.left

    def goes_on(self, work, _candidates):
        return work <= self.work_left


def race(track, names, stop_at=None):
    return [(one.fitness, one.finished) for one in track.run(names, stop_at)]


def test_the_better_third_goes_on_from_rung_to_rung():
    """Nine, then three of nine, then one of three."""
    scores = {float(n): (n / 10, n / 10 + 0.01, n / 10 + 0.02) for n in range(1, 10)}
    track = Track(scores)
    found = race(track, [float(n) for n in range(1, 10)])
    assert track.trained[:9] == [(float(n), 0, 1) for n in range(1, 10)]
    assert track.trained[9:] == [(9.0, 1, 2), (8.0, 1, 2), (7.0, 1, 2), (9.0, 2, 4)]
    assert [finished for _, finished in found] == [False] * 8 + [True]
    assert track.finished == [CandidateFinished("search", recipe(9.0), 0, 0.92)]
    assert [value for value, _ in found] == [n / 10 for n in range(1, 7)] + [0.71, 0.81, 0.92]


def test_a_poor_batch_sends_nobody_on():
    """Judged against everything that the search has seen at the rung: 4 of 12 are the better third."""
    scores = {float(n): (n / 20, n / 20) for n in range(1, 20)}
    track = Track(scores, rungs=(1, 2))
    track.run([float(n) for n in range(10, 19)])
    assert [one.finished for one in track.run([1.0, 2.0, 3.0])] == [False] * 3
    assert [one.finished for one in track.run([19.0])] == [True]


def test_one_of_the_first_batch_comes_to_the_end_and_others_only_where_their_work_fits():
    """From rung 1 to 2 and from 2 to 4: work 1 and 2. What is refused at a rung is not seen at a later one."""
    scores = {float(n): (n / 10,) * 3 for n in range(1, 10)}
    track = Track(scores, elites=3, work=1)
    found = race(track, [float(n) for n in range(1, 10)])
    assert track.trained[9:] == [(9.0, 1, 2), (8.0, 1, 2), (7.0, 1, 2), (9.0, 2, 4)]
    assert [done for _, done in found] == [False] * 8 + [True]
    assert race(track, [9.0]) == [(0.9, False)]  # it went on to the second rung, and no further
    track.work_left = 0
    del track.trained[:]
    assert race(track, [9.0, 8.0]) == [(0.9, False), (0.8, False)]
    assert track.trained == [(9.0, 0, 1), (8.0, 0, 1)]


def test_a_probe_comes_to_the_end_whatever_is_left():
    """It trains nothing after it was fitted."""
    probe = recipe(0.0).with_values({"head_start": "fitted"})
    track = Track({0.0: (0.1, 0.1), 1.0: (0.2, 0.3), 2.0: (0.4, 0.5)}, rungs=(1, 2), length=1, work=0)
    found = run_batch(track, track.race, track, [probe, recipe(1.0), recipe(2.0)], 0, "")
    assert [(one.fitness, one.finished) for one in found] == [(0.1, True), (0.2, False), (0.5, True)]


def test_the_first_batch_brings_as_many_as_there_are_elites_to_the_end():
    scores = {float(n): (n / 10, n / 10) for n in range(1, 5)}
    assert [done for _, done in race(Track(scores, rungs=(1, 2), elites=3), [1.0, 2.0, 3.0, 4.0])] == [
        False,
        True,
        True,
        True,
    ]


def test_what_diverged_or_freezes_everything_is_never_sent_on():
    track = Track({1.0: (None, None), 2.0: (0.1, 0.2)}, rungs=(1, 2), elites=3)
    assert race(track, [1.0, 0.0, 2.0]) == [(0.0, False), (0.0, True), (0.2, True)]


def test_a_training_that_ended_by_itself_is_not_repeated():
    track = Track({1.0: (0.5, 0.5, 0.5)}, length=1)
    assert race(track, [1.0]) == [(0.5, True)]
    assert track.trained == [(1.0, 0, 1), (1.0, 1, 2)]


def test_a_straight_batch_goes_to_the_last_rung():
    track = Track({1.0: (0.5, 0.6), 2.0: (0.1, 0.2)}, rungs=(1, 2))
    assert race(track, [1.0, 2.0], stop_at=1) == [(0.6, True), (0.2, True)]


def test_a_batch_of_a_rung_stops_there_and_is_told_what_it_reached():
    """Also above what finished: only a search that mixes rungs must not see that."""
    track = Track({1.0: (0.5, 0.6, 0.7), 2.0: (0.8, 0.9, 0.9), 3.0: (0.1, None, None)})
    assert track.race.told(track.run([1.0], 2), 2) == [0.7]
    raced = track.run([2.0, 0.0, 3.0], 1)
    assert track.trained[3:] == [(2.0, 0, 1), (3.0, 0, 1), (2.0, 1, 2), (3.0, 1, 2)]
    assert [(one.outcome, one.finished) for one in raced] == [("ok", False), ("infeasible", True), ("diverged", False)]
    assert track.race.told(raced, 1) == [0.9, 0.0, 0.0]
    assert track.finished == [CandidateFinished("search", recipe(1.0), 0, 0.7)]
    assert track.race.told(raced)[0] < 0.7


@pytest.mark.parametrize("allowed", range(6))
def test_a_limit_ends_the_race_between_two_trainings(allowed):
    scores = {float(n): (n / 10, n / 10) for n in range(1, 5)}
    track = Track(scores, rungs=(1, 2), allowed=allowed)
    found = race(track, [1.0, 2.0, 3.0, 4.0])
    assert len(track.trained) == allowed
    assert len(found) == min(allowed, 4)


def test_no_stopped_candidate_is_told_as_much_as_a_finished_one():
    """An unlucky winner of the first batch ends at 0.30; a later one that stopped at 0.35 may not outrank it."""
    scores = {1.0: (0.1, 0.1), 2.0: (0.2, 0.3), 3.0: (0.29, 0.4), 4.0: (0.35, 0.5), 5.0: (0.9, 0.95)}
    track = Track(scores, rungs=(1, 2), elites=2)
    first = track.run([1.0, 2.0, 3.0])
    assert track.race.told(first) == [0.1, 0.3, 0.4]
    second = track.run([4.0, 5.0, 5.0])
    assert [one.finished for one in second] == [False, True, True]
    assert track.race.told(second)[0] < 0.3 == pytest.approx(track.race.told(second)[0])
    assert track.race.told(second)[1:] == [0.95, 0.95]


def test_every_fold_has_standings_of_its_own():
    """The second fold is harder: against the scores of the first one nobody would go on, and all be held down."""
    easy = {float(n): (0.8 + n / 100, 0.8 + n / 100) for n in range(1, 10)}
    hard = {float(n): (0.1 + n / 100, 0.1 + n / 100) for n in range(11, 20)}
    track = Track(easy | hard, rungs=(1, 2))
    assert sum(one.finished for one in track.run([float(n) for n in range(1, 10)])) == 3
    second = track.run([float(n) for n in range(11, 20)], fold=1)
    assert [one.finished for one in second] == [False] * 6 + [True] * 3
    assert track.race.told(second, fold=1) == [0.1 + n / 100 for n in range(11, 20)]


@pytest.mark.parametrize(
    ("rungs", "epochs", "expected"),
    [
        ((0.06, 0.2), 30, (2, 6)),
        ((0.06, 0.2), 12, (1, 3)),
        ((0.1, 0.3), 3, (1,)),
        ((0.1, 0.3), 1, (0,)),
        ((0.3, 0.1, 1.0), 10, (1, 3, 0)),
        ((1.0,), 30, (0,)),
    ],
)
def test_rungs_are_rounded_up_to_epochs(rungs, epochs, expected):
    assert SearchConfig(rungs=rungs).epochs_of_rungs(epochs) == expected


@pytest.fixture(scope="module")
def raced(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raced") / "run"
    return folder, run(tiny_config(images, RACED), folder)


def test_a_raced_run_trains_in_steps_and_counts_every_epoch_once(raced):
    folder, summary = raced
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        trained = [(task, result) for phase, task, result in store.trainings() if phase == "search"]
        candidates = store.candidates(like=recipe(*(1.0,) * 7))
    assert {(task["first_epoch"], task["last_epoch"]) for task, _ in trained} == {(0, 1), (1, 2)}
    assert all(len(result.curve) == task["last_epoch"] for task, result in trained if result.outcome == "ok")
    went_on = [task["multipliers"] for task, _ in trained if task["first_epoch"]]
    assert {tuple(m) for m in went_on} == {
        c.recipe.multipliers for c in candidates if c.finished and not c.recipe.trains_nothing
    }
    assert 0 < len(went_on) < len({c.recipe for c in candidates})
    assert summary["search"]["evaluations"] == len(candidates)


def test_a_phase_that_wants_the_whole_is_not_charged_for_the_rest_alone(images, tmp_path):
    """What one phase trained in two steps counts in full for another one that asks for all of it at once."""
    with opened(tiny_config(images, RACED), tmp_path / "run", silent, StopSignal()) as session:
        full = session.full_recipe
        parts = [session.tasks.one(GIVEN, full, 5, epochs=epochs) for epochs in ((0, 1), (1, 2))]
        session.desk.run("in steps", parts)
        session.desk.run("at once", [session.tasks.one(GIVEN, full, 5, epochs=(0, 2))])
        assert session.work("in steps") == pytest.approx(2.0)
        assert session.work("at once") == pytest.approx(2.0)


def test_the_exported_recipe_finished_the_race(raced):
    folder, summary = raced
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        candidates = store.candidates(like=recipe(*(1.0,) * 7))
        finished = {candidate.recipe.multipliers for candidate in candidates if candidate.finished}
    assert tuple(block["multiplier"] for block in summary["recipe"]["blocks"]) in finished


def test_probes_around_an_elite_race_like_other_candidates(raced):
    with RunStore(raced[0] / "run.sqlite", read_only=True) as store:
        like = recipe(*(1.0,) * 7)
        probes = [candidate for candidate in store.candidates(like=like) if candidate.kind == "probe"]
        trained = [task for phase, task, _ in store.trainings() if phase == "search"]
    assert len(probes) == 2 * 2  # one elite in each of two generations
    for candidate in probes:
        mine = [task["last_epoch"] for task in trained if tuple(task["multipliers"]) == candidate.recipe.multipliers]
        assert sorted(mine) == ([1, 2] if candidate.finished else [1]) or candidate.recipe.trains_nothing


@pytest.mark.parametrize("limits", [(3, 6, 0), (2, 7, 0)])
def test_a_limit_in_the_middle_of_a_race_is_taken_up_again(limits, raced, images, tmp_path):
    """Cut anywhere, and continued without the limit, it goes where an uncut run goes.

    After 7 candidates the first child is alone in its batch and may finish, as it may not beside the others.
    """
    folder = tmp_path / "run"
    for most in limits:
        run(replace_budget(tiny_config(images, RACED), most), folder)
    expected, found = (json.loads((path / "history.json").read_text()) for path in (raced[0], folder))
    assert found["candidates"] == expected["candidates"]


def replace_budget(config, most):
    return config.model_copy(update={"budget": config.budget.model_copy(update={"max_evaluations": most})})


def test_the_allowance_of_work_ends_the_search_before_it_is_overdrawn(images, tmp_path):
    """One full fine-tune is the unit, its epochs counted, not its seconds."""
    config = tiny_config(images, RACED, {"search": {**RACED["search"], "max_work": 3.0, "generations": 50}})
    summary = run(config, tmp_path / "run")
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        trained = [(task, result) for phase, task, result in store.trainings() if phase == "search"]
    epochs = [(len(result.curve) - task["first_epoch"]) * (task["multipliers"][0] > 0) for task, result in trained]
    assert summary["search"]["generations"] < 50
    assert summary["search"]["stopped_by"].startswith("the allowance of 3 full fine-tunes of work (--max-work): ")
    assert 0 < sum(epochs) <= 3.0 * 4  # of recipes that train every block or freeze a middle one: work 1 an epoch


def test_the_first_batch_is_tried_whatever_the_allowance(images, no_report, tmp_path):
    config = tiny_config(images, RACED, BRIEF, {"search": {**RACED["search"], "max_work": 0.01}})
    search = run(config, tmp_path / "run")["search"]
    assert search["evaluations"] == config.search.population
    assert ", the first batch, which is always tried, took " in search["stopped_by"]


def test_a_larger_allowance_continues_the_same_search(images, no_report, tmp_path):
    """Also after the end: what was trained stays, and the trajectory is that of a run which had it at once."""
    small, large = (
        tiny_config(images, RACED, BRIEF, {"search": {**RACED["search"], "max_work": work, "generations": 9}})
        for work in (2.0, 5.0)
    )
    first = run(small, tmp_path / "run")["search"]
    assert run(small, tmp_path / "run")["search"] == first  # finished: nothing is done again
    further, at_once = run(large, tmp_path / "run")["search"], run(large, tmp_path / "other")["search"]
    assert first["evaluations"] < further["evaluations"] == at_once["evaluations"]
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "other")]
    assert histories[0]["candidates"] == histories[1]["candidates"]
