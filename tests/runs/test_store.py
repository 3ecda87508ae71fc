"""The store: what was put in comes out, or the damage is named."""

import dataclasses
import hashlib
import json
import random
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from biotune.errors import DamagedStateError, InputError
from biotune.records import EpochRecord, Evaluation, Task
from biotune.runs.store import APPLICATION_ID, LONGEST_GENES, Candidate, RunStore, stored_genes
from damaged import insert
from recipes import recipe

TASKS = [Task("given", recipe(0.0, 1.5, 2.0), None, seed, 3, "hash", seed % 2 == 0) for seed in range(8)]
CURVE = tuple(EpochRecord(epoch, 1.25, 0.1 + 0.2, 0.5, 0.25, 1 / 3) for epoch in range(3))
RESULTS = [Evaluation("ok", 1 / (seed + 1), 2, CURVE, 0.1 * seed, 77) for seed in range(8)]
LIKE = recipe(1.0, 1.0)
CANDIDATES = [Candidate(i, i // 4, "new", i % 2, (0.1 * i, 1 / 3), recipe(0.0, 2.5), "ok", 0.1 * i) for i in range(8)]


def fill(path) -> None:
    with RunStore(path) as store:
        for number, (task, result) in enumerate(zip(TASKS, RESULTS, strict=True)):
            store.add_result("search" if number < 5 else "final", task, result)
        store.add_candidates(CANDIDATES[:5])
        store.add_candidates(CANDIDATES[5:])
        store.set_fact("search_stop", {"candidates": 3, "reason": "grün"})


@pytest.fixture
def path(tmp_path):
    fill(tmp_path / "run.sqlite")
    return tmp_path / "run.sqlite"


def test_what_was_put_in_comes_out(path):
    with RunStore(path) as store:
        assert [store.result(task) for task in TASKS] == RESULTS
        assert store.candidates(like=LIKE) == CANDIDATES
        assert store.fact("search_stop") == {"candidates": 3, "reason": "grün"}
        assert store.result(dataclasses.replace(TASKS[0], seed=99)) is None
        assert store.fact("other") is None


def test_seconds_and_trainings_by_phase(path):
    with RunStore(path) as store:
        assert store.seconds("search") == pytest.approx(0.0 + 0.1 + 0.2 + 0.3 + 0.4)
        assert store.seconds() == pytest.approx(2.8)
        assert store.seconds("other") == 0.0
        assert (len(store.trainings("search")), len(store.trainings())) == (5, 8)
        phase, fields, evaluation = store.trainings("final")[0]
        assert phase == "final"
        assert fields in [task.to_json() for task in TASKS[5:]]
        assert evaluation in RESULTS[5:]


def test_weights_kept_or_not_is_the_same_result(path):
    with RunStore(path) as store:
        assert store.result(dataclasses.replace(TASKS[1], keep_weights=True)) == RESULTS[1]


def test_looking_at_a_closed_store_leaves_nothing_behind(path):
    with RunStore(path, read_only=True) as store:
        assert store.candidates(like=LIKE) == CANDIDATES
    assert [other.name for other in path.parent.iterdir()] == ["run.sqlite"]


def test_a_second_reader_may_look_but_not_write(path):
    with RunStore(path) as writer, RunStore(path, read_only=True) as reader:
        writer.set_fact("new", 1)
        assert reader.fact("new") == 1
        with pytest.raises(InputError, match="readonly"):
            reader.set_fact("new", 2)


def test_candidates_are_stored_all_or_none(path, monkeypatch):
    bad = dataclasses.replace(CANDIDATES[0], sequence=21, fitness=float("nan"))
    with RunStore(path) as store:
        with pytest.raises(ValueError, match="not JSON compliant"):
            store.add_candidates([dataclasses.replace(CANDIDATES[0], sequence=20), bad])
        assert len(store.candidates(like=LIKE)) == 8
        store.add_candidates([dataclasses.replace(CANDIDATES[0], sequence=20)])
        assert len(store.candidates(like=LIKE)) == 9


@pytest.mark.parametrize(
    ("statement", "look"),
    [
        ("UPDATE trainings SET result = replace(result, '0.25', '0.75')", lambda store: store.result(TASKS[0])),
        ("UPDATE trainings SET seconds = seconds + 1", lambda store: store.result(TASKS[0])),
        ("UPDATE candidates SET row = replace(row, 'ok', 'no')", lambda store: store.candidates(like=LIKE)),
        ("UPDATE candidates SET sequence = sequence + 100", lambda store: store.candidates(like=LIKE)),
        ("UPDATE facts SET value = '{}'", lambda store: store.fact("search_stop")),
    ],
)
def test_an_altered_row_is_noticed(statement, look, path):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    with RunStore(path) as store, pytest.raises(DamagedStateError, match=r"a row of '.*run\.sqlite' was altered"):
        look(store)


def unharmed_or_refused(path) -> str:
    """Return what became of a damaged store; every value that it still gives must be the one that was put in."""
    try:
        with RunStore(path) as store:
            found = [store.result(task) for task in TASKS]
            candidates, fact = store.candidates(like=LIKE), store.fact("search_stop")
            store.set_fact("later", 1)
    except (DamagedStateError, InputError) as error:
        return "refused" if str(path) in str(error) else str(error)
    assert all(one in (None, other) for one, other in zip(found, RESULTS, strict=True))
    assert candidates in (CANDIDATES, CANDIDATES[:5], [])
    assert fact in (None, {"candidates": 3, "reason": "grün"})
    return "unharmed" if None not in found and candidates else "shortened"


@pytest.mark.parametrize("fraction", [0.9, 0.925, 0.95, 0.975])
def test_what_sqlite_says_of_damage_in_several_lines_is_one_sentence(fraction, path):
    insert(path, fraction)
    with pytest.raises(DamagedStateError) as caught:
        RunStore(path)
    assert str(caught.value).startswith(f"'{path}' is damaged (")
    assert not {"\n", "*"} & set(str(caught.value))  # there is a heading between asterisks


@pytest.mark.parametrize("flip", [False, True], ids=["cut", "flip"])
@pytest.mark.parametrize("number", range(50))
def test_damage_anywhere_is_survived_or_refused(number, flip, path):
    content = bytearray(path.read_bytes())
    place = random.Random(number).randrange(len(content))
    if flip:
        content[place] ^= 1 << number % 8
    path.write_bytes(content if flip else content[:place])
    assert unharmed_or_refused(path) in {"unharmed", "refused", *(["shortened"] if place == 0 else [])}


@pytest.mark.parametrize("flip", [False, True], ids=["cut", "flip"])
@pytest.mark.parametrize("number", range(25))
def test_a_torn_journal_loses_the_last_writes_and_no_others(number, flip, tmp_path):
    """As after a kill or a loss of power: the journal lies beside the file, its end is damaged."""
    source = RunStore(tmp_path / "run.sqlite")
    for task, result in zip(TASKS, RESULTS, strict=True):
        source.add_result("search", task, result)
    source.add_candidates(CANDIDATES)
    for name in ("run.sqlite", "run.sqlite-wal"):
        (tmp_path / "copy").mkdir(exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    source.close()
    journal = tmp_path / "copy" / "run.sqlite-wal"
    content = bytearray(journal.read_bytes())
    place = random.Random(number).randrange(len(content))
    if flip:
        content[place] ^= 1 << number % 8
    journal.write_bytes(content if flip else content[:place])
    with RunStore(tmp_path / "copy" / "run.sqlite") as store:
        found = [store.result(task) for task in TASKS]
        kept = sum(result is not None for result in found)
        assert found == RESULTS[:kept] + [None] * (8 - kept)
        assert store.candidates(like=LIKE) in ([], CANDIDATES)


def test_a_foreign_database_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    with pytest.raises(DamagedStateError, match="is not a run store of biotune; move it away or restore a copy"):
        RunStore(tmp_path / "other.sqlite")


def test_a_later_format_is_refused(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=4")
    with pytest.raises(DamagedStateError, match="has format 4; this version reads 1 to 3"):
        RunStore(path)


def test_the_file_says_whose_it_is(path):
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_empty_file_is_a_new_store(tmp_path):
    (tmp_path / "run.sqlite").touch()
    with RunStore(tmp_path / "run.sqlite") as store:
        assert store.candidates(like=LIKE) == []


@pytest.mark.parametrize("name", ["a?b#c%20d", "grün und blau"])
def test_odd_folder_names(name, tmp_path):
    (tmp_path / name).mkdir()
    fill(tmp_path / name / "run.sqlite")
    assert (tmp_path / name / "run.sqlite").exists()


def test_a_full_disk_is_for_the_user_to_solve(path, monkeypatch):
    with RunStore(path) as store:
        store._connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(
            InputError, match=r"cannot use '.*run\.sqlite' \(database or disk is full\); free some space"
        ):
            store.set_fact("large", "x" * 100_000)
        store._connection.execute("PRAGMA max_page_count=100000")
        store.set_fact("large", "x" * 100_000)
        assert [store.result(task) for task in TASKS] == RESULTS


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="unable to open database file"):
        RunStore(tmp_path / "none" / "run.sqlite")


def make_format_1(path) -> None:
    """Bring a store to what format 1 was: candidates of one search, without its name."""
    with RunStore(path) as store:
        rows = [(c.sequence, json.dumps(c.to_json(), sort_keys=True)) for c in store.candidates(like=LIKE)]
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE candidates")
        connection.execute(
            "CREATE TABLE candidates (sequence INTEGER PRIMARY KEY, row TEXT NOT NULL, digest TEXT NOT NULL)"
        )
        for sequence, text in rows:
            digest = hashlib.sha256(json.dumps([sequence, text]).encode()).hexdigest()[:16]
            connection.execute("INSERT INTO candidates VALUES (?,?,?)", (sequence, text, digest))
        connection.execute("PRAGMA user_version=1")
    connection.close()


def test_a_store_of_format_1_is_read_and_continued(path):
    make_format_1(path)
    with RunStore(path, read_only=True) as store:
        assert store.candidates(like=LIKE) == CANDIDATES
    with RunStore(path) as store:
        assert store.candidates(like=LIKE) == CANDIDATES
        store.add_candidates([dataclasses.replace(CANDIDATES[0], sequence=8)])
    with RunStore(path, read_only=True) as store:
        assert len(store.candidates(like=LIKE)) == 9
        assert store.result(TASKS[0]) == RESULTS[0]


def test_searches_beside_each_other(path):
    other = [dataclasses.replace(CANDIDATES[0], fitness=0.9)]
    with RunStore(path) as store:
        store.add_candidates(other, "random")
        assert store.candidates("random", LIKE) == other
        assert store.candidates(like=LIKE) == CANDIDATES


def test_a_store_of_format_2_is_read_and_brought_to_the_present_one(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=2")
    connection.close()
    with RunStore(path, read_only=True) as store:
        assert store.candidates(like=LIKE) == CANDIDATES
    with RunStore(path) as store:
        assert store.candidates(like=LIKE) == CANDIDATES
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_who_does_not_know_the_network_gets_candidates_without_recipes(path):
    with RunStore(path, read_only=True) as store:
        assert store.candidates() == [dataclasses.replace(one, recipe=None) for one in CANDIDATES]


def test_named_values_of_a_recipe_are_stored(tmp_path):
    given = recipe(0.0, 2.5).with_values({"weight_decay": 1e-4, "head_start": "probe"})
    candidate, task = dataclasses.replace(CANDIDATES[0], recipe=given), dataclasses.replace(TASKS[0], recipe=given)
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add_candidates([candidate])
        store.add_result("search", task, RESULTS[0])
        assert store.candidates(like=LIKE) == [candidate]
        assert store.trainings()[0][1]["values"] == {"head_start": "probe", "weight_decay": 1e-4}


def test_long_genes_are_stored_by_their_digest(tmp_path):
    genes = np.linspace(0.0, 1.0, 51_200)
    candidate = dataclasses.replace(CANDIDATES[0], genes=stored_genes(genes), recipe=None)
    with RunStore(tmp_path / "run.sqlite") as store:
        store.add_candidates([candidate])
        assert store.candidates() == [candidate]
    assert candidate.genes == f"sha256:{hashlib.sha256(genes.tobytes()).hexdigest()}"
    assert (tmp_path / "run.sqlite").stat().st_size < 100_000


def test_the_digest_tells_any_other_point(tmp_path):
    genes = np.full(LONGEST_GENES + 1, 0.5)
    other = genes.copy()
    other[700] = np.nextafter(0.5, 1.0)
    assert stored_genes(genes) != stored_genes(other)
    assert stored_genes(genes[1:]) == (0.5,) * LONGEST_GENES


def made_by_a_process_that_was_killed(path):
    """Leave what a process leaves that was killed after it made the file, and before it made the tables."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


@pytest.mark.parametrize("leave", [lambda path: path.touch(), made_by_a_process_that_was_killed])
def test_a_store_without_tables_is_read_as_an_empty_one(leave, tmp_path):
    leave(tmp_path / "run.sqlite")
    with RunStore(tmp_path / "run.sqlite", read_only=True) as store:
        assert (store.trainings(), store.candidates(), store.fact("plan"), store.seconds()) == ([], [], None, 0.0)
    with RunStore(tmp_path / "run.sqlite") as store:
        store.set_fact("plan", 1)
    with RunStore(tmp_path / "run.sqlite", read_only=True) as store:
        assert store.fact("plan") == 1


def test_a_store_that_is_made_between_two_looks_at_it_is_none_of_another_program(tmp_path, monkeypatch):
    """Another process begins its run just when this one asks for its status."""
    path = tmp_path / "run.sqlite"
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("SELECT count(*) FROM sqlite_master")
    assert path.with_name("run.sqlite-wal").exists()
    connect, looks = sqlite3.connect, []

    class Slow(sqlite3.Connection):
        def execute(self, statement, *values):
            looks.append(statement)
            if len(looks) > 1:
                return super().execute(statement, *values)
            row = super().execute(statement, *values).fetchone()
            monkeypatch.setattr(sqlite3, "connect", connect)
            RunStore(path).close()
            return SimpleNamespace(fetchone=lambda: row)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=Slow, **options))
    with closing(other), RunStore(path, read_only=True) as store:
        assert store.trainings() == []


def test_a_store_that_another_program_holds_is_not_called_damaged(path, monkeypatch):
    monkeypatch.setattr("biotune.runs.store.PATIENCE_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with RunStore(path) as store, pytest.raises(InputError, match=r"cannot be locked \(database is locked\)"):
            store.set_fact("plan", 1)
        other.execute("ROLLBACK")


@pytest.mark.parametrize("text", ["database is locked", "locking protocol", "database table is locked"])
def test_a_drive_that_cannot_lock_is_named(text, path):
    with RunStore(path) as store:
        assert "its drive cannot lock files" in str(store._trouble(sqlite3.OperationalError(text)))
