"""``demo``: all that ``tune`` does, on bundled images, offline."""

from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err
from biotune.cli.tune import do_run

DEMO_OPTIONS = {
    "model": "tf_efficientnet_lite0",
    "image_size": 64,
    "preset": "quick",
    "train_images": 160,
    "validation_images": 40,
    "baselines": "probe,full_tuned",
}
"""Few images near to those of ImageNet, where it matters which blocks are trained, beside the two simple ways that are
hardest to beat."""


@app.command(epilog="[bold]Example[/bold]\n\nbiotune demo --seed 1 --out runs/demo")
@opt.with_settings(opt.options_of("demo"))
def demo(
    given: opt.Given,
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/demo"),
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
    verbose: opt.Verbose = None,
) -> None:
    """Tune a real ImageNet network on real images that pip installed: under three minutes on a laptop CPU."""
    if verbose is not False:
        err.print(
            "Patches of 14 photos (surfaces, tissue, the sky, things), 200 of them labelled, and EfficientNet-Lite0 "
            "pretrained on ImageNet.",
            highlight=False,
        )
    demonstrated = opt.Given({**DEMO_OPTIONS, **given.options})
    config = opt.to_config(demonstrated, {"data": {"source": "skimage_photos"}})
    do_run(config, out_folder, as_json=json, dry_run=dry_run, verbose=verbose)
