"""Trainings obey the named values of a recipe, and the settings of the same names."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from tiny_tasks import BLOCKS, FULL, LATE, recipe

from biotune.errors import InputError
from biotune.models import load_model
from biotune.recipe import Recipe
from biotune.records import GIVEN
from biotune.settings.sections import TrainingConfig
from biotune.training.recipe_values import RECIPE_VALUES, with_values
from biotune.trials.counting import Counter

PROBE = dataclasses.replace(FULL, method="probe", keep_weights=True)
FITTED = {"training": {"head_start": "fitted"}}
NORMS = ("running_mean", "running_var", "num_batches_tracked")


def valued(task=LATE, **values):
    return dataclasses.replace(task, recipe=task.recipe.with_values(values))


def without_clock(evaluation):
    return dataclasses.replace(evaluation, seconds=0.0, cpu_seconds=0.0)


def state(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", RECIPE_VALUES)
def test_a_value_has_the_name_the_default_and_the_choices_of_a_setting(name):
    field = TrainingConfig.model_fields[name]
    choices = getattr(field.annotation, "__args__", (0.25,))
    plain = TrainingConfig()
    for choice in choices:
        assert getattr(with_values(plain, LATE.recipe.with_values({name: choice})), name) == choice
    assert getattr(plain, name) in (*choices, 0.0)
    with pytest.raises(InputError, match=f"the recipe's value {name} = 'half' is out of range"):
        with_values(plain, LATE.recipe.with_values({name: "half"}))


@pytest.mark.parametrize(("name", "value"), [("head_start", "fitted"), ("statistics", "kept"), ("weight_decay", 0.5)])
def test_a_value_of_a_recipe_is_the_setting_of_the_run(name, value, worker):
    own = worker().evaluate(valued(**{name: value}))
    plain = worker().evaluate(LATE)
    assert without_clock(own) == without_clock(worker({"training": {name: value}}).evaluate(LATE))
    assert own.curve != plain.curve
    back = valued(**{name: getattr(TrainingConfig(), name)})
    assert without_clock(worker({"training": {name: value}}).evaluate(back)) == without_clock(plain)


def test_the_fitted_head_is_the_probe_s(worker):
    """The training's seed is that of the splits, so the folds of the cross-validation are the same."""
    work = worker()
    work.evaluate(dataclasses.replace(PROBE, seed=work.spec.config.data.split_seed))
    probe = work.weights.load(dataclasses.replace(PROBE, seed=work.spec.config.data.split_seed))
    assert same(work.fitted_head(None), probe)
    assert set(probe) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("method", ["full", "linear_probe", "lp_ft", "lora", "llrd", "gradual_last_first"])
def test_every_method_can_begin_with_the_fitted_head(method, worker):
    """At a rate that moves nothing, the first epoch is scored as the probe is."""
    still = {"training": {"head_start": "fitted", "learning_rate": 1e-30, "statistics": "kept"}}
    task, fresh = dataclasses.replace(FULL, method=method), {"training": {**still["training"], "head_start": "fresh"}}
    work = worker(still)
    probe = work.evaluate(dataclasses.replace(PROBE, seed=0)).curve[0]
    found = work.evaluate(task).curve[0]
    assert found.validation_loss == pytest.approx(probe.validation_loss, rel=1e-4)
    assert worker(fresh).evaluate(task).curve[0].validation_loss > 1.1 * found.validation_loss


def test_a_fold_has_a_head_of_its_own_which_is_fitted_once(worker, monkeypatch):
    work = worker({"data": {"folds": 2}}, FITTED)
    heads = [work.fitted_head(fold) for fold in (None, 0, 1)]
    assert not any(same(one, other) for one, other in itertools.pairwise(heads))
    monkeypatch.setattr("biotune.trials.worker.fit_at_once", lambda *_: pytest.fail("fitted again"))
    for seed in (1, 2):
        for fold in (None, 0, 1):
            work.evaluate(dataclasses.replace(LATE, seed=seed, fold=fold))


def test_a_fitted_head_weighs_classes_as_the_run_does(worker):
    plain, weighted = worker(), worker({"training": {"imbalance": "weights"}})
    for each in (plain, weighted):
        parts = each.spec.data.parts
        train, validation = parts[None]
        rare = train[(each.spec.data.labels[train] != 0) | (np.arange(len(train)) % 2 == 0)]
        each.spec = dataclasses.replace(
            each.spec, data=dataclasses.replace(each.spec.data, parts={None: (rare, validation)})
        )
    assert not same(plain.fitted_head(None), weighted.fitted_head(None))


@pytest.mark.parametrize(
    "values",
    [
        {"head_start": "fitted"},
        {"statistics": "kept"},
        {"augment": "standard"},
        {"augment": "light", "statistics": "kept"},
    ],
)
@pytest.mark.parametrize("head", [0.0, 2.0])
def test_a_paused_training_goes_on_to_the_same_result(values, head, worker):
    """With a frozen head too, which no paused state holds."""
    task = valued(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 5, 1.0, head)), **values)
    expected, paused = worker(), worker()
    whole = expected.evaluate(task)
    paused.evaluate(dataclasses.replace(task, last_epoch=1, keep_weights=False, keep_above=0.0))
    paused.evaluate(dataclasses.replace(LATE, seed=3))
    assert without_clock(paused.evaluate(dataclasses.replace(task, first_epoch=1))) == without_clock(whole)
    assert same(state(paused.load(task)), state(expected.load(task)))


