"""The chosen metric reaches every result: a run by any metric says on validation and test what it was chosen by."""

import html
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import (
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    roc_auc_score,
)

import tiny
from biotune.errors import InputError
from biotune.metrics import METRICS, Metric
from biotune.report.run_tables import run_tables
from biotune.results import Summary
from biotune.runner.answers import Answers
from biotune.runs.store import RunStore


def correlation(logits, labels):
    return float(matthews_corrcoef(labels, logits.argmax(axis=1)))


class ByMetric:
    """A finished run that was chosen by one metric."""

    def __init__(self, folder: Path, metric: str) -> None:
        images = tiny.write_classes(folder / "images", {"blue": 20, "green": 15, "red": 8})
        changes = {"training": {"metric": metric, "epochs": 2}, "final": {"seeds": 2, "candidates": 1}}
        self.images, self.folder, self.metric = images, folder / "run", metric
        self.config = tiny.tiny_config(images, tiny.BRIEF, tiny.EARLY, changes)
        self.summary = tiny.run(self.config, self.folder)
        self.answers = json.loads((self.folder / "answers.json").read_text())
        self.truth = np.array(self.answers["truth"])
        self.probabilities = np.load(self.folder / "probabilities.npz", allow_pickle=False)

    @property
    def terminal(self) -> str:
        console = Console(width=80, file=io.StringIO(), legacy_windows=False)
        for table in run_tables(Summary.read(self.folder / "summary.json")):
            console.print(table)
        return console.file.getvalue()


@pytest.fixture(scope="module", params=sorted(METRICS.keys() - {"accuracy"}))
def by_metric(request, tmp_path_factory):
    return ByMetric(tmp_path_factory.mktemp(request.param), request.param)


def test_every_entry_has_the_chosen_metric_on_validation_and_test(by_metric):
    summary = by_metric.summary
    for entry in (summary, *summary["baselines"].values()):
        for part in ("validation", "test"):
            assert set(entry[part]["metrics"]) == {"accuracy", "macro", by_metric.metric}
            score = entry[part]["metrics"][by_metric.metric]
            assert score["mean"] == pytest.approx(np.mean(score["per_seed"]))
            assert (score["standard_error"] is None) == (len(score["per_seed"]) == 1)
    assert by_metric.metric in summary["exported"]["metrics"]


def test_values_are_those_of_scikit_learn_on_the_kept_probabilities(by_metric):
    score = by_metric.summary["test"]["metrics"][by_metric.metric]["per_seed"]
    for value, row in zip(score, by_metric.probabilities["biotune"].astype(np.float64), strict=True):
        reference = {
            "auroc": lambda p: roc_auc_score(by_metric.truth, p / p.sum(axis=1, keepdims=True), multi_class="ovr"),
            "kappa": lambda p: cohen_kappa_score(by_metric.truth, p.argmax(axis=1)),
            "f1": lambda p: f1_score(by_metric.truth, p.argmax(axis=1), average="macro", zero_division=0),
            "log_loss": lambda p: log_loss(by_metric.truth, p / p.sum(axis=1, keepdims=True)),
        }
        own = METRICS[by_metric.metric].value(np.log(np.maximum(row, 1e-7)), by_metric.truth)
        expected = reference[by_metric.metric](row) if by_metric.metric in reference else own
        assert value == pytest.approx(expected, abs=0.02 if by_metric.metric == "auroc" else 2e-3)


def test_the_page_and_the_terminal_show_it(by_metric):
    metric = METRICS[by_metric.metric]
    shown = metric.write(by_metric.summary["test"]["metrics"][by_metric.metric]["mean"], unit="")
    page = html.unescape((by_metric.folder / "report.html").read_text(encoding="utf-8"))
    assert shown in page
    assert metric.meaning in page
    assert shown in by_metric.terminal
    assert metric.label in by_metric.terminal
    assert max(map(len, by_metric.terminal.splitlines())) <= 80


def test_evaluating_gives_the_value_of_the_summary(by_metric):
    found = tiny.evaluate_run(by_metric.folder, by_metric.images, vote=False)
    assert found["metric"] == by_metric.metric
    expected = by_metric.summary["exported"]["metrics"]
    assert found["metrics"] == pytest.approx(expected, abs=1e-4)  # read from the files: other batches


