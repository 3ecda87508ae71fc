"""A tiny job: small coloured images and a small random network, so that a whole run takes seconds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biotune.settings.config import RunConfig
from biotune.settings.resolve import resolve

CLASSES = ("blue", "green", "red")
NETWORK = "timm:test_efficientnet"
TINY: dict[str, dict[str, Any]] = {
    "model": {"name": NETWORK, "weights": "random", "image_size": 32},
    "training": {"epochs": 2, "learning_rate": 0.01},
    "search": {
        "population": 4,
        "elites": 1,
        "generations": 2,
        "rungs": (0.5, 1.0),
        "max_work": 0.0,
        "law": "exponential",
        "values": (),
    },
    "final": {"seeds": 2, "candidates": 2},
    "compute": {"device": "cpu", "threads": 1, "precision": "float32"},
}
VALUES: dict[str, dict[str, Any]] = {
    "search": {"law": "wide", "values": ("head_start", "statistics", "augment"), "population": 5, "generations": 1}
}
"""Changes that let a tiny search choose values of a training too, as the preset ``standard`` does."""

EARLY: dict[str, dict[str, Any]] = {"training": {"stopping": "early"}, "final": {"data": "training"}}
"""Changes that let trainings stop early, by validation images that none of them learns from, as ``reference`` does."""

BRIEF: dict[str, dict[str, Any]] = {
    "search": {"population": 2, "generations": 1},
    "final": {"seeds": 1, "candidates": 1, "baselines": ()},
}
"""Changes that cut a tiny run to less than a second."""


def write_image(path: Path, seed: int = 0, channel: int | None = None) -> None:
    """Write 24 x 24 pixels of noise, brighter in one channel."""
    pixels = np.random.default_rng(seed).integers(0, 176, (24, 24, 3))
    if channel is not None:
        pixels[..., channel] += 60
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_classes(root: Path, counts: Mapping[str, int] | Iterable[str] = CLASSES, first_seed: int = 0) -> Path:
    """Write class folders with so many images (20 where only names are given); return the folder."""
    sizes = dict(counts) if isinstance(counts, Mapping) else dict.fromkeys(counts, 20)
    for channel, (name, size) in enumerate(sizes.items()):
        for number in range(size):
            write_image(root / name / f"{number:03}.png", first_seed + 1000 * channel + number, 2 - channel % 3)
    return root


def tiny_config(
    source: Path | str, *changes: Mapping[str, Mapping[str, Any]], preset: str = "standard", seed: int = 0
) -> RunConfig:
    """Return the configuration of a tiny run, with changes by section; later ones win."""
    merged: dict[str, dict[str, Any]] = {"data": {"source": str(source)}}
    for layer in (TINY, *changes):
        for section, fields in layer.items():
            merged[section] = {**merged.get(section, {}), **fields}
    return resolve(preset, merged, seed)


def write_no_report(folder: Path, *_: object) -> None:
    """Stand in for ``write_report``, which takes half of the time of a tiny run."""
    (folder / "report.html").write_text("left out")


def run(*args: Any, **options: Any) -> dict[str, Any]:
    """Do a run and return its summary as users' scripts read it from ``summary.json``."""
    from biotune import runner

    return runner.run(*args, **options).to_json()


def evaluate_run(*args: Any, **options: Any) -> dict[str, Any]:
    """Score a run and return what users' scripts read from ``evaluate --json``."""
    from biotune import scored

    return scored.evaluate_run(*args, **options).results.to_json()


def compare(*args: Any, **options: Any) -> dict[str, Any]:
    """Do a comparison and return what users' scripts read from ``comparison.json``."""
    from biotune import comparison as package

    return package.compare(*args, **options).to_json()
