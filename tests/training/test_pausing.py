"""A training that pauses between epochs ends where one without a pause does, bit for bit."""

from dataclasses import replace

import pytest
import torch

from biotune.records import GIVEN, Task
from biotune.settings.sections import TrainingConfig
from biotune.training.pausing import Paused, Pauses
from biotune.training.trainer import Plan
from recipes import recipe

CONFIG = TrainingConfig(epochs=4, batch_size=8, limit_batch=False)
NETWORKS = ["timm:test_efficientnet", "timm:test_resnet", "timm:test_vit"]
TASK = Task(GIVEN, recipe(0.0, 1.0), None, 1, 4, "hash")


def end_of(problem, config, pauses, **plan):
    """Train in parts; return history, final tensors and the generator's state."""
    paused = None
    for last in (*pauses, 0):
        whole = Plan(seed=1, epochs=4, last_epoch=last, **plan)
        with torch.random.fork_rng():
            torch.manual_seed(len(pauses) + last)  # nothing of it may matter
            result = problem.fit(config, whole, lambda _epoch: None, paused)
        paused = result.paused
    return result, {name: tensor.clone() for name, tensor in problem.model.state_dict().items()}


@pytest.mark.parametrize("keep_best", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_pauses_change_nothing(make_problem, name, keep_best, optimizer):
    config = CONFIG.model_copy(update={"optimizer": optimizer})
    ends = [end_of(make_problem(name), config, pauses, keep_best=keep_best) for pauses in ((), (1, 3))]
    (expected, tensors), (found, others) = ends
    assert found == expected
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)


def test_dropout_goes_on_where_it_was(make_problem):
    """A network with dropout draws other masks in every epoch; they must not begin anew."""

    def with_dropout():
        problem = make_problem("timm:test_vit", lambda _index, _count: True)
        for module in problem.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.3
        return problem

    assert any(isinstance(module, torch.nn.Dropout) for module in with_dropout().model.modules())
    results = [end_of(with_dropout(), CONFIG, pauses)[0] for pauses in ((), (2,))]
    assert results[0].curve == results[1].curve


def test_patience_goes_on_counting(make_problem):
    config = CONFIG.model_copy(update={"patience": 1, "patience_steps": 0, "learning_rate": 1e-9})
    results = [end_of(make_problem(), config, pauses)[0] for pauses in ((), (1,))]
    assert results[0] == results[1]
    assert len(results[0].curve) < 4


def test_a_pause_says_so_and_an_end_does_not(make_problem):
    first = make_problem().fit(CONFIG, Plan(seed=1, epochs=4, last_epoch=2))
    assert len(first.curve) == len(first.paused.curve) == 2
    assert make_problem().fit(CONFIG, Plan(seed=1, epochs=4, last_epoch=4)).paused is None


def paused_of(problem, last: int = 1) -> Paused:
    return problem.fit(CONFIG, Plan(seed=1, epochs=4, last_epoch=last)).paused


def test_memory_is_counted_and_bounded(make_problem):
    """Adam holds two moments and a step counter for every trained tensor, and the tensors themselves."""
    problem = make_problem()
    paused = paused_of(problem)
    trained = [p for name, p in problem.model.named_parameters() if name in paused.state]
    expected = sum(t.nbytes for t in paused.state.values()) + sum(2 * p.nbytes + 4 for p in trained)
    assert paused.num_bytes == expected
    pauses = Pauses(int(2.5 * paused.num_bytes))
    for seed in range(4):
        pauses.put(replace(TASK, seed=seed), paused)
    assert pauses.used_bytes == 2 * paused.num_bytes
    assert [pauses.take(replace(TASK, seed=seed), keep_best=False) is not None for seed in range(4)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"first_epoch": 2}, True),
        ({"last_epoch": 2}, True),
        ({"last_epoch": 1}, False),
        ({"seed": 2}, False),
        ({"recipe": recipe(0.0, 2.0)}, False),
        ({"fold": 0}, False),
        ({"keep_weights": True}, True),
    ],
)
def test_only_the_same_training_takes_up_a_pause_and_only_forwards(make_problem, change, found):
    pauses = Pauses(2**30)
    pauses.put(replace(TASK, last_epoch=2), paused_of(make_problem(), last=2))
    assert (pauses.take(replace(TASK, **change), keep_best=False) is not None) == found


def test_a_pause_without_the_best_weights_is_of_no_use_where_they_are_wanted(make_problem):
    pauses = Pauses(2**30)
    pauses.put(replace(TASK, last_epoch=1), paused_of(make_problem()))
    assert pauses.take(TASK, keep_best=True) is None


def test_a_method_with_a_plan_of_its_own_never_pauses(make_problem):
    pauses, task = Pauses(2**30), replace(TASK, method="gradual_last_first")
    pauses.put(task, paused_of(make_problem()))
    assert pauses.used_bytes == 0
