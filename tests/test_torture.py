"""``make torture`` in its smallest form: its table, that it sees faults, and that its cases still run."""

import importlib
import io
import os
import subprocess
import sys

import pytest

import browser
from forked import Ended
from torture import damage, faults, fuzzing, injection, kills, system_calls, wrong_calls
from torture.promise import Case, Promise, Scene, difference, misbehaved

runner = importlib.import_module("torture.__main__")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("torture"))


def without_faults(cases) -> int:
    """Return how many cases there were; each held."""
    tried = list(cases)
    assert [case for case in tried if case.fault] == []
    return sum(case.count for case in tried)


@pytest.mark.parametrize(
    ("cases", "code", "row"),
    [
        ([Case("a"), Case("b", count=3)], 0, "4 of 4"),
        ([Case("a"), Case("b", "it fell over", 3)], 1, "1 of 4"),
        ([Case("a"), Case("after all", "it grew", 0)], 1, "1 of 1, but see above"),
    ],
)
def test_the_table_and_the_exit_code(cases, code, row, monkeypatch, capsys):
    monkeypatch.setenv("BIOTUNE_CACHE", os.environ["BIOTUNE_CACHE"])  # so that it is put back
    monkeypatch.setattr(runner, "PROMISES", (Promise("it stands", lambda _scene, _count: iter(cases), "kills"),))

    assert runner.main(["--kills", "1"]) == code
    printed = capsys.readouterr()
    assert row in printed.out
    assert ("NOT HELD: b: it fell over" in printed.err) == (row == "1 of 4")


def test_an_error_of_the_cases_is_a_fault_and_time_ends_them(scene):
    def failing(_scene, _count):
        yield Case("one")
        raise OSError("gone")

    console = runner.Console(file=io.StringIO())
    assert [case.fault for case in runner.torture(Promise("", failing, "kills"), scene, 9, 60, console)] == [
        "",
        "OSError: gone",
    ]
    assert len(runner.torture(Promise("", failing, "kills"), scene, 9, 0, console)) == 1


def test_what_counts_as_a_fault():
    assert misbehaved(Ended(2, "", "biotune: no."), (2,)) == ""
    assert misbehaved(Ended(0, "", ""), (2,)) == "exit code 0: (silent)"
    assert misbehaved(Ended(2, "", "Traceback ...\nKeyError: 1"), (2,)) == "a traceback: KeyError: 1"
    assert difference({"a": b"1"}, {"a": b"1"}) == ""
    assert difference({"a": b"1"}, {"a": b"2", "b": b""}) == "other results: a, b"


@pytest.mark.parametrize("name", fuzzing.READERS)
def test_changed_files_are_read_or_refused(name, scene):
    assert without_faults(fuzzing.fuzzed(name, fuzzing.READERS[name], scene, 40)) >= 1


def test_a_reader_that_fails_is_found(scene):
    def read(path):
        return path.read_bytes().index(b"\n")

    assert "ValueError" in next(fuzzing.fuzzed("images.csv", read, scene, 200)).fault


def test_damaged_files(scene, no_report):
    assert without_faults(damage.damaged(scene, 2)) == 2


@pytest.mark.slow
def test_kills_and_faults(scene):
    assert without_faults(kills.killed("train", scene, 2)) == 2
    assert without_faults(faults.faulted(scene, 1)) == 4


CHANGING = """
import ctypes, os, sqlite3, sys
import numpy as np
from safetensors.numpy import save_file

folder, way = sys.argv[1], sys.argv[2]
connection = sqlite3.connect(f"{folder}/a.sqlite", isolation_level=None)
connection.execute("CREATE TABLE a (b)")
refusals = {"full": (28, 1, 0), "once": (5, 0, 1), "dies": (0, 1, 1)}
ctypes.CDLL(None).watch_changes(folder.encode(), ctypes.c_long(0), *refusals[way], b"/dev/null")

def insert(): connection.execute("INSERT INTO a VALUES (1)")
def save(): save_file({"a": np.zeros(9)}, f"{folder}/weights")
def remove(): os.unlink(f"{folder}/a.sqlite")
def write_elsewhere(): open(f"{folder}2", "w").write("x")

for change in (insert, save, write_elsewhere, remove):
    try:
        change()
        print(change.__name__, "done")
    except Exception as error:
        print(change.__name__, error)
"""


@pytest.mark.skipif(system_calls.compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("full", ["insert unable to open database file", "No space left", "write_elsewhere done", "remove done"]),
        ("once", ["insert unable to open database file", "save done", "write_elsewhere done", "remove done"]),
        ("dies", []),
    ],
)
def test_the_disk_refuses_sqlite_and_weights_too(way, expected, tmp_path):
    (tmp_path / "folder").mkdir()
    library = system_calls.compiled(tmp_path)
    command = [sys.executable, "-c", CHANGING, tmp_path / "folder", way]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (-9 if way == "dies" else 0), done.stderr
    said = done.stdout.splitlines()
    assert len(said) == len(expected)
    assert all(words in line for words, line in zip(expected, said, strict=True)), said


@pytest.mark.slow
@pytest.mark.skipif(browser.PROGRAM is None, reason="there is no Chromium")
def test_names_in_a_browser(scene):
    assert without_faults(injection.injected(scene, 3)) > 20


def test_a_cell_that_a_spreadsheet_computes_is_found(tmp_path):
    (tmp_path / "table.csv").write_text("name,score\n'=1+1,-0.5\n-2+3,+1e-05\n")
    (case,) = injection._tables(tmp_path)
    assert case.fault == "formulas: ['-2+3']"


def test_there_are_wrong_calls_of_every_command(scene):
    calls = list(wrong_calls._calls(scene))
    assert len(calls) > 300
    assert {call[0] for call in calls} == {*wrong_calls.COMMANDS, "no-such-command"}
    assert without_faults(wrong_calls.called(scene, 3)) == 3


def test_every_promise_takes_one_of_the_numbers():
    assert {promise.kind for promise in runner.PROMISES} == runner.NUMBERS.keys()
