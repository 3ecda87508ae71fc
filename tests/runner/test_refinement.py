"""``biotune refine`` from start to end: its run folder, its honesty, and that it survives kills."""

import importlib
import json
import shutil
import signal

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import biotune
import tiny
from biotune.classifier import load_run
from biotune.datasets import open_source
from biotune.errors import InputError
from biotune.report.refinement_sentences import words_of
from biotune.results import Summary
from biotune.runner.refine import refine
from biotune.runs.folder import CONFIG
from biotune.settings.config import RunConfig
from biotune.settings.reading import merged
from biotune.settings.refining import refine_config
from biotune.settings.resolve import load_config
from biotune.statistics import Interval

QUICK = ("--seeds", 3, "--agents", 4, "--iterations", 3)
CLOCKS = {"seconds", "created", "command", "cpu_seconds"}


@pytest.fixture(scope="session")
def trained(tmp_path_factory, images):
    """A run that left its validation images to validate; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    changes = {"method": {"name": "linear_probe"}, "final": {"data": "training", "seeds": 1}}
    tiny.run(tiny.tiny_config(images, changes), folder, "biotune train")
    return folder


@pytest.fixture(scope="session")
def refined(tmp_path_factory, trained):
    """A refinement of it; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "refined"
    config = config_of(trained, seeds=3, agents=4, iterations=3)
    return folder, refine(config, trained, folder, "biotune refine")


def config_of(run, **changes) -> RunConfig:
    config = load_config(run / CONFIG)[0]
    return config.model_copy(update={"refine": config.refine.model_copy(update=changes)})


def tensors(folder) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def without_clocks(part):
    """Return results without what a clock or a folder's name decides."""
    if isinstance(part, dict):
        return {key: without_clocks(value) for key, value in part.items() if key not in CLOCKS}
    return [without_clocks(value) for value in part] if isinstance(part, list) else part


def test_only_the_weights_of_the_layer_change_and_stay_in_the_box(trained, refined):
    folder, summary = refined
    before, after = tensors(trained), tensors(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}

    assert changed == {"classifier.weight"}
    assert (after["classifier.weight"] - before["classifier.weight"]).abs().max() <= 0.01 + 1e-7
    assert 0 < summary.refinement.largest_change <= 0.01 + 1e-9
    assert summary.refinement.values == before["classifier.weight"].numel()
    assert summary.recipe.trainable_fraction == pytest.approx(768 / summary.model.parameters)


def test_no_objective_is_worse_than_that_of_the_trained_weights(refined):
    judged = refined[1].refinement.judged

    for name in ("refined", "random"):
        assert max(judged[name].searched.per_seed) <= judged["trained"].searched.mean
        assert max(judged[name].held_back.per_seed) <= judged["trained"].held_back.mean
    assert judged["refined"].searched.mean < judged["trained"].searched.mean


def test_the_summary_says_what_else_the_labels_give(refined):
    summary = refined[1]

    assert list(summary.entries) == ["refined", "trained", "random", "refit"]
    assert summary.baselines["refit"].test is not None
    assert summary.baselines["refit"].validation is None
    assert all(entry.difference is not None for entry in summary.baselines.values())
    assert summary.refinement.gap == pytest.approx(summary.validation.accuracy - summary.test.accuracy)
    assert len(summary.test.per_seed) == len(summary.refinement.steps) == 3
    assert (summary.refinement.searched_images, summary.refinement.held_back_images) == (8, 4)


@pytest.mark.parametrize(("low", "high", "warns"), [(-0.05, -0.01, True), (-0.05, 0.01, False), (0.01, 0.05, False)])
def test_weights_that_do_worse_on_the_test_are_not_to_be_used(refined, low, high, warns):
    summary = refined[1]
    trained = summary.baselines["trained"]
    judged = trained.model_copy(update={"difference": Interval((low + high) / 2, low, high)})
    changed = summary.model_copy(update={"baselines": {**summary.baselines, "trained": judged}})
    assert ("use the network that was refined" in words_of(changed, changed.refinement).reason) == warns


