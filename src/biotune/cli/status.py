"""``status``: where a run or a comparison stands."""

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json


@app.command(epilog="[bold]Example[/bold]\n\nbiotune status runs/photos")
def status(run: opt.AnyFolder, json: opt.Json = False) -> None:
    """Say where a run or a comparison stands; safe while it is working."""
    from biotune.runs.comparisons import comparison_status, is_comparison
    from biotune.runs.status import run_status

    found = comparison_status(run) if is_comparison(run) else run_status(run)
    if json:
        print_json(found.to_json())
    else:
        out.print(found.sentence(), highlight=False, soft_wrap=True)
