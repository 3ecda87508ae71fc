"""The global generator of torch, shared by threads."""

from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import torch

import biotune
from biotune.models import load_model
from biotune.models.own_generator import own_generator


def test_a_network_that_is_loaded_in_another_thread_waits_until_the_draws_are_over():
    before = torch.get_rng_state()
    with ThreadPoolExecutor(1) as thread:
        with own_generator():
            torch.default_generator.manual_seed(3)
            loaded = thread.submit(load_model, "timm:test_efficientnet", 2, weights="random")
            assert wait([loaded], 0.3).not_done
            with own_generator():  # of one thread, one may lie within another
                torch.rand(1)
        loaded.result(30)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_else_touches_the_global_generator():
    sources = Path(biotune.__file__).parent.rglob("*.py")
    assert [path.stem for path in sources if "fork_rng(" in path.read_text()] == ["own_generator"]
