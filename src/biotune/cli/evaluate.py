"""``evaluate``: scores of a run on labelled images."""

from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json, say


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune evaluate runs/photos more-photos/\n\n"
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
            "--split", help="train, validation, test or all; the default is test if DATA has such a part, else all."
        ),
    ] = "",
    json: opt.Json = False,
) -> None:
    """Score a run on labelled images; classes are matched by name."""
    from biotune.predict import evaluate_run

    scores = evaluate_run(run, data, opt.to_config(given).data.root, split)
    say(scores["note"])
    if json:
        print_json(scores)
        return
    whose = "of the run's own data" if scores["seen"] is not None else f"of {data}"
    part = "all images" if scores["split"] == "all" else f"the {scores['split']} images"
    lines = [
        f"Scored {part} {whose}: {scores['images']}.",
        f"Accuracy {scores['accuracy']:.2%}, mean per-class recall {scores['macro_accuracy']:.2%}.",
    ]
    if scores["seen"]:
        lines.append(f"The run learnt from or chose by {scores['seen']} of these images: the scores are too good.")
    if scores["left_out"]:
        lines.append(f"Left out, since they cannot be read: {', '.join(scores['left_out'])}.")
    lines += [f"  {recall:7.2%}  {name}" for name, recall in scores["per_class"].items()]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
