"""How names and numbers are written."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import pytest

from biotune.report import text
from biotune.report.rows import method_rows


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.percent(0.8743), "87.4 %"),
        (text.percent(None), "–"),
        (text.percent(float("nan")), "–"),
        (text.share(0.0006), "0.06 %"),
        (text.share(1.0), "100.0 %"),
        (text.points(0.0152), "+1.5"),
        (text.points(-0.0152), "−1.5"),
        (text.points(-0.0001), "0.0"),
        (text.interval(-0.006, 0.024), "[−0.6, +2.4]"),
        (text.duration(3.21), "3.2 s"),
        (text.duration(41.4), "41 s"),
        (text.duration(723), "12 min 03 s"),
        (text.duration(12_010), "3 h 20 min"),
        (text.duration(3599.9), "1 h 00 min"),
        (text.multiplier(0.0), "frozen"),
        (text.multiplier(2.7512), "×2.75"),
        (text.rate(0.00275), "0.00275"),
        (text.cost(3.56), "3.6"),
        (text.count(1_234_567), "1 234 567"),
        (text.parameters(216_808), "217 k"),
        (text.parameters(15_000_000), "15.0 M"),
        (text.parameters(999), "999"),
        (text.method_name("mask_one_rate"), "BioTune's mask, one rate"),
        (text.method_name("other"), "other"),
    ],
)
def test_numbers(written, expected):
    assert written.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "(empty)"),
        ("  ", "(empty)"),
        ("a\x00b\x1b[1m\nc", "a b [1m c"),
        ("\u202egnp.exe\u2069", "gnp.exe"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("猫 🦊", "猫 🦊"),
        ("x" * 28, "x" * 28),
        ("x" * 29, "x" * 27 + "…"),
    ],
)
def test_labels_are_printable_and_short(name, expected):
    assert text.label(name) == expected


def test_rows_hold_the_winner_and_the_baselines_in_order(summary):
    summary["baselines"] = {key: summary["baselines"][key] for key in ("linear_probe", "full")} | {
        "mine": summary["baselines"]["full"]
    }
    rows = method_rows(summary)
    assert [row.key for row in rows] == ["biotune", "full", "linear_probe", "mine"]
    assert rows[0].cost == pytest.approx(3.56 + 1.76)
    assert rows[0].difference is None
    assert rows[1].difference.verdict == "better"
