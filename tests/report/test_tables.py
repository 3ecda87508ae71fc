"""The terminal tables: complete at 80 columns, inert whatever the names are."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import io
from dataclasses import replace

import pytest
from made_up_run import BLOCKS, HOSTILE, PARAMETERS, with_cpu_time, with_names, with_votes
from opened import opened
from rich.console import Console

from biotune.partition import Block
from biotune.report.run_tables import comparison_table, recipe_table
from biotune.report.tables import blocks_table


def _print(table, width=80):
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    console.print(table)
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def _blocks():
    return [
        Block(name, tuple(f"{name}.{index}" for index in range(9)), count)
        for name, count in zip(BLOCKS, PARAMETERS, strict=True)
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_comparison_is_complete(summary, width):
    lines = _print(comparison_table(opened(summary)), width).splitlines()
    probing = next(line for line in lines if line.startswith("Linear probing"))
    assert " ".join(probing.split()) == "Linear probing 80.0 78.9 ±0.1 77.4 +10.0 [+7.7, +12.4] better 0.5 1:28 0.06"
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("validated", [True, False])
def test_every_method_shows_the_vote_of_its_seeds(validated, summary):
    summary = with_votes(summary) | ({} if validated else {"validation": None})
    full = summary["baselines"]["full"]
    full["difference"] = {"difference": -0.1111, "low": -0.1234, "high": -0.1012}
    full["cost_in_full_finetunes"] = 111.1
    lines = _print(comparison_table(opened(summary))).splitlines()
    rows = {line[:8]: " ".join(line.split()) for line in lines}
    assert "BioTune " + "90.2 " * validated + "88.9 ±0.3 91.1 87.1" in rows["BioTune "]
    printed = " ".join(" ".join(lines).split())
    share = " 100" * (not validated)  # no room for it beside the validation scores
    assert f"87.0 ±0.4 90.7 85.5 −11.1 [−12.3, −10.1] worse 111.1 8:12{share} " in printed
    assert "78.9 ±0.1 – 77.4" in printed
    assert "Vote: all 3 seeds' networks together, by the mean of their probabilities; a prediction costs 3" in printed
    assert max(map(len, lines)) <= 80


def test_without_votes_there_is_no_column_of_them(summary):
    assert "Vote" not in _print(comparison_table(opened(summary)), 120)


def test_named_values_stand_below_the_recipe(summary):
    plain = _print(recipe_table(opened(summary)))
    summary["recipe"]["values"] = {"head_start": "fitted", "statistics": "kept"}
    named = " ".join(_print(recipe_table(opened(summary))).split())
    assert "head_start" not in plain
    assert "All of its trainings have head_start = fitted and statistics = kept. Bars:" in named


def test_comparison_without_test_set(summary):
    summary["test"] = None
    summary["baselines"] = {"full": {**summary["baselines"]["full"], "test": None, "difference": None}}
    printed = _print(comparison_table(opened(summary)), 120)
    assert "90.2    –  88.4          –" in printed
    assert "Macro: mean recall of the classes, validation set." in printed


def test_time_stands_alone_where_there_is_no_unit(summary):
    summary |= {"search": None, "baselines": {}, "full_finetune_seconds": None}
    summary["final"]["cost_in_full_finetunes"] = None
    printed = _print(comparison_table(opened(summary)))
    assert "4:48" in printed
    assert "Cost" not in printed
    assert "Time: wall time of the trainings." in printed


def test_long_runs_and_wide_intervals_still_fit(summary):
    full = summary["baselines"]["full"]
    full["difference"] = {"difference": -0.1111, "low": -0.1234, "high": -0.1012}
    full["cost_in_full_finetunes"] = 111.1
    summary["full_finetune_seconds"] = 90_000.0
    printed = _print(comparison_table(opened(summary)))
    assert "−11.1 [−12.3, −10.1] worse  111.1" in printed
    assert "Cost: in full fine-tunes of 25h00." in printed  # by the clock, as in older files
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("device", "head", "shown", "legend"),
    [
        ("cpu", "CPU", "2:56", "one takes about 310 CPU s here. CPU: CPU time of the trainings."),
        ("cuda", "Time", "1:28", "one takes about 2 min 44 s here. Time: wall time of the trainings."),
    ],
)
def test_counted_costs_stand_beside_cpu_time_but_beside_wall_time_on_a_gpu(device, head, shown, legend, summary):
    counted = with_cpu_time(summary)
    counted["protocol"]["device"] = device
    printed = _print(comparison_table(opened(counted)))
    lines = printed.splitlines()
    assert lines[0].split()[-3:] == ["Cost", head, "Share"]
    probing = next(line for line in lines if line.startswith("Linear probing"))
    assert probing.split()[-3:] == ["0.5", shown, "0.06"]
    assert f"Cost: in full fine-tunes, counted in multiplications; {legend}" in " ".join(printed.split())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [80, 120])
def test_recipe_shows_rates_and_bars(summary, width):
    lines = _print(recipe_table(opened(summary)), width).splitlines()
    assert lines[2].split() == ["stem", "9.54", "k", "frozen", "–", "┄" * 17]
    assert lines[4].split() == ["layer2", "1.22", "M", "×0.37", "0.00037", "███│"]  # 8 * 0.43 = 3.5 cells
    assert lines[7].split() == ["layer4", "15.0", "M", "×2.75", "0.00275", "│████"]  # 8 * 0.44 = 3.5 cells


def test_blocks_show_modules_and_shares():
    blocks = [*_blocks()[:-1], replace(_blocks()[-1], inert=True)]
    printed = _print(blocks_table("resnet50", blocks))
    assert printed.startswith("resnet50: 7 blocks, 23.5 M parameters")
    assert "and 3 more" in printed
    assert "63.6 %" in printed
    assert "head (inert)" in printed
    assert "inert: not reached" in printed


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_neither_markup_nor_control_codes(name, summary):
    run = with_names(summary, name)
    blocks = [replace(block, name=name, prefixes=(name,)) for block in _blocks()]
    printed = "".join(
        _print(table)
        for table in (comparison_table(opened(run)), recipe_table(opened(run)), blocks_table(name, blocks))
    )
    assert not set(printed) & set("\x00\x1b\u202e")
    assert max(map(len, printed.splitlines())) <= 80
    assert ("[bold red]" in printed) == ("[bold red]" in name)


def test_rows_hold_the_winner_and_the_baselines_in_order(summary):
    summary["baselines"] = {key: summary["baselines"][key] for key in ("linear_probe", "full")} | {
        "mine": summary["baselines"]["full"]
    }
    entries = opened(summary).entries
    assert list(entries) == ["biotune", "full", "linear_probe", "mine"]
    assert entries["biotune"].cost_in_full_finetunes == pytest.approx(3.56 + 1.76)
    assert entries["biotune"].difference is None
    assert entries["full"].difference.verdict == "better"


def test_final_trainings_that_diverged_are_counted(summary):
    assert "diverged" not in _print(comparison_table(opened(summary)), 120)
    summary["final"]["diverged"] = 1
    summary["baselines"]["full_tuned"]["diverged"] = 2
    printed = " ".join(_print(comparison_table(opened(summary)), 120).split())
    assert "3 final trainings diverged: BioTune (1) and Full, tuned rate (2). They have no test score." in printed


def test_without_validation_scores_there_is_no_column_for_them(summary):
    with_column = _print(comparison_table(opened(summary)))
    summary["validation"] = None
    for entry in summary["baselines"].values():
        entry["validation"] = None
    printed = _print(comparison_table(opened(summary)))
    assert "Val." in with_column
    assert "used for selection" in " ".join(with_column.split())
    assert "Val." not in printed
    assert "used for selection" not in " ".join(printed.split())
    probing = next(line for line in printed.splitlines() if line.startswith("Linear probing"))
    assert " ".join(probing.split()) == "Linear probing 78.9 ±0.1 77.4 +10.0 [+7.7, +12.4] better 0.5 1:28 0.06"
