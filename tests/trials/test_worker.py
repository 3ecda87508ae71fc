"""Task to evaluation: a function of the task alone."""

import dataclasses
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from tiny_tasks import BLOCKS, FULL, LATE, recipe

from biotune import metrics
from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.executors import Hooks
from biotune.methods import METHODS
from biotune.records import GIVEN, INFEASIBLE
from biotune.runner.estimate import measure_epoch
from biotune.training.scoring import predict_logits


def without_clock(evaluation):
    return dataclasses.replace(evaluation, seconds=0.0, cpu_seconds=0.0)


def test_freezing_everything_costs_nothing(worker):
    def fail() -> None:
        pytest.fail("a step was taken")

    result = worker(hooks=Hooks(check=fail)).evaluate(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)))
    assert result == INFEASIBLE
    assert (result.fitness, result.seconds) == (0.0, 0.0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_paused_task_goes_on_to_the_same_result(lost, precision, worker):
    """From where it paused, or from the start where that is lost."""
    changes = {"compute": {"precision": precision}}
    expected, paused = worker(changes), worker(changes)
    first = paused.evaluate(dataclasses.replace(LATE, last_epoch=1))
    assert not paused.weights.path(LATE).exists()
    if lost:
        paused = worker(changes)
    whole = expected.evaluate(LATE)
    assert without_clock(paused.evaluate(dataclasses.replace(LATE, first_epoch=1))) == without_clock(whole)
    assert first.curve == whole.curve[:1]
    assert torch.equal(*(each.load(LATE).state_dict()["classifier.weight"] for each in (expected, paused)))


def test_a_task_that_goes_on_takes_only_the_epochs_that_are_left(worker):
    epochs = []
    paused = worker(hooks=Hooks(on_epoch=lambda _, epoch: epochs.append(epoch)))
    for task in (dataclasses.replace(LATE, last_epoch=1), dataclasses.replace(LATE, first_epoch=1)):
        paused.evaluate(task)
        epochs.append("end")
    assert list(dict.fromkeys(epochs[: epochs.index("end")])) == [0]
    assert list(dict.fromkeys(epochs[epochs.index("end") + 1 : -1])) == [1]


@pytest.mark.parametrize("changes", [{}, {"compute": {"prefix_cache_mib": 0}}, {"compute": {"precision": "bfloat16"}}])
def test_a_result_does_not_depend_on_what_came_before(changes, worker):
    """After other recipes, other seeds and a divergence, the same task gives the same result, weights included."""
    fresh, used = worker(changes), worker(changes)
    expected = without_clock(fresh.evaluate(LATE))
    weights = fresh.weights.path(LATE).read_bytes()
    for other in (
        FULL,
        dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 3, *(1.0,) * 4)),
        dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)),
        dataclasses.replace(LATE, seed=2),
    ):
        used.evaluate(other)
    used.weights.path(LATE).unlink()
    assert without_clock(used.evaluate(LATE)) == expected
    assert used.weights.path(LATE).read_bytes() == weights
    assert without_clock(used.evaluate(LATE)) == expected


def test_the_prefix_cache_changes_nothing_but_rounding(worker):
    sgd = {"training": {"optimizer": "sgd"}}
    cached, plain = worker(sgd).evaluate(LATE), worker(sgd, {"compute": {"prefix_cache_mib": 0}}).evaluate(LATE)
    for one, other in zip(cached.curve, plain.curve, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)


def test_the_test_set_is_answered_in_single_precision(worker):
    """By the exported weights, as whoever uses the model computes; only the training is in bfloat16."""
    work, exact = worker({"compute": {"precision": "bfloat16"}}), worker()
    work.evaluate(LATE)
    trained = work.weights.path(LATE).read_bytes()
    pixels = work.spec.data
    logits = work.logits(LATE, pixels)
    exact.evaluate(LATE)
    assert exact.weights.path(LATE).read_bytes() != trained
    exact.weights.path(LATE).write_bytes(trained)
    assert np.array_equal(exact.logits(LATE, pixels), logits)