@pytest.mark.parametrize("voters", [1, 3])
def test_the_vote_that_the_refined_network_leaves_is_said(refined, voters):
    """What ``biotune predict`` asked before is several networks; the refined run holds one of them."""
    summary = refined[1]
    assert summary.refinement.voters == 1
    changed = summary.refinement.model_copy(update={"voters": voters})
    lead = words_of(summary, changed).lead
    assert (f"The run itself answers by the vote of {voters} networks" in lead) == (voters > 1)


def test_the_scores_are_those_of_the_exported_network(refined, images, cli):
    folder, summary = refined
    scored = tiny.evaluate_run(folder, images)

    assert scored["own"] is True
    assert scored["metrics"]["accuracy"] == summary.exported.test
    exported = summary.refinement.seeds.index(summary.exported.seed)
    assert summary.test.per_seed[exported] == summary.exported.test
    assert cli("predict", folder, images / "red" / "000.png").out.splitlines()[1].split(",")[1] in tiny.CLASSES
    assert cli("status", folder).out.startswith(f"{folder}: finished; 0 trainings in 0.0 s, 96 candidates")


def test_the_random_box_gets_as_many_evaluations_and_the_same_safeguards(trained, tmp_path):
    summary = refine(config_of(trained, seeds=1, agents=4, iterations=2, heuristic="evolution"), trained, tmp_path)

    assert summary.refinement.evaluations == 4 + 2 * 5
    assert summary.baselines["random"].test is not None


@pytest.mark.parametrize(
    ("layers", "bias"), [(("conv_head", "bn2"), False), (("classifier", "conv_head"), True), (("conv_stem",), False)]
)
def test_other_layers(trained, tmp_path, layers, bias):
    config = config_of(trained, seeds=1, agents=2, iterations=1, layer=layers, bias=bias, bound=0.1)
    summary = refine(config, trained, tmp_path)
    before, after = tensors(trained), tensors(tmp_path)
    changed = {name.rpartition(".")[0] for name in before if not torch.equal(before[name], after[name])}

    assert changed in (set(layers), set())
    assert bool(changed) == bool(summary.refinement.accepted)
    assert summary.exported.test == tiny.evaluate_run(tmp_path, summary_source(trained))["metrics"]["accuracy"]


def summary_source(run):
    return load_config(run / CONFIG)[0].data.source


def test_a_cost_matrix_is_what_is_improved_and_reported(trained, tmp_path, cli):
    lines = ["true," + ",".join(tiny.CLASSES)]
    costs = {name: {other: 0 if name == other else 7 if name == "red" else 1 for other in tiny.CLASSES}
             for name in tiny.CLASSES}  # fmt: skip
    lines += [f"{name}," + ",".join(str(costs[name][other]) for other in tiny.CLASSES) for name in tiny.CLASSES]
    (tmp_path / "costs.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    ended = cli(
        *("refine", trained, *QUICK, "--bound", "0.1", "--objective", "costs", "--costs", tmp_path / "costs.csv"),
        *("--out", out),
    )
    summary, answers = Summary.read(out / "summary.json"), json.loads((out / "answers.json").read_text())

    assert ended.code == 0, ended.err
    names, truth = answers["classes"], answers["truth"]
    expected = [
        np.mean([costs[names[true]][names[found]] for true, found in zip(truth, row, strict=True)])
        for row in answers["predicted"]["refined"]
    ]
    assert list(summary.test.metrics["costs"].per_seed) == pytest.approx(expected)
    assert "By the objective, mean cost, the trained weights reach" in " ".join(ended.out.split())
    judged = summary.refinement.judged
    assert max(judged["refined"].searched.per_seed) <= judged["trained"].searched.mean

    (tmp_path / "costs.csv").write_text("\n".join(lines).replace("red", "rot"))
    other = cli("refine", trained, "--objective", "costs", "--costs", tmp_path / "costs.csv", "--out", tmp_path / "no")
    assert other.code == 2
    assert "the cost matrix has" in other.err


