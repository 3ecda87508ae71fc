"""A small real measurement of the trainer: what it reports, and that it can be true."""

import json
import math
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch

from benchmarks.tables import throughput_tables
from benchmarks.throughput import measure as throughput
from benchmarks.throughput.measure import QUICK, ThroughputPlan, measure_throughput
from biotune.errors import BioTuneError, InputError
from biotune.models import load_model
from biotune.training.work import work_shares

PLAN = ThroughputPlan(**{**QUICK, "images": 32, "image_sizes": (32,), "lap_s": 0.02, "device": "cpu", "threads": 1})


@pytest.fixture(scope="module")
def found():
    said = []
    content = measure_throughput(PLAN, "python -m benchmarks throughput", said.append)
    assert said == ["timm:test_resnet, 32 px"]
    return content


def test_the_result_says_how_and_where_it_was_made(found):
    assert found["command"] == "python -m benchmarks throughput"
    assert found["versions"]["torch"] == version("torch")
    assert found["machine"]["threads"] == 1
    assert found["settings"]["batch_size"] == 32
    assert found["goals"] == {"trainer": 0.97, "tail": 0.9}
    assert json.loads(json.dumps(found))["results"] == found["results"]


def test_every_boundary_is_measured(found):
    (result,) = found["results"]
    loaded = load_model("timm:test_resnet", 10, weights="random", image_size=32)

    assert (result["model"], result["image_size"], result["notes"]) == ("timm:test_resnet", 32, [])
    assert [row["frozen_blocks"] for row in result["rows"]] == list(range(len(loaded.partition)))
    assert [row["first_trained_block"] for row in result["rows"]] == list(loaded.partition.names)
    assert {row["of_bare"]["pairs"] for row in result["rows"]} == {3}
    assert min(row["epochs"] for row in result["rows"]) >= 4


def test_the_bounds_are_those_of_the_arithmetic(found):
    loaded = load_model("timm:test_resnet", 10, weights="random", image_size=32)
    shares = work_shares(loaded.model, loaded.partition, torch.zeros(1, 3, 32, 32))
    rows = found["results"][0]["rows"]

    assert [row["bound"] for row in rows] == pytest.approx([1 / sum(shares[k:]) for k in range(len(shares))])
    assert [row["share_of_bound"] * row["bound"] for row in rows] == pytest.approx(
        [row["speedup"]["median"] for row in rows]
    )


def test_the_ratios_can_be_true(found):
    """Wide limits: the machine may be busy. Training the head alone is several times faster than training all."""
    rows = found["results"][0]["rows"]

    assert rows[0]["speedup"]["median"] == 1.0
    assert 0.4 < rows[0]["of_bare"]["cpu_median"] < 2.0
    assert rows[-1]["speedup"]["cpu_median"] > 3.0
    assert all(row["of_bare"]["low"] <= row["of_bare"]["median"] <= row["of_bare"]["high"] for row in rows)


def test_the_table_has_a_row_for_every_boundary(found):
    (table,) = throughput_tables(found)

    assert table.row_count == len(found["results"][0]["rows"])


def test_a_network_that_is_no_chain_is_measured_without_a_tail(monkeypatch):
    monkeypatch.setattr(throughput, "split_chain", lambda *_: None)
    rows = measure_throughput(PLAN, "", lambda _: None)["results"][0]["rows"]

    assert [row["of_bare"] is None for row in rows] == [False, *[True] * (len(rows) - 1)]
    assert all(math.isfinite(row["speedup"]["median"]) for row in rows)


def test_trainer_and_plain_loop_in_bfloat16():
    (result,) = measure_throughput(replace(PLAN, precision="bfloat16"), "", lambda _: None)["results"]

    assert result["precision"] == "bfloat16"
    assert 0.4 < result["rows"][0]["of_bare"]["cpu_median"] < 2.0


def test_a_training_that_is_cut_short_is_no_measurement(monkeypatch):
    """Without batch norm, a rate of 10 makes the loss infinite in the second step."""
    monkeypatch.setattr(throughput, "LEARNING_RATE", 10.0)

    with pytest.raises(BioTuneError, match="squeezenet1_1 at 32 px diverged on noise; measure it at another size"):
        measure_throughput(replace(PLAN, models=("squeezenet1_1",), batch_size=8), "", lambda _: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repeats": 0}, "--repeats cannot be 0; give 1 or more."),
        ({"batch_size": 1}, "--batch-size cannot be 1; give 2 or more."),
        ({"models": ()}, "--models or --image-sizes names nothing; give at least one."),
        ({"precision": "auto"}, "--precision cannot be 'auto'; choose one of float32, bfloat16."),
        ({"images": 65}, "65 images leave a last batch of one"),
    ],
)
def test_a_plan_that_cannot_be_measured_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        ThroughputPlan(**change)
