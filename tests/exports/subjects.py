"""Networks to export, without a run behind them."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

import tiny
from biotune.classifier import Classifier
from biotune.exports.source import Subject
from biotune.models import Vote, load_model
from biotune.records import Preprocessing

CLASSES = ("cat", "dog", "猫", "=1+1", '"</script>')


def opinionated(name: str, seed: int, size: int) -> tuple[nn.Module, Preprocessing]:
    """Return a random network that answers other images in another way: its logits have a spread of about 2."""
    loaded = load_model(name, len(CLASSES), weights="random", image_size=size)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        images = torch.randn(8, 3, size, size) * torch.linspace(0, 2, 8).view(8, 1, 1, 1)
        heads = [loaded.model.get_submodule(head) for head in loaded.heads]
        for head in heads:
            nn.init.normal_(head.weight)
        logits = loaded.model(images)
        for head in heads:
            head.weight *= 2 / logits.std()
        answers = torch.softmax(loaded.model(images), dim=1)
    assert np.ptp(answers.numpy(), axis=0).max() > 0.01
    return loaded.model, loaded.for_images


def subject(name: str, *, networks: int = 1, size: int = 64, **preprocessing: Any) -> Subject:
    """Return what is exported of a run with so many networks; the run's images are not there any more."""
    made = [opinionated(name, seed, size) for seed in range(networks)]
    models, inputs = [model for model, _ in made], replace(made[0][1], **preprocessing)
    return Subject(
        classifier=Classifier(models[0] if networks == 1 else Vote(models), CLASSES, inputs),
        networks=tuple(models),
        seeds=tuple(range(networks)),
        name=name,
        preprocessing=inputs,
        summary=None,  # type: ignore[arg-type]  # only the card reads it
        config=tiny.tiny_config("gone"),
        fingerprint="",
    )