@pytest.mark.parametrize("objective", ["calibration", "macro", "f1"])
def test_objectives_without_a_gradient(trained, tmp_path, objective):
    config = config_of(trained, seeds=1, agents=4, iterations=2, bound=0.1, objective=objective)
    summary = refine(config, trained, tmp_path)

    assert summary.test.metrics[objective].mean is not None
    assert summary.refinement.objective == objective


def test_without_safeguards_all_images_are_searched(trained, tmp_path):
    summary = refine(config_of(trained, seeds=1, agents=2, iterations=1, safeguards=False), trained, tmp_path)

    assert (summary.refinement.searched_images, summary.refinement.held_back_images) == (12, 0)
    assert summary.refinement.judged["refined"].held_back is None


def test_the_same_call_again_gives_the_finished_result(trained, refined, tmp_path):
    folder = shutil.copytree(refined[0], tmp_path / "copy")
    (folder / "run.sqlite").unlink()

    assert refine(config_of(trained, seeds=3, agents=4, iterations=3), trained, folder) == refined[1]
    with pytest.raises(InputError, match=r"holds another run: refine.bound \(was 0.01, now 0.1\)"):
        refine(config_of(trained, seeds=3, agents=4, iterations=3, bound=0.1), trained, folder)


def test_killed_at_any_time_it_continues_bit_for_bit(trained, refined, fork, tmp_path, images):
    """A kill after every few rounds; then the same files as without any, but for clocks."""
    out = tmp_path / "out"
    arguments = ("refine", trained, *QUICK, "--out", out)
    for rows in (3, 9, 14, 21):
        command = fork(*arguments)
        command.wait_for(lambda rows=rows: stored_rounds(out) >= rows)
        command.send(signal.SIGKILL)
        command.wait()
    done = fork(*arguments).wait()

    assert done.code == 0, done.err
    assert (out / "model.safetensors").read_bytes() == (refined[0] / "model.safetensors").read_bytes()
    assert (out / "answers.json").read_bytes() == (refined[0] / "answers.json").read_bytes()
    found, expected = (json.loads((folder / "summary.json").read_text()) for folder in (out, refined[0]))
    assert without_clocks(found) == without_clocks(expected)


def stored_rounds(folder) -> int:
    """Return how many rounds of four points a refinement has stored."""
    from biotune.runs.store import RunStore

    if not (folder / "run.sqlite").exists():
        return 0
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        rows = store._connection.execute("SELECT count(*) FROM candidates").fetchone()[0]
    return rows // 4


def test_before_the_end_the_folder_holds_the_trained_weights(trained, fork, tmp_path):
    out = tmp_path / "out"
    command = fork("refine", trained, "--seeds", 500, "--out", out)
    command.wait_for(lambda: stored_rounds(out) >= 1)
    command.send(signal.SIGINT)
    ended = command.wait()

    assert ended.code == 3
    assert "Continue with: biotune refine" in ended.err
    assert "the trained weights, not refined yet" in load_run(out).note
    assert tensors(out)["classifier.weight"].equal(tensors(trained)["classifier.weight"])


