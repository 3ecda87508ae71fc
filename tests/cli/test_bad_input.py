"""Wrong use ends with exit code 2 and one sentence on standard error, and leaves nothing behind."""

import os
import re
from dataclasses import replace

import pytest
import torch

import tiny
from biotune.recipe import Recipe

SENTENCE = re.compile(r"biotune: \S.*[.)]\n")


@pytest.fixture
def refused(cli):
    """Run a command that must be refused; return its one sentence."""

    def call(*arguments: object) -> str:
        ended = cli(*arguments)
        assert (ended.code, ended.out) == (2, ""), ended
        messages = [
            line for line in ended.err.splitlines(keepends=True) if not line.startswith(("decoding images", "Writing "))
        ]
        assert len(messages) == 1, ended.err
        assert SENTENCE.fullmatch(messages[0]), messages
        assert "Traceback" not in ended.err
        return messages[0]

    return call


@pytest.fixture
def tune(refused, images, tiny_toml, tmp_path):
    """Refuse ``tune`` on the small images with more options."""

    def call(*options: object, data: object = images) -> str:
        sentence = refused("tune", data, "--config", tiny_toml, "--out", tmp_path / "runs" / "run", *options)
        assert not (tmp_path / "runs").exists()
        return sentence

    return call


def test_a_missing_folder(tune):
    assert "'no/where' is not a file, a folder or a named data set; DATA is a folder" in tune(data="no/where")


def test_an_unknown_data_set_names_the_nearest(tune):
    assert "'mnist500' is not a file, a folder or a named data set (did you mean 'mnist5000' or 'mnist'" in tune(
        data="mnist500"
    )


def test_one_class(tune, tmp_path):
    assert "class" in tune(data=tiny.write_classes(tmp_path / "one", ["red"]))


def test_an_empty_class_folder(tune, tmp_path):
    root = tiny.write_classes(tmp_path / "images", ["blue", "green"])
    (root / "red").mkdir()
    assert "the class 'red' of 'images' has no image to train on" in tune(data=root)


