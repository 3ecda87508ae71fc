"""``demo``: all that ``tune`` does, on bundled images, offline."""

from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err
from biotune.cli.tune import do_run

DEMO_OPTIONS = {
    "model": "squeezenet1_1",
    "image_size": 64,
    "preset": "quick",
    "train_images": 160,
    "validation_images": 40,
    "test_images": 1000,
    "recipe_values": "augment",
    "baselines": "full,full_tuned,mask_one_rate,linear_probe",
}
"""A small far-domain set, sixteen handwritten digits a class, and an ImageNet network that a CPU trains quickly. Its
classifier is a convolution, which logistic regression takes four full fine-tunes to fit: once is enough here."""


@app.command(epilog="[bold]Example[/bold]\n\nbiotune demo --seed 1 --out runs/demo")
@opt.with_settings(opt.options_of("demo"))
def demo(
    given: opt.Given,
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/demo"),
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Tune a real ImageNet network on real images that pip installed: under three minutes on a laptop CPU."""
    err.print(
        "Handwritten digits (a part of MNIST), sixteen images a class, and SqueezeNet 1.1 pretrained on ImageNet.",
        highlight=False,
    )
    demonstrated = opt.Given({**DEMO_OPTIONS, **given.options})
    do_run(opt.to_config(demonstrated, {"data": {"source": "mnist5000"}}), out_folder, as_json=json, dry_run=dry_run)
