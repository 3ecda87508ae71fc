"""``python -m benchmarks paper``: what each table is made of, its numbers, and doing it."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.paper import plan, published, tables
from benchmarks.paper.measure import collect, expected, is_tuned
from benchmarks.paper.plan import METHODS, PARTS, SCALES, Cell, Scale, cells_of, config_of, entries_of
from benchmarks.paper.write import write
from biotune import wording
from biotune.comparison import ABLATIONS
from biotune.datasets import DATASETS
from biotune.methods import METHODS as ALL_METHODS
from biotune.results import Comparison
from biotune.statistics import Interval

COMPARED = Path(__file__).parents[2] / "docs/results/compare"
OFFLINE = SCALES["offline"]


@pytest.fixture(scope="module")
def skin():
    return Comparison.read(COMPARED / "skin.json")


@pytest.fixture(scope="module")
def found(skin):
    """Two comparisons that are finished: those of skin and textures."""
    textures = Comparison.read(COMPARED / "textures.json")
    first = Cell("methods", "standard", "lite0", "textures"), Cell("methods", "standard", "lite0", "skin")
    return dict(zip(first, (textures, skin), strict=True))


def cells(text):
    """The rows of the first table of a Markdown text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("*").replace("\\", "") for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("table", PARTS)
def test_every_cell_can_be_configured(table, scale, benchmark_datasets):
    for cell in cells_of(table, scale):
        config = config_of(cell, scale, {"compute": {"threads": 1}})
        keys = [entry.key for entry in entries_of(cell, config)]
        assert keys[0] == "biotune"
        assert cell.data in DATASETS
        assert config.preset == cell.protocol
        assert config.compute.threads == 1
        assert config.final.baselines == ()
        assert is_tuned(cell) == (cell.part in ("methods", "networks") and cell.protocol == "standard")


def test_the_papers_protocol_is_compared_by_all_their_methods_on_their_data():
    assert set(METHODS["paper"].split(",")) == {"biotune", *ALL_METHODS} - {"given", "llrd"}
    assert set(SCALES["full"].data) == set(published.FULL) == set(published.BIOTUNE) == set(published.TRAINED)


def test_ablations_have_no_allowance_and_shares_begin_with_all_the_data():
    """Under the allowance of the preset hardly a child is bred, and every variant would be the same."""
    for part in ABLATIONS.keys() - {"values"}:
        config = config_of(Cell(part, "standard", "lite0", "mnist5000"), OFFLINE, {})
        assert config.search.max_work == 0
    assert config_of(Cell("data", "standard", "lite0", "mnist5000"), OFFLINE, {}).data.folds == 1


def test_the_full_scale_keeps_the_papers_settings():
    config = config_of(Cell("methods", "paper", "resnet50", "dtd"), SCALES["full"], {})
    assert (config.search.population, config.search.generations, config.search.seeds) == (10, 10, 3)
    assert (config.training.epochs, config.data.folds, config.data.train_images) == (30, 2, 0)


def test_the_grid_holds_the_scores_of_the_comparisons(found):
    head, _, *rows = cells(tables.to_markdown(tables.tables("table1", found)[:1]))
    assert head == ["Method", "textures", "skin", "Mean", "Mean rank"]
    by_name = {row[0]: row[1:] for row in rows}
    for key, name in (("biotune", "BioTune"), ("full", "Full fine-tuning"), ("lora", "LoRA")):
        scores = [one.datasets[0].methods[key].test.get("macro") for one in found.values()]
        shown = [f"{100 * score.mean:.1f} ({100 * score.standard_error:.1f})" for score in scores]
        assert by_name[name][:3] == [*shown, f"{100 * fmean(score.mean for score in scores):.1f}"]
    tuned = found[Cell("methods", "standard", "lite0", "skin")].datasets[0].methods["full"].tuned
    assert by_name["Full fine-tuning, tuned"][1].startswith(f"{100 * tuned.test.get('macro').mean:.1f} ")
    ranks = [float(row[3]) for row in by_name.values()]
    assert fmean(ranks) == pytest.approx((len(rows) + 1) / 2, abs=0.01)  # ranks of any order have this mean


