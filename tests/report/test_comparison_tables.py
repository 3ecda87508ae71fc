"""The terminal's view of a comparison: complete at 80 columns, inert whatever the names are."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import io
from itertools import chain

import made_up_comparison as made
import pytest
from made_up_run import HOSTILE
from opened import opened_comparison
from rich.console import Console

from biotune.report import comparison_tables


def comparison_view(comparison, width=80):
    return comparison_tables.comparison_view(opened_comparison(comparison), width)


def methods_table(comparison):
    return comparison_tables.methods_table(opened_comparison(comparison))


def _print(renderable, width=80):
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    console.print(renderable)
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("width", [80, 120])
def test_one_data_set_is_complete(width):
    comparison = made.comparison()
    row = comparison["methods"]["linear_probe"]
    tuned = row["tuned"]
    scores = [
        f"{100 * part['test']['accuracy']:.1f} ±{100 * part['test']['standard_error']:.1f}" for part in (row, tuned)
    ]
    lines = _print(comparison_view(comparison, width), width).splitlines()
    shown = " ".join(next(line for line in lines if line.startswith("Linear")).split())
    ends = [f"{100 * tuned['difference'][name]:+.1f}" for name in ("difference", "low", "high")]
    assert f"{' '.join(scores)} {ends[0]} [{ends[1]}, {ends[2]}] better 7.2 0.06 0.34" in shown
    assert max(map(len, lines)) <= width


def test_the_best_tuned_score_comes_first():
    comparison = made.comparison(skill={"full": 0.97, "biotune": 0.8})
    lines = _print(methods_table(comparison)).splitlines()
    names = [line.split()[0] for line in lines[2:]]
    assert names[0] == "Full"
    assert names.index("LoRA") < names.index("BioTune")


def test_wide_numbers_still_fit():
    comparison = made.comparison(("biotune", "full"))
    tuned = comparison["methods"]["full"]["tuned"]
    tuned["difference"] = {"difference": -0.1111, "low": -0.1234, "high": -0.1012, "verdict": "worse"}
    tuned |= {"cost_in_full_finetunes": 111.1, "step_bytes": 123.4 * 2**30}
    comparison["methods"]["full"]["test"] |= {"accuracy": 0.1234, "standard_error": 0.1234}
    tuned["test"] |= {"accuracy": 0.1234, "standard_error": 0.1234}
    printed = _print(methods_table(comparison))
    assert "12.3 ±12.3 12.3 ±12.3 −11.1 [−12.3, −10.1] worse 111.1   100 123.4" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(("width", "tables"), [(80, 2), (120, 1), (60, 3)])
def test_many_data_sets_are_split_over_tables(width, tables):
    comparison = made.comparison(("biotune", "full"), [f"set{index}" for index in range(7)])
    lines = _print(comparison_view(comparison, width), width).splitlines()
    heads = [line.split()[1:] for line in lines if line.startswith("Method ") and "set" in line]
    assert len(heads) == tables
    assert [*chain(*heads)] == [*(f"set{index}" for index in range(7)), "Mean", "Rank"]
    assert max(map(len, lines)) <= width


def test_the_grid_marks_the_best_in_bold():
    comparison = made.comparison(("biotune", "full", "lora"), ("a", "b"), skill={"lora": 0.97})
    console = Console(width=80, file=io.StringIO(), force_terminal=True, legacy_windows=False, color_system="truecolor")
    console.print(comparison_view(comparison))
    best = comparison["datasets"][0]["methods"]["lora"]["tuned"]["test"]
    shown = f"{100 * best['accuracy']:.1f} ({100 * best['standard_error']:.1f})"
    assert f"\x1b[1m{shown}" in console.file.getvalue()


def test_methods_at_their_defaults_have_no_empty_column():
    printed = _print(methods_table(made.comparison(("full", "lora"), tuned=False)))
    assert "Tuned" not in printed
    assert "Difference: Full fine-tuning minus the method" in printed


def test_without_a_test_set_nothing_is_called_a_difference():
    printed = _print(comparison_view(made.comparison(("biotune", "full"), has_test=False)))
    assert "Difference" not in printed
    assert "Accuracy in % (validation, used for selection)" in printed


@pytest.mark.parametrize("datasets", [1, 3])
@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_neither_markup_nor_control_codes(name, datasets):
    printed = _print(comparison_view(made.with_names(name, datasets)))
    assert not set(printed) & set("\x00\x1b\u202e")
    assert max(map(len, printed.splitlines())) <= 80
    assert ("[bold red]" in printed) == ("[bold red]" in name)
