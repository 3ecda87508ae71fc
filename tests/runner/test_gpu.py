"""A whole run on a GPU; skipped where there is none."""

import pytest
import torch

from biotune.classifier import load_run
from biotune.models import load_model
from tiny import NETWORK, run, tiny_config

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
RUN = {"compute": {"device": "cuda", "threads": 1, "precision": "auto"}}


@pytest.fixture(scope="module")
def summary_and_folder(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu") / "run"
    return run(tiny_config(images, RUN), folder), folder


def test_the_first_call_chooses_a_precision(summary_and_folder):
    summary, _ = summary_and_folder
    assert summary["protocol"]["device"] == "cuda"
    assert summary["protocol"]["precision"] in {"float32", "bfloat16"}


def test_frozen_blocks_are_the_pretrained_ones_bit_for_bit(summary_and_folder):
    summary, folder = summary_and_folder
    frozen = {block["name"] for block in summary["recipe"]["blocks"] if block["multiplier"] == 0}
    pretrained = load_model(NETWORK, 3, weights="random", image_size=32)
    expected, found = pretrained.model.state_dict(), load_run(folder).model.state_dict()
    names = [name for name in expected if pretrained.partition.names[pretrained.partition.owner(name)] in frozen]
    assert all(torch.equal(found[name].cpu(), expected[name]) for name in names)


def test_the_same_command_answers_with_the_same_run(summary_and_folder, images):
    summary, folder = summary_and_folder
    assert run(tiny_config(images, RUN), folder) == summary
