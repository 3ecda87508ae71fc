"""LP-FT: the split of the epochs, the switch, and which classifier it starts from."""

import pytest
import torch

from biotune.methods import Signals
from biotune.methods.lp_ft import num_probing
from biotune.records import EpochRecord
from small_network import CONFIG, Case


@pytest.mark.parametrize(
    ("share", "epochs", "expected"), [(0.5, 30, 15), (0.5, 3, 2), (0.1, 4, 1), (0.9, 4, 3), (0.99, 2, 1), (0.5, 1, 0)]
)
def test_the_split_of_the_epochs(share, epochs, expected):
    assert num_probing(share, epochs) == expected


def record(epoch: int, score: float, loss: float) -> EpochRecord:
    return EpochRecord(epoch, 1.0, loss, score, score, score)


@pytest.mark.parametrize(
    ("text", "curve", "taken"),
    [
        ("lp_ft", [(0.5, 1.0), (0.9, 1.0), (0.7, 0.1)], 2.0),
        ("lp_ft", [(0.5, 1.0), (0.5, 0.9), (0.5, 0.8)], 3.0),
        ("lp_ft", [(0.0, 1.0), (0.0, 2.0), (0.0, 3.0)], 1.0),
        ("lp_ft:start=last", [(0.5, 1.0), (0.9, 1.0), (0.7, 0.1)], 3.0),
    ],
)
def test_the_switch_takes_the_best_or_the_last_classifier(text, curve, taken):
    """Three epochs of six probe; the classifier is 1, 2 and 3 after them."""
    case = Case()
    method = case.method(text)
    scope = method.prepare(case.model)
    records = [record(epoch, *values) for epoch, values in enumerate(curve)]
    stages = []
    for epoch in range(4):
        stages.append(method.stage(epoch, Signals(scope, 6, tuple(records[:epoch]), lambda count: iter(()))))
        if epoch < 3:
            torch.nn.init.constant_(case.model.classifier.weight, epoch + 1.0)
    assert set(case.model.classifier.weight.flatten().tolist()) == {taken}
    assert [stage.recipe.multipliers for stage in stages] == [(0.0, 0.0, 0.0, 1.0)] * 3 + [(1.0,) * 4]


def test_the_switch_resets_the_optimiser_and_starts_patience():
    case = Case()
    method = case.method("lp_ft")
    scope = method.prepare(case.model)
    curve = tuple(record(epoch, 0.5, 1.0) for epoch in range(4))
    stages = [method.stage(epoch, Signals(scope, 4, curve[:epoch], lambda count: iter(()))) for epoch in range(4)]
    assert [stage.reset for stage in stages] == [False, False, True, False]
    assert [stage.may_stop for stage in stages] == [False, False, True, True]


def test_the_probe_is_the_linear_probe():
    """While it probes, LP-FT is the linear probe, epoch by epoch."""
    config = CONFIG.model_copy(update={"patience": 9})
    probe, both = Case().fit("linear_probe", config, epochs=4), Case().fit("lp_ft", config, epochs=4)
    assert probe.curve[:2] == both.curve[:2]
    assert probe.curve[2] != both.curve[2]