def test_an_empty_folder(tune, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert str(tmp_path / "nothing") in tune(data=tmp_path / "nothing")


def test_a_class_of_broken_images(tune, tmp_path):
    root = tiny.write_classes(tmp_path / "images")
    for path in (root / "red").iterdir():
        path.write_bytes(b"no image")
    message = tune(data=root)
    assert "the class 'red' has no readable training image; fix its files or remove its folder (20 images" in message
    assert "for example red/000.png: its content is none of" in message


def test_too_few_images(tune, tmp_path):
    root = tiny.write_classes(tmp_path / "images", dict.fromkeys(tiny.CLASSES, 1))
    assert "has no image to validate on" in tune(data=root)


def test_an_unknown_model_names_the_nearest(tune):
    message = tune("--model", "resnett50")
    assert "there is no network 'resnett50'; the nearest are timm:resnet50" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "quick"), "give either --config or --preset: a config.toml holds every setting of its preset."),
        (("--epochs", "0"), "The option --epochs cannot be 0: input should be greater than or equal to 1."),
        (("--learning-rate", "-0.1"), "The option --learning-rate cannot be -0.1: input should be greater than 0."),
        (("--test-fraction", "1.5"), "The option --test-fraction cannot be 1.5: input should be less than 1."),
        (("--test-fraction", "0.5", "--validation-fraction", "0.5"), "their sum must be below 1."),
        (("--budget", "abc"), "the duration 'abc' cannot be read; write seconds, or for example 45s, 30m or 1h30m."),
        (("--population", "1"), "elites must be at least 1 and fewer than the population; got 1 of 1."),
        (("--optimizer", "lion"), "The option --optimizer cannot be 'lion': input should be 'adam', 'adamw' or 'sgd'."),
        (("--metric", "bleu"), "The option --metric cannot be 'bleu'"),
        (
            ("--augment", "huge"),
            "The option --augment cannot be 'huge': input should be 'none', 'light', 'standard' or",
        ),
        (("--imbalance", "smote"), "The option --imbalance cannot be 'smote': input should be 'none', 'weights' or"),
        (("--resize", "zoom"), "The option --resize cannot be 'zoom'"),
        (("--device", "gpu"), "the device 'gpu' cannot be used here; choose --device cpu"),
        (("--seed", "-1"), "The option --seed cannot be -1"),
        (("--train-images", "1"), "cannot choose 1 of 36 images of 3 classes"),
        (("--baselines", "ful"), "The option --baselines cannot be 'ful'"),
        (("--weights", "none.safetensors"), "there is no weights file 'none.safetensors'; give a .safetensors file, "),
        (("--start-from", "none.yaml"), "cannot read the recipe 'none.yaml': No such file or directory."),
        (("--config", "none.toml"), "cannot read the settings 'none.toml': No such file or directory."),
        (("--threads", "9999"), "The option --threads cannot be 9999: input should be less than or equal to 512."),
        (
            ("--precision", "half"),
            "The option --precision cannot be 'half': input should be 'auto', 'float32' or 'bfloat16'.",
        ),
        (
            ("--memory-format", "rows"),
            "The option --memory-format cannot be 'rows': input should be 'channels_last' or 'contiguous'.",
        ),
        (("--image-size", "1"), "The option --image-size cannot be 1: input should be greater than or equal to 8."),
        (
            ("--image-size", "\u0663\u0662"),
            "the image size '\u0663\u0662' cannot be read; give pixels, such as 96, or auto.",
        ),
        (("--epochs", "1" + "0" * 40), "input should be less than or equal to 1000000."),
        (("--batch-size", "1" + "0" * 20), "input should be less than or equal to 1000000."),
        (("--workers", "100000"), "The option --workers cannot be 100000: input should be less than or equal to 512."),
        (("--seed", "9" * 30), f"input should be less than {2**63}."),
        (
            ("--cache-gib", "1e300"),
            "The option --cache-gib cannot be 1e+300: input should be less than or equal to 1000",
        ),
        (("--budget", "1h30"), "the duration '1h30' cannot be read; write seconds, or for example 45s, 30m or 1h30m."),
        (("--budget", "\u0663\u0660m"), "the duration '\u0663\u0660m' cannot be read"),
        (("--budget", "9" * 400), "The option --budget cannot be inf: input should be a finite number."),
        (("--baselines", "full,full"), "the baseline 'full' is given twice (--baselines); name each once."),
        (("--baselines", ","), "the list ',' cannot be read; give names separated by commas, or none alone."),
        (("--baselines", "none,full"), "the list 'none,full' cannot be read"),
        (("--device", "meta"), "the device 'meta' cannot be used here; choose --device cpu"),
        (("--weights", "a" * 5000), "cannot be used: File name too long; give another."),
        (("--start-from", "a" * 5000), "cannot be used: File name too long; give another."),
        (("--config", "a" * 5000), "cannot be used: File name too long; give another."),
        (
            ("--image-size", "5000"),
            "The option --image-size cannot be 5000: input should be less than or equal to 4096.",
        ),
    ],
)
def test_bad_values(options, words, tune):
    assert words in tune(*options)


def test_weights_that_cannot_be_fetched(tune, monkeypatch):
    monkeypatch.setattr("biotune.models.weights.answers", lambda _url: False)
    message = tune("--model", "timm:resnet50", "--weights", "auto")
    assert "the pretrained weights of timm:resnet50 are not available (no answer from " in message
    assert "give --weights FILE (a safetensors state dict) or --weights random." in message