def test_the_gain_is_that_over_full_fine_tuning(found, skin):
    rows = cells(tables.to_markdown(tables.tables("table1", found)[1:2]))[2:]
    row = next(row for row in rows if row[:2] == ["skin", "Full fine-tuning"])
    full, own = (skin.datasets[0].methods[key] for key in ("full", "biotune"))
    relative = own.test.get("macro").mean / full.test.get("macro").mean - 1
    assert row[4] == f"{100 * (own.test.get('macro').mean - full.test.get('macro').mean):+.1f}"
    assert row[5] == f"{100 * relative:+.1f}"
    assert row[6] == wording.MISSING
    assert row[7].startswith(f"{100 * full.difference.difference:+.1f}")


def test_the_last_gain_is_the_mean_of_those_above_it(found):
    rows = cells(tables.to_markdown(tables.tables("table1", found)[1:2]))[2:]
    own = [row for row in rows if row[1] == "Full fine-tuning"]
    assert [row[0] for row in own] == ["textures", "skin", "Mean of 2"]
    assert float(own[2][4]) == pytest.approx(fmean(float(row[4]) for row in own[:2]), abs=0.11)
    assert float(own[2][7].split()[0]) == pytest.approx(fmean(float(row[7].split()[0]) for row in own[:2]), abs=0.11)
    assert len(rows) == 9


def test_variances_of_independent_differences_add_up():
    """Half-widths 3 and 4 on the one side give 5, and 6 and 8 on the other give 10; of a mean of two, half of that."""
    found = tables.mean_interval([Interval(0.01, -0.02, 0.07), Interval(0.05, 0.01, 0.13)])
    assert (found.difference, found.low, found.high) == pytest.approx((0.03, 0.005, 0.08))


def test_printed_gains_are_those_of_the_papers_own_figures(found, skin):
    """The specification recomputes 7.44 % for Flowers-102, where the paper prints 6.7."""
    flowers = {Cell("methods", "standard", "resnet50", "flowers102"): skin}
    rows = cells(tables.to_markdown(tables.tables("table1", flowers)[1:2]))[2:]
    assert rows[0][6] == "+7.4"
    shown = cells(tables.to_markdown(tables.tables("table2", flowers)))[2]
    assert shown[3] == "99.12"


def test_shares_and_recipes_of_the_winner(found, skin):
    rows = cells(tables.to_markdown(tables.tables("table2", found)))[2:]
    row = next(row for row in rows if row[0] == "skin")
    assert row[2] == f"{100 * skin.datasets[0].methods['biotune'].trainable_fraction:.1f}"
    assert row[4] == "1-10\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}0.3"
    assert row[5] == "augment standard, head_start fitted"


def test_a_variant_that_asked_nothing_of_its_own_says_so(skin):
    """A row of an ablation whose points are all BioTune's shows nothing of the variant."""
    part = skin.datasets[0]
    same = part.methods["biotune"].model_copy(update={"own_candidates": 0, "own_finished": 0})
    changed = part.model_copy(update={"methods": {"biotune": part.methods["biotune"], "no mutation": same}})
    ablated = {Cell("operators", "standard", "lite0", "skin"): skin.model_copy(update={"datasets": (changed,)})}
    rows = cells(tables.to_markdown(tables.tables("ablations", ablated)))[2:]
    assert [row[5].startswith("none") for row in rows] == [False, True]


def test_final_trainings_that_diverged_are_counted_in_every_table(skin):
    part = skin.datasets[0]
    full = part.methods["full"].model_copy(update={"diverged": 2})
    changed = part.model_copy(update={"methods": {**part.methods, "full": full}})
    found = {Cell("methods", "standard", "lite0", "skin"): skin.model_copy(update={"datasets": (changed,)})}
    for name in ("table1", "networks"):
        text = tables.to_markdown(tables.tables(name, found))
        rows = [line for line in text.splitlines() if "| Full fine-tuning |" in line]
        assert rows
        assert all(line.count(", 2 diverged |") == 1 for line in rows)


def test_networks_need_no_table_of_their_own_data(found):
    rows = cells(tables.to_markdown(tables.tables("networks", found)))[2:]
    assert {(row[0], row[1]) for row in rows} == {("skin", "lite0"), ("textures", "lite0")}
    assert {row[2] for row in rows} == {"Full fine-tuning", "Full fine-tuning, tuned", "Logistic regression"}


