"""The page and the figures of a comparison: honest, complete, and inert whatever the names are."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import re

import made_up_comparison as made
import numpy as np
import pytest
from made_up_run import HOSTILE
from opened import opened_comparison
from test_html import LOADING, POLICY, Page

from biotune.report import comparison_figures, comparison_page, comparison_rows
from biotune.report.comparison_figures import cliques, spread
from biotune.report.figures import to_png, to_svg

SIX = [f"set{index}" for index in range(6)]


def draw_comparison(comparison):
    return comparison_figures.draw_comparison(opened_comparison(comparison))


def write_comparison(folder, comparison):
    return comparison_page.write_comparison(folder, opened_comparison(comparison))


def choices(comparison):
    return comparison_rows.choices(opened_comparison(comparison))


def _source(comparison):
    return comparison_page.render_comparison(opened_comparison(comparison), draw_comparison(comparison))


def _page(comparison):
    return Page(_source(comparison))


def _words(comparison):
    return re.sub(r"\s+", " ", _page(comparison).text)


@pytest.fixture(scope="module")
def plain_tags():
    return _page(made.with_names("plain")).tags


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_inert(name, plain_tags):
    comparison = made.with_names(name)
    source = _source(comparison)
    page = Page(source)
    assert page.tags == plain_tags
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {tag for tag, _, _ in page.attributes}
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert [value for _, name, value in page.attributes if name in LOADING and not value.startswith("#")] == []
    assert set(re.findall(r"url\((.)", source)) <= {"#"}
    assert source.count("<style") == 1 + source.count("<svg ")
    assert not set(source) & set("\x00\x1b\u202e")
    assert ("meta", "content", POLICY) in page.attributes
    assert source.encode()


@pytest.mark.parametrize("name", ["<b>nevus & co</b>", r"$\alpha$ 猫"])
def test_names_are_shown_as_written_on_the_page_and_in_the_figures(name):
    comparison = made.with_names(name)
    assert _page(comparison).text.count(name) > 10
    drawings = [Page(to_svg(figure)) for figure in draw_comparison(comparison).values()]
    assert [name in page.text for page in drawings] == [True, True, True]


def test_the_page_holds_the_numbers_of_the_json():
    comparison = made.comparison(("biotune", "full", "l2_sp:alpha=0.1"), ("digits", "skin"))
    words = _words(comparison)
    tuned = comparison["datasets"][1]["methods"]["full"]["tuned"]
    found = tuned["difference"]
    ends = [
        f"{100 * found[end]:+.1f}".replace("-", "−").replace("+0.0", "0.0") for end in ("difference", "low", "high")
    ]
    assert f"{100 * tuned['test']['accuracy']:.1f} % ± {100 * tuned['test']['standard_error']:.1f}" in words
    assert f"{ends[0]} [{ends[1]}, {ends[2]}]" in words
    assert "L2-SP (alpha=0.1)" in words
    assert f"{comparison['ranking']['tuned']['mean_ranks']['full']:.2f}" in words
    assert comparison["command"] in words
    assert "Data set by data set" in words


def test_what_was_chosen_on_validation_is_said_for_every_data_set():
    comparison = made.comparison(("biotune", "full", "lora", "l2_sp:alpha=0.1", "mask_one_rate"), ("digits", "skin"))
    for method, choice in (("full", "full"), ("lora", "lora:rate=3,r=4"), ("l2_sp:alpha=0.1", "l2_sp:alpha=0.001")):
        comparison["datasets"][1]["methods"][method]["tuned"]["method"] = choice
    mask = comparison["datasets"][1]["methods"]["mask_one_rate"]["tuned"]
    mask["method"], mask["multipliers"] = "recipe", [0.0, 3.0, 3.0]
    comparison["datasets"][1]["methods"]["biotune"]["multipliers"] = [0.0, 0.0, 1.0, 2.5, 2.5, 0.0]
    comparison["datasets"][1]["methods"]["biotune"]["values"] = {"head_start": "fitted"}
    head, rows = choices(comparison)

    assert head == ["Method", "digits", "skin"]
    assert {name: [choice.replace("\N{NO-BREAK SPACE}", " ") for choice in found] for name, *found in rows} == {
        "BioTune": ["1 frozen, 2 ×1, 3 ×2.5", "1-2 frozen, 3 ×1, 4-5 ×2.5, 6 frozen, head_start fitted"],
        "Full fine-tuning": ["rate ×0.3", "as by default"],
        "LoRA": ["rate ×0.3", "rate ×3, r 4"],
        "L2-SP (alpha=0.1)": ["rate ×0.3", "alpha 0.001"],
        "BioTune's mask, one rate": ["rate ×0.3", "rate ×3"],
    }
    assert [name for name, *_ in rows] == [
        row.name for row in comparison_rows.rows_of(opened_comparison(comparison).methods, "test")
    ]
    words = _words(comparison)
    assert all(cell.replace("\N{NO-BREAK SPACE}", " ") in words for row in rows for cell in row)


def test_where_nothing_was_chosen_nothing_is_said():
    comparison = made.comparison(("full", "lora"), tuned=False)
    assert choices(comparison)[1] == []
    assert "chosen on validation" not in _words(comparison)


def test_the_page_of_one_data_set_has_no_ranks():
    comparison = made.comparison()
    assert set(draw_comparison(comparison)) == {"forest", "cost"}
    assert "Mean rank" not in _words(comparison)


def test_without_a_test_set_there_are_no_differences_and_it_is_said():
    comparison = made.comparison(("biotune", "full"), ("a", "b"), has_test=False)
    assert set(draw_comparison(comparison)) == {"cost"}
    words = _words(comparison)
    assert "No verdict." in words
    assert "validation accuracy is shown" in words
    assert "BioTune minus" not in words


def test_a_single_seed_and_a_diverged_method_leave_no_none():
    comparison = made.comparison(("biotune", "full", "lora"), seeds=1)
    made.diverge(comparison, "full")
    words = _words(comparison)
    assert "None" not in words
    assert "diverged" in words


def test_forest_draws_the_intervals_of_the_json_in_the_tables_order():
    comparison = made.comparison(("biotune", "full", "lora"), skill={"lora": 0.95})
    axes = draw_comparison(comparison)["forest"].axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["LoRA", "Full fine-tuning"]
    zero, interval, mark = axes.get_lines()[:3]
    found = comparison["methods"]["lora"]["tuned"]["difference"]
    assert set(zero.get_xdata()) == {0}
    assert interval.get_xdata() == pytest.approx([100 * found["low"], 100 * found["high"]])
    assert mark.get_xdata() == pytest.approx([100 * found["difference"]])
    assert mark.get_markerfacecolor() != mark.get_markeredgecolor()  # tuned: hollow
    assert "BioTune minus the method" in axes.get_xlabel()


def test_forest_cuts_what_would_squash_the_rest_and_keeps_its_numbers():
    comparison = made.comparison(
        ("biotune", "full", "lora", "llrd", "l1_sp", "linear_probe"), skill={"linear_probe": 0.1}
    )
    axes = draw_comparison(comparison)["forest"].axes[0]
    found = comparison["methods"]["linear_probe"]["difference"]
    assert axes.get_xlim()[1] < 100 * found["low"]
    assert [line.get_marker() for line in axes.get_lines()].count(">") == 2
    assert any(f"{100 * found['difference']:.1f}" in item.get_text() for item in axes.texts)


def test_forest_shows_every_data_set():
    """A dot for each where the axis reaches, else an arrow at its end; on both sides."""
    comparison = made.comparison(("biotune", "full", "lora", "llrd", "l1_sp"), SIX)
    far = {0: 0.6, 1: -0.6}
    for index, value in far.items():
        comparison["datasets"][index]["methods"]["lora"]["tuned"]["difference"]["difference"] = value
    axes = draw_comparison(comparison)["forest"].axes[0]
    place = [tick.get_text() for tick in axes.get_yticklabels()].index("LoRA")
    drawn = {round(x, 6) for part in axes.collections for x, y in part.get_offsets() if y == place}
    within = [part["methods"]["lora"]["tuned"]["difference"]["difference"] for part in comparison["datasets"][2:]]
    assert drawn == {round(value, 6) for value in (*axes.get_xlim(), *(100 * found for found in within))}


def test_rank_diagram_has_a_critical_distance_only_where_there_is_one():
    comparison = made.comparison(("biotune", "full", "lora"), SIX)
    assert "critical distance 1.35" in [item.get_text() for item in draw_comparison(comparison)["ranks"].axes[0].texts]
    assert "Bars join methods" in _words(comparison)
    comparison["ranking"]["tuned"] |= {"friedman_p": None, "nemenyi_critical_distance": None}
    assert not [item for item in draw_comparison(comparison)["ranks"].axes[0].texts if "critical" in item.get_text()]
    assert "too few data sets" in _words(comparison)


def test_rank_diagram_writes_every_mean_rank():
    comparison = made.comparison(("biotune", "full", "lora"), SIX)
    written = " ".join(item.get_text() for item in draw_comparison(comparison)["ranks"].axes[0].texts)
    ranks = comparison["ranking"]["tuned"]["mean_ranks"]
    assert [f"{ranks[key]:.2f}" in written for key in ranks] == [True, True, True]


@pytest.mark.parametrize(
    ("ranks", "distance", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.5, [(0, 1), (1, 2), (2, 3)]),
        ([1.0, 1.2, 3.0, 3.1, 3.2], 0.5, [(0, 1), (2, 4)]),
        ([1.0, 2.0], 1.0, []),
        ([1.0, 1.0, 1.0], 0.1, [(0, 2)]),
    ],
)
def test_cliques_are_the_largest_groups_within_the_distance(ranks, distance, expected):
    assert cliques(ranks, distance) == expected


@pytest.mark.parametrize(
    "wanted", [[0.9, 0.5, 0.1], [0.99] * 10, [0.01] * 10, [0.6, 0.6, 0.59, 0.0], [1.0] * 5 + [0.0] * 5]
)
def test_labels_never_overlap_and_stay_inside(wanted):
    places = np.array(spread(wanted, 0.1))
    assert (np.diff(places) <= -0.1 + 1e-12).all()
    assert places.max() <= 0.95 + 1e-12
    assert places.min() >= 0.05 - 1e-12


def test_cost_draws_defaults_filled_and_tuned_hollow():
    comparison = made.comparison(("biotune", "full"))
    axes = draw_comparison(comparison)["cost"].axes[0]
    row = comparison["methods"]["full"]
    drawn = {(float(line.get_xdata()[0]), line.get_markerfacecolor() == line.get_markeredgecolor())
             for line in axes.get_lines() if line.get_marker() == "o"}  # fmt: skip
    assert (row["cost_in_full_finetunes"], True) in drawn
    assert (row["tuned"]["cost_in_full_finetunes"], False) in drawn


@pytest.mark.parametrize(
    ("methods", "datasets"), [(("biotune", "full"), ("a",)), (tuple(made.SKILL), ("a", "b")), (("lora",), ("a", "b"))]
)
def test_few_and_many_methods_are_drawn(methods, datasets):
    comparison = made.comparison(methods, datasets, seeds=2)
    assert all(to_png(figure).startswith(b"\x89PNG") for figure in draw_comparison(comparison).values())


def test_everything_is_written_and_a_figure_without_data_is_removed(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "ranks.png").write_bytes(b"of an earlier comparison")
    page = write_comparison(tmp_path, made.comparison(("biotune", "full")))
    assert page.read_text().startswith("<!doctype html>")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "comparison.html",
        "figures/cost.png",
        "figures/forest.png",
        "table.csv",
        "table.md",
        "table.tex",
    ]


def test_writing_again_gives_equal_files(tmp_path):
    comparison = made.comparison(("biotune", "full"))
    first = write_comparison(tmp_path, comparison).read_bytes()
    assert write_comparison(tmp_path, comparison).read_bytes() == first
