"""The networks of all final seeds: kept, tested together, and used by ``--vote``."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

import tiny
from biotune.api import TuneResult
from biotune.classifier import load_run
from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.models import Vote
from biotune.records import Evaluation
from biotune.runner import members
from biotune.runner.answers import Answers, vote_of
from biotune.runner.final import TrainedEntry
from biotune.runner.members import vote_scores
from biotune.runs.store import RunStore
from biotune.runs.unfinished import digest
from biotune.statistics import paired_interval
from pretended import never, pretend
from tiny import evaluate_run, run, tiny_config

SMALL = {
    "search": {"population": 2, "generations": 1},
    "final": {"seeds": 3, "candidates": 1, "baselines": ("linear_probe",)},
}


@pytest.fixture(scope="module")
def config(images):
    return tiny_config(images, SMALL)


@pytest.fixture(scope="module")
def voting(config, tmp_path_factory) -> Path:
    """A finished run with three final seeds; not to be changed."""
    folder = tmp_path_factory.mktemp("voting") / "run"
    run(config, folder)
    return folder


def summary_of(folder: Path):
    return json.loads((folder / "summary.json").read_text())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [folder / "model.safetensors", *folder.glob("members/*")]}


def probabilities(answers) -> np.ndarray:
    return np.array([list(answer.probabilities.values()) for answer in answers])


def test_the_mean_of_probabilities_decides():
    """By hand, two images: (0.9 + 0.4 + 0.2) / 3 = 0.5 of the first class; (0.3 + 0.3 + 0.6) / 3 = 0.4."""
    first = [0.9, 0.4, 0.2], [0.3, 0.3, 0.6]
    logs = [np.log([[a, 1 - a], [b, 1 - b]]) for a, b in zip(*first, strict=True)]
    np.testing.assert_allclose(np.exp(vote_of(logs)), [[0.5, 0.5], [0.4, 0.6]])
    certain = np.array([[0.0, -2000.0]])  # probabilities too small to be written stay what they are
    np.testing.assert_allclose(vote_of([certain, certain]), certain, atol=1e-12)


class _Seed:
    def __init__(self, seed):
        self.seed = seed


def _entry(*outcomes):
    results = tuple(Evaluation(outcome, 0.5) for outcome in outcomes)
    return TrainedEntry("any", tuple(_Seed(number) for number in range(len(outcomes))), results, 1.0)


def _answers(predicted, voted):
    labels = np.zeros(4, dtype=np.int64)
    vote = Answers(np.array([voted]), np.ones((1, 4)), labels, {"accuracy": (float(np.mean(np.equal(voted, 0))),)})
    return Answers(np.array(predicted), np.ones((2, 4)), labels, {}, vote=vote)


def test_a_vote_is_compared_with_its_networks_and_with_other_votes():
    """Networks right on 2 and 3 of 4 images, together on all; the other entry's vote is right on 3."""
    ours, theirs = _answers([[0, 0, 1, 1], [1, 0, 0, 0]], [0, 0, 0, 0]), _answers([[0, 0, 0, 1]] * 2, [0, 0, 0, 1])
    entry = _entry("ok", "diverged", "ok")
    winner, other = vote_scores(entry, ours), vote_scores(entry, theirs, entry, ours)
    assert (winner.seeds, winner.metrics, winner.difference) == ((0, 2), {"accuracy": 1.0}, None)
    assert winner.gain == paired_interval([[True] * 4] * 2, [[True, True, False, False], [False, True, True, True]])
    assert winner.gain.difference == pytest.approx(1 - 2.5 / 4)
    assert (other.gain.difference, other.difference.difference) == (0.0, 0.25)
    assert vote_scores(_entry("ok", "ok"), theirs, entry, ours).difference is None  # of other seeds
    assert vote_scores(entry, None) is None


