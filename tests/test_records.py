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
EVALUATION = Evaluation("ok", 0.55, 1, CURVE, seconds=2.5, trainable=42)


def through_json(data: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(data))


def test_the_key_is_a_hash_of_the_sorted_fields() -> None:
    text = (
        '{"augmented": false, "config_hash": "abc", "epochs": 30, "fold": 0, "method": "recipe", '
        '"multipliers": [0.0, 1.5], "seed": 684}'
    )

    assert TASK.key == hashlib.sha256(text.encode()).hexdigest()[:24]


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