class TestHonesty:
    """Held-out images must be held out."""

    def test_a_network_that_was_trained_on_them_is_refused(self, finished, tmp_path):
        assert finished.summary["validation"] is None
        with pytest.raises(
            InputError, match=r"its network was trained on its validation images too, .* --final-data training"
        ):
            refine(config_of(finished.folder), finished.folder, tmp_path / "out")

    def test_with_fresh_images_it_is_refined(self, finished, tmp_path, cli):
        fresh = tiny.write_classes(tmp_path / "fresh", first_seed=50_000)
        ended = cli("refine", finished.folder, fresh, *QUICK, "--out", tmp_path / "out", "--json")
        summary = json.loads(ended.out)

        assert ended.code == 0, ended.err
        assert summary["data"]["name"] == "fresh"
        assert summary["refinement"]["judged"]["refined"]["searched"]["mean"] > 0

    def test_fresh_images_of_the_same_names_are_fresh(self, finished, tmp_path):
        """A program may give them; where they stand in the place of the run's own, these are asked for."""
        fresh = tiny.write_classes(tmp_path / "colours", first_seed=50_000)
        config = config_of(finished.folder, seeds=1, agents=2, iterations=1)
        found = refine(config, finished.folder, tmp_path / "out", image_set=open_source(fresh))
        assert found.data.fingerprint == finished.summary["data"]["fingerprint"]
        data = config.data.model_copy(update={"source": str(fresh)})
        moved = shutil.copytree(finished.folder, tmp_path / "run")
        text = (moved / CONFIG).read_text()
        (moved / CONFIG).write_text(text.replace(config.data.source, data.source))
        with pytest.raises(InputError, match="are not those that it learned from any more: bring them back, or give"):
            refine(config.model_copy(update={"data": data}), moved, tmp_path / "no")

    def test_images_that_the_run_knows_are_refused(self, finished, images, tmp_path, cli):
        copied = shutil.copytree(images, tmp_path / "renamed")
        ended = cli("refine", finished.folder, copied, *QUICK, "--out", tmp_path / "out")

        assert ended.code == 2
        assert "of the 12 held-out images, so they cannot say which weights are better" in ended.err

    def test_other_classes_are_refused(self, trained, tmp_path, cli):
        fresh = tiny.write_classes(tmp_path / "fresh", ("blue", "green", "purple"))
        ended = cli("refine", trained, fresh, "--out", tmp_path / "out")

        assert ended.code == 2
        assert "'fresh' has no image of the class 'red'" in ended.err


def test_a_file_of_weights_gives_what_its_run_gives(trained, refined, tmp_path, images, cli):
    ended = cli(
        *("refine", tiny.NETWORK, images, "--weights", trained / "model.safetensors", "--image-size", 32),
        *("--device", "cpu", "--threads", 1, *QUICK, "--out", tmp_path / "out"),
    )
    summary = Summary.read(tmp_path / "out" / "summary.json")

    assert ended.code == 0, ended.err
    assert "a file of weights does not say it" in ended.err
    assert summary.test == refined[1].test
    found, expected = tensors(tmp_path / "out"), tensors(refined[0])
    assert all(np.array_equal(found[name].numpy(), expected[name].numpy()) for name in expected)
    assert [block.multiplier for block in summary.recipe.blocks] == [0.0] * (len(summary.recipe.blocks) - 1) + [1.0]


class TestFromPython:
    """``biotune.refine`` does what the command does."""

    def test_the_same_result(self, trained, refined, images, tmp_path):
        found = biotune.refine(trained, out=tmp_path / "out", seeds=3, agents=4, iterations=3)

        assert without_clocks(found.summary.to_json()) == without_clocks(refined[1].to_json())
        assert (tmp_path / "out" / "model.safetensors").read_bytes() == (refined[0] / "model.safetensors").read_bytes()
        assert found.predict([images / "red" / "000.png"])[0].label in tiny.CLASSES
        assert biotune.refine is biotune.refine  # no folder of that name hides it once it has been used

    def test_images_that_a_program_holds(self, images, tmp_path, no_report):
        files = sorted(images.glob("*/*.png"))
        pixels, names = np.stack([np.asarray(Image.open(file)) for file in files]), [file.parent.name for file in files]
        changes = {"method": {"name": "linear_probe"}, "final": {"data": "training", "seeds": 1}}
        biotune.tune((pixels, names), out=tmp_path / "run", **merged(tiny.TINY, changes))
        found = biotune.refine(tmp_path / "run", (pixels, names), out=tmp_path / "out", seeds=1, refine={"agents": 2})

        assert found.summary.refinement.agents == 2
        assert found.summary.data.fingerprint == Summary.read(tmp_path / "run" / "summary.json").data.fingerprint

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"heuristic": "swarm"}, "the search 'swarm' is unknown"),
            ({"epochs": 3}, "a refinement has no setting 'epochs'"),
            ({"weights": "x.safetensors"}, "decides weights; leave it out"),
            ({"model": {"granularity": "layer"}}, "decides the section 'model'; leave it out"),
            ({"bonud": 1}, "The setting 'bonud' is unknown"),
        ],
    )
    def test_bad_input(self, trained, tmp_path, settings, message):
        with pytest.raises(InputError, match=message):
            biotune.refine(trained, out=tmp_path / "out", **settings)


