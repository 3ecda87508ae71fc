"""Whose a run folder is, and who works in it."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Timer

import pytest

from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.folder import CONFIG, StopSignal, claim, is_locked, locked, require_idle
from biotune.settings.resolve import resolve
from faulty_disk import FaultyDisk, faulty

FACTS = {"torch": "2.15", "data": "abc"}
CONFIGURATION = resolve("standard", {})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_a_folder_is_made_and_locked_while_it_is_worked_in(tmp_path):
    folder = tmp_path / "runs" / "one"
    with locked(folder):
        assert is_locked(folder)
    assert not is_locked(folder)


def test_the_second_is_told_who_the_first_is(tmp_path):
    with (
        locked(tmp_path / "run"),
        pytest.raises(InputError, match=rf"another process works in .* \(process {os.getpid()}"),
    ):
        require_idle(tmp_path / "run")
    require_idle(tmp_path / "run")


def test_a_second_thread_waits_for_its_turn(tmp_path):
    heard, waits = list[str](), Event()

    def work():
        def hear(message):
            heard.append(message.text)
            waits.set()

        with locked(tmp_path / "second", hear):
            return is_locked(tmp_path / "first")

    with ThreadPoolExecutor(1) as thread:
        with locked(tmp_path / "first"):
            second = thread.submit(work)
            assert waits.wait(10)
            assert not (tmp_path / "second").exists()
            with locked(tmp_path / "third"):  # the thread whose turn it is may open another one
                pass
        assert second.result(10) is False
    assert heard == ["Another run of this program is at work; this one begins after it."]


def test_a_thread_that_waits_for_its_turn_can_be_interrupted(tmp_path):
    begun, end = Event(), Event()

    def work():
        with locked(tmp_path / "first"):
            begun.set()
            end.wait(10)

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(work)
        assert begun.wait(10)
        Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt), locked(tmp_path / "second"):
            pass
        end.set()
        first.result(10)
    with locked(tmp_path / "second"):
        pass


def test_a_folder_is_claimed_once(tmp_path):
    assert claim(tmp_path, CONFIGURATION, FACTS) is False
    assert claim(tmp_path, CONFIGURATION, FACTS) is True


@pytest.mark.parametrize(
    ("config", "facts", "named"),
    [
        (resolve("standard", {}, seed=1), FACTS, r"seed \(was 0, now 1\)"),
        (CONFIGURATION, {**FACTS, "data": "8f"}, r"there are other images, names or classes\. Repeat"),
        (CONFIGURATION, {**FACTS, "torch": "2.16"}, r"torch \(was '2.15', now '2.16'\)"),
        (resolve("quick", {}), FACTS, r"preset \(was 'standard', now 'quick'\); training.epochs \(was 20, now 12\)"),
    ],
)
def test_another_run_is_refused_by_name(config, facts, named, tmp_path):
    claim(tmp_path, CONFIGURATION, FACTS)
    before = (tmp_path / CONFIG).read_bytes()
    with pytest.raises(InputError, match=f"holds another run: {named}"):
        claim(tmp_path, config, facts)
    assert (tmp_path / CONFIG).read_bytes() == before


def test_another_limit_is_written_down(tmp_path):
    claim(tmp_path, CONFIGURATION, FACTS)
    claim(tmp_path, resolve("standard", {"budget": {"seconds": 60.0}}), FACTS)
    assert "seconds = 60.0" in (tmp_path / CONFIG).read_text()


@pytest.mark.parametrize("work", [require_idle, lambda folder: locked(folder).__enter__()])
@pytest.mark.parametrize("content", [{"thesis.tex": "x"}, {"config.toml": "baseURL = 'https://example.org'"}])
def test_a_foreign_folder_is_refused_and_not_touched(content, work, tmp_path):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(
        InputError, match=r"not a run of biotune \(it holds 'thesis.tex'\)|'.*config\.toml' cannot be used"
    ):
        work(tmp_path)
    assert names(tmp_path) == set(content)


def open_again(folder: Path) -> None:
    require_idle(folder)
    claim(folder, CONFIGURATION, FACTS)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_configuration_that_was_cut_short_is_damage(kept, tmp_path):
    claim(tmp_path, CONFIGURATION, FACTS)
    text = (tmp_path / CONFIG).read_text()
    facts_begin = text.index("[resolved]")
    cuts = (facts_begin, facts_begin + len("[resolved]\n"), text.rindex("data = "))
    (tmp_path / CONFIG).write_text(text[: cuts[kept]])
    with pytest.raises(DamagedStateError, match=r"'.*config\.toml' lacks the entry"):
        open_again(tmp_path)


def test_what_a_killed_owner_left_half_written_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    claim(tmp_path, CONFIGURATION, FACTS)
    for leftover in (tmp_path / ".model.safetensors.123.tmp", tmp_path / "checkpoints" / ".abc.weights.9.tmp"):
        leftover.write_bytes(b"half")
    with locked(tmp_path):
        assert names(tmp_path) == {"checkpoints", CONFIG, ".lock", ".owner.json"}


def test_folders_that_nothing_was_put_into_are_removed_again(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyError), locked(tmp_path / "mine" / "runs" / "one"):
        raise KeyError
    with locked(tmp_path / "mine"):
        assert names(tmp_path) == {"mine", ".lock", ".owner.json"}
    assert names(tmp_path) == {"mine"}


def test_folders_with_content_stay(tmp_path):
    with locked(tmp_path / "runs" / "one"):
        claim(tmp_path / "runs" / "one", CONFIGURATION, FACTS)
    assert names(tmp_path) == {"runs", "one", CONFIG, ".lock"}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"cannot make the run folder '.*file': File exists"),
        locked(tmp_path / "file"),
    ):
        pass


def test_a_stop_is_asked_for_once_and_stays():
    stop = StopSignal()
    stop.check()
    stop.requested = True
    with pytest.raises(InterruptedRunError, match="stopped; everything finished so far is stored"):
        stop.check()


def test_a_lock_whose_owner_file_stays_is_a_warning_and_locks_nobody_out(tmp_path):
    heard: list[Message] = []
    with faulty(FaultyDisk(tmp_path, lambda change: change[0] == "unlink")):
        with locked(tmp_path, heard.append):
            pass
        with pytest.raises(KeyError), locked(tmp_path, heard.append):  # one sentence is enough
            raise KeyError
    assert [message.text for message in heard if message.warning] == [
        f"Cannot remove '{tmp_path / '.owner.json'}': Input/output error; nothing reads it any more, and the same "
        "command removes it the next time."
    ]
    with locked(tmp_path):
        pass
    assert names(tmp_path) == set()


def test_a_disk_that_cannot_be_written_is_the_only_sentence(tmp_path):
    refusing = FaultyDisk(tmp_path, lambda change: change[0] == "replace", stays=True)
    said = r"cannot write '.*\.owner\.json' \(\d+ bytes\): Input/output error; make"
    with faulty(refusing), pytest.raises(InputError, match=said):
        locked(tmp_path).__enter__()
    assert ("unlink", f"..owner.json.{os.getpid()}.tmp") in refusing.refused
    with locked(tmp_path):
        assert names(tmp_path) == {".lock", ".owner.json"}
