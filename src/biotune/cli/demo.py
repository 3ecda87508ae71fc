"""``demo``: the whole main job on bundled images, offline."""

from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err
from biotune.cli.tuning import work

DEMO_OPTIONS = {
    "data": "mnist5000",
    "model": "squeezenet1_1",
    "image_size": 64,
    "preset": "quick",
    "train_images": 160,
    "validation_images": 240,
    "test_images": 1000,
}
"""A small far-domain set, sixteen handwritten digits a class, and an ImageNet network that a CPU trains quickly."""


@app.command(epilog="[bold]Example[/bold]\n\nbiotune demo --seed 1 --out runs/demo")
def demo(
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/demo"),
    seed: opt.Seed = None,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Tune a real ImageNet network on real images that pip installed: under three minutes on a laptop CPU."""
    err.print(
        "Handwritten digits (a part of MNIST), sixteen images a class, and SqueezeNet 1.1 pretrained on ImageNet.",
        highlight=False,
    )
    config = opt.to_config({**DEMO_OPTIONS, "seed": seed})
    work(config, out_folder, as_json=json, dry_run=dry_run)
