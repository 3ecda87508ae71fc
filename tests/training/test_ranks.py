"""A training by several processes does what one process does, up to rounding."""

import numpy as np
import pytest
import torch

import ranked
from biotune.errors import InputError
from biotune.training.ranks import Ranks
from biotune.training.trainer import batches


@pytest.fixture(scope="module", params=[pytest.param(2, marks=pytest.mark.slow), 3])
def found(request, tmp_path_factory):
    """What each rank found; with three, shares are uneven, and two images join the batch before them."""
    return ranked.train_all(request.param, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("name", ranked.EQUAL)
def test_losses_and_weights_are_those_of_one_process(name, found, monkeypatch):
    """Batches apart: one process gets those of several."""
    monkeypatch.setattr("biotune.training.trainer.batches", lambda order, size, _: batches(order, size, len(found)))
    expected, weights = ranked.train(ranked.CASES[name])
    result, state = found[0][name]
    for record, wanted in zip(result.curve, expected.curve, strict=True):
        assert record.train_loss == pytest.approx(wanted.train_loss, rel=1e-6)  # both are summed in float32
        assert record.validation_loss == pytest.approx(wanted.validation_loss, rel=1e-6)
    assert result.best_epoch == expected.best_epoch
    for key, tensor in weights.items():
        torch.testing.assert_close(state[key], tensor, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ranked.CASES)
def test_all_ranks_hold_the_same_bits(name, found):
    result, state = found[0][name]
    for other, there in (rank[name] for rank in found[1:]):
        assert other.curve == result.curve
        assert all(torch.equal(there[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize("name", ["head", "some"])
def test_frozen_parameters_and_buffers_keep_their_bits(name, found):
    case = ranked.CASES[name]
    _, before = ranked.train(ranked.Case(case.trained, changes={"learning_rate": 1e-300}))
    frozen = [block.prefixes for block, rate in zip(ranked.BLOCKS, case.trained, strict=True) if not rate]
    for rank in found:
        _, after = rank[name]
        unchanged = {key for key in after if torch.equal(after[key], before[key])}
        assert {key for key in after if any(key.startswith(prefixes) for prefixes in frozen)} <= unchanged
        assert not all(key in unchanged for key in after)


@pytest.mark.parametrize("name", ["all", "dropout"])
def test_a_pause_changes_no_bit(name, found):
    paused = {"all": "pauses", "dropout": "pauses with dropout"}[name]
    for rank in found:
        (straight, state), (resumed, there) = rank[name], rank[paused]
        assert resumed.curve == straight.curve
        assert all(torch.equal(there[key], tensor) for key, tensor in state.items())


def test_dropout_is_another_one_than_that_of_one_process(found):
    expected, _ = ranked.train(ranked.CASES["dropout"])
    assert found[0]["dropout"][0].curve != expected.curve


def test_every_rank_draws_its_own_dropout():
    assert len({Ranks(rank, 3).seed(7) for rank in range(3)}) == 3
    assert Ranks(0, 3).seed(7) == 7


def test_a_batch_is_dealt_out_evenly():
    shares = Ranks(0, 3).shares(np.arange(8))
    assert [share.tolist() for share in shares] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    with pytest.raises(InputError, match="2 images at a time cannot be shared by 3 devices; use larger batches"):
        Ranks(0, 3).shares(np.arange(2))


def test_no_batch_has_fewer_images_than_ranks():
    assert [len(part) for part in batches(np.arange(14), 4)] == [4, 4, 4, 2]
    assert [len(part) for part in batches(np.arange(14), 4, 3)] == [4, 4, 6]
