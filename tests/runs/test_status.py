"""Where a run stands."""

import json
from dataclasses import replace

import pytest

from biotune.errors import DamagedStateError, InputError
from biotune.recipe import Recipe
from biotune.runs.folder import locked
from biotune.runs.status import finished_summary, run_status
from biotune.runs.store import RunStore


def test_a_finished_run(finished):
    status = run_status(finished.folder)
    assert (status.status, status.candidates, status.generation) == ("finished", 14, 1)
    assert status.trainings >= 14
    assert status.seconds > 0
    history = json.loads((finished.folder / "history.json").read_text())
    assert status.best_fitness == max(row["fitness"] for row in history["candidates"] if row["finished"])
    assert status.sentence().startswith(f"{finished.folder}: finished; {status.trainings} trainings in ")
    assert status.sentence().endswith("; model: the chosen one.")
    assert status.to_json()["status"] == "finished"


def test_a_run_that_is_worked_on(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    with locked(folder):
        assert run_status(folder).status == "running"


def test_a_run_that_has_just_begun(tmp_path):
    with locked(tmp_path / "run"):
        assert (
            run_status(tmp_path / "run").sentence()
            == f"{tmp_path / 'run'}: running; 0 trainings in 0.0 s, 0 candidates; no model yet."
        )


def test_one_training_of_one_candidate_reads_as_such(finished):
    one = replace(run_status(finished.folder), trainings=1, candidates=1)
    assert "; 1 training in " in one.sentence()
    assert ", 1 candidate (generation 1)" in one.sentence()


def test_a_stopped_run_says_how_to_go_on(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "summary.json").unlink()
    assert run_status(folder).status == "stopped"
    assert run_status(folder).sentence().endswith("; run the same command to continue.")


def test_the_best_fitness_is_that_of_a_candidate_that_finished_its_race(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "summary.json").unlink()
    before = run_status(folder)
    with RunStore(folder / "run.sqlite") as store:
        last = store.candidates(like=Recipe.load(folder))[-1]
        cut_short = replace(last, sequence=last.sequence + 1, fitness=0.9999, finished=False)
        store.add_candidates([cut_short])
    after = run_status(folder)
    assert (after.candidates, after.best_fitness) == (before.candidates + 1, before.best_fitness)


@pytest.mark.parametrize("number", [0, 2])
def test_a_finished_run_counts_the_candidates_of_its_result(number, finished, tmp_path):
    """As the same command leaves it that is given again with a lower limit: more are stored."""
    folder = finished.copy(tmp_path / "run")
    found = {**finished.summary, "search": {**finished.summary["search"], "evaluations": number}}
    (folder / "summary.json").write_text(json.dumps(found))
    (folder / "manifest.json").unlink()
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        of_result = store.candidates()[:number]
    status = run_status(folder)
    assert status.candidates == number
    assert status.generation == (-1 if not number else 0)
    assert status.best_fitness == max((one.fitness for one in of_result if one.finished), default=None)


def test_looking_changes_nothing(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    assert not list(folder.glob("run.sqlite-*"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run_status(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("look", [run_status, finished_summary])
def test_a_folder_without_a_run_is_refused(look, tmp_path):
    with pytest.raises(InputError, match=r"holds no (finished )?run"):
        look(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_summary_is_named(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "summary.json").write_text("{")
    with pytest.raises(DamagedStateError, match=r"summary\.json' is not as the run left it"):
        finished_summary(folder)
    (folder / "manifest.json").unlink()  # as in a folder of an older version
    with pytest.raises(DamagedStateError, match=r"summary\.json' is damaged"):
        finished_summary(folder)


@pytest.mark.parametrize("name", ["config.toml", ".owner.json"])
def test_a_run_that_was_killed_before_it_stored_anything_is_stopped(name, tmp_path):
    (tmp_path / name).touch()
    status = run_status(tmp_path)
    assert (status.status, status.trainings, status.model) == ("stopped", 0, None)
    assert "run the same command to continue" in status.sentence()
