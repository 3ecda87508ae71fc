"""``report``: the closing tables of a finished run or comparison."""

from biotune.cli import options as opt
from biotune.cli.app import app, print_json


@app.command(epilog="[bold]Example[/bold]\n\nbiotune report runs/photos")
def report(run: opt.AnyFolder, json: opt.Json = False) -> None:
    """Print the closing tables of a finished run or comparison and the path of its page."""
    from biotune.cli.compare import show_comparison
    from biotune.cli.refine import show_refinement
    from biotune.cli.running import show_run
    from biotune.results import Comparison
    from biotune.runs.comparisons import finished_comparison, is_comparison
    from biotune.runs.status import finished_summary

    found = finished_comparison(run) if is_comparison(run) else finished_summary(run)
    if json:
        print_json(found.to_json())
    elif isinstance(found, Comparison):
        show_comparison(found, run)
    elif found.refinement is not None:
        show_refinement(found, run)
    else:
        show_run(found, run)