def test_the_other_networks_are_kept(voting):
    exported, seeds = summary_of(voting)["exported"], summary_of(voting)["protocol"]["seeds"]
    assert sorted([exported["seed"], *exported["members"]]) == sorted(seeds)
    assert {path.name for path in (voting / "members").iterdir()} == {
        f"seed-{seed}.safetensors" for seed in exported["members"]
    }
    frozen = {
        name
        for block in summary_of(voting)["recipe"]["blocks"]
        if not block["multiplier"]
        for name in load_run(voting, vote=False).model.state_dict()
        if name.startswith(block["name"])
    }
    for path in (voting / "members").iterdir():
        assert not set(safetensors.torch.load_file(path)) & frozen


def test_every_entry_has_the_test_score_of_its_vote(voting):
    summary = summary_of(voting)
    kept = np.load(voting / "probabilities.npz")
    truth = np.array(json.loads((voting / "answers.json").read_text())["truth"])
    for name, entry in (("biotune", summary), *summary["baselines"].items()):
        voted = kept[name].astype(np.float64).mean(axis=0).argmax(axis=1) == truth
        assert entry["vote"]["metrics"]["accuracy"] == pytest.approx(voted.mean())
        assert entry["vote"]["seeds"] == summary["protocol"]["seeds"]
        gain = voted.mean() - np.mean(entry["test"]["per_seed"])
        assert entry["vote"]["gain"]["difference"] == pytest.approx(gain)
    probe = summary["baselines"]["linear_probe"]["vote"]
    expected = summary["vote"]["metrics"]["accuracy"] - probe["metrics"]["accuracy"]
    assert probe["difference"]["difference"] == pytest.approx(expected)
    assert summary["vote"]["difference"] is None


def test_a_vote_is_the_mean_of_the_single_predictions(voting, images, cli):
    """The members are loaded one by one, as files of their own: exported tensors, then those that differ."""
    paths = sorted(images.glob("*/00*.png"))
    single = load_run(voting, vote=False)
    found = [probabilities(single.predict(paths))]
    for path in sorted((voting / "members").iterdir()):
        single.model.load_state_dict(safetensors.torch.load_file(path), strict=False)
        found.append(probabilities(single.predict(paths)))
    assert len(found) == 3
    together = load_run(voting)
    assert isinstance(together.model, Vote)
    np.testing.assert_allclose(probabilities(together.predict(paths)), np.mean(found, axis=0), atol=1e-5)
    rows = json.loads(cli("predict", voting, *paths, "--json").out)
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in rows], np.mean(found, axis=0), atol=1e-5)
    one = json.loads(cli("predict", voting, *paths, "--single", "--json").out)
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in one], found[0], atol=1e-5)


def test_evaluating_the_vote_gives_the_reported_score(voting, images, cli):
    own = evaluate_run(voting, images)
    assert (own["networks"], evaluate_run(voting, images, vote=False)["networks"]) == (3, 1)
    assert own["metrics"] == pytest.approx(summary_of(voting)["vote"]["metrics"], abs=1e-5)
    said = cli("evaluate", voting, images).out
    assert said.startswith("Scored the 12 test images of the run's own data by the vote of 3 networks.\n")


def test_python_has_it_too(voting, images):
    result = TuneResult(voting, None)
    path = images / "red" / "000.png"
    assert result.predict([path]) == load_run(voting, vote=True).predict([path])
    assert isinstance(result.classifier.model, Vote)
    assert not isinstance(result.model, Vote)


def test_table_and_page_show_it(voting, cli):
    shown = cli("report", voting).out
    assert "Vote: all 3 seeds' networks together, by the mean of their probabilities;" in shown
    page = (voting / "report.html").read_text()
    assert "vote of 3 networks<br>" in page
    assert "The vote of 3 networks, the exported one and those of the other seeds, scores " in page


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_one_network_cannot_vote(command, cli, images, no_report, tmp_path):
    summary = run(tiny_config(images, tiny.BRIEF), tmp_path / "run")
    assert (summary["vote"], summary["exported"]["members"]) == (None, [])
    assert not (tmp_path / "run" / "members").exists()
    ended = cli(command, tmp_path / "run", images, "--vote")
    assert (ended.code, ended.out) == (2, "")
    assert "has one network only, and a vote needs several (--seeds 3); leave out --vote." in ended.err


