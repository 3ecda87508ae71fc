"""The Python interface: tune, its result, and the loops of other people."""

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import biotune
import tiny
from biotune.errors import InputError
from biotune.runs.events import Message, Progress
from text_files import orders, write_csv


def test_tune_returns_recipe_model_and_predictions(images, finished, tmp_path):
    heard = []
    result = biotune.tune(images, out=finished.folder, observer=heard.append, **tiny.TINY)

    assert result.summary.to_json() == finished.summary
    assert result.recipe.multipliers == tuple(block.multiplier for block in result.summary.recipe.blocks)
    assert not result.model.training
    paths = sorted((images / "red").iterdir())[:3]
    answers = result.predict(paths)
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    assert all(answer.label in tiny.CLASSES for answer in answers)
    assert all(isinstance(event, Message | Progress) for event in heard)


def test_the_recipe_works_in_another_training_loop(finished):
    recipe, model = biotune.Recipe.load(finished.folder), biotune.load_run(finished.folder, vote=False).model
    recipe.apply(model)
    optimizer = torch.optim.AdamW(recipe.parameter_groups(model, learning_rate=1e-3))
    before = copy.deepcopy(model.state_dict())
    model.train()
    torch.nn.functional.cross_entropy(model(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    moved = {
        recipe.partition.owner(name) for name, tensor in model.state_dict().items() if (tensor != before[name]).any()
    }
    assert moved == {index for index, value in enumerate(recipe.multipliers) if value > 0}


def test_tune_on_data_sets_of_a_program(images, tmp_path, no_report):
    """A missing test set is carved from the training part; a second call continues, other images are refused."""
    whole = ImageFolder(images, transform=v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]))
    parts = {"train": Subset(whole, range(0, 60, 2)), "val": Subset(whole, range(1, 60, 2))}
    settings = {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}

    result = biotune.tune(parts, out=tmp_path / "run", **settings)
    again = biotune.tune(parts, out=tmp_path / "run", **settings)

    data = result.summary.to_json()["data"]
    assert [data[part] for part in ("train", "validation", "test")] == [24, 30, 6]
    assert (data["name"], data["classes"]) == ("train: Subset, val: Subset", list(tiny.CLASSES))
    assert again.summary == result.summary
    assert result.predict([images / "red" / "000.png"])[0].label in tiny.CLASSES
    with pytest.raises(biotune.InputError, match=r"holds another run: .*pixels of the images changed"):
        biotune.tune({**parts, "val": Subset(whole, range(3, 60, 2))}, out=tmp_path / "run", **settings)