def test_a_checkpoint_that_is_not_trusted(tune, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    message = tune("--weights", tmp_path / "weights.pth")
    assert "may hold more than tensors; convert it to .safetensors, or add --trust-checkpoint" in message


def test_weights_of_another_network(tune, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    message = tune("--weights", tmp_path / "weights.pth", "--trust-checkpoint")
    assert "these weights do not fit timm:test_efficientnet: " in message


def test_a_recipe_of_another_network(tune, tmp_path, finished):
    message = tune("--start-from", finished.folder, "--model", "timm:test_resnet")
    assert "was made for timm:test_efficientnet with other blocks (conv_stem, " in message


def test_a_recipe_that_names_no_network(tune, tmp_path, finished):
    recipe = replace(Recipe.load(finished.folder), model="")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    message = tune("--start-from", tmp_path / "recipe.yaml", "--model", "timm:test_resnet")
    assert "was made for another network with other blocks (conv_stem, " in message


@pytest.mark.parametrize("command", ["tune", "train"])
def test_a_folder_that_is_no_run_is_left_alone(command, cli, images, tiny_toml, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("x")
    more = ("--method", "full") if command == "train" else ()
    ended = cli(command, images, "--config", tiny_toml, "--out", folder, *more)
    assert ended.code == 2
    assert f"'{folder}' is not empty and not a run of biotune (it holds 'chapter.tex'); choose" in ended.err
    assert [path.name for path in folder.iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "give either --method NAME or --recipe FILE (see 'biotune methods')."),
        (("--method", "full", "--recipe", "r.yaml"), "give either --method NAME or --recipe FILE"),
        (("--method", "fulll"), "the method 'fulll' is unknown (did you mean 'full'?); choose one of full, linear_"),
        (("--method", "full:speed=2"), "the method 'full' has no option 'speed'; it takes rate."),
        (("--method", "given"), "give a recipe by its file: --recipe FILE instead of --method."),
        (("--method", "recipe"), "give a recipe by its file: --recipe FILE instead of --method."),
        (("--method", "search"), "the method 'search' is unknown; choose one of full, linear_probe"),
    ],
)
def test_train_wants_one_method(options, words, refused, images, tmp_path):
    assert words in refused("train", images, "--out", tmp_path / "run", *options)


@pytest.mark.parametrize("command", ["status", "report", "predict", "evaluate"])
def test_a_folder_without_a_run(command, refused, images, tmp_path):
    more = {"predict": (images / "red" / "000.png",), "evaluate": (images,)}.get(command, ())
    assert f"'{tmp_path}' holds no " in refused(command, tmp_path, *more)


def test_an_unknown_preset_is_refused(cli, images, tmp_path):
    ended = cli("tune", images, "--preset", "fast", "--out", tmp_path / "run")
    assert (ended.code, ended.out) == (2, "")
    assert "the preset 'fast' is unknown; choose one of quick, standard, reference, paper." in ended.err


LONG = "a" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("tune", "IMAGES", "--out", LONG),
        ("train", "IMAGES", "--method", "full", "--out", LONG),
        ("train", "IMAGES", "--recipe", LONG, "--out", "x"),
        ("compare", "IMAGES", "--out", LONG),
        ("check", LONG),
        ("check", "IMAGES", "--out", LONG),
        ("check", "IMAGES", "--contact-sheet", f"{LONG}.png"),
        ("check", "mnist5000", "--data-root", LONG),
        ("status", LONG),
        ("report", LONG),
        ("predict", LONG, "x.png"),
        ("evaluate", LONG, "IMAGES"),
        ("datasets", "--data-root", LONG),
    ],
)
def test_names_that_are_too_long(arguments, refused, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(*(images if argument == "IMAGES" else argument for argument in arguments))
    assert "too long" in message or "is not a file, a folder or a named data set" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("tune", "", "--out", "x"), ""),
        (("tune", "IMAGES", "--out", ""), " (--out)"),
        (("tune", "IMAGES", "--out="), " (--out)"),
        (("tune", "IMAGES", "--out", "x", "--start-from", ""), " (--start-from)"),
        (("tune", "IMAGES", "--out", "x", "--data-root="), " (--data-root)"),
        (("train", "IMAGES", "--out", "x", "--recipe", ""), " (--recipe)"),
        (("check", "", "--json"), ""),
        (("predict", "run", ""), ""),
        (("evaluate", "run", "IMAGES", "--split", ""), " (--split)"),
    ],
)
def test_an_empty_argument_is_neither_here_nor_nothing(arguments, where, refused, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(*(images if argument == "IMAGES" else argument for argument in arguments))
    assert f"an argument of the command is empty{where}; give a value, or leave the option out." in message
    assert not list(tmp_path.iterdir())


def test_a_data_root_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").touch()
    for arguments in (("datasets",), ("check", "mnist5000")):
        assert "is not a folder; give the folder of the data sets." in refused(
            *arguments, "--data-root", tmp_path / "file"
        )


@pytest.mark.parametrize("number", ["1", "10000000000000", "-3"])
def test_classes_out_of_range_are_refused_before_anything_is_built(number, cli):
    ended = cli("blocks", "resnet18", "--classes", number)
    assert (ended.code, ended.out) == (2, "")
    assert "invalid value for '--classes'" in ended.err


def test_one_image_a_step_where_batch_norm_needs_more(cli, images, tiny_toml, tmp_path):
    ended = cli("tune", images, "--config", tiny_toml, "--batch-size", 1, "--out", tmp_path / "run")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert "biotune: this network cannot learn from one image at a time" in ended.err
    assert "give 2 images a step or more (--batch-size)" in ended.err


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("option", ["--config", "--start-from", "--weights", "DATA"])
def test_what_never_ends_is_not_read(option, kind, refused, images, tmp_path):
    path = tmp_path / "given.csv"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    data, more = (path, ()) if option == "DATA" else (images, (option, path))
    if option == "--weights":
        more = (*more, "--model", "timm:test_resnet")
    assert str(path) in refused("tune", data, "--out", tmp_path / "run", *more)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["file", "loop"])
