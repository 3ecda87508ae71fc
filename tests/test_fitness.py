"""Task to evaluation: a function of the task alone."""

import dataclasses

import numpy as np
import pytest
import safetensors.torch
import torch

from biotune import metrics
from biotune.datasets import open_source
from biotune.errors import DamagedStateError, InterruptedRunError
from biotune.fitness import Evaluator, Hooks
from biotune.methods import METHODS
from biotune.models import Backbone, load_backbone, load_model
from biotune.pixels.loading import load
from biotune.recipe import Recipe
from biotune.records import GIVEN, INFEASIBLE, Task
from biotune.training.trainer import predict_logits
from small_network import Small
from tiny import TINY, tiny_config

PARTITION = load_model(TINY["model"]["name"], 3, weights="random", image_size=32).partition
BLOCKS = len(PARTITION)


def recipe(*multipliers: float) -> Recipe:
    """Return a recipe of the tiny network."""
    return Recipe(PARTITION, multipliers)


LATE = Task(GIVEN, recipe(*(0.0,) * 5, 1.0, 2.0), None, 1, 2, "hash", keep_weights=True)
FULL = Task("full", None, None, 1, 2, "hash")
FOUR = {
    "stem": ("stem",),
    "middle": ("middle", "norm", "scale"),
    "hidden": ("hidden",),
    "head": ("classifier",),
}


@pytest.fixture
def evaluator(images, tmp_path):
    """A maker of evaluators on the small images."""

    def make(*changes, name: str = TINY["model"]["name"], hooks: Hooks | None = None, size: int = 32) -> Evaluator:
        torch.set_num_threads(1)
        config = tiny_config(images, {"model": {"name": name}}, *changes)
        loaded = load_model(name, 3, weights="random", image_size=size)
        data = load(open_source(images), config.data, loaded.preprocessing)
        return Evaluator(config, loaded, data, tmp_path / "checkpoints", hooks)

    return make


def without_clock(evaluation):
    return dataclasses.replace(evaluation, seconds=0.0)


def test_freezing_everything_costs_nothing(evaluator):
    def fail() -> None:
        pytest.fail("a step was taken")

    result = evaluator(hooks=Hooks(check=fail))(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)))
    assert result == INFEASIBLE
    assert (result.fitness, result.seconds) == (0.0, 0.0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_paused_task_goes_on_to_the_same_result(lost, precision, evaluator):
    """From where it paused, or from the start where that is lost."""
    changes = {"compute": {"precision": precision}}
    expected, paused = evaluator(changes), evaluator(changes)
    first = paused(dataclasses.replace(LATE, last_epoch=1))
    assert not paused.checkpoint(LATE).exists()
    if lost:
        paused = evaluator(changes)
    whole = expected(LATE)
    assert without_clock(paused(dataclasses.replace(LATE, first_epoch=1))) == without_clock(whole)
    assert first.curve == whole.curve[:1]
    assert torch.equal(*(each.load(LATE).state_dict()["classifier.weight"] for each in (expected, paused)))


@pytest.mark.parametrize(
    ("method", "even"),
    [
        ("full", True),
        ("linear_probe", True),
        ("llrd", True),
        ("l2_sp", True),
        ("auto_rgn", True),
        ("lora", True),
        ("lp_ft", False),
        ("gradual_last_first", False),
        ("gradual_first_last", False),
    ],
)
def test_which_methods_train_the_same_blocks_all_the_time(method, even, evaluator):
    assert evaluator().is_even(Task(method, (), None, 1, 10, "hash")) == even


def test_a_task_that_goes_on_takes_only_the_epochs_that_are_left(evaluator):
    epochs = []
    paused = evaluator(hooks=Hooks(on_epoch=lambda epoch, _: epochs.append(epoch)))
    for task in (dataclasses.replace(LATE, last_epoch=1), dataclasses.replace(LATE, first_epoch=1)):
        paused(task)
        epochs.append("end")
    assert list(dict.fromkeys(epochs[: epochs.index("end")])) == [0]
    assert list(dict.fromkeys(epochs[epochs.index("end") + 1 : -1])) == [1]


@pytest.mark.parametrize("changes", [{}, {"compute": {"prefix_cache_mib": 0}}, {"compute": {"precision": "bfloat16"}}])
def test_a_result_does_not_depend_on_what_came_before(changes, evaluator):
    """After other recipes, other seeds and a divergence, the same task gives the same result, weights included."""
    fresh, used = evaluator(changes), evaluator(changes)
    expected = without_clock(fresh(LATE))
    weights = fresh.checkpoint(LATE).read_bytes()
    for other in (
        FULL,
        dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 3, *(1.0,) * 4)),
        dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)),
        dataclasses.replace(LATE, seed=2),
    ):
        used(other)
    used.checkpoint(LATE).unlink()
    assert without_clock(used(LATE)) == expected
    assert used.checkpoint(LATE).read_bytes() == weights
    assert without_clock(used(LATE)) == expected


