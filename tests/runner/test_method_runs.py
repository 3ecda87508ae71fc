"""Runs of one method: the spelling of its options, what is exported, and what is refused before anything is read."""

import pytest
import safetensors.torch

from biotune.errors import InputError
from biotune.recipe import Recipe
from tiny import BRIEF, run, tiny_config


def config(images, method):
    return tiny_config(images, BRIEF, {"method": {"name": method}})


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("lorra", r"the method 'lorra' is unknown \(did you mean 'lora'\?\)"),
        ("lora:r=0", "cannot be '0'; give a whole"),
    ],
)
def test_a_method_is_checked_before_the_data_is_opened(method, words, tmp_path):
    with pytest.raises(InputError, match=words):
        run(config(tmp_path / "no such folder", method), tmp_path / "run")


def test_two_spellings_are_one_run_and_what_is_exported_is_a_plain_network(images, finished, no_report, tmp_path):
    summary = run(config(images, "lora: alpha=8.0, r=2"), tmp_path / "run")
    assert summary["method"] == "lora:r=2"
    assert 0.0 < summary["recipe"]["trainable_fraction"] < 0.5
    exported = safetensors.torch.load_file(tmp_path / "run" / "model.safetensors")
    plain = safetensors.torch.load_file(finished.folder / "model.safetensors")
    assert {name: tensor.shape for name, tensor in exported.items()} == {n: t.shape for n, t in plain.items()}
    assert set(Recipe.load(tmp_path / "run").multipliers) == {1.0}
    assert run(config(images, "lora:r=2"), tmp_path / "run") == summary
    with pytest.raises(InputError, match="lora:r=2"):
        run(config(images, "lora:r=3"), tmp_path / "run")