def test_what_a_task_leaves_is_whole_where_the_head_is_fitted_and_frozen(worker):
    task = valued(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * 5, 1.0, 0.0)), head_start="fitted")
    work = worker()
    work.evaluate(task)
    head = work.fitted_head(None)
    work.evaluate(dataclasses.replace(LATE, seed=9))
    loaded = state(work.load(task))
    assert all(torch.equal(loaded[name], head[name]) for name in head)


def test_kept_statistics_are_the_pretrained_ones_bit_for_bit(worker):
    work, task = worker(), valued(dataclasses.replace(LATE, recipe=recipe(*(1.0,) * BLOCKS)), statistics="kept")
    before = state(work.model)
    work.evaluate(task)
    after = state(work.load(task))
    norms = {name for name in before if name.endswith(NORMS)}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert norms
    assert not norms & moved
    assert any(name.replace("running_mean", "weight") in moved for name in norms)

    work.evaluate(dataclasses.replace(task, recipe=recipe(*(1.0,) * BLOCKS)))
    drifted = state(work.load(dataclasses.replace(task, recipe=recipe(*(1.0,) * BLOCKS))))
    assert not any(torch.equal(before[name], drifted[name]) for name in norms)


def test_with_the_papers_statistics_trained_blocks_can_keep_theirs(worker):
    """Frozen batch norms drift there, as the papers' code does; block five is the last one with any."""
    work, task = worker({"training": {"frozen_statistics": "train"}}), valued(statistics="kept")
    before = state(work.model)
    work.evaluate(task)
    after, owner = state(work.model), work.network.partition.owner
    moved = {owner(name) for name in before if name.endswith(NORMS) and not torch.equal(before[name], after[name])}
    assert moved == {0, 1, 2, 3, 4}


def test_a_recipe_that_fits_and_freezes_is_the_method_probe(worker):
    probe = valued(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)), head_start="fitted")
    assert probe.recipe.is_probe
    assert not probe.is_infeasible
    one, other = worker(), worker()
    found, expected = one.evaluate(probe), other.evaluate(dataclasses.replace(PROBE, seed=probe.seed))
    assert without_clock(found) == without_clock(expected)
    assert same(one.weights.load(probe), other.weights.load(dataclasses.replace(PROBE, seed=probe.seed)))
    assert one.recipe_of(probe).multipliers == (0.0,) * BLOCKS
    assert one.recipe_of(probe).is_probe
    assert Counter(one).work_of(probe, 2) == pytest.approx(1 / 3)


def test_a_probe_goes_on_from_a_rung_where_it_has_ended(worker):
    probe = valued(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)), head_start="fitted")
    work = worker()
    first = work.evaluate(dataclasses.replace(probe, last_epoch=1))
    assert without_clock(work.evaluate(dataclasses.replace(probe, first_epoch=1))) == without_clock(first)


def test_a_level_of_a_recipe_augments_every_training_of_it(worker):
    """In the search, where nothing else is augmented, with the images that the run's own level gives."""
    task, plain = valued(augment="standard"), worker()
    work = worker()
    found = work.evaluate(task)
    assert work.cache.used_bytes == 0
    own = worker({"training": {"augment": "standard"}})
    assert without_clock(found) == without_clock(own.evaluate(dataclasses.replace(LATE, augmented=True)))
    assert without_clock(work.evaluate(LATE)) == without_clock(plain.evaluate(LATE)) != without_clock(found)


def test_a_recipe_can_go_without_the_augmentation_of_its_run(worker):
    work = worker({"training": {"augment": "strong"}})
    task = dataclasses.replace(valued(augment="none"), augmented=True)
    assert without_clock(work.evaluate(task)) == without_clock(worker().evaluate(LATE))


def test_an_augmented_recipe_pays_for_its_frozen_blocks(worker):
    count = Counter(worker())
    assert (
        count.work_of(valued(augment="light"), 1)
        > count.work_of(LATE, 1)
        == count.work_of(valued(statistics="kept"), 1)
    )
    assert count.work_of(valued(head_start="fitted"), 2) == count.work_of(LATE, 2)


def test_values_are_saved_and_applied(tmp_path):
    loaded = load_model("timm:test_efficientnet", 3, weights="random", image_size=32)
    given = Recipe(loaded.partition, (0.0,) * BLOCKS).with_values({"head_start": "fitted"})
    given.save(tmp_path / "recipe.yaml")
    found = Recipe.load(tmp_path)
    assert (found, found.is_probe, found.trains_nothing) == (given, True, False)
    model = found.apply(loaded.model).train()
    assert not any(module.training for module in model.modules() if list(module.parameters(recurse=False)))
    with pytest.raises(InputError, match="this recipe trains no block"):
        found.parameter_groups(model)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_method_of_a_probe_needs_its_task_to_be_given():
    assert dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)).is_infeasible
    assert valued(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * BLOCKS)), head_start="fresh").is_infeasible
    assert LATE.method == GIVEN


def test_an_exported_recipe_names_what_its_training_was_told(worker):
    """Not what has no part in it: the level of a training that is not augmented, anything where nothing is trained."""
    told = {"statistics": "kept", "augment": "light", "weight_decay": 0.1}
    work = worker({"training": told})
    assert dict(work.recipe_of(dataclasses.replace(FULL, augmented=True)).values) == told
    assert dict(work.recipe_of(valued(weight_decay=0.0)).values) == {"statistics": "kept", "weight_decay": 0.0}
    assert work.recipe_of(PROBE).values == ()
    assert worker().recipe_of(FULL).values == ()
    again = worker().evaluate(
        dataclasses.replace(LATE, recipe=work.recipe_of(dataclasses.replace(LATE, augmented=True)))
    )
    assert without_clock(again) == without_clock(work.evaluate(dataclasses.replace(LATE, augmented=True)))