@pytest.mark.parametrize("command", ["status", "report", "predict", "evaluate"])
def test_no_folder_in_the_place_of_a_run(command, kind, refused, images, tmp_path):
    path = tmp_path / kind
    path.touch() if kind == "file" else path.symlink_to(path)
    more = {"predict": (images / "red" / "000.png",), "evaluate": (images,)}.get(command, ())
    assert f"'{path}' holds no " in refused(command, path, *more)


def test_methods_with_blanks_between_them(refused, images, tmp_path):
    sentence = refused("compare", images, "--out", tmp_path / "run", "--methods", "biotune", "full", "lora")
    assert "'full' is a method and no data set; separate methods by commas: --methods biotune,full,lora." in sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "biotune: there is not enough memory (none left); close other programs, or take"),
        (RuntimeError("can't start new thread"), "there is not enough memory (can't start new thread); close"),
        (ImportError("x: failed to map segment from shared object"), "not enough memory (x: failed to map segment"),
        (OSError(12, "Cannot allocate memory"), "there is not enough memory ([Errno 12] Cannot allocate memory)"),
        (RuntimeError("could not create a primitive"), "there is not enough memory (could not create a primitive)"),
    ],
)
def test_want_of_memory_outside_of_trainings_is_one_sentence(error, said, cli, monkeypatch):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("biotune.models.load_model", fail)
    ended = cli("blocks", "timm:test_resnet")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["tune"], "biotune: missing argument 'data'; see 'biotune tune --help'.\n"),
        (["tune", "x", "--epoch", 3, "--out", "y"], "no such option: --epoch"),
        (["tune", "x"], "biotune: missing option '--out'"),
        (["tune", "x", "--out"], "biotune: option '--out' requires an argument; see 'biotune --help'.\n"),
        (["tune", "x", "--epochs", "many", "--out", "y"], "biotune: invalid value for '--epochs': "),
        (["tuna"], "biotune: no such command 'tuna'"),
        (["export", "x"], "biotune: missing option '--format'; see 'biotune export --help'.\n"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence_as_all_else(typed, said, cli):
    ended = cli(*typed)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.startswith("biotune: ")
    assert len(ended.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "typed",
    [
        ["status"],
        ["report"],
        ["serve"],
        ["predict", "a.png"],
        ["evaluate", "photos"],
        ["export", "--format", "timm"],
        ["explain", "a.png", "--out", "seen"],
        ["track", "--to", "optuna"],
    ],
)
def test_a_folder_without_a_run_is_refused_alike_by_every_command(typed, cli, tmp_path):
    command, *others = typed
    ended = cli(command, tmp_path / "nowhere", *others)
    assert ended.code == 2
    assert f"'{tmp_path / 'nowhere'}' holds no run of biotune; give the folder that --out named." in ended.err


def test_no_arguments_show_the_help(cli):
    assert "Usage: biotune" in cli().out


@pytest.mark.parametrize("arguments", [("report", "--json"), ("report",), ("status",)])
def test_closed_standard_streams_end_no_command(arguments, cli, finished, monkeypatch):
    """As a service or ``>&-`` leaves them."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    name, *options = arguments
    assert cli(name, finished.folder, *options).code == 0