def test_trainings_in_two_threads_are_those_of_one(images, tmp_path, no_report):
    settings = {**tiny.TINY, **tiny.BRIEF, "method": "full", "observer": biotune.silent}

    def weights(name, seed):
        biotune.train(images, out=tmp_path / name, seed=seed, **settings)
        return (tmp_path / name / "model.safetensors").read_bytes()

    alone = [weights(f"alone-{seed}", seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(weights, ("first", "second"), (1, 2))) == alone


def test_tune_on_arrays_is_tune_on_the_files_of_them(images, tmp_path, no_report):
    files = sorted(images.glob("*/*.png"))
    arrays = np.stack([np.asarray(Image.open(file)) for file in files])
    labels = [file.parent.name for file in files]
    settings = {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}

    from_arrays, from_files = (
        biotune.tune(data, out=tmp_path / name, **settings).summary.to_json()
        for name, data in (("arrays", (arrays, labels)), ("files", (files, labels)))
    )

    assert from_arrays["test"] == from_files["test"]
    assert from_arrays["recipe"] == from_files["recipe"]


def test_texts_of_a_program_are_those_of_a_table(tmp_path, no_report):
    """They are continued, refined, and refused where they changed, as images are."""
    rows = orders(60)
    data = ([text for text, _ in rows], [label for _, label in rows])
    network = {
        "model": {"name": "text:mean", "weights": "random", "image_size": 0},
        "text": {"embedding": 4, "hidden": 4},
    }
    layers = (tiny.TINY, tiny.BRIEF, network, {"final": {"data": "training"}})
    settings = {section: {} for layer in layers for section in layer}
    for section, fields in (item for layer in layers for item in layer.items()):
        settings[section].update(fields)

    held = biotune.tune(data, out=tmp_path / "held", **settings)
    table = biotune.tune(write_csv(tmp_path / "orders.csv", rows), out=tmp_path / "table", **settings)
    refined = biotune.refine(tmp_path / "held", data, out=tmp_path / "refined", seeds=1, agents=3, iterations=1)

    assert held.summary.data.name == "60 texts in memory"
    assert held.summary.to_json()["test"] == table.summary.to_json()["test"]
    assert biotune.tune(data, out=tmp_path / "held", **settings).summary == held.summary
    assert held.predict(["the yes and no"])[0].label in ("yes", "no")
    assert refined.summary.refinement is not None
    with pytest.raises(biotune.InputError, match="holds another run"):
        biotune.tune((["something else", *data[0][1:]], data[1]), out=tmp_path / "held", **settings)


def brief():
    return {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}


def test_train_by_a_method_and_by_its_recipe(images, tmp_path, no_report):
    """The recipe brings its rate along; what is given wins."""
    first = biotune.train(images, method="llrd:decay=0.5", out=tmp_path / "method", **brief())
    assert (first.summary.method, first.summary.command) == ("llrd:decay=0.5", "biotune.train(...)")
    settings = {**brief(), "training": {"epochs": 2}}
    network = {**settings.pop("model")}
    by_recipe = biotune.train(
        images, recipe=first.folder, out=tmp_path / "recipe", weights="random", image_size=32, **settings
    )
    given = biotune.train(
        images, recipe=first.folder, out=tmp_path / "given", model=network, learning_rate=0.03, **settings
    )
    assert by_recipe.summary.method == "given"
    assert by_recipe.summary.model.name == first.summary.model.name
    assert by_recipe.recipe.multipliers == first.recipe.multipliers
    assert (by_recipe.summary.protocol.learning_rate, given.summary.protocol.learning_rate) == (0.01, 0.03)
    with pytest.raises(InputError, match="give either --method NAME or --recipe FILE"):
        biotune.train(images, out=tmp_path / "none")


def test_compare_files_and_images_in_memory(images, tmp_path):
    files = sorted(images.glob("*/*.png"))
    settings = {**brief(), "tuned": False, "methods": ["full", "linear_probe"], "observer": biotune.silent}
    named = biotune.compare(str(images), out=tmp_path / "files", **settings)
    held = biotune.compare((files, [file.parent.name for file in files]), out=tmp_path / "memory", **settings)
    assert list(held.comparison.methods) == ["full", "linear_probe"]
    assert held.comparison.datasets[0].name == "60 images in memory"
    reached = [
        {name: entry.test.accuracy for name, entry in result.comparison.methods.items()} for result in (named, held)
    ]
    assert reached[0] == reached[1]
    assert repr(named).startswith(f"<CompareResult '{tmp_path / 'files'}': ")
    assert "Linear prob" in named._repr_html_()
    assert repr(named.report()) == str(tmp_path / "files" / "comparison.html")
    with pytest.raises(InputError, match="a comparison takes a network by its name"):
        biotune.compare(images, out=tmp_path / "own", model=torch.nn.Flatten())


@pytest.mark.parametrize("name", ["operators", "values", "budget"])
def test_an_ablation_is_that_of_the_command_line(name, images, tmp_path, monkeypatch, cli):
    plans = []

    def note(plan, *_):
        plans.append(plan)
        raise InputError("noted.")

    monkeypatch.setattr("biotune.api.run_comparison", note)
    monkeypatch.setattr("biotune.comparison.compare", note)
    for limit in ({}, {"max_work": 2.0}):
        typed = ["--max-work", limit["max_work"]] if limit else []
        assert cli("compare", images, "--ablation", name, *typed, "--out", tmp_path / "out").code == 2
        with pytest.raises(InputError, match="noted"):
            biotune.compare(str(images), out=tmp_path / "out", ablation=name, observer=biotune.silent, **limit)
    assert plans[0] == plans[1]
    assert plans[2] == plans[3]
    assert [plan.config.search.max_work for plan in plans] == [0, 0, 2, 2]
    assert len(plans[0].entries) > 3
    assert not plans[0].tuned
    with pytest.raises(InputError, match="give either methods or an ablation"):
        biotune.compare(images, out=tmp_path / "out", ablation=name, methods="full", observer=biotune.silent)
    with pytest.raises(InputError, match="the ablation 'nothing' is unknown; choose one of operators, law"):
        biotune.compare(images, out=tmp_path / "out", ablation="nothing", observer=biotune.silent)


def test_check_predict_and_evaluate(images, finished, capsys):
    findings = biotune.check(images)
    assert (findings.images, repr(findings)[:33]) == (60, "<Findings: 60 images of 3 classes")
    assert "reading images: 60/60" in capsys.readouterr().err
    (answer,) = biotune.predict(finished.folder, str(images / "red" / "000.png"))
    (expected,) = biotune.load_run(finished.folder).predict([images / "red" / "000.png"])
    assert answer == expected
    scored = biotune.evaluate(finished.folder, images)
    assert (scored.results.split, scored.results.own) == ("test", True)
    files = sorted(images.glob("*/*.png"))
    again = biotune.evaluate(finished.folder, (files, [file.parent.name for file in files]))
    assert (again.results.images, again.results.seen) == (60, 48)


def test_functions_stay_functions_whatever_was_imported():
    """A module of the same name would take the place of a function as soon as it is imported."""
    modules = {path.stem for path in Path(biotune.__file__).parent.iterdir()}
    assert modules & set(biotune.__all__) == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "The option epochs cannot be 0: input should be greater than or equal to 1"),
        ({"epoch": 3}, r"The setting 'epoch' is unknown; did you mean 'epochs'\?"),
        ({"patience_steps": 3}, r"The setting 'patience_steps' is unknown; did you mean 'training.patience_steps'\?"),
        ({"budget": "abc"}, "the duration 'abc' cannot be read; write seconds, or for example 45s, 30m or 1h30m"),
        ({"metric": "bleu"}, "The option metric cannot be 'bleu': input should be 'accuracy', 'macro', 'auroc'"),
        ({"training": {"epoch": 3}}, r"The setting 'training.epoch' is unknown; did you mean 'epochs'\?"),
        ({"trainig": {"epochs": 3}}, r"The setting 'trainig' is unknown; did you mean 'training'\?"),
        (
            {"data": {"test_fraction": 1.5}},
            "The setting 'data.test_fraction' cannot be 1.5: input should be less than 1",
        ),
        ({"training": {"epochs": 0}}, "The setting 'training.epochs' cannot be 0: "),
        ({"preset": "fast"}, "the preset 'fast' is unknown; choose one of quick, standard, reference, paper."),
        ({"model": "resnett50"}, "there is no network 'resnett50'; the nearest are timm:resnet50"),
    ],
)
def test_wrong_settings_are_refused(settings, message, images, tmp_path):
    with pytest.raises(biotune.InputError, match=message):
        biotune.tune(images, out=tmp_path / "run", **settings)


def test_progress_is_shown_unless_it_is_dropped(images, finished, capsys):
    biotune.tune(images, out=finished.folder, **tiny.TINY)
    assert "decoding images: 60/60" in capsys.readouterr().err
    biotune.tune(images, out=finished.folder, observer=biotune.silent, **tiny.TINY)
    assert capsys.readouterr().err == ""