def test_the_prefix_cache_changes_nothing_but_rounding(evaluator):
    sgd = {"training": {"optimizer": "sgd"}}
    cached, plain = evaluator(sgd)(LATE), evaluator(sgd, {"compute": {"prefix_cache_mib": 0}})(LATE)
    for one, other in zip(cached.curve, plain.curve, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)


def test_the_test_set_is_answered_in_single_precision(evaluator):
    """By the exported weights, as whoever uses the model computes; only the training is in bfloat16."""
    work, exact = evaluator({"compute": {"precision": "bfloat16"}}), evaluator()
    work(LATE)
    trained = work.checkpoint(LATE).read_bytes()
    pixels = work.data.selection
    logits = work.test_logits(LATE, pixels)
    exact(LATE)
    assert exact.checkpoint(LATE).read_bytes() != trained
    exact.checkpoint(LATE).write_bytes(trained)
    assert np.array_equal(exact.test_logits(LATE, pixels), logits)


def test_what_the_disk_keeps_changes_nothing(evaluator):
    """After three blocks 96 maps of 8 x 8 values lie: 1.1 MiB for the 48 images of both splits."""
    task, small = (
        dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 3, *(1.0,) * 4)),
        {"compute": {"prefix_cache_mib": 1}},
    )
    none, some = evaluator(small, {"cache": {"activations_gib": 0.0}}, size=64), evaluator(small, size=64)
    assert without_clock(none(task)) == without_clock(some(task))
    assert none._cache.used_bytes == 0
    assert some._cache.used_bytes == 48 * 96 * 8 * 8 * 4


def test_a_checkpoint_holds_the_trained_blocks_and_nothing_else(evaluator):
    """Frozen parameters and buffers of the network that is exported are bit-equal to the pretrained ones."""
    work = evaluator()
    before = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    work(LATE)
    after = work.load(LATE).state_dict()
    owner = work.network.partition.owner
    moved = {owner(name) for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    stored = safetensors.torch.load(work.checkpoint(LATE).read_bytes()[32:])
    assert moved == {5, 6}
    assert {owner(name) for name in stored} == {5, 6}


def test_the_papers_statistics_travel_with_the_checkpoint(evaluator):
    """With live batch-norm statistics, frozen blocks change too; the checkpoint must hold them."""
    work = evaluator({"training": {"frozen_statistics": "train"}})
    work(LATE)
    trained = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    work(FULL)
    loaded = work.load(LATE).state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in loaded.items())


