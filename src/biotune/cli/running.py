"""What ``tune``, ``train`` and ``demo`` share: doing a run, or only estimating it, and printing its end."""

from pathlib import Path
from typing import Any

from biotune.cli.app import command_line, err, out, print_json, resumable
from biotune.settings.config import RunConfig


def do_run(config: RunConfig, folder: Path, *, as_json: bool, dry_run: bool) -> None:
    """Do a run, or only estimate it, showing its progress."""
    if dry_run:
        _estimate(config, folder, as_json)
        return
    from biotune.cli.progress import Display
    from biotune.runs.folder import require_idle

    require_idle(folder)
    with resumable() as stop, Display(err) as display:
        from biotune import runner

        summary = runner.run(config, folder, command_line(), display, stop)
    if as_json:
        print_json(summary)
    else:
        show_run(summary, folder)


def _estimate(config: RunConfig, folder: Path, as_json: bool) -> None:
    from biotune.cli.progress import Display
    from biotune.runner.estimate import estimate_run

    with Display(err) as display:
        estimate = estimate_run(config, folder, display)
    if as_json:
        print_json(estimate.to_json())
    else:
        out.print(estimate.sentence(), highlight=False, soft_wrap=True)


def show_run(summary: dict[str, Any], folder: Path) -> None:
    """Print the closing tables and where everything lies."""
    from biotune.report import story, tables
    from biotune.runs.folder import REPORT

    out.print()
    out.print(tables.comparison_table(summary))
    if summary.get("out_of_fold"):
        out.print(story.headline(summary).lead, highlight=False, markup=False)
        out.print()
    out.print(tables.recipe_table(summary))
    out.print(f"Report:  {folder / REPORT}", highlight=False, soft_wrap=True)
    out.print(
        f"Model:   {folder / 'model.safetensors'}   Recipe: {folder / 'recipe.yaml'}", highlight=False, soft_wrap=True
    )
