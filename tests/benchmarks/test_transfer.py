"""The benchmark ``transfer``: how a data set chooses by its own images, by other data sets, and by both."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.transfer import PAGE, Found, accuracies, chosen, found_of, lines

COMMITTED = Path(__file__).parents[2] / "docs/results/transfer.json"


def test_both_weighs_own_images_and_other_data_sets_by_their_variance():
    """Recipe 0 is better on the four images by 0.2, with a variance of the mean of 0.01 for either recipe."""
    noise = np.array([1.0, -1.0, 1.0, -1.0]) * np.sqrt(0.03)
    images = np.array([-0.4 + noise, -0.6 - noise])
    shares, others = np.full(4, 0.25), np.array([-0.1, 0.1])
    assert (images - images.mean(axis=0)).var(axis=1, ddof=1) / 4 == pytest.approx([0.01, 0.01])
    unsure = chosen(images, shares, others, np.array([0.0099, 0.0099]))
    assert unsure == {"own": 0, "others": 1, "both": 1, "shortened": 0}
    assert chosen(images, shares, others, np.array([0.0101, 0.0101]))["both"] == 0


def test_a_shortened_search_chooses_among_the_first_of_the_others():
    """Five recipes: the best by the own images is the last one of the others' order, and is not tried."""
    images = np.array([[-1.0, -1.1], [-2.0, -2.1], [-0.9, -1.0], [-3.0, -3.1], [-0.1, -0.2]])
    others = np.array([0.4, 0.3, 0.2, 0.1, -1.0])
    found = chosen(images, np.full(2, 0.5), others, np.full(5, 1.0))
    assert (found["own"], found["shortened"]) == (4, 2)


def test_what_others_found_decides_nothing_where_images_are_sure():
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    sets = {
        name: Found(np.array([[-0.1], [-2.0]]) + generator.normal(0, 0.01, (2, 40)), labels, np.array([0.9, 0.5]))
        for name in ("a", "b", "c", "d")
    }
    sets["c"] = Found(sets["c"].held_out[::-1], labels, np.array([0.5, 0.9]))  # the other recipe is the better one here
    found = accuracies(sets, 24)
    assert found["a"] == pytest.approx({"own": 0.9, "others": 0.9, "both": 0.9, "shortened": 0.9, "best": 0.9})
    assert found["c"]["others"] == pytest.approx(0.5)
    assert [found["c"][way] for way in ("own", "best")] == pytest.approx([0.9, 0.9])


def test_the_committed_figures_are_those_of_the_committed_rows():
    content = json.loads(COMMITTED.read_text(encoding="utf-8"))
    sets = {name: found_of(rows) for name, rows in content["rows"].items()}
    for images in (40, 240):
        for name, ways in accuracies(sets, images).items():
            assert ways == pytest.approx(content["accuracies"][str(images)][name])
    assert "\n".join(lines(content)) in PAGE.read_text(encoding="utf-8")