def test_what_the_disk_keeps_changes_nothing(worker):
    """After three blocks 96 maps of 8 x 8 values lie: 1.1 MiB for the 48 images of both splits."""
    task, small = (
        dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 3, *(1.0,) * 4)),
        {"compute": {"prefix_cache_mib": 1}},
    )
    none, some = worker(small, {"cache": {"activations_gib": 0.0}}, size=64), worker(small, size=64)
    assert without_clock(none.evaluate(task)) == without_clock(some.evaluate(task))
    assert none.cache.used_bytes == 0
    assert some.cache.used_bytes == 48 * 96 * 8 * 8 * 4


def test_a_checkpoint_holds_the_trained_blocks_and_nothing_else(worker):
    """Frozen parameters and buffers of the network that is exported are bit-equal to the pretrained ones."""
    work = worker()
    before = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    work.evaluate(LATE)
    after = work.load(LATE).state_dict()
    owner = work.network.partition.owner
    moved = {owner(name) for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    stored = safetensors.torch.load(work.weights.path(LATE).read_bytes()[32:])
    assert moved == {5, 6}
    assert {owner(name) for name in stored} == {5, 6}


def test_the_papers_statistics_travel_with_the_checkpoint(worker):
    """With live batch-norm statistics, frozen blocks change too; the checkpoint must hold them."""
    work = worker({"training": {"frozen_statistics": "train"}})
    work.evaluate(LATE)
    trained = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    work.evaluate(FULL)
    loaded = work.load(LATE).state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in loaded.items())


@pytest.mark.parametrize("method", [*(name for name in METHODS if name != GIVEN), "l1_sp:alpha=0.01,proximal=true"])
def test_every_method_is_a_task_and_leaves_a_plain_network(method, worker):
    """What is stored is the network of the best epoch, cache or no cache; the next task starts from the beginning."""
    work = worker()
    task = dataclasses.replace(FULL, method=method, keep_weights=True)
    expected = without_clock(work.evaluate(LATE))
    result = work.evaluate(task)
    assert result.outcome == "ok"
    total = sum(parameter.numel() for parameter in work.model.parameters())
    assert 0 < result.trainable <= total
    validation = work.spec.data.parts[None][1]
    logits = predict_logits(work.load(task), work.pixels, validation)
    loss = metrics.cross_entropy(logits, work.spec.data.labels[validation])
    assert loss == pytest.approx(result.best.validation_loss, rel=1e-4)
    assert without_clock(work.evaluate(LATE)) == expected


def test_options_are_part_of_a_task():
    keys = {dataclasses.replace(FULL, method=method).key for method in ("l2_sp", "l2_sp:alpha=0.1", "l1_sp", "full")}
    assert len(keys) == 4


def test_missing_and_altered_weights_are_noticed(worker):
    work = worker()
    assert not work.weights.has(LATE)
    work.evaluate(LATE)
    assert work.weights.has(LATE)
    content = bytearray(work.weights.path(LATE).read_bytes())
    content[-1] ^= 1
    work.weights.path(LATE).write_bytes(content)
    assert not work.weights.has(LATE)
    with pytest.raises(DamagedStateError, match=r"\.weights' is missing or damaged"):
        work.load(LATE)


def test_divergence_is_the_worst_fitness(worker):
    result = worker().evaluate(dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)))
    assert (result.outcome, result.fitness) == ("diverged", 0.0)


def test_the_head_and_the_order_depend_on_the_seed(worker):
    work = worker()
    one, other = work.evaluate(LATE), work.evaluate(dataclasses.replace(LATE, seed=2))
    assert one.curve != other.curve


def test_a_fold_trains_on_its_part_and_validates_on_all(worker):
    work = worker({"data": {"folds": 2}})
    parts = work.spec.data.parts
    halves = [parts[fold][0] for fold in (0, 1)]
    assert sorted(np.concatenate(halves).tolist()) == parts[None][0].tolist()
    one, other = (work.evaluate(dataclasses.replace(LATE, fold=fold)) for fold in (0, 1))
    assert one.curve != other.curve


def test_fitness_is_the_score_less_a_hair(worker):
    """Twelve validation images in three classes of four: one image is worth a twelfth."""
    result = worker({"training": {"fitness": "score"}}).evaluate(LATE)
    assert result.best is not None
    assert 0 < result.best.score - result.fitness < 1 / 24