def test_an_unfinished_run_cannot_vote(voting, tmp_path):
    folder = shutil.copytree(voting, tmp_path / "run")
    about = {"what": "the chosen one", "fitness": 0.5, "recipe": "", "labels": [], "preprocessing": {}, "data": ""}
    about["weights"] = digest((folder / "model.safetensors").read_bytes())
    (folder / "unfinished.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="is not finished, so it has one network only; leave out --vote"):
        load_run(folder, vote=True)


def test_a_missing_or_foreign_member_is_refused_and_written_again(voting, config, no_report, tmp_path):
    folder = shutil.copytree(voting, tmp_path / "run")
    first, second = sorted((folder / "members").iterdir())
    first.unlink()
    with pytest.raises(DamagedStateError, match=r"members/seed-\d+\.safetensors' is missing"):
        load_run(folder, vote=True)
    run(config, folder)
    assert files_of(folder) == files_of(voting)
    shutil.copy(folder / "model.safetensors", second)
    (folder / "manifest.json").unlink()  # as in a folder of an older version
    with pytest.raises(DamagedStateError, match="belongs to another network than the exported one"):
        load_run(folder, vote=True)


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_stop_before_the_summary_is_continued(moment, voting, config, no_report, tmp_path, monkeypatch):
    """Stopped before the first member, between two, and after the last: nothing is trained again, files are equal."""
    folder, left, write = tmp_path / "run", [moment], members.write_atomic

    def stopping(path, content):
        if not left[0]:
            raise InterruptedRunError("stopped.")
        left[0] -= 1
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(members, "write_atomic", stopping)
        if moment == 2:
            patch.setattr(
                importlib.import_module("biotune.runner.run"), "build_summary", lambda *_: stopping(folder, b"")
            )
        with pytest.raises(InterruptedRunError):
            run(config, folder)
    with pytest.raises(InputError, match="is not finished"):
        load_run(folder, vote=True)
    pretend(monkeypatch, never)
    again = run(config, folder)
    assert files_of(folder) == files_of(voting)
    assert {name: again[name] for name in ("vote", "exported")} == {
        name: summary_of(voting)[name] for name in ("vote", "exported")
    }


def test_a_method_of_its_own_votes_too(images, no_report, tmp_path):
    summary = run(tiny_config(images, {"method": {"name": "linear_probe"}, "final": {"seeds": 2}}), tmp_path / "run")
    assert len(summary["exported"]["members"]) == 1
    assert len(load_run(tmp_path / "run", vote=True).model.networks) == 2


def test_answers_of_an_older_version_have_no_vote_and_cost_no_training(config, no_report, tmp_path):
    """Where only the vote is missing, the answers of baselines come from a version without votes."""
    folder = tmp_path / "run"
    first = run(config, folder)
    with RunStore(folder / "run.sqlite") as store:
        store._write("DELETE FROM facts WHERE name LIKE 'vote:%'", ())
    (folder / "report.html").unlink()
    again = run(config, folder)
    assert (again["vote"], again["baselines"]["linear_probe"]["vote"]) == (None, None)
    assert again["test"] == first["test"]
    assert again["exported"] == first["exported"]


def test_without_test_images_there_are_members_and_no_score(images, no_report, tmp_path):
    changes = {"data": {"test_fraction": 0.0}, "method": {"name": "linear_probe"}, "final": {"seeds": 2}}
    summary = run(tiny_config(images, changes), tmp_path / "run")
    assert (summary["vote"], len(summary["exported"]["members"])) == (None, 1)
