"""Room in the cache: the least recently used entries go first, and none that is in use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from biotune.pixels import eviction as room
from biotune.pixels.eviction import Lease, Room, make_room

OLD, NEWER, NEW = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two entries of 100 bytes, used at the times 1 and 2, and files of somebody else."""
    for key, used in ((OLD, 1), (NEWER, 2)):
        for suffix, size in (("npy", 70), ("facts", 20), ("json", 10), ("lock", 0)):
            path = tmp_path / f"{key}.{suffix}"
            path.write_bytes(bytes(size))
            os.utime(path, (used, used))
    (tmp_path / "thesis.npy").write_bytes(bytes(5000))
    (tmp_path / f"{OLD}.txt").write_bytes(bytes(5000))
    return tmp_path


def _left(folder: Path) -> set[str]:
    return {path.name[0] for path in folder.glob("*.json")}


@pytest.mark.parametrize(
    ("num_bytes", "limit", "expected", "left"),
    [
        (100, 300, Room(True, 0, 0), {"a", "b"}),
        (100, 299, Room(True, 1, 100), {"b"}),
        (100, 199, Room(True, 2, 200), set()),
        (100, 99, Room(False, 2, 200), set()),
    ],
)
def test_the_oldest_go_first_and_no_more_than_needed(
    folder: Path, num_bytes: int, limit: int, expected: Room, left: set[str]
) -> None:
    assert make_room(folder, NEW, num_bytes, limit) == expected
    assert _left(folder) == left


def test_files_of_others_stay(folder: Path) -> None:
    make_room(folder, NEW, 100, 100)

    kept = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
    assert kept == {"thesis.npy", f"{OLD}.txt"}


def test_a_full_disk_is_a_reason_to_remove(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([50, 150])
    monkeypatch.setattr(room, "free_bytes", lambda folder: next(free))

    assert make_room(folder, NEW, 100, 10_000) == Room(True, 1, 100)


def test_what_is_used_stays_until_it_is_let_go(folder: Path) -> None:
    lease = Lease(folder, OLD)
    assert make_room(folder, NEW, 100, 200) == Room(True, 1, 100)
    assert _left(folder) == {"a"}

    del lease

    assert make_room(folder, NEW, 100, 100) == Room(True, 1, 100)
    assert list(folder.glob("*.use")) == []


def test_using_an_entry_makes_it_the_newest(folder: Path) -> None:
    Lease(folder, OLD)

    make_room(folder, NEW, 100, 200)

    assert _left(folder) == {"a"}


HOLD = """
import sys, time
from pathlib import Path
from biotune.pixels.eviction import Lease
lease = Lease(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


def test_another_process_keeps_its_entry_until_it_is_killed(folder: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), OLD], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert make_room(folder, NEW, 100, 100) == Room(False, 1, 100)
        assert _left(folder) == {"a"}
    finally:
        other.kill()
        other.communicate()

    assert make_room(folder, NEW, 100, 100) == Room(True, 1, 100)
    assert list(folder.glob("*.use")) == []
