"""Markdown, CSV and LaTeX hold the numbers of the JSON, and no name can break them."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import copy
import csv
import io
import re

import made_up_comparison as made
import pytest
from made_up_run import HOSTILE
from opened import opened_comparison

from biotune.report import comparison_files
from biotune.report.comparison_files import CSV_COLUMNS

NAMES = {"biotune": "BioTune", "full": "Full fine-tuning", "lora": "LoRA", "l2_sp:alpha=0.1": "L2-SP (alpha=0.1)"}
SPECIAL = ("a_b & 50 % of #3", "{x}^2~$y$", r"\input{/etc/passwd}", "<10 µm | [1]")


def to_csv(comparison):
    return comparison_files.to_csv(opened_comparison(comparison))


def to_latex(comparison):
    return comparison_files.to_latex(opened_comparison(comparison))


def to_markdown(comparison):
    return comparison_files.to_markdown(opened_comparison(comparison))


@pytest.fixture(scope="module")
def several():
    return made.comparison(tuple(NAMES), ("digits", "skin"))


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def _markdown_tables(text):
    """Every table as a list of rows of cells, escapes and bold taken off."""
    tables, last = [], False
    for line in text.splitlines():
        if line.startswith("| "):
            tables += [] if last else [[]]
            cells = [cell.replace("**", "") for cell in re.split(r"(?<!\\) \| ", line[2:-2])]
            tables[-1].append([re.sub(r"\\(.)", r"\1", cell) for cell in cells])
        last = line.startswith("| ")
    return [[table[0], *table[2:]] for table in tables]


def _latex_tables(text):
    """Every tabular as a list of rows of cells, bold taken off."""
    bodies = re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.DOTALL)
    lines = [[line for line in body.splitlines() if line != r"\midrule"] for body in bodies]
    return [[re.sub(r"\\textbf\{(.*?)\}", r"\1", line)[:-3].split(" & ") for line in body] for body in lines]


def _shown(score):
    return f"{100 * score['accuracy']:.1f} ({100 * score['standard_error']:.1f})"


def _expected_grid(comparison, tuned):
    """Mean (standard error) of every method and data set, then the mean and the mean rank, from the JSON."""
    ranks = comparison["ranking"]["tuned" if tuned else "default"]["mean_ranks"]
    grid = {}
    for key, name in NAMES.items():
        rows = [entry["methods"][key] for entry in comparison["datasets"]] + [comparison["methods"][key]]
        scores = [((row["tuned"] if tuned else None) or row)["test"] for row in rows]
        grid[name] = [*map(_shown, scores[:-1]), f"{100 * scores[-1]['accuracy']:.1f}", f"{ranks[key]:.2f}"]
    return grid


@pytest.mark.parametrize(("tuned", "place"), [(True, 0), (False, 1)])
@pytest.mark.parametrize(("write", "read"), [(to_markdown, _markdown_tables), (to_latex, _latex_tables)])
def test_the_grid_has_the_values_of_the_json(several, write, read, tuned, place):
    head, *rows = read(write(several))[place]
    assert head == ["Method", "digits", "skin", "Mean", "Mean rank"]
    assert {row[0]: row[1:] for row in rows} == _expected_grid(several, tuned)


@pytest.mark.parametrize(("write", "read"), [(to_markdown, _markdown_tables), (to_latex, _latex_tables)])
def test_the_table_of_methods_has_the_values_of_the_json(several, write, read):
    rows = {row[0]: row[1:] for row in read(write(several))[2]}
    row = several["methods"]["lora"]
    tuned, found = row["tuned"], row["tuned"]["difference"]
    cells = " ".join(rows["LoRA"])
    for signs in (("$\\pm$", "±"), ("$-$", "-"), ("−", "-"), ("{[}", "["), ("{]}", "]"), ("~", " "), ("\xa0", " ")):
        cells = cells.replace(*signs)
    numbers = [float(value) for value in re.findall(r"[+-]?\d+\.?\d*", cells)]
    expected = [
        *(100 * row["test"][name] for name in ("accuracy", "standard_error")),
        *(100 * tuned["test"][name] for name in ("accuracy", "standard_error")),
        *(100 * found[name] for name in ("difference", "low", "high")),
        tuned["cost_in_full_finetunes"],
        100 * tuned["trainable_fraction"],
    ]
    assert numbers[:-1] == pytest.approx(expected, abs=0.0501)
    assert numbers[-1] == pytest.approx(tuned["step_bytes"] / 2**30, abs=0.00501)
    assert found["verdict"] in cells


def test_the_best_of_a_column_is_bold_and_the_best_tuned_score_comes_first(several):
    tuned = {key: (row["tuned"] or row)["test"]["accuracy"] for key, row in several["methods"].items()}
    order = [row[0] for row in _markdown_tables(to_markdown(several))[0][1:]]
    assert order == [NAMES[key] for key in sorted(tuned, key=tuned.get, reverse=True)]
    column = [entry[1] for entry in _expected_grid(several, tuned=True).values()]
    best = max(column, key=lambda cell: float(cell.split()[0]))
    assert f"**{best}**" in to_markdown(several)
    assert rf"\textbf{{{best}}}" in to_latex(several)


def test_csv_reads_back_exactly(several):
    rows = _rows(to_csv(several))
    found = {(row["data_set"], row["method"], row["setting"]): row for row in rows}
    assert len(rows) == len(found) == 2 * (1 + 2 * 3)  # BioTune is a search: one row
    expected = several["datasets"][1]["methods"]["lora"]["tuned"]
    row = found["skin", "lora", "tuned"]
    assert [float(value) for value in row["test_per_seed"].split()] == expected["test"]["per_seed"]
    assert float(row["test_standard_error"]) == expected["test"]["standard_error"]
    assert float(row["validation_macro_accuracy"]) == expected["validation"]["macro_accuracy"]
    assert float(row["difference_low"]) == expected["difference"]["low"]
    assert row["verdict"] == expected["difference"]["verdict"]
    assert int(row["step_bytes"]) == expected["step_bytes"]
    assert float(row["cost_in_full_finetunes"]) == expected["cost_in_full_finetunes"]
    assert row["p"] == ""  # three seeds carry no test
    assert tuple(row) == CSV_COLUMNS


def test_csv_holds_the_signed_rank_test():
    comparison = made.comparison(("biotune", "full"))
    tested = {"p": 0.01, "p_holm": 0.02, "num_pairs": 9}
    comparison["datasets"][0]["methods"]["full"]["signed_rank"] = tested
    row = _rows(to_csv(comparison))[1]
    assert (float(row["p"]), float(row["p_holm"]), int(row["num_pairs"])) == tuple(tested.values())


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(name):
    cells = [
        row[column] for row in _rows(to_csv(made.with_names(name))) for column in ("data_set", "method", "trained_as")
    ]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r"]


@pytest.mark.parametrize("name", [*HOSTILE, *SPECIAL])
def test_any_name_leaves_the_tables_whole(name):
    comparison = made.with_names(name)
    plain = made.with_names("plain")
    assert len(_rows(to_csv(comparison))) == len(_rows(to_csv(plain)))
    markdown, latex = to_markdown(comparison), to_latex(comparison)
    assert [[len(row) for row in table] for table in _markdown_tables(markdown)] == [
        [len(row) for row in table] for table in _markdown_tables(to_markdown(plain))
    ]
    assert latex.count(" \\\\\n") == to_latex(plain).count(" \\\\\n")
    assert not re.search(r"(?<!\\)<", markdown)
    assert not re.search(r"(?<!\\)\](?=\()", markdown)
    assert not set(markdown + latex) & set("\x00\x1b\u202e")
    assert (markdown + latex).encode()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (SPECIAL[0], r"a\_b \& 50 \% of \#3"),
        (SPECIAL[1], r"\{x\}\textasciicircum{}2\textasciitilde{}\$y\$"),
        (SPECIAL[2], r"\textbackslash{}input\{/etc/passwd\}"),
        (SPECIAL[3], r"\textless{}10 µm \textbar{} {[}1{]}"),
    ],
)
def test_latex_shows_a_name_as_written(name, written):
    assert written in to_latex(made.with_names(name))


def test_a_comparison_without_test_set_shows_validation_scores():
    comparison = made.comparison(("biotune", "full"), ("a", "b"), has_test=False)
    _, *rows = _markdown_tables(to_markdown(comparison))[0]
    shown = {row[0]: row[1] for row in rows}
    assert shown["BioTune"] == _shown(comparison["datasets"][0]["methods"]["biotune"]["validation"])
    assert rows[0][-1] == "–"
    assert "validation accuracy by data set" in to_markdown(comparison)
    assert {row["test_accuracy"] for row in _rows(to_csv(comparison))} == {""}


def test_one_seed_has_no_standard_error_and_a_diverged_method_no_score():
    comparison = copy.deepcopy(made.comparison(("biotune", "full", "lora"), seeds=1, tuned=False))
    made.diverge(comparison, "full")
    rows = _markdown_tables(to_markdown(comparison))[0]
    assert rows[-1][:3] == ["Full fine-tuning", "diverged", "–"]
    assert rows[1][1] == f"{100 * comparison['methods']['biotune']['test']['accuracy']:.1f}"
