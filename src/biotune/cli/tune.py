"""``tune``: the whole job on one data set."""

from biotune.cli import options as opt
from biotune.cli.app import app
from biotune.cli.running import do_run

EXAMPLES = """[bold]Examples[/bold]

biotune tune photos/ --model tf_efficientnet_lite0 --out runs/photos

biotune tune mnist5000 --model tf_efficientnet_lite0 --image-size 96 --preset quick --out runs/digits

biotune tune labels.csv --model resnet50 --weights resnet50.safetensors --budget 30m --out runs/skin
"""


@app.command(epilog=EXAMPLES)
@opt.with_settings(opt.options_of("tune"), file=True)
def tune(
    given: opt.Given,
    data: opt.Data,
    out_folder: opt.Out,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Find which blocks to train and how fast; then train, test, export and report."""
    changes = {"data": {"source": opt.source(data)}}
    do_run(opt.to_config(given, changes), out_folder, as_json=json, dry_run=dry_run)
