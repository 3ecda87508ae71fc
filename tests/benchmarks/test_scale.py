"""Small real points in processes of their own, and how their growth is told."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks.noise import noise_set
from benchmarks.scale import points
from benchmarks.scale.measure import ScalePlan, growth, measure_point, measure_scale
from benchmarks.tables import scale_table
from biotune.errors import BioTuneError, InputError

MANY_BYTES = 50 * 2**20


@pytest.fixture(scope="module")
def found():
    said = []
    plan = ScalePlan(images=(200, 800), on_demand=(), blocks=(), populations=(), threads=1)
    content = measure_scale(plan, "python -m benchmarks scale", said.append)
    assert said == ["images: 200", "images: 800"]
    return content


def test_points_are_measured_in_processes_of_their_own(found):
    rows = found["series"]["images"]["points"]

    assert [row["count"] for row in rows] == [200, 800]
    assert set(rows[0]) == {"count", "loading", "epoch", "half", "peak_bytes", "own_bytes"}
    assert all(row["peak_bytes"] > row["own_bytes"] > MANY_BYTES for row in rows)


def test_more_images_take_longer_and_hardly_more_memory(found):
    rows, series = found["series"]["images"]["points"], found["series"]["images"]

    assert rows[1]["loading"]["cpu_s"] > rows[0]["loading"]["cpu_s"]
    assert series["time"]["loading"]["last_to_first"] == rows[1]["loading"]["wall_s"] / rows[0]["loading"]["wall_s"]
    assert series["time"]["loading"]["r_squared"] is None, "two points always lie on a line"
    assert abs(rows[1]["own_bytes"] - rows[0]["own_bytes"]) < MANY_BYTES


def test_nothing_but_the_facts_of_the_machine_is_told(found):
    text = str(found)

    assert found["machine"]["threads"] == 1
    assert os.uname().nodename not in text
    assert str(Path.cwd()) not in text


def test_a_point_that_fails_says_so(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(BioTuneError, match=r"'kind': 'blocks', 'count': 4.* failed: exit code 1"):
        measure_point({"kind": "blocks", "count": 4}, threads=1)


def test_growth_by_hand():
    """Seconds 1, 2, 3 over 1, 2, 3: slope 1 from 0; bytes 10, 10, 13: slope 1.5, intercept 8, R² = 1 - 1.5 / 6."""
    rows = [
        {"count": n, "run": {"wall_s": n, "cpu_s": 2.0 * n}, "peak_bytes": size, "own_bytes": size}
        for n, size in zip((1, 2, 3), (10, 10, 13), strict=True)
    ]
    series = growth(rows)

    assert series["time"]["run"] == pytest.approx(
        {"slope": 1.0, "intercept": 0.0, "r_squared": 1.0, "last_to_first": 3.0, "cpu_r_squared": 1.0}
    )
    assert series["memory"]["own_bytes"] == pytest.approx(
        {"slope": 1.5, "intercept": 8.0, "r_squared": 0.75, "last_to_first": 1.3}
    )


def test_time_grows_with_evaluations_where_they_are_counted():
    lap = {"wall_s": 1.0, "cpu_s": 1.0}
    rows = [{"count": n, "evaluations": n + 5, "run": lap, "peak_bytes": 1, "own_bytes": 1} for n in (4, 8, 16)]

    assert growth(rows)["counts"] == [9, 13, 21]


@pytest.mark.parametrize(("kind", "count"), [("blocks", 4), ("population", 2)])
def test_the_other_points_measure_what_they_name(kind, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    rows = points.POINTS[kind](count)
    laps = [value for value in rows.values() if isinstance(value, dict)]

    assert set(rows) == ({"epoch", "half"} if kind == "blocks" else {"run", "evaluations"})
    assert all(lap["wall_s"] > 0 and lap["cpu_s"] > 0 for lap in laps)


@pytest.mark.parametrize("blocks", [2, 8, 32])
def test_the_chain_is_the_same_network_however_it_is_cut(blocks):
    from biotune.models import load_backbone

    loaded = load_backbone(points.chain(32, blocks), 10)
    counts = [block.num_parameters for block in loaded.partition.blocks]

    assert len(counts) == blocks + 1
    assert sum(counts) == (3 * 8 * 9 + 8 + 16) + 31 * (8 * 8 * 9 + 8 + 16) + 8 * 10 + 10
    assert len(set(counts[1:-1])) <= 1, "blocks of equal length"


def test_made_up_images_are_the_same_each_time_and_differ():
    first, again = noise_set(3, 8), noise_set(3, 8)

    assert np.array_equal(first.image(1), again.image(1))
    assert not np.array_equal(first.image(1), first.image(2))
    assert first.image(0).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": (50, 100)}, "50 images are too few to be measured; give 100 or more."),
        ({"images": (400, 200)}, "the points 400, 200 do not grow"),
        ({"blocks": (3,)}, "32 layers cannot be cut into 3 equal blocks"),
    ],
)
def test_a_plan_that_cannot_be_measured_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        ScalePlan(**change)


def test_the_table_fits_a_terminal(found):
    stream = io.StringIO()
    Console(file=stream, width=80).print(scale_table(found))
    lines = stream.getvalue().splitlines()

    assert max(map(len, lines)) <= 80
    assert sum("200 to 800" in line for line in lines) == 5