def test_files_of_a_table(found, tmp_path):
    names = {path.name for path in write(["table1", "fig2", "table3"], found, tmp_path)}
    assert names == {"table1.md", "table1.tex", "fig2.md", "fig2.tex", "fig2.png"}  # no comparison of shares is there
    assert (tmp_path / "fig2.png").read_bytes().startswith(b"\x89PNG")
    assert r"\begin{tabular}" in (tmp_path / "table1.tex").read_text(encoding="utf-8")


TINY = Scale(
    networks={"small": "timm:test_efficientnet"},
    data=("digits8",),
    compared=("digits8",),
    varied=("digits8",),
    varied_network="small",
    settings={
        "model": {"weights": "random", "image_size": 32},
        "data": {"train_images": 30, "validation_images": 20, "test_images": 20},
        "training": {"epochs": 1},
        "search": {"population": 3, "elites": 1, "generations": 1, "seeds": 1},
        "final": {"candidates": 1, "seeds": 2},
    },
)


@pytest.fixture
def tiny_scale(monkeypatch):
    monkeypatch.setitem(plan.SCALES, "offline", TINY)
    monkeypatch.setattr(plan, "METHODS", {"paper": "biotune,full", "standard": "biotune,full"})
    return TINY


def test_what_a_comparison_will_take(tiny_scale):
    cell, *_ = cells_of("table1", tiny_scale)
    one = expected(cell, tiny_scale, {"compute": {"threads": 1}})
    searched = config_of(cell, tiny_scale, {}).search.evaluations
    assert one.trainings == searched + 2 + 2  # two final seeds of its recipe and of full fine-tuning
    assert one.seconds > 0
    away = replace(tiny_scale, data=("aircraft",))
    there = expected(cells_of("table1", away)[0], away, {})
    assert there.seconds is None
    assert "2.8 GB" in there.lacking


def test_a_table_from_the_command_line(bench, tiny_scale, tmp_path):
    arguments = ("paper", "table1", "fig2", "--threads", 1, "--only", "methods-paper", "--out", tmp_path / "all")
    planned = bench(*arguments, "--dry-run")
    assert planned.code == 0, planned.err
    assert "1 comparisons" in planned.out
    assert not (tmp_path / "all").exists()

    done = bench(*arguments)
    assert done.code == 0, done.err
    assert "1 of 2 comparisons are not finished" in done.err
    results = tmp_path / "all" / "results"
    kept = json.loads((results / "methods-paper-small-digits8.json").read_text(encoding="utf-8"))
    assert kept["command"].endswith("--threads 1 --only methods-paper-small-digits8")
    assert str(tmp_path) not in json.dumps(kept)
    assert "digits8" in (results / "table1.md").read_text(encoding="utf-8")

    table = (results / "table1.md").read_bytes()
    again = bench("paper", "table1", "--tables-only", "--out", tmp_path / "none", "--results", results)
    assert again.code == 0, again.err
    assert (results / "table1.md").read_bytes() == table
    assert list(collect(cells_of("table1", tiny_scale), tmp_path / "none", results))


def test_the_same_table_on_images_of_ones_own(bench, tiny_scale, images, tmp_path):
    arguments = ("paper", "table1", "--only", "methods-paper", "--threads", 1, "--out", tmp_path / "own")
    done = bench(*arguments, "--data", f"{images}/", "--data", "digits8")
    assert done.code == 0, done.err
    table = (tmp_path / "own/results/table1.md").read_text(encoding="utf-8")
    assert f"| Method | {images.name} | digits8 | Mean |" in table
    kept = json.loads((tmp_path / f"own/results/methods-paper-small-{images.name}.json").read_text(encoding="utf-8"))
    assert f"--data {images} --data digits8 " in kept["command"]


def test_all_data_sets_are_looked_at_before_the_first_is_learned_from(bench, tiny_scale, tmp_path):
    done = bench("paper", "table1", "--data", "digits8", "--data", tmp_path / "absent", "--out", tmp_path / "own")
    assert done.code == 2
    assert "absent" in done.err
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("table9",), "there is no table 'table9'; choose from table1,"),
        (("--scale", "huge"), "there is no scale 'huge'; choose from full, offline."),
        (("--only", "nothing"), "no comparison has 'nothing' in its name; the first of"),
    ],
)
def test_refusals(bench, arguments, part):
    done = bench("paper", *arguments)
    assert done.code == 2
    assert part in " ".join(done.err.split())
