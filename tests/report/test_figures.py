"""The figures: what they hold, and that no name can break them."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import matplotlib as mpl
import numpy as np
import pytest
from made_up_run import HOSTILE
from opened import opened, opened_history

from biotune.report import answer_figures as draw_answers
from biotune.report import figures
from biotune.report.answered import Shown
from biotune.report.training_figures import learning_curves, panels_of
from biotune.results.history import Curve
from biotune.results.summary import Block


def _texts(figure):
    return [item.get_text() for axes in figure.axes for item in [*axes.texts, *axes.get_xticklabels(), axes.title]]


def _curve(method, values):
    return Curve(label=method, method=method, seed=0, validation_accuracy=values, validation_score=values)


def _blocks(names):
    return [Block(name=name, multiplier=0.5 * index, parameters=1) for index, name in enumerate(names)]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_draws_without_a_warning_as_png_and_as_svg(name, summary, answered):
    summary["baselines"][name] = summary["baselines"]["full"]
    drawn = [
        figures.learning_rate_map(_blocks([name] * 4), [(name, [0, 1, 2, 0.1])]),
        figures.comparison(opened(summary).entries),
        draw_answers.gallery([Shown(answered.images[0], name, name, answer, 0.5) for answer in (name, "other")]),
        draw_answers.confusion_matrix(np.eye(2, dtype=np.int64), [name, "other"]),
        draw_answers.two_classes(np.array([0.1, 0.6]), np.array([False, True]), name),
        learning_curves(panels_of([_curve(name, (0.1, 0.2))])),
    ]
    pages = "".join(figures.to_svg(figure) for figure in drawn)
    assert all(figures.to_png(figure).startswith(b"\x89PNG") for figure in drawn)
    assert "<script" not in pages
    assert "onerror=alert(1)>" not in pages


def test_learning_rate_map_writes_every_multiplier():
    figure = figures.learning_rate_map(_blocks(["stem", "body", "head"]), [("Finalist 2", [2.5, 0.0, 1.0])])
    assert _texts(figure)[:6] == ["frozen", "×0.5", "×1", "×2.5", "frozen", "×1"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Winner", "Finalist 2"]
    assert [patch.get_hatch() for patch in figure.axes[0].patches].count("////") == 2


@pytest.mark.parametrize("count", [1, 16, 40])
def test_learning_rate_map_of_few_and_many_blocks(count):
    figure = figures.learning_rate_map(_blocks([f"features.denseblock{index}" for index in range(count)]))
    assert figures.to_png(figure)


def test_all_blocks_frozen_or_beyond_the_usual_range():
    blocks = [Block(name=name, multiplier=0.0, parameters=1) for name in "ab"]
    assert figures.to_png(figures.learning_rate_map(blocks, [("far", [1e-4, 1e3])]))


def test_convergence_shows_best_so_far_kinds_and_failures(history):
    history["candidates"] = [
        {"sequence": index, "generation": index // 2, "kind": kind, "outcome": outcome, "fitness": fitness}
        | {"finished": finished, "fold": 0, "genes": [0.5], "multipliers": [1.0]}
        for index, (kind, outcome, fitness, finished) in enumerate(
            [
                ("new", "ok", 0.5, True),
                ("new", "ok", 0.4, True),
                ("new", "ok", 0.65, False),
                ("reevaluate", "ok", 0.7, True),
                ("probe", "diverged", 0.0, False),
            ]
        )
    ]
    axes = figures.convergence(opened_history(history).candidates, baseline=0.6).axes[0]
    best, baseline = axes.get_lines()
    assert best.get_ydata().tolist() == [0.5, 0.5, 0.7]
    assert set(baseline.get_ydata()) == {0.6}
    assert axes.get_legend_handles_labels()[1] == [
        "new", "re-evaluated", "best so far", "diverged or infeasible", "Full fine-tuning",
    ]  # fmt: skip
    assert axes.get_ylim()[0] > 0.3  # failures do not squash the scale


@pytest.mark.parametrize("generations", [1, 60])
def test_convergence_of_short_and_long_searches(history, generations):
    first = history["candidates"][0]
    history["candidates"] = [{**first, "sequence": index, "generation": index} for index in range(generations)]
    assert figures.to_png(figures.convergence(opened_history(history).candidates))


def test_convergence_without_a_single_success(history):
    history["candidates"] = [{**row, "outcome": "diverged", "fitness": 0.0} for row in history["candidates"]]
    assert figures.to_png(figures.convergence(opened_history(history).candidates))


def test_comparison_keeps_the_order_and_shows_seeds(summary):
    axes = figures.comparison(opened(summary).entries).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["BioTune", "Full fine-tuning"]
    assert axes.collections[0].get_offsets()[:, 0].tolist() == pytest.approx([89.4, 88.3, 89.0])
    assert axes.texts[0].get_text().replace("\N{NO-BREAK SPACE}", " ") == "88.9 ±\N{SPACE}0.3 %\n81.1 % trained"
    assert "test set" in axes.get_xlabel()


def test_comparison_without_a_test_set_says_so(summary):
    summary["test"] = None
    summary["baselines"] = {}
    assert "used for selection" in figures.comparison(opened(summary).entries).axes[0].get_xlabel()


def test_wrong_predictions_differ_in_more_than_colour(answered):
    axes = draw_answers.gallery([Shown(answered.images[0], "1.png", "cat", word, 0.9) for word in ("cat", "dog")]).axes
    assert [item.get_title() for item in axes] == ["✓ cat", "✗ dog\ntrue: cat"]
    assert axes[0].spines["top"].get_linestyle() != axes[1].spines["top"].get_linestyle()


@pytest.mark.parametrize(("count", "width"), [(2, "33"), (5, "83"), (6, None), (9, None)])
def test_a_few_images_are_no_larger_on_the_page_than_many(answered, count, width):
    shown = [Shown(answered.images[0], "1.png", "cat", "cat", 0.9)] * count
    tag = figures.to_svg(draw_answers.gallery(shown)).partition(">")[0]
    assert (f"max-width:{width}%" in tag) if width else ("max-width" not in tag)


def test_drawing_leaves_the_users_settings_alone(summary):
    names = ["font.size", "text.color", "text.parse_math", "svg.fonttype", "axes.spines.top"]
    before = [mpl.rcParams[name] for name in names]
    figures.to_png(figures.comparison(opened(summary).entries))
    assert [mpl.rcParams[name] for name in names] == before


def test_svg_is_reproducible_and_its_ids_are_prefixed(answered):
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    first, second = (
        figures.to_svg(draw_answers.gallery([Shown(image, "1.png", "a", "a", 1.0)]), "samples") for _ in range(2)
    )
    assert first == second
    assert first.count(' id="') == first.count(' id="samples-')
    assert first.count('"#') == first.count('"#samples-')
