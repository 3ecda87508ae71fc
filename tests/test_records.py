"""Records survive JSON, and a task's key names everything that its result depends on."""

import hashlib
import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from biotune.records import GIVEN, INFEASIBLE, EpochRecord, Evaluation, Preprocessing, Task
from recipes import recipe

TASK = Task(method=GIVEN, recipe=recipe(0.0, 1.5), fold=0, seed=684, epochs=30, config_hash="abc")
CURVE = (EpochRecord(0, 1.5, 1.25, 0.5, 0.4, 0.4), EpochRecord(1, 1.0, 0.75, 0.6, 0.55, 0.55))
EVALUATION = Evaluation("ok", 0.55, 1, CURVE, seconds=2.5, trainable=42, cpu_seconds=4.5)


def through_json(data: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(data))


def test_the_key_is_a_hash_of_the_sorted_fields() -> None:
    text = (
        '{"augmented": false, "config_hash": "abc", "epochs": 30, "fold": 0, "method": "recipe", '
        '"multipliers": [0.0, 1.5], "seed": 684}'
    )

    assert TASK.key == hashlib.sha256(text.encode()).hexdigest()[:24]


OLD_KEYS = {
    "d1655c458ae4a96ee2bcd914": TASK,
    "68fd8f047d51f1be67a8278b": Task(GIVEN, recipe(0.0, 0.0, 0.1, 3.981072), None, 1, 20, "hash", True, False, 0, 8),
    "76aea0cd39ee3fb0e46d8790": Task(GIVEN, recipe(*(1.0,) * 7), 3, 559, 12, "h", False, False, 4, 0),
    "559aede79981739b2896e115": Task(GIVEN, recipe(0.0, 0.0), None, 0, 1, ""),
    "d28760a08588afdaffe5aafe": Task("full", None, None, 629, 30, "abc", True),
    "8abed3a42673258ef962be72": Task("lora:r=4", None, 1, 5, 20, "abc", False, False),
    "50b5af944631017e65ecae57": Task(f"{GIVEN}:rate=2", recipe(0.5, 1.0), None, 5, 20, "abc"),
}
"""Keys as they were when a task held multipliers and the method was called ``recipe``: results of older runs count."""


@pytest.mark.parametrize("key", OLD_KEYS)
def test_keys_of_stored_results_stay(key: str) -> None:
    assert OLD_KEYS[key].key == key


OLD_AUGMENTED_KEYS = {"92dfabdae38c14bea754439d", "7a5f7d69e6b38e507fd59ec3"}
"""Those of two of the tasks above, augmented by torchvision: such results are not those of the images of today."""


def test_results_on_images_that_were_changed_in_another_way_do_not_count() -> None:
    assert not {replace(task, augmented=True).key for task in OLD_KEYS.values()} & {*OLD_KEYS, *OLD_AUGMENTED_KEYS}


def test_only_what_it_trains_and_its_values_count_of_a_recipe() -> None:
    elsewhere = replace(TASK.recipe, base_learning_rate=0.5, optimizer="sgd", model="net")

    assert replace(TASK, recipe=elsewhere).key == TASK.key
    assert TASK.to_json() == {**through_json(TASK.to_json()), "multipliers": [0.0, 1.5]}
    assert "values" not in TASK.to_json()


@pytest.mark.parametrize(("multipliers", "needless"), [((0.0, 0.0), True), ((0.0, 1.5), False), ((), False)])
def test_a_task_that_trains_nothing_needs_no_training(multipliers: tuple[float, ...], needless: bool) -> None:
    assert replace(TASK, recipe=recipe(*multipliers) if multipliers else None).is_infeasible == needless


@pytest.mark.parametrize("change", [{"keep_weights": True}, {"first_epoch": 3}])
def test_what_the_result_does_not_depend_on_is_not_in_the_key(change) -> None:
    assert replace(TASK, **change).key == TASK.key


@pytest.mark.parametrize(
    "change",
    [
        {"method": "full"},
        {"recipe": recipe(0.0, 1.500001)},
        {"recipe": None},
        {"recipe": recipe(0.0, 1.5).with_values({"weight_decay": 0.01})},
        {"last_epoch": 3},
        {"fold": None},
        {"fold": 1},
        {"seed": 559},
        {"epochs": 29},
        {"config_hash": "abd"},
        {"augmented": True},
    ],
)
def test_every_other_field_changes_the_key(change: dict[str, Any]) -> None:
    assert replace(TASK, **change).key != TASK.key


@pytest.mark.parametrize("evaluation", [EVALUATION, INFEASIBLE, Evaluation("diverged", 0.0, curve=CURVE[:1])])
def test_evaluations_survive_json(evaluation: Evaluation) -> None:
    assert Evaluation.from_json(through_json(evaluation.to_json())) == evaluation


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(224), Preprocessing(96, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "pad", 0.875, "bilinear")],
)
def test_preprocessing_survives_json(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_json(through_json(preprocessing.to_json())) == preprocessing


@pytest.mark.parametrize(
    ("evaluation", "best"), [(EVALUATION, CURVE[1]), (replace(EVALUATION, best_epoch=0), CURVE[0]), (INFEASIBLE, None)]
)
def test_the_best_epoch(evaluation: Evaluation, best: EpochRecord | None) -> None:
    assert evaluation.best is best


def test_an_infeasible_point_has_the_worst_fitness_and_no_curve() -> None:
    assert Evaluation(outcome="infeasible", fitness=0.0, best_epoch=-1, curve=(), trainable=0) == INFEASIBLE


@pytest.mark.parametrize("record", [TASK, EVALUATION, CURVE[0], Preprocessing(224)])
def test_records_are_frozen_and_hashable(record: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        record.seed = 1

    assert hash(record) == hash(replace(record))


def test_a_level_of_a_recipe_makes_one_training_of_marked_and_unmarked_tasks() -> None:
    """It holds in both; the mark alone says another training, and another one than before images changed."""
    own = replace(TASK, recipe=recipe(0.0, 1.5).with_values({"augment": "light"}))
    assert own.key == replace(own, augmented=True).key
    assert len({own.key, TASK.key, replace(TASK, augmented=True).key}) == 3


def test_results_that_were_stored_without_cpu_time_still_load() -> None:
    fields = through_json(EVALUATION.to_json())
    del fields["cpu_seconds"]
    assert Evaluation.from_json(fields) == replace(EVALUATION, cpu_seconds=0.0)
