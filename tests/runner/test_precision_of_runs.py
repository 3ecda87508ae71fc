"""Which precision a run computes in, and how many images at a time: chosen at its first call, and kept."""

from types import SimpleNamespace

import pytest
import torch

from biotune.comparison import ComparePlan, parse_entries
from biotune.runner import setup
from biotune.runner.setup import set_up, with_device
from biotune.runs.events import silent
from biotune.settings.resolve import load_config, resolve
from pretended import never, pretend
from tiny import BRIEF, compare, run, tiny_config, write_classes

AUTO = {"compute": {"device": "cpu", "threads": 1, "precision": "auto"}}


@pytest.mark.parametrize(
    ("preset", "device", "expected"),
    [("standard", "cpu", "float32"), ("standard", "meta", "auto"), ("paper", "meta", "float32")],
)
def test_only_a_cpu_and_the_papers_preset_need_no_measurement(preset, device, expected, monkeypatch):
    """The device ``meta`` stands for one that is no CPU, and holds numbers here."""
    if device == "meta":
        monkeypatch.setattr(setup.torch, "ones", lambda *_, **__: 1.0)
    config = with_device(resolve(preset, {"compute": {"device": device, "threads": 1}}), None)
    assert config.compute.precision == expected


def test_elsewhere_a_batch_of_the_training_is_measured(images, monkeypatch):
    """A CPU that is treated as another device: the choice gets the network and one batch, as the training does."""
    measured = []

    def choose(model, batch):
        measured.append((model.conv_stem.weight, batch))
        return "bfloat16"

    monkeypatch.setattr(setup, "faster_precision", choose)
    monkeypatch.setattr(setup, "with_device", lambda config, _folder: config)
    found = set_up(tiny_config(images, AUTO), None, silent)

    assert found.config.compute.precision == "bfloat16"
    ((weight, batch),) = measured
    assert batch.shape == (8, 3, 32, 32)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert found.loaded.model.conv_stem.weight is weight


def test_a_comparison_is_measured_once(images, tmp_path, monkeypatch):
    """What the first data set's call finds holds for all data sets, however the next measurement would end."""
    answers = iter(["bfloat16", "float32"])
    monkeypatch.setattr(setup, "faster_precision", lambda _model, _batch: next(answers))
    monkeypatch.setattr(setup, "with_device", lambda config, _folder: config)
    other = write_classes(tmp_path / "other", first_seed=7)
    plan = ComparePlan(tiny_config(images, BRIEF, AUTO), (str(images), str(other)), parse_entries("full"), False)
    found = compare(plan, tmp_path / "out")

    assert [part["protocol"]["precision"] for part in found["datasets"]] == ["bfloat16", "bfloat16"]


def test_a_run_in_bfloat16_says_so_and_is_continued_in_it(images, no_report, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    summary = run(tiny_config(images, BRIEF, {"compute": {"precision": "bfloat16"}}), folder)
    pretend(monkeypatch, never)

    assert summary["protocol"]["precision"] == "bfloat16"
    assert load_config(folder / "config.toml")[0].compute.precision == "bfloat16"
    assert run(tiny_config(images, BRIEF, AUTO), folder) == summary


def test_elsewhere_what_fits_into_memory_is_found_out_and_said(images, monkeypatch):
    """The device ``meta`` stands for a GPU whose memory takes three images of a batch of eight."""
    asked = []

    def fits(_model, batch, optimizer, _forward):
        asked.append((len(batch), optimizer))
        return 3

    monkeypatch.setattr(setup, "fitting", fits)
    monkeypatch.setattr(setup, "placed", lambda model, _compute: model)
    monkeypatch.setattr(setup, "source_of", lambda *_: SimpleNamespace(batch=lambda rows: torch.zeros(len(rows), 3)))
    monkeypatch.setattr(setup, "with_device", lambda config, _folder: config)
    config = tiny_config(images, {"compute": {"device": "meta", "threads": 1, "precision": "float32"}})
    found = set_up(config, None, silent)

    assert asked == [(8, "adam")]
    assert found.config.compute.micro_batch == 3
    assert any("batches of 8 images go through the network in parts of at most 3" in note for note in found.notes)


def test_parts_of_batches_are_kept_when_a_run_is_continued(images, no_report, tmp_path, monkeypatch):
    config = tiny_config(images, BRIEF, {"compute": {"micro_batch": 3}})
    first, whole = run(config, tmp_path / "run"), run(tiny_config(images, BRIEF), tmp_path / "whole")
    pretend(monkeypatch, never)

    assert load_config(tmp_path / "run" / "config.toml")[0].compute.micro_batch == 3
    assert run(tiny_config(images, BRIEF), tmp_path / "run") == first
    assert first["exported"] != whole["exported"] or first["baselines"] != whole["baselines"]
