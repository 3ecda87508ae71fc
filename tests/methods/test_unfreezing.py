"""Which blocks are trained in which epoch, and when patience begins."""

import pytest

from biotune.methods import Network, Signals, make_method
from biotune.methods.unfreezing import num_unfrozen
from biotune.partition import Block, make_partition
from biotune.settings.sections import TrainingConfig
from biotune.training.pausing import Patience
from small_network import CONFIG, Case, changed, copies

SHAPES = {f"{name}.weight": (2, 2) for name in "abcd"}
FOUR = Network(make_partition([Block(name, (name,)) for name in "abcd"], SHAPES), ("d",), SHAPES)


def stages(text: str, epochs: int):
    method = make_method(text, FOUR)
    signals = Signals(method.outline(), epochs, (), lambda count: iter(()))
    return [method.stage(epoch, signals) for epoch in range(epochs)]


def trained(stage) -> str:
    pairs = zip(stage.recipe.partition.names, stage.recipe.multipliers, strict=True)
    return "".join(name for name, value in pairs if value > 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gradual_last_first", ["d", "cd", "bcd", "abcd", "abcd", "abcd"]),
        ("gradual_last_first:epochs_per_stage=2", ["d", "d", "cd", "cd", "bcd", "bcd", "abcd"]),
        ("gradual_last_first:epochs_per_stage=0", ["d", "d", "cd", "cd", "bcd", "bcd", "abcd", "abcd"]),
        ("gradual_first_last", ["ad", "abd", "abcd", "abcd"]),
        ("gradual_first_last:head_always=false", ["a", "ab", "abc", "abcd", "abcd"]),
        ("gradual_first_last:epochs_per_stage=0", ["ad", "abd", "abcd", "abcd"]),
    ],
)
def test_trained_blocks_by_epoch(text, expected):
    planned = stages(text, len(expected))
    assert [trained(stage) for stage in planned] == expected
    assert [stage.may_stop for stage in planned] == [names == "abcd" for names in expected]
    assert not any(stage.reset for stage in planned)


def test_one_rate_for_all_freed_blocks():
    assert {value for stage in stages("gradual_last_first:rate=0.5", 4) for value in stage.recipe.multipliers} == {
        0,
        0.5,
    }


@pytest.mark.parametrize(
    ("epoch", "epochs", "blocks", "per_stage", "unfrozen"),
    [(0, 30, 7, 1, 1), (6, 30, 7, 1, 7), (29, 30, 7, 1, 7), (29, 30, 7, 0, 7), (25, 30, 7, 0, 6), (0, 1, 1, 0, 1)],
)
def test_number_of_freed_blocks(epoch, epochs, blocks, per_stage, unfrozen):
    assert num_unfrozen(epoch, epochs, blocks, per_stage) == unfrozen


@pytest.mark.parametrize(
    ("text", "untouched"),
    [
        ("gradual_last_first", {"stem", "middle", "norm", "scale"}),
        ("gradual_first_last:head_always=false", {"hidden", "classifier", "scale"}),
    ],
)
def test_a_block_is_bit_equal_until_it_is_freed(text, untouched):
    """Two epochs free two of four blocks."""
    case = Case()
    before = copies(case.model)
    case.fit(text, epochs=2, keep_best=False)
    moved = {name.partition(".")[0] for name in changed(before, case.model.state_dict())}
    assert moved == {"stem", "middle", "norm", "scale", "hidden", "classifier"} - untouched


def test_patience_begins_when_all_blocks_are_trained():
    """Scores never rise: three epochs that do not count, the fourth does, and two more are waited for."""
    patience = Patience(TrainingConfig(patience=2, patience_steps=0), steps_per_epoch=1)
    over = [patience.is_over(0.5, counts) for counts in (False, False, False, True, True)]
    assert over == [False, False, False, False, True]


def test_training_does_not_stop_before_all_blocks_are_trained():
    """A rate of almost nothing: no score improves, so training ends as early as patience allows."""
    config = CONFIG.model_copy(update={"patience": 1, "patience_steps": 0, "learning_rate": 1e-12})
    assert len(Case().fit("full", config, epochs=9).curve) == 2
    assert len(Case().fit("gradual_last_first", config, epochs=9).curve) == 4
