"""The real tools, where they are installed: what was noted can be read there, once, also of a run noted twice."""

import json
import shutil

import pytest

from biotune.tracking.mirror import follow


@pytest.fixture
def run_folder(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return finished.copy(tmp_path / "photos")


@pytest.fixture
def candidates(run_folder):
    return json.loads((run_folder / "history.json").read_text())["candidates"]


@pytest.fixture
def curve(run_folder):
    """A final training of the recipe."""
    curves = json.loads((run_folder / "history.json").read_text())["curves"]
    return next(one for one in curves if one["label"] == "biotune")


def twice(folder, name, where=""):
    """Note a run as the run does, and once more, as the run continued does."""
    assert follow(folder, name, where) == follow(folder, name, where)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(run_folder, candidates, curve, finished):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    twice(run_folder, "tensorboard")
    found = EventAccumulator(str(run_folder / "tensorboard"))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("search/fitness")] == [
        (row["sequence"], pytest.approx(row["fitness"])) for row in candidates
    ]
    losses = found.Scalars(f"training/final {curve['seed']}/train_loss")
    assert [one.value for one in losses] == pytest.approx(curve["train_loss"])
    (accuracy,) = found.Scalars("result/biotune accuracy")
    assert accuracy.value == pytest.approx(finished.summary["test"]["accuracy"])
    (settings,) = found.Tensors("settings/text_summary")
    assert b"| training.epochs | 2 |" in settings.tensor_proto.string_val[0]
    twice(run_folder, "tensorboard", "logs")
    assert list((run_folder.parent / "logs" / "photos").glob("events.out.tfevents.*"))


@pytest.mark.filterwarnings("ignore")
def test_mlflow(run_folder, candidates, curve, finished):
    mlflow = pytest.importorskip("mlflow")
    where = f"sqlite:///{run_folder.parent / 'store.db'}"
    identity = follow(run_folder, "mlflow", where)
    assert follow(run_folder, "mlflow", where) == identity
    client = mlflow.MlflowClient(where)
    run = client.get_run(identity)
    assert (run.info.run_name, run.info.status) == ("photos", "FINISHED")
    assert run.data.params["training.epochs"] == "2"
    assert run.data.metrics["result/biotune accuracy"] == finished.summary["test"]["accuracy"]
    fitness = client.get_metric_history(identity, "search/fitness")
    assert sorted((one.step, one.value) for one in fitness) == [(row["sequence"], row["fitness"]) for row in candidates]
    losses = client.get_metric_history(identity, f"training/final {curve['seed']}/train_loss")
    assert [one.value for one in sorted(losses, key=lambda one: one.step)] == curve["train_loss"]
    assert {one.path for one in client.list_artifacts(identity)} == {"report.html", "recipe.yaml"}


def wandb_records(content):
    """Yield the records of an offline run: behind 7 bytes, a log of LevelDB in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    whole, first, last, place, parts = 1, 2, 4, 7, b""
    while place < len(content):
        left = 32768 - place % 32768
        if left < 7:  # no header fits
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        part = content[place + 7 : place + 7 + length]
        parts = part if kind in (whole, first) else parts + part
        place += 7 + length
        if kind in (whole, last):
            yield Record.FromString(parts)


@pytest.mark.filterwarnings("ignore")
def test_wandb(run_folder, candidates, curve, finished, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    twice(run_folder, "wandb")
    files = sorted(run_folder.parent.glob("wandb/offline-run-*/run-*.wandb"))
    records = [record for path in files for record in wandb_records(path.read_bytes())]
    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    names = {
        (record.run.run_id, record.run.display_name, record.run.project) for record in records if record.HasField("run")
    }
    assert len(files) == 2
    ((_, name, project),) = names
    assert (name, project) == ("photos", "biotune")
    fitness = [(row["candidate"], row["search/fitness"]) for row in rows if "search/fitness" in row]
    assert fitness == [(row["sequence"], row["fitness"]) for row in candidates]
    key = f"training/final {curve['seed']}/train_loss"
    assert [row[key] for row in rows if key in row] == curve["train_loss"]


def test_optuna(run_folder, candidates, finished):
    optuna = pytest.importorskip("optuna")
    twice(run_folder, "optuna")
    study = optuna.load_study(study_name="photos", storage=f"sqlite:///{run_folder / 'optuna.db'}")
    assert [trial.user_attrs["fitness"] for trial in study.trials] == [row["fitness"] for row in candidates]
    states = {True: "COMPLETE", False: "PRUNED"}
    assert [trial.state.name for trial in study.trials] == [
        states[row["finished"]] if row["outcome"] == "ok" else "FAIL" for row in candidates
    ]
    ends = [row["fitness"] for row in candidates if row["finished"] and row["outcome"] == "ok"]
    assert study.best_value == max(ends)
    assert list(study.trials[0].params.values()) == candidates[0]["multipliers"]
    assert study.user_attrs["result"]["biotune accuracy"] == finished.summary["test"]["accuracy"]

    other = shutil.copytree(run_folder, run_folder.parent / "again" / "photos")
    shutil.rmtree(other / "tracking")
    storage = f"sqlite:///{run_folder / 'optuna.db'}"
    assert follow(other, "optuna", storage) == "photos 2"
    assert sorted(optuna.get_all_study_names(storage)) == ["photos", "photos 2"]
