"""What is printed of a run: what it will cost before it begins, and what it found at its end."""

from pathlib import Path
from typing import TYPE_CHECKING

from biotune.cli.app import err, out, print_json
from biotune.settings.config import RunConfig

if TYPE_CHECKING:
    from biotune.results import Summary


def show_estimate(config: RunConfig, folder: Path, *, as_json: bool, verbose: bool | None) -> None:
    """Print what a run will cost, without doing it."""
    from biotune.progress import Display
    from biotune.runner.estimate import estimate_run

    with Display(err, verbose) as display:
        estimate = estimate_run(config, folder, display)
    if as_json:
        print_json(estimate.to_json())
    else:
        out.print(estimate.sentence(), highlight=False, soft_wrap=True)


def show_run(summary: "Summary", folder: Path, *, with_tables: bool = True) -> None:
    """Print the closing tables, or the verdict alone, and where everything lies."""
    from rich.text import Text

    from biotune.report.run_sentences import alarms, headline
    from biotune.report.run_tables import recipe_table, run_tables
    from biotune.report.tables import VERDICT_STYLES
    from biotune.runs.folder import REPORT

    if with_tables:
        out.print()
        for table in run_tables(summary):
            out.print(table)
            out.print()
        out.print(recipe_table(summary))
    found = headline(summary)
    out.print(found.lead, highlight=False, markup=False)
    out.print(Text.assemble((f"{found.claim}.", VERDICT_STYLES.get(found.verdict, "bold")), f" {found.reason}"))
    for alarm in alarms(summary):
        out.print(Text.assemble(("Mind: ", "bold red"), alarm))
    if with_tables:
        out.print()
    out.print(f"Report:  {folder / REPORT}", highlight=False, soft_wrap=True)
    out.print(
        f"Model:   {folder / 'model.safetensors'}   Recipe: {folder / 'recipe.yaml'}", highlight=False, soft_wrap=True
    )
