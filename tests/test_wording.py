"""How names and numbers are written."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import pytest

from biotune import wording


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (wording.percent(0.8743), "87.4 %"),
        (wording.percent(None), "–"),
        (wording.percent(float("nan")), "–"),
        (wording.share(0.0006), "0.06 %"),
        (wording.named_values({}), ""),
        (wording.named_values({"a": "b", "c": 0.1}), "All of its trainings have a = b and c = 0.1."),
        (wording.share(1.0), "100.0 %"),
        (wording.points(0.0152), "+1.5"),
        (wording.points(-0.0152), "−1.5"),
        (wording.points(-0.0001), "0.0"),
        (wording.interval(-0.006, 0.024), "[−0.6, +2.4]"),
        (wording.duration(3.21), "3.2 s"),
        (wording.duration(41.4), "41 s"),
        (wording.duration(723), "12 min 03 s"),
        (wording.duration(12_010), "3 h 20 min"),
        (wording.duration(59.6), "1 min 00 s"),
        (wording.duration(3599.9), "1 h 00 min"),
        (wording.multiplier(0.0), "frozen"),
        (wording.multiplier(2.7512), "×2.75"),
        (wording.rate(0.00275), "0.00275"),
        (wording.cost(3.56), "3.6"),
        (wording.count(1_234_567), "1,234,567"),
        (wording.parameters(216_808), "217 k"),
        (wording.parameters(15_000_000), "15.0 M"),
        (wording.parameters(999), "999"),
        (wording.short_duration(583), "9:43"),
        (wording.short_duration(12_010), "3h20"),
        (wording.file_size(512), "512 bytes"),
        (wording.file_size(2.6e9), "2.6 GB"),
        (wording.plural(1, "image"), "1 image"),
        (wording.plural(0, "image"), "0 images"),
        (wording.plural(1_234, "class", "classes"), "1,234 classes"),
        (wording.listed([]), ""),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
        (wording.listed(["a", "b"], conjunction="or"), "a or b"),
        (wording.listed(["a", "b", "c"], 2), "a, b and 1 more"),
        (wording.quoted(["a", "b"]), "'a' and 'b'"),
        (wording.moment("2026-11-03T09:05:07+0000"), "3 November 2026, 09:05"),
        (wording.moment("<b>"), "<b>"),
        (wording.csv_cell("=1+1"), "'=1+1"),
        (wording.csv_cell("\ud800"), "?"),
        (wording.method_name("mask_one_rate"), "BioTune's mask, one rate"),
        (wording.method_name("other"), "other"),
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
    assert wording.label(name) == expected
