"""``blocks``: where a network is cut into blocks."""

from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune blocks tf_efficientnet_lite0\n\n"
    "biotune blocks torchvision:resnet50 --granularity layer"
)
@opt.with_settings(opt.options_of("blocks"))
def blocks(
    given: opt.Given,
    model: Annotated[str, typer.Argument(help="timm or torchvision network, or hf:FOLDER.")],
    classes: Annotated[int, typer.Option(min=2, max=100_000, help="Number of classes of the head.")] = 1000,
    json: opt.Json = False,
) -> None:
    """Print the blocks of a network: each can be frozen, or trained at its own rate."""
    from biotune.models import load_model
    from biotune.report.tables import blocks_table

    settings = opt.to_config(given).model
    loaded = load_model(
        model,
        classes,
        weights="random",
        image_size=settings.side,
        keep_auxiliary=settings.keep_auxiliary,
        granularity=settings.granularity,
    )
    rows = [
        {"name": b.name, "parameters": b.num_parameters, "modules": list(b.prefixes)} for b in loaded.partition.blocks
    ]
    if json:
        print_json(
            {"model": loaded.name, "parameters": sum(b.num_parameters for b in loaded.partition.blocks), "blocks": rows}
        )
    else:
        out.print(blocks_table(loaded.name, loaded.partition.blocks))
