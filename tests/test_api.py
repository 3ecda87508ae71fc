"""The Python interface: tune, its result, and the loops of other people."""

import copy

import pytest
import torch

import biotune
import tiny
from biotune.runs.events import Message, Progress


def test_tune_returns_recipe_model_and_predictions(images, finished, tmp_path):
    heard = []
    result = biotune.tune(images, out=finished.folder, observer=heard.append, **tiny.TINY)

    assert result.summary == finished.summary
    assert result.recipe.multipliers == tuple(block["multiplier"] for block in result.summary["recipe"]["blocks"])
    assert not result.model.training
    paths = sorted((images / "red").iterdir())[:3]
    answers = result.predict(paths)
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    assert all(answer.label in tiny.CLASSES for answer in answers)
    assert all(isinstance(event, Message | Progress) for event in heard)


def test_the_recipe_works_in_another_training_loop(finished):
    recipe, model = biotune.Recipe.load(finished.folder), biotune.load_run(finished.folder).model
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 3}, r"'epochs' is no section; write settings by section, as in training=\{'epochs': 10\}\."),
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