def test_classes_and_confusions_are_those_of_scikit_learn(by_metric):
    exported = by_metric.summary["exported"]
    row = by_metric.summary["protocol"]["seeds"].index(exported["seed"])
    predicted = np.array(by_metric.answers["predicted"]["biotune"][row])
    matrix = confusion_matrix(by_metric.truth, predicted, labels=range(3))
    counted = {(pair["truth"], pair["predicted"]): pair["images"] for pair in exported["confusions"]}
    names = by_metric.answers["classes"]
    assert counted == {
        (names[truth], names[taken]): count
        for (truth, taken), count in np.ndenumerate(matrix)
        if count and truth != taken
    }
    precision = precision_score(by_metric.truth, predicted, labels=range(3), average=None, zero_division=np.nan)
    found = [np.nan if one["precision"] is None else one["precision"] for one in exported["per_class"]]
    assert found == pytest.approx(precision.tolist(), nan_ok=True)
    f1 = f1_score(by_metric.truth, predicted, labels=range(3), average=None, zero_division=0)
    assert [one["f1"] or 0.0 for one in exported["per_class"]] == pytest.approx(f1.tolist())


def test_a_registered_metric_goes_through_a_whole_run(tmp_path, monkeypatch, cli):
    """One line in the registry: it chooses the recipe and is shown wherever accuracy is."""
    metric = Metric("Matthews correlation", "correlation of answers and labels", correlation, lowest=-1)
    monkeypatch.setitem(METRICS, "mcc", metric)
    done = ByMetric(tmp_path, "mcc")
    test = done.summary["test"]["metrics"]["mcc"]
    predicted = np.array(done.answers["predicted"]["biotune"])
    assert test["per_seed"] == pytest.approx([matthews_corrcoef(done.truth, row) for row in predicted])
    assert done.summary["validation"]["metrics"]["mcc"]["mean"] is not None
    assert "Matthews correlation" in html.unescape((done.folder / "report.html").read_text(encoding="utf-8"))
    assert "By Matthews correlation" in done.terminal
    assert "Matthews correlation" in cli("evaluate", done.folder, done.images).out
    assert "Matthews correlation" in cli("report", done.folder).out


def test_probabilities_are_kept_of_every_seed_and_entry(by_metric):
    entries = {"biotune", *by_metric.summary["baselines"]}
    assert set(by_metric.probabilities.files) == set(by_metric.answers["predicted"]) == entries
    for name, rows in by_metric.answers["predicted"].items():
        kept = by_metric.probabilities[name]
        assert kept.dtype == np.float16
        assert kept.shape == (len(rows), len(by_metric.truth), 3)
        assert kept.sum(axis=2, dtype=np.float64) == pytest.approx(1.0, abs=2e-3)
        top = np.take_along_axis(kept, np.array(rows)[..., None], axis=2)[..., 0]
        assert (top == kept.max(axis=2)).all()


def test_answers_without_probabilities_are_computed_again(by_metric, tmp_path, monkeypatch):
    """Version 0.1 stored labels alone: a run that it began is tested again when it is continued: the same."""
    folder = tmp_path / "run"
    shutil.copytree(by_metric.folder, folder)
    (folder / "summary.json").unlink()
    with RunStore(folder / "run.sqlite") as store:
        connection = store._connection
        names = [name for (name,) in connection.execute("SELECT name FROM facts WHERE name LIKE 'answers:%'")]
        for name in names:
            predicted = store.fact(name)["predicted"]
            connection.execute("DELETE FROM facts WHERE name=?", (name,))
            store.set_fact(name.replace("answers:", "test:"), {"predicted": predicted, "probability": predicted})
    assert names
    again = tiny.run(by_metric.config, folder)
    assert again["test"] == by_metric.summary["test"]
    assert (folder / "probabilities.npz").read_bytes() == (by_metric.folder / "probabilities.npz").read_bytes()


def test_probabilities_that_take_too_much_are_left_out(by_metric, tmp_path, monkeypatch):
    monkeypatch.setattr("biotune.runner.answers.KEPT_BYTES", 10)
    summary = tiny.run(by_metric.config, tmp_path / "run")
    assert summary["test"] == by_metric.summary["test"]
    assert np.load(tmp_path / "run" / "probabilities.npz").files == []


def test_any_metric_follows_from_the_kept_probabilities():
    labels = np.array([0, 1, 1])
    kept = np.array([[[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]], dtype=np.float16)
    answers = Answers(kept.argmax(axis=2), kept.max(axis=2), labels, {"accuracy": (0.5,)}, kept)
    assert answers.score("accuracy") == (0.5,)  # as it was computed, in full precision
    assert answers.score("log_loss") == pytest.approx([-np.log([0.75, 0.5, 1.0]).mean()])
    with pytest.raises(InputError, match="to keep what 'f1' is computed from"):
        Answers(kept.argmax(axis=2), kept.max(axis=2), labels, {}).score("f1")