def test_without_tie_break_fitness_is_the_score(worker):
    result = worker({"training": {"tie_break": False, "fitness": "score"}}).evaluate(LATE)
    assert result.fitness == result.best.score


def test_fitness_may_be_the_mean_probability_of_the_right_class(worker):
    trained = {name: worker({"training": {"fitness": name}}).evaluate(LATE) for name in ("loss", "score")}
    best = trained["loss"].best
    assert 0 < best.calibrated_loss <= math.log(3) + 1e-3
    assert trained["loss"].fitness == math.exp(-best.calibrated_loss)
    assert dataclasses.replace(best, calibrated_loss=None) == trained["score"].best


def test_a_stop_ends_a_training_between_steps(worker):
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise InterruptedRunError("stopped")

    work = worker(hooks=Hooks(check=stop))
    with pytest.raises(InterruptedRunError):
        work.evaluate(FULL)
    assert without_clock(work.evaluate(LATE)) == without_clock(worker().evaluate(LATE))


def test_an_epoch_is_measured_without_a_trace(worker):
    work = worker()
    expected = without_clock(worker().evaluate(LATE))
    assert measure_epoch(work, steps=1) > 0
    assert without_clock(work.evaluate(LATE)) == expected


@pytest.mark.parametrize("level", ["light", "strong"])
def test_an_augmented_training_sees_pixels_and_leaves_plain_ones_alone(worker, level):
    """Frozen outputs are not reused for it, and a plain training of the same run is that of a run without."""
    work = worker({"training": {"augment": level}})
    augmented = dataclasses.replace(LATE, augmented=True)
    assert augmented.key != LATE.key
    first = work.evaluate(augmented)
    assert work.cache.used_bytes == 0
    assert without_clock(work.evaluate(LATE)) == without_clock(worker().evaluate(LATE)) != without_clock(first)
    assert work.cache.used_bytes > 0
    assert without_clock(work.evaluate(augmented)) == without_clock(first)


def test_a_named_value_of_a_recipe_replaces_the_setting_of_the_run(worker):
    own = dataclasses.replace(LATE, recipe=LATE.recipe.with_values({"weight_decay": 0.5}))
    given = worker({"training": {"weight_decay": 0.5}}).evaluate(LATE)

    assert without_clock(worker().evaluate(own)) == without_clock(given)
    assert worker().evaluate(LATE).curve != given.curve


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": "fitted"}, "the recipe has the value 'head', which this version cannot train with; it knows head_s"),
        ({"weight_decay": -1.0}, r"the recipe's value weight_decay = -1\.0 is out of range"),
    ],
)
def test_a_named_value_that_no_training_knows_is_refused(values, message, worker):
    task = dataclasses.replace(LATE, recipe=LATE.recipe.with_values(values))

    with pytest.raises(InputError, match=message):
        worker().evaluate(task)


def test_the_probe_reads_what_linear_probing_recorded_and_sees_no_augmentation(worker, monkeypatch):
    """One forward pass over all images for both, and the same result whatever is augmented and whatever comes first."""
    probe, linear = (dataclasses.replace(FULL, method=name, augmented=True) for name in ("probe", "linear_probe"))
    plain = without_clock(worker().evaluate(probe))
    assert without_clock(worker({"training": {"augment": "strong"}}).evaluate(probe)) == plain
    shared = worker()
    shared.evaluate(linear)
    recorded = shared.cache.used_bytes
    monkeypatch.setattr(shared.pixels, "batch", lambda _rows: pytest.fail("pixels were read"))
    assert without_clock(shared.evaluate(probe)) == plain
    assert shared.cache.used_bytes == recorded > 0
    assert len(plain.curve) == 1


def test_the_probe_is_kept_like_any_other(worker):
    """Its weights are those of the classifier alone, and give the score that was found."""
    work, task = worker(), dataclasses.replace(FULL, method="probe", keep_weights=True)
    found = work.evaluate(task)
    assert set(work.weights.load(task)) == {"classifier.weight", "classifier.bias"}
    logits = predict_logits(work.load(task), work.pixels, work.spec.data.parts[None][1])
    right = logits.argmax(1) == work.spec.data.labels[work.spec.data.parts[None][1]]
    assert found.best.accuracy == pytest.approx(right.mean())
