"""Frozen modules stay in evaluation mode while a training lasts: no epoch walks through them, and no bit changes."""

import copy

import pytest
import torch
from torch import nn

from biotune import frozen
from biotune.training.stages import prepared
from small_network import CONFIG, Case, changed, copies


class Walking:
    """The plainest way to keep a module in evaluation mode: switch it back after every ``train()``."""

    def __init__(self, module: nn.Module, with_children: bool = True) -> None:
        self._module, self._with_children = module, with_children

    def __call__(self, mode: bool = True) -> nn.Module:
        for child in self._module.children():
            child.train(mode and not self._with_children)
        return self._module


def held(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if "train" in vars(module)]


def test_train_leaves_frozen_modules_alone_until_the_training_is_over():
    case = Case()
    with prepared(case.model, case.method("given"), CONFIG, seed=0):
        case.model.train()

        assert held(case.model) == ["stem", "hidden"]
        assert not any(module.training for module in (case.model.stem[1], case.model.hidden))
        assert case.model.norm.training
        assert case.model.stem.train() is case.model.stem
    assert held(case.model) == []
    assert all(module.training for module in case.model.train().modules())


def test_papers_statistics_are_not_held():
    case = Case()
    config = CONFIG.model_copy(update={"frozen_statistics": "train"})
    with prepared(case.model, case.method("given"), config, seed=0):
        assert held(case.model) == []


def test_modules_are_let_go_after_an_error():
    case = Case()
    with pytest.raises(ZeroDivisionError), prepared(case.model, case.method("given"), CONFIG, seed=0):
        _ = 1 / 0

    assert held(case.model) == []


@pytest.mark.parametrize("method", ["given", "full", "gradual_last_first", "gradual_first_last", "lora", "lp_ft"])
def test_holding_changes_no_bit(method, monkeypatch):
    case, plain = Case(), Case()
    result = case.fit(method)
    monkeypatch.setattr(frozen, "Held", Walking)
    expected = plain.fit(method)
    ours, theirs = copies(case.model), copies(plain.model)

    assert result == expected
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def test_kept_batch_norms_of_trained_blocks_are_held_in_copies_too():
    """The block of the norm is trained, its statistics and mode stay; whatever else is trained follows the loop."""
    case = Case()
    recipe = case.network.recipe((1.0, 0.5, 0.0, 2.0)).with_values({"statistics": "kept"})
    before, model = copies(case.model), copy.deepcopy(recipe.apply(case.model)).train()
    assert held(model) == ["stem.1", "norm", "hidden"]
    assert model.stem.training
    optimizer = torch.optim.SGD(recipe.parameter_groups(model, 0.1))
    for _ in range(2):
        optimizer.zero_grad()
        model.train()(case.source.batch(torch.arange(6))).square().sum().backward()
        optimizer.step()
    moved = changed(before, copies(model))
    assert {"stem.1.weight", "stem.1.bias", "norm.weight", "norm.bias"} < moved
    assert not {name for name in moved if "running" in name or "tracked" in name}

    recipe.release(model).train()(case.source.batch(torch.arange(6)))
    assert held(model) == []
    assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])


def test_a_method_keeps_statistics_from_stage_to_stage():
    """Gradual unfreezing changes what is frozen after every epoch."""
    case = Case()
    before = copies(case.model)
    case.fit("gradual_last_first", CONFIG.model_copy(update={"statistics": "kept"}), epochs=5, keep_best=False)
    moved = changed(before, copies(case.model))
    assert {"stem.1.weight", "norm.weight"} < moved
    assert not {name for name in moved if "running" in name or "tracked" in name}