class TestSettingsFile:
    """``biotune refine --config FILE``."""

    def test_that_of_a_refinement_gives_it_again(self, trained, refined, tmp_path, cli):
        ended = cli("refine", trained, "--config", refined[0] / CONFIG, "--out", tmp_path / "out")

        assert ended.code == 0, ended.err
        assert (tmp_path / "out" / "model.safetensors").read_bytes() == (refined[0] / "model.safetensors").read_bytes()

    def test_options_win_over_it_and_what_it_does_not_say_is_the_runs(self, trained, tmp_path):
        (tmp_path / "own.toml").write_text("seed = 7\n[refine]\nseeds = 2\nagents = 3\nfolds = 2\n")
        config = refine_config("run", trained / CONFIG, "", {"agents": 5}, {}, tmp_path / "own.toml")
        base = load_config(trained / CONFIG)[0]

        assert (config.seed, config.refine.seeds, config.refine.agents, config.refine.folds) == (7, 2, 5, 2)
        assert config.refine.bound == 0.01
        assert (config.model, config.data, config.training) == (base.model, base.data, base.training)

    def test_bad_files(self, trained, tmp_path, cli):
        (tmp_path / "a.toml").write_text("[refine]\nbonud = 1\n")
        (tmp_path / "b.toml").write_text('[model]\nname = "resnet18"\n')
        unknown, other = (
            cli("refine", trained, "--config", tmp_path / name, "--out", tmp_path / "out")
            for name in ("a.toml", "b.toml")
        )

        assert (unknown.code, other.code) == (2, 2)
        assert "The setting 'refine.bonud' is unknown; did you mean 'bound'?" in unknown.err.replace("\n", " ")
        assert "decides the section 'model'; leave it out" in " ".join(other.err.split())


