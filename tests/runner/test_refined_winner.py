"""``biotune tune --refine``: a row of its own, and nothing else is changed."""

import json
import shutil
import sys

import pytest

import biotune
import tiny
from biotune.errors import InputError
from biotune.results import Summary
from biotune.runner.refine import refine
from biotune.runs.folder import CONFIG
from biotune.settings.resolve import load_config

HELD_OUT = {"final": {"data": "training", "seeds": 2, "baselines": ("linear_probe",)}}
REFINED = {"refine": {"winner": "de", "agents": 5, "iterations": 4, "bound": 0.1}}
CLOCKS = {"seconds", "created", "command", "cpu_seconds", "full_finetune_seconds", "full_finetune_cpu_seconds"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory, images):
    """A run without a refinement; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    return folder, tiny.run(tiny.tiny_config(images, tiny.BRIEF, HELD_OUT), folder)


@pytest.fixture(scope="module")
def with_row(tmp_path_factory, images):
    """The same run with a refined head; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "refined"
    return folder, tiny.run(tiny.tiny_config(images, tiny.BRIEF, HELD_OUT, REFINED), folder)


def without_clocks(part):
    if isinstance(part, dict):
        return {key: without_clocks(value) for key, value in part.items() if key not in CLOCKS}
    return [without_clocks(value) for value in part] if isinstance(part, list) else part


def test_everything_but_the_row_is_as_without_it(plain, with_row):
    (first, one), (second, two) = plain, with_row
    row = two["baselines"].pop("refined")
    two_again = Summary.read(second / "summary.json").to_json()

    assert without_clocks(one) == without_clocks(two)
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert two_again["baselines"]["refined"] == row
    assert len(row["test"]["per_seed"]) == 2
    assert row["difference"] is not None
    assert row["trainable_fraction"] == pytest.approx(768 / one["model"]["parameters"])


def test_the_row_is_what_refining_the_run_gives(with_row, tmp_path):
    """The first repetition of ``biotune refine RUN --heuristic de`` is the row's value of the exported seed."""
    folder = with_row[0]
    summary = Summary.read(folder / "summary.json")
    config = load_config(folder / CONFIG)[0]
    settings = config.refine.model_copy(update={"heuristic": "de", "seeds": 1})
    found = refine(config.model_copy(update={"refine": settings}), folder, tmp_path / "out")
    number = summary.protocol.seeds.index(summary.exported.seed)

    assert found.test.per_seed[0] == summary.baselines["refined"].test.per_seed[number]
    assert found.validation.per_seed[0] == summary.baselines["refined"].validation.per_seed[number]
    answers = (json.loads((one / "answers.json").read_text()) for one in (folder, tmp_path / "out"))
    ours, theirs = (one["predicted"]["refined"] for one in answers)
    assert ours[number] == theirs[0]


def test_tables_and_page_show_it(with_row, cli):
    folder = with_row[0]

    assert "Refined" in cli("report", folder).out
    assert ">Refined<" in (folder / "report.html").read_text().replace("<bdi>", "").replace("</bdi>", "")


def test_the_same_call_again_gives_the_finished_run(with_row, images, tmp_path):
    folder = shutil.copytree(with_row[0], tmp_path / "copy")
    again = tiny.run(tiny.tiny_config(images, tiny.BRIEF, HELD_OUT, REFINED), folder)

    assert again == Summary.read(with_row[0] / "summary.json").to_json()
    with pytest.raises(InputError, match=r"refine.winner \(was 'de', now 'pso'\)"):
        tiny.run(tiny.tiny_config(images, tiny.BRIEF, HELD_OUT, REFINED, {"refine": {"winner": "pso"}}), folder)


def test_a_run_that_was_killed_before_the_test_continues(with_row, images, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    config = tiny.tiny_config(images, tiny.BRIEF, HELD_OUT, REFINED)
    with monkeypatch.context() as patch:
        patch.setattr(
            sys.modules["biotune.runner.run"], "score_refined", stop
        )  # the package has a function of that name
        with pytest.raises(KeyboardInterrupt):
            tiny.run(config, tmp_path / "run")
    found = tiny.run(config, tmp_path / "run")

    expected = Summary.read(with_row[0] / "summary.json").to_json()
    assert without_clocks(found) == without_clocks(expected)


class TestBadInput:
    """One sentence, before anything is trained."""

    def test_networks_that_learn_from_the_validation_images(self, images, tmp_path, cli):
        ended = cli("tune", images, "--model", tiny.NETWORK, "--refine", "pso", "--out", tmp_path / "run")

        assert ended.code == 2
        assert "the final networks have not learned from" in ended.err
        assert "add --final-data training" in " ".join(ended.err.split())
        assert not (tmp_path / "run").exists()

    def test_an_unknown_search(self, images, tmp_path):
        with pytest.raises(InputError, match="the search 'swarm' is unknown"):
            biotune.tune(images, out=tmp_path / "run", refine="swarm", final_data="training")

    def test_a_head_that_is_not_fully_connected(self, images, tmp_path):
        changes = {"model": {"name": "torchvision:squeezenet1_1", "weights": "random", "image_size": 32}}
        config = tiny.tiny_config(images, tiny.BRIEF, HELD_OUT, REFINED, changes)
        with pytest.raises(InputError, match="is not one fully connected layer with a bias, which --refine needs"):
            tiny.run(config, tmp_path / "run")
