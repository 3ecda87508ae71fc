"""Overlays: where there is heat there is colour, elsewhere the image in grey; the picture of an explanation."""

import numpy as np
import pytest

from biotune.report.overlays import Seen, explanation

RED = np.full((4, 4, 3), (200, 0, 0), dtype=np.uint8)


def test_without_heat_the_image_is_grey():
    """The luminance of (200, 0, 0) is 0.299 * 200 = 60."""
    assert np.unique(Seen(RED, np.zeros((2, 2), np.float32)).overlay).tolist() == [60]


def test_where_the_heat_is_one_seven_tenths_are_yellow():
    """The brightest colour of the scale is (240, 249, 33)."""
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 1
    overlay = Seen(RED, heat).overlay
    assert overlay[0, 0].tolist() == pytest.approx([0.3 * 60 + 0.7 * value for value in (240, 249, 33)], abs=1)
    assert overlay[3, 3].tolist() == [60, 60, 60]


def test_a_coarse_map_is_enlarged():
    overlay = Seen(np.zeros((8, 6, 3), np.uint8), np.array([[1, 0], [0, 0]], np.float32)).overlay
    assert overlay.shape == (8, 6, 3)
    assert overlay[0, 0].sum() > overlay[4, 3].sum() > overlay[7, 5].sum()


def test_a_pair_is_the_image_and_its_overlay():
    seen = Seen(RED, np.zeros((4, 4), np.float32))
    assert np.array_equal(seen.pair[:, :4], RED)
    assert np.array_equal(seen.pair[:, 4:], seen.overlay)


@pytest.mark.parametrize("name", ["cat", r"$\frac{$", "x" * 500, ""])
def test_the_title_says_the_answer(name):
    figure = explanation(Seen(RED, np.zeros((4, 4), np.float32)), name, 0.876)
    assert figure.get_suptitle().endswith("87.6\N{NO-BREAK SPACE}%")
    assert name[:20] in figure.get_suptitle()
    assert [axes.get_images()[0].get_array().shape for axes in figure.axes] == [(4, 4, 3)] * 2