class TestBadInput:
    """One sentence each, exit code 2."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--layer", "nothing"), r"no layer 'nothing' with weights"),
            (("--layer", "bn1,bn1"), "given twice"),
            (("--layer", "conv_stem", "--bias"), "has no bias to refine"),
            (("--heuristic", "swarm"), "the search 'swarm' is unknown"),
            (("--heuristic", "pso:inertia=3"), "the option 'inertia' of the search 'pso' cannot be '3'"),
            (("--heuristic", "greedy"), "GreedySelection|greedy"),
            (("--bound", "0"), "--bound cannot be 0"),
            (("--objective", "speed"), "--objective cannot be 'speed'"),
            (("--heuristic", "de", "--agents", "2"), "needs a population of at least 4"),
            (("--weights", "x.safetensors"), "decides --weights; leave it out"),
            (("--test-fraction", "0.5"), "decides --test-fraction; leave it out"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_options(self, trained, tmp_path, cli, arguments, message):
        ended = cli("refine", trained, *arguments, "--out", tmp_path / "out")

        assert ended.code == 2
        assert pytest.importorskip("re").search(message, ended.err), ended.err

    def test_the_folder_of_the_run_itself(self, trained, cli):
        assert "is the run itself" in cli("refine", trained, "--out", trained).err

    def test_no_result_folder(self, trained, cli):
        assert "--out FOLDER" in cli("refine", trained).err

    def test_a_folder_that_is_not_a_run(self, images, tmp_path, cli):
        assert "holds no run of biotune" in cli("refine", images, "--out", tmp_path / "out").err

    def test_a_network_without_images_or_weights(self, images, tmp_path, cli):
        assert "a network needs images: add DATA" in cli("refine", tiny.NETWORK, "--out", tmp_path / "out").err
        assert "give them with --weights FILE" in cli("refine", tiny.NETWORK, images, "--out", tmp_path / "out").err


def test_the_layers_are_listed(trained, cli):
    shown, listed = cli("refine", trained, "--layers"), cli("refine", tiny.NETWORK, "--layers", "--json")

    assert "classifier" in shown.out
    assert "fully connected" in shown.out
    last = json.loads(listed.out)["layers"][-1]
    assert last == {
        "name": "classifier",
        "kind": "fully connected",
        "shape": [1000, 256],
        "weights": 256_000,
        "biases": 1000,
    }


def test_the_report_says_what_a_refit_gives(refined, cli):
    folder, summary = refined
    page, shown = (folder / "report.html").read_text(), cli("report", folder)

    refit = f"A refit on all labels gives {100 * summary.baselines['refit'].test.accuracy:.1f}"
    assert all((folder / "figures" / name).exists() for name in ("refinement.png", "changes.png"))
    assert refit in page.replace("\N{NO-BREAK SPACE}", " ")
    assert refit in " ".join(shown.out.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "The same command with --take refit keeps that network" in " ".join(shown.out.split())
    assert "(mean of 3 repetitions; the exported one" in " ".join(shown.out.split())
    assert all(name in shown.out for name in ("As trained", "Refined", "Random search", "Refit"))
    assert json.loads(cli("report", folder, "--json").out)["refinement"]["heuristic"] == "pso"


def test_a_refit_is_kept_where_it_is_asked_for(trained, refined, images, tmp_path, cli, monkeypatch):
    """Of a refinement that is finished already, without searching again; and back."""
    folder = shutil.copytree(refined[0], tmp_path / "copy")
    monkeypatch.setattr(importlib.import_module("biotune.runner.refine"), "_judge", lambda *_: pytest.fail)
    summary = refine(config_of(trained, seeds=3, agents=4, iterations=3, take="refit"), trained, folder)
    assert (summary.refinement.taken, refined[1].refinement.taken) == ("refit", "refined")
    assert summary.exported.test == summary.baselines["refit"].test.accuracy
    assert without_clocks(summary.to_json()["baselines"]) == without_clocks(refined[1].to_json()["baselines"])
    before, after = tensors(trained), tensors(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert json.loads(cli("evaluate", folder, images, "--json").out)["accuracy"] == summary.exported.test
    assert "It is what this folder holds, as --take refit asked." in " ".join(cli("report", folder).out.split())
    again = refine(config_of(trained, seeds=3, agents=4, iterations=3), trained, folder)
    assert again.refinement == refined[1].refinement
    assert (folder / "model.safetensors").read_bytes() == (refined[0] / "model.safetensors").read_bytes()


def test_the_head_is_the_classifier_whatever_it_is_called(trained, refined, tmp_path):
    folder = shutil.copytree(refined[0], tmp_path / "copy")
    assert refine(config_of(trained, seeds=3, agents=4, iterations=3, layer=("head",)), trained, folder) == refined[1]


def test_a_refit_of_no_linear_classifier_is_refused_before_the_search(images, tmp_path, no_report):
    changes = {"model": {"name": "squeezenet1_1", "image_size": 32}, "method": {"name": "linear_probe"}}
    own = {"final": {"data": "training", "seeds": 1}, "training": {"epochs": 1}}
    tiny.run(tiny.tiny_config(images, changes, own), tmp_path / "run")
    with pytest.raises(InputError, match="a refit needs a classifier that is one fully connected layer"):
        refine(config_of(tmp_path / "run", take="refit"), tmp_path / "run", tmp_path / "out")