@pytest.mark.parametrize("method", [*(name for name in METHODS if name != GIVEN), "l1_sp:alpha=0.01,proximal=true"])
def test_every_method_is_a_task_and_leaves_a_plain_network(method, evaluator):
    """What is stored is the network of the best epoch, cache or no cache; the next task starts from the beginning."""
    work = evaluator()
    task = dataclasses.replace(FULL, method=method, keep_weights=True)
    expected = without_clock(work(LATE))
    result = work(task)
    assert result.outcome == "ok"
    total = sum(parameter.numel() for parameter in work.model.parameters())
    assert 0 < result.trainable <= total
    logits = predict_logits(work.load(task), work._pixels, work.data.validation)
    loss = metrics.cross_entropy(logits, work.data.selection.labels[work.data.validation])
    assert loss == pytest.approx(result.best.validation_loss, rel=1e-4)
    assert without_clock(work(LATE)) == expected


def test_options_are_part_of_a_task():
    keys = {dataclasses.replace(FULL, method=method).key for method in ("l2_sp", "l2_sp:alpha=0.1", "l1_sp", "full")}
    assert len(keys) == 4


def test_missing_and_altered_weights_are_noticed(evaluator):
    work = evaluator()
    assert not work.has_weights(LATE)
    work(LATE)
    assert work.has_weights(LATE)
    content = bytearray(work.checkpoint(LATE).read_bytes())
    content[-1] ^= 1
    work.checkpoint(LATE).write_bytes(content)
    assert not work.has_weights(LATE)
    with pytest.raises(DamagedStateError, match=r"\.weights' is missing or damaged"):
        work.load(LATE)


def test_divergence_is_the_worst_fitness(evaluator):
    result = evaluator()(dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)))
    assert (result.outcome, result.fitness) == ("diverged", 0.0)


def test_the_head_and_the_order_depend_on_the_seed(evaluator):
    work = evaluator()
    one, other = work(LATE), work(dataclasses.replace(LATE, seed=2))
    assert one.curve != other.curve


def test_a_fold_trains_on_its_part_and_validates_on_all(evaluator):
    work = evaluator({"data": {"folds": 2}})
    halves = [work._folds[fold][0] for fold in (0, 1)]
    assert sorted(np.concatenate(halves).tolist()) == work.data.train.tolist()
    one, other = (work(dataclasses.replace(LATE, fold=fold)) for fold in (0, 1))
    assert one.curve != other.curve
    assert work.work_of(dataclasses.replace(FULL, fold=0), 2) == pytest.approx(1.0)


def test_work_grows_with_the_depth_of_the_first_trained_block(evaluator):
    work = evaluator()
    shares = [
        work.work_of(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * first, *(1.0,) * (BLOCKS - first))), 1)
        for first in range(BLOCKS)
    ]
    assert shares[0] == work.work_of(FULL, 1) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[-1] < 0.1


@pytest.fixture
def four_blocks(images, tmp_path):
    """A maker of evaluators of a network of four blocks that take 2700, 1500, 30 and 15 multiplications an image."""

    def make(*changes) -> Evaluator:
        torch.set_num_threads(1)
        loaded = load_backbone(Backbone(Small(), image_size=12, head="classifier", blocks=FOUR), 3)
        config = tiny_config(images, *changes)
        data = load(open_source(images), config.data, loaded.preprocessing)
        return Evaluator(config, loaded, data, tmp_path / "checkpoints")

    return make


A, B, C, D = (count / 4245 for count in (2700, 1500, 30, 15))
"""Shares of the four blocks. An epoch: trained 3 thirds, frozen above a trained block 2, below all of them 1."""

