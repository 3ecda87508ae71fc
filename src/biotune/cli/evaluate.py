"""``evaluate``: scores of a run on labelled images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json, say
from biotune.runs.folder import require_no_work

if TYPE_CHECKING:
    from biotune.scored import ScoredRun

_LARGEST_MATRIX = 10
"""Classes of the largest confusion matrix that fits 80 columns."""
_SHOWN_MISTAKES = 10


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune evaluate runs/photos more-photos/ --out wrong/\n\n"
    "biotune evaluate runs/photos photos/ --split validation"
)
@opt.with_settings(opt.options_of("evaluate"))
def evaluate(
    given: opt.Given,
    run: opt.RunFolder,
    data: opt.Data,
    split: Annotated[
        str,
        typer.Option(
            "--split", help=r"train, validation, test or all \[default: test if DATA has such a part, else all]."
        ),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=r"Write answers.csv, confusion.csv and mistakes.png into this folder \[default: none].",
            callback=opt.user_paths,
        ),
    ] = None,
    vote: opt.Vote = None,
    quiet: opt.Quiet = False,
    json: opt.Json = False,
) -> None:
    """Score a run on labelled images or texts; classes are matched by name."""
    from biotune.scored import evaluate_run

    if folder is not None:
        require_no_work(folder)
    scored = evaluate_run(run, data, opt.to_config(given).data.root, split, vote)
    say(scored.results.note, quiet)
    if folder is not None:
        scored.write(folder)
        say(f"answers.csv, confusion.csv and, for images, mistakes.png are in '{folder}'.", quiet)
    if json:
        print_json(scored.results.to_json())
    else:
        _show(scored, data)


def _show(scored: "ScoredRun", data: str) -> None:
    from biotune.metrics import METRICS
    from biotune.report.run_tables import classes_table, confusion_table, groups_table, mistakes_table
    from biotune.wording import listed, plural

    scores = scored.results
    whose = "the run's own data" if scores.own else data
    part = "all" if scores.split == "all" else "the"
    kind = scores.kind if scores.split == "all" else f"{scores.split} {scores.kind}"
    values = [
        f"{METRICS[name].name} {METRICS[name].write(value, '%', digits=2)}" for name, value in scores.metrics.items()
    ]
    sentence = ", ".join(values)
    voted = f" by the vote of {plural(scores.networks, 'network')}" if scores.networks > 1 else ""
    low, high = (f"{100 * end:.1f}" for end in scores.interval)
    in_groups = f" of {plural(scores.groups.groups, 'group')}" if scores.groups else ""
    lines = [
        f"Scored {part} {plural(scores.images, kind)} of {whose}{voted}.",
        f"{sentence[0].upper()}{sentence[1:]}.",
        f"As far as {plural(scores.images, scores.kind)}{in_groups} can tell, the accuracy is {low} to {high} % "
        "(95 % interval).",
    ]
    if scores.seen:
        lines.append(
            f"The run learned from, or chose by, {scores.seen:,} of these {scores.kind}s, so the scores are optimistic."
        )
    if scores.aside:
        count = f"{plural(scores.aside, scores.kind)} of DATA"
        lines.append(f"Not scored: {count} that the run did not use either, as --test-images and the like said.")
    if scores.left_out:
        lines.append(f"Left out, since they cannot be read: {', '.join(scores.left_out)}.")
    if scores.confusions:
        pairs = [f"{pair.truth} taken for {pair.predicted} ({pair.images:,})" for pair in scores.confusions]
        lines.append(f"Most often confused: {listed(pairs, 5)}.")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    tables = [classes_table(scores.classes, scores.kind)]
    if scores.groups and scores.groups.worst:
        tables.append(groups_table(scores.groups, scores.kind))
    if len(scored.answered.classes) <= _LARGEST_MATRIX:
        tables.append(confusion_table(scored.answered, scores.kind))
    if mistakes := scored.mistakes(_SHOWN_MISTAKES):
        tables.append(mistakes_table(mistakes, len(scored.answered.mistakes)))
    for table in tables:
        out.print()
        out.print(table)
