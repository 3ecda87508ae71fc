"""The training loop: rates, schedules, batches, patience, freezing, determinism."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.settings.sections import TrainingConfig
from biotune.training.imbalance import shuffled
from biotune.training.optimiser import make_optimizer, rate_factor
from biotune.training.pausing import Patience
from biotune.training.scoring import is_ruined, predict_logits, record_of
from biotune.training.trainer import Plan, batches, effective_batch_size, micro_batches
from steps import watched

QUICK = TrainingConfig(epochs=3, batch_size=8, limit_batch=False)


def run(problem, config=QUICK, epochs=3, **plan):
    return problem.fit(config, Plan(seed=1, epochs=epochs, **plan))


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", ["timm:test_efficientnet", "timm:test_resnet", "timm:test_vit", "timm:test_convnext"])
@pytest.mark.parametrize("every", [2, 3])
def test_frozen_blocks_are_bit_equal_and_trained_ones_move(make_problem, name, every):
    problem = make_problem(name, lambda index, count: index % every == every - 1 or index == count - 1)
    before = state_of(problem.model)
    run(problem)
    partition, multipliers = problem.recipe.partition, problem.recipe.multipliers
    moved = [set() for _ in multipliers]
    for tensor_name, tensor in problem.model.state_dict().items():
        moved[partition.owner(tensor_name)].add(not torch.equal(before[tensor_name], tensor))
    assert [True in flags for flags in moved] == [value > 0 for value in multipliers]


def test_the_papers_mode_lets_frozen_statistics_drift_but_not_parameters(make_problem):
    problem = make_problem(mask=lambda index, count: index == count - 1)
    before = state_of(problem.model)
    run(problem, QUICK.model_copy(update={"frozen_statistics": "train"}))
    changed = {name for name, tensor in problem.model.state_dict().items() if not torch.equal(before[name], tensor)}
    parameters = {name for name, _ in problem.model.named_parameters()}
    assert any(name.endswith("running_mean") for name in changed)
    assert {name for name in changed & parameters if not name.startswith("classifier")} == set()


def test_same_seed_same_bits_other_seed_other_bits(make_problem):
    states, curves = [], []
    for seed in (1, 1, 2):
        problem = make_problem()
        curves.append(problem.fit(QUICK, Plan(seed, 2)).curve)
        states.append(state_of(problem.model))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert curves[0] == curves[1]
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_training_leaves_the_global_random_state_alone(make_problem):
    problem = make_problem()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(problem, epochs=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_ratios_between_blocks_hold_at_every_step(make_problem, scheduler, optimizer):
    problem = make_problem(mask=lambda index, count: [0, 0.3, 2.5, 7][min(index, 3)])
    config = QUICK.model_copy(update={"scheduler": scheduler, "optimizer": optimizer, "warmup": 2})
    seen = []
    with watched(lambda used: seen.append([group["lr"] for group in used.param_groups])):
        run(problem, config, epochs=4)
    rates = np.array(seen)
    expected = [value for value in problem.recipe.multipliers if value > 0]
    assert rates.shape == (4 * 5, len(expected))
    np.testing.assert_allclose(rates / rates[:, :1], np.tile(np.array(expected) / expected[0], (20, 1)), rtol=1e-12)


@pytest.mark.parametrize(
    ("epoch", "changes", "factor"),
    [
        (0, {}, 1.0),
        (15, {}, 0.5),
        (29, {}, 0.5 * (1 + math.cos(math.pi * 29 / 30))),
        (30, {"cosine_epochs": 100}, 0.7938926261),
        (0, {"warmup": 3}, 0.25),
        (2, {"warmup": 3}, 0.75),
        (3, {"warmup": 3}, 1.0),
        (15, {"scheduler": "linear"}, 0.5),
        (29, {"scheduler": "constant"}, 1.0),
    ],
)
def test_schedule(epoch, changes, factor):
    assert rate_factor(epoch, 30, TrainingConfig(**changes)) == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize(
    ("images", "size", "limit", "expected"),
    [(300, 32, True, 18), (100, 32, True, 8), (5000, 32, True, 32), (300, 96, False, 96)],
)
def test_batch_size_is_capped_at_a_sixteenth(images, size, limit, expected):
    assert effective_batch_size(images, TrainingConfig(batch_size=size, limit_batch=limit)) == expected


@given(count=st.integers(1, 200), size=st.integers(1, 40), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_batches_cover_every_image_once_and_never_leave_one_alone(count, size, seed, epoch):
    indices = np.arange(10, 10 + 3 * count, 3)
    parts = batches(shuffled(indices, seed, epoch), size)
    assert sorted(np.concatenate(parts)) == indices.tolist()
    assert all(len(part) > 1 for part in parts[1:]) or size == 1


def test_order_depends_on_seed_epoch_and_image_only():
    few, many = np.arange(0, 100, 2), np.arange(100)
    order = shuffled(many, 3, 1)
    assert shuffled(few, 3, 1).tolist() == [image for image in order if image % 2 == 0]
    assert shuffled(many, 3, 2).tolist() != order.tolist()
    assert shuffled(many, 4, 1).tolist() != order.tolist()


@pytest.mark.parametrize(
    ("scores", "config", "stops_after"),
    [
        ([0.5, 0.5, 0.5, 0.5, 0.5], {"patience": 3, "patience_steps": 0}, 4),
        ([0.5, 0.6, 0.6, 0.6, 0.6], {"patience": 3, "patience_steps": 0}, 5),
        ([0.5, 0.4, 0.3, 0.6, 0.1], {"patience": 3, "patience_steps": 0}, None),
        ([0.5] * 10, {"patience": 3, "patience_steps": 50}, 6),
    ],
)
def test_patience_counts_epochs_and_steps(scores, config, stops_after):
    patience = Patience(TrainingConfig(**config), steps_per_epoch=10)
    stopped = [index + 1 for index, score in enumerate(scores) if patience.is_over(score)]
    assert (stopped[0] if stopped else None) == stops_after


def test_best_weights_come_back(make_problem):
    problem = make_problem()
    config = QUICK.model_copy(update={"learning_rate": 0.05, "scheduler": "constant"})
    result = run(problem, config, epochs=6, keep_best=True)
    data = problem.data
    logits = predict_logits(problem.model, data.source, data.validation)
    again, _ = record_of(logits, data.labels[data.validation], 0, 0.0, QUICK)
    best = result.curve[result.best_epoch]
    assert (again.accuracy, again.validation_loss) == (best.accuracy, best.validation_loss)


def test_planned_trainings_run_to_their_end_and_the_last_epoch_counts(make_problem):
    config = QUICK.model_copy(update={"patience": 1, "patience_steps": 0, "learning_rate": 0.05})
    early = run(make_problem(), config, epochs=8, keep_best=True)
    problem = make_problem()
    planned = run(problem, config.model_copy(update={"stopping": "planned"}), epochs=8, keep_best=True)

    assert len(early.curve) < len(planned.curve) == 8
    assert planned.curve[: len(early.curve)] == early.curve
    data, last = problem.data, planned.curve[planned.best_epoch]
    logits = predict_logits(problem.model, data.source, data.validation)
    again, _ = record_of(logits, data.labels[data.validation], 7, last.train_loss, QUICK)
    assert again == last == planned.curve[-1]


def test_without_held_out_images_an_epoch_has_a_training_loss_alone(make_problem):
    problem = make_problem()
    everything = np.concatenate([problem.data.train, problem.data.validation])
    problem = replace(problem, data=replace(problem.data, train=everything, validation=everything[:0]))
    result = run(problem, QUICK.model_copy(update={"stopping": "planned"}), epochs=2)

    assert (result.best_epoch, result.diverged) == (1, False)
    assert [record.score for record in result.curve] == [None, None]
    assert all(record.train_loss > 0 for record in result.curve)


@pytest.mark.parametrize("rate", [1e30, float("inf")])
def test_divergence_is_an_outcome_not_a_crash(make_problem, rate):
    problem = make_problem()
    config = QUICK.model_copy(update={"learning_rate": rate, "optimizer": "sgd"})
    result = run(problem, config)
    assert result.diverged
    assert all(math.isfinite(record.train_loss) for record in result.curve)


@pytest.mark.parametrize("rate", [1e30, float("inf")])
def test_a_last_step_that_ruins_the_network_is_noticed_without_held_out_images(make_problem, rate):
    """Its own loss was still finite."""
    problem = make_problem()
    problem = replace(problem, data=replace(problem.data, train=np.arange(60), validation=np.arange(0)))
    changes = {"stopping": "planned", "optimizer": "sgd", "batch_size": 60, "scheduler": "constant"}
    config = QUICK.model_copy(update={**changes, "learning_rate": 1e-3})
    assert not run(problem, config, epochs=1).diverged
    result = run(problem, config.model_copy(update={"learning_rate": rate}), epochs=1)
    assert (result.diverged, result.curve) == (True, ())


def test_a_network_that_has_died_is_noticed_without_held_out_images(make_problem):
    """It gives every image the same answer, and numbers all the time."""
    problem = make_problem()
    problem = replace(problem, data=replace(problem.data, train=np.arange(60), validation=np.arange(0)))
    config = QUICK.model_copy(update={"stopping": "planned"})
    assert not run(problem, config, epochs=1).diverged
    with torch.no_grad():
        next(reversed(list(problem.model.modules()))).weight.zero_()
    result = run(problem, config.model_copy(update={"learning_rate": 1e-12}), epochs=1)
    assert (result.diverged, result.curve) == (True, ())


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[0.2, -0.1], [0.2, -0.1], [0.2, -0.1]], True),
        ([[0.2, -0.1], [0.2, -0.1 + 1e-7], [0.2, -0.1]], True),  # rounding
        ([[9.0, -9.0], [9.1, -9.0]], False),  # all of one class, but not alike
        ([[0.0, 0.0], [0.0, math.nan]], True),
        ([[0.2, -0.1]], False),  # one image says nothing
    ],
)
def test_what_a_ruined_network_answers(logits, expected):
    assert is_ruined(np.array(logits)) is expected


def test_a_trained_block_that_the_loss_does_not_reach_is_refused(make_problem):
    problem = make_problem(mask=lambda index, count: 1.0)
    problem.model.classifier.forward = lambda features: features[:, :3].detach() * problem.model.conv_stem.weight.sum()
    with pytest.raises(InputError, match="the loss does not reach it; join it to another block"):
        run(problem)


def test_groups_begin_at_their_rates(make_problem):
    problem = make_problem()
    groups = make_optimizer(problem.recipe, problem.model, QUICK).param_groups
    assert [group["lr"] for group in groups] == [1e-3] * len(groups)


def test_a_stop_is_heard_before_the_next_step(make_problem):
    problem = make_problem()
    calls = []

    def stop(epoch):
        calls.append(epoch)
        if len(calls) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        problem.fit(QUICK, Plan(1, 3), stop)
    assert calls == [0] * 5 + [1] * 2


def test_training_learns(make_problem):
    problem = make_problem(mask=lambda index, count: 1.0)
    result = run(problem, QUICK.model_copy(update={"learning_rate": 3e-3}), epochs=12)
    assert result.curve[result.best_epoch].accuracy > 0.9


def test_plain_loop_gives_the_same_first_step(make_problem):
    problem = make_problem(mask=lambda index, count: 1.0)
    config = QUICK.model_copy(update={"optimizer": "sgd", "learning_rate": 0.1})
    reference = make_problem(mask=lambda index, count: 1.0)
    order = shuffled(reference.data.train, 1, 0)
    reference.model.train()
    logits = reference.model(reference.source.batch(torch.from_numpy(order)))
    nn.functional.cross_entropy(logits, torch.from_numpy(reference.data.labels[order])).backward()
    with torch.no_grad():
        for parameter in reference.model.parameters():
            parameter.sub_(0.1 * parameter.grad)
    run(problem, config.model_copy(update={"batch_size": 40}), epochs=1)
    expected, found = dict(reference.model.named_parameters()), dict(problem.model.named_parameters())
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)


def test_recipe_for_other_rates_scales_the_first_step(make_problem):
    one, three = make_problem(mask=lambda i, n: 1.0), make_problem(mask=lambda i, n: 1.0)
    three.recipe = Recipe(three.recipe.partition, tuple(3.0 * value for value in three.recipe.multipliers))
    start = one.model.state_dict()["classifier.weight"].clone()
    config = QUICK.model_copy(update={"optimizer": "sgd", "batch_size": 40})
    run(one, config, epochs=1)
    run(three, config, epochs=1)
    single, triple = (problem.model.state_dict()["classifier.weight"] - start for problem in (one, three))
    assert torch.allclose(triple, 3.0 * single, atol=1e-6)


@pytest.mark.parametrize(("method", "network"), [("full", "timm:test_vit"), ("l2_sp", "timm:test_convnext")])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_parts_of_a_batch_give_its_gradients(make_problem, method, network, size):
    """Networks without batch norm: one plain step of SGD, penalty included, differs by rounding alone."""
    config = QUICK.model_copy(update={"optimizer": "sgd", "scheduler": "constant"})
    states, losses = [], []
    for micro_batch in (0, size):
        problem = make_problem(network, lambda index, count: 1)
        found = problem.fit(config, Plan(1, 2, micro_batch=micro_batch), text=method)
        losses.append([record.train_loss for record in found.curve])
        states.append(state_of(problem.model))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-6)


def test_a_part_as_large_as_the_batch_is_the_batch_bit_for_bit(make_problem):
    states = []
    for micro_batch in (0, 8, 100):
        problem = make_problem()
        run(problem, micro_batch=micro_batch)
        states.append(state_of(problem.model))
    assert all(torch.equal(states[0][name], other[name]) for other in states[1:] for name in states[0])


@given(images=st.integers(1, 200), size=st.integers(0, 250))
def test_parts_of_a_batch(images, size):
    part = np.arange(images)
    parts = micro_batches(part, size)
    assert np.array_equal(np.concatenate(parts), part)
    assert len(parts) == (math.ceil(images / size) if size else 1)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert not size or max(map(len, parts)) <= size


def test_autorgn_measures_the_same_in_parts(make_problem):
    """Its ratios are of gradients of whole batches, however these are computed."""
    rates = []
    for micro_batch in (0, 3):
        problem = make_problem("timm:test_vit", lambda index, count: 1)
        with watched(lambda used: rates.append([group["lr"] for group in used.param_groups])):
            problem.fit(QUICK, Plan(1, 1, micro_batch=micro_batch), text="auto_rgn")
    assert len(rates) == 2 * 5
    np.testing.assert_allclose(rates[0], rates[5], rtol=1e-3)