PROBED = (A + B + C) / 3 + D
STAGED = {
    "full": (1.0, 1.0, 1.0, 1.0),
    "lora": (1.0, 1.0, 1.0, 1.0),
    "gradual_last_first": (PROBED, (A + B) / 3 + C + D, A / 3 + B + C + D, 1.0),
    "gradual_last_first:epochs_per_stage=2": (PROBED, PROBED, (A + B) / 3 + C + D, (A + B) / 3 + C + D),
    "gradual_first_last": (A + 2 / 3 * (B + C) + D, A + B + 2 / 3 * C + D, 1.0, 1.0),
    "gradual_first_last:head_always=false": (A + 2 / 3 * (B + C + D), A + B + 2 / 3 * (C + D), 1 - D / 3, 1.0),
    "lp_ft": (PROBED, PROBED, 1.0, 1.0),
    "lp_ft:share=0.25": (PROBED, 1.0, 1.0, 1.0),
    "linear_probe": (D, D, D, D),
    "auto_rgn": (2.0, 2.0, 2.0, 2.0),
    "auto_rgn:batches=2": (1 + 16 / 36,) * 4,
}
"""Thirty-six images in batches of eight: five measured batches are all of them, two are sixteen."""


@pytest.mark.parametrize("method", STAGED)
def test_work_is_that_of_every_epoch(method, four_blocks):
    """Of four planned epochs, the work after each."""
    task, work = dataclasses.replace(FULL, method=method, epochs=4), four_blocks()
    assert [work.work_of(task, epochs) for epochs in range(5)] == pytest.approx(np.cumsum([0, *STAGED[method]]))


@pytest.mark.parametrize(
    ("changes", "augmented", "prefix"),
    [
        ({}, False, 0),
        ({"compute": {"prefix_cache_mib": 0}}, False, A + B),
        ({"training": {"frozen_statistics": "train"}}, False, A + B),
        ({"training": {"augment": "light"}}, False, 0),
        ({"training": {"augment": "light"}}, True, A + B),
    ],
)
def test_a_frozen_prefix_is_paid_where_it_is_computed(changes, augmented, prefix, four_blocks):
    work = four_blocks(changes)
    given = work.network.recipe((0.0, 0.0, 1.0, 0.0))
    task = dataclasses.replace(FULL, method=GIVEN, recipe=given, augmented=augmented)
    assert work.work_of(task, 1) == pytest.approx(prefix / 3 + C + 2 / 3 * D)


def test_counting_work_changes_no_result(evaluator):
    expected = without_clock(evaluator()(LATE))
    work = evaluator()
    work(dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)))
    assert work.work_of(LATE, 2) > 0
    assert without_clock(work(LATE)) == expected
    assert work.work_of(LATE, 2) == evaluator().work_of(LATE, 2)


def test_fitness_is_the_score_less_a_hair(evaluator):
    """Twelve validation images in three classes of four: one image is worth a twelfth."""
    result = evaluator()(LATE)
    assert result.best is not None
    assert 0 < result.best.score - result.fitness < 1 / 24


def test_without_tie_break_fitness_is_the_score(evaluator):
    result = evaluator({"training": {"tie_break": False}})(LATE)
    assert result.fitness == result.best.score


def test_a_stop_ends_a_training_between_steps(evaluator):
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise InterruptedRunError("stopped")

    work = evaluator(hooks=Hooks(check=stop))
    with pytest.raises(InterruptedRunError):
        work(FULL)
    assert without_clock(work(LATE)) == without_clock(evaluator()(LATE))


def test_an_epoch_is_measured_without_a_trace(evaluator):
    work = evaluator()
    expected = without_clock(evaluator()(LATE))
    assert work.measure_epoch(steps=1) > 0
    assert without_clock(work(LATE)) == expected


@pytest.mark.parametrize("level", ["light", "strong"])
def test_an_augmented_training_sees_pixels_and_leaves_plain_ones_alone(evaluator, level):
    """Frozen outputs are not reused for it, and a plain training of the same run is that of a run without."""
    work = evaluator({"training": {"augment": level}})
    augmented = dataclasses.replace(LATE, augmented=True)
    assert augmented.key != LATE.key
    first = work(augmented)
    assert work._cache.used_bytes == 0
    assert without_clock(work(LATE)) == without_clock(evaluator()(LATE)) != without_clock(first)
    assert work._cache.used_bytes > 0
    assert without_clock(work(augmented)) == without_clock(first)
