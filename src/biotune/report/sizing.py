"""What the probe found before a run, as lines for the terminal."""

from biotune import wording
from biotune.results.sizing import Sizing, TriedSize


def sizing_lines(sizing: Sizing) -> str:
    """Return a sentence on the choice and a small table below it, at most 80 columns wide unless names are long."""
    several = len({row.model for row in sizing.tried}) > 1
    what = f"{sizing.model} at {sizing.image_size} pixels" if several else f"Input size: {sizing.image_size} pixels"
    by = f"chosen by the probe on {wording.plural(sizing.images, 'training and validation image')}"
    if not sizing.images:
        return f"{what}; the images are too few for the probe to say anything."
    width = max(len(row.model) for row in sizing.tried) + 2 if several else 0
    head = f"{'':2}{'network' if several else '':<{width}}size  accuracy  log-loss  one full fine-tune"
    return "\n".join([f"{what}, {by}.", head, *(_line(row, sizing, width) for row in sizing.tried)])


def _line(row: TriedSize, sizing: Sizing, width: int) -> str:
    chosen = (row.model, row.image_size) == (sizing.model, sizing.image_size)
    loss = wording.MISSING if row.log_loss is None else f"{row.log_loss:.3f}"
    name = row.model if width else ""
    seconds = f"about {wording.short_duration(row.full_finetune_seconds)}"
    return (
        f"{'*' if chosen else '':2}{name:<{width}}{row.image_size:>4}  {wording.percent(row.accuracy):>8}  {loss:>8}  "
        f"{seconds:>18}"
    )
