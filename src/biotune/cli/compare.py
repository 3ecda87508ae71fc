"""``compare``: many methods on the same data, at equal budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, command_line, err, out, print_json, resumable
from biotune.errors import InputError

if TYPE_CHECKING:
    from biotune.results import Comparison

EXAMPLES = """[bold]Examples[/bold]

biotune compare photos/ --methods biotune,full,linear_probe,lora --seeds 3 --out runs/compare

biotune compare digits8 mnist5000 --methods all --no-tuned --preset quick --out runs/digits

biotune compare photos/ --methods biotune,random,full,l2_sp:alpha=0.1 --out runs/searches

biotune compare photos/ --ablation operators --out runs/ablation
"""


@app.command(cls=opt.BriefHelp, epilog=EXAMPLES)
@opt.with_settings(opt.options_of("compare"), brief=True)
def compare(
    given: opt.Given,
    data: Annotated[list[str], typer.Argument(help="One or more data sets, as for 'biotune tune'.")],
    out_folder: opt.Out,
    methods: Annotated[
        str | None,
        typer.Option(
            help=r"Methods, searches, biotune, or all, separated by commas \[default: all].",
            rich_help_panel=opt.COMPARISON,
        ),
    ] = None,
    ablation: Annotated[
        str | None,
        typer.Option(
            help=r"Compare BioTune's variants: operators, law, values, data or budget \[default: none].",
            rich_help_panel=opt.COMPARISON,
        ),
    ] = None,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned/--no-tuned",
            help=r"Also tune each method, with as much work as the search \[default: tuned].",
            show_default=False,
            rich_help_panel=opt.COMPARISON,
        ),
    ] = True,
    best_on_test: Annotated[
        bool,
        typer.Option(
            "--best-on-test",
            help=r"Also show the papers' figure: the best finalist by its test score \[default: false].",
            rich_help_panel=opt.COMPARISON,
        ),
    ] = False,
    json: opt.Json = False,
    verbose: opt.Verbose = None,
) -> None:
    """Compare methods on the same data, splits, seeds, schedule and budget; the same command again continues it."""
    from biotune.comparison import UNLIMITED, ComparePlan, entries_of
    from biotune.comparison import compare as run_comparison
    from biotune.progress import Display

    _require_data(data, methods)
    final = {"baselines": (), **({"test_all": True} if best_on_test else {})}
    unlimited = UNLIMITED if ablation is not None and "max_work" not in given.options else {}
    config = opt.to_config(given, {"data": {"source": opt.source(data[0])}, "final": final, **unlimited})
    entries = entries_of(methods, ablation, config.search.rungs)
    plan = ComparePlan(config, tuple(map(opt.source, data)), entries, tuned and ablation is None)
    with resumable() as stop, Display(err, verbose) as display:
        comparison = run_comparison(plan, out_folder, command_line(), display, stop)
    if json:
        print_json(comparison.to_json())
    else:
        show_comparison(comparison, out_folder, with_tables=verbose is not False)


def _require_data(data: list[str], methods: str | None) -> None:
    """Refuse names of methods among the data sets, as blanks in the place of commas leave them there."""
    from biotune.methods import METHODS
    from biotune.search import SEARCHES

    known = {"biotune", "all", *METHODS, *SEARCHES}
    lost = [name for name in data if name in known and not Path(name).exists()]
    if methods is not None and lost:
        joined = ",".join([methods, *lost])
        raise InputError(f"'{lost[0]}' is a method and no data set; separate methods by commas: --methods {joined}.")


def show_comparison(comparison: "Comparison", folder: Path, *, with_tables: bool = True) -> None:
    """Print the tables, or the verdict alone, and where everything lies."""
    from biotune.report.comparison_sentences import headline
    from biotune.report.comparison_tables import comparison_view

    if with_tables:
        out.print()
        out.print(comparison_view(comparison, out.width))
    else:
        found = headline(comparison)
        out.print(f"{found.lead} {found.claim}. {found.reason}", highlight=False, markup=False)
    out.print(f"Report:  {folder / 'comparison.html'}", highlight=False, soft_wrap=True)
    out.print(f"Tables:  {folder / 'table.md'}, table.csv, table.tex, comparison.json", highlight=False, soft_wrap=True)
