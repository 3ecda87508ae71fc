"""What a run shows: bars on a terminal, plain lines elsewhere."""

import io

import pytest
from rich.console import Console

from biotune.partition import unnamed_partition
from biotune.progress import PLAIN_EVERY_S, Display
from biotune.recipe import Recipe
from biotune.runs.events import CandidateFinished, Message, Progress

CANDIDATE = CandidateFinished(
    "search", Recipe(unnamed_partition(3), (0.0, 0.25, 2.5), values=(("statistics", "kept"),)), 0, 0.87123
)


def shown(*events, terminal: bool = False, verbose: bool | None = None) -> str:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=terminal, width=80), verbose) as display:
        for event in events:
            display(event)
    return stream.getvalue()


def test_plain_lines_begin_each_phase_and_then_come_seldom():
    steps = [Progress("search", done, 9, "candidate", 0.0, 75.0) for done in range(9)]
    text = shown(*steps, Progress("linear_probe", 0, 2))
    assert text == "search: 0/9 (candidate), about 1 min 15 s left\nlinear probe: 0/2\n"


def test_plain_lines_reach_the_total():
    text = shown(*(Progress("decoding images", done, 3) for done in (1, 2, 3)))
    assert text == "decoding images: 1/3\ndecoding images: 3/3\n"


def test_plain_lines_come_again_after_a_while(monkeypatch):
    clock = iter([100.0, 100.0, 100.0 + PLAIN_EVERY_S / 2, 101.0 + PLAIN_EVERY_S])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    assert shown(*(Progress("search", done, 9) for done in range(3))) == "search: 0/9\nsearch: 2/9\n"


def test_plain_lines_say_nothing_twice(monkeypatch):
    """A training of minutes reports each of its epochs."""
    clock = (100.0 * number for number in range(100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    epochs = [Progress("search", 3, 9, "candidate 4", epoch / 5, 60.0 - epoch) for epoch in range(5)]
    ended = [Progress("search", 9, 9, "candidate 9", epoch / 5) for epoch in range(5)]
    assert shown(*epochs, *ended) == ("search: 3/9 (candidate 4), about 1 min 00 s left\nsearch: 9/9 (candidate 9)\n")


def test_what_the_phase_says_is_not_said_twice():
    assert shown(Progress("mask_one_rate", 0, 2, "mask one rate")) == "mask one rate: 0/2\n"


@pytest.mark.parametrize("warning", [False, True])
def test_messages_are_one_line_however_long(warning):
    text = "The folder '/data/[bold]photos' holds " + "very " * 40 + "many images."
    assert shown(Message(text, warning)) == text + "\n"


def test_a_terminal_shows_whole_words():
    text = shown(Message("a fairly long sentence " * 8), terminal=True)
    lines = [line for line in text.splitlines() if "sentence" in line]
    assert len(lines) > 1
    assert all(line.rstrip().endswith(("a", "fairly", "long", "sentence")) for line in lines)


def test_bars_on_a_terminal():
    text = shown(Progress("final", 1, 3, "biotune", 0.5, 10.0), Message("done"), terminal=True)
    assert "final" in text
    assert "1/3" in text
    assert "biotune" in text
    assert "about 10 s left" in text
    assert "done" in text


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_shows_nothing(terminal):
    events = (Progress("final", 1, 3), Message("done"), Message("few images", warning=True), CANDIDATE)
    assert shown(*events, terminal=terminal, verbose=False) == ""


def test_candidates_and_the_time_are_shown_if_asked_for(monkeypatch):
    assert shown(CANDIDATE) == ""
    clock = iter([100.0, 100.5, 103.0, 175.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    assert shown(Message("begun"), CANDIDATE, Message("done"), verbose=True) == (
        "[0.5 s] begun\n"
        "[3.0 s] search, candidate: fitness 0.8712, 1 0, 2 0.25, 3 2.5, statistics = kept\n"
        "[1 min 15 s] done\n"
    )
