"""Tables for the terminal (rich renderables): their style, and the blocks of a network."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.partition import Block

VERDICT_STYLES = {"better": "bold green", "tie": "yellow", "worse": "bold red"}


def blocks_table(model: str, blocks: Sequence[Block]) -> Table:
    """Return the partition of a network under its name: each block's modules, parameters and share."""
    total = sum(block.num_parameters for block in blocks)
    inert = any(block.inert for block in blocks)
    table = plain_table("inert: not reached by the training loss" if inert else "")
    table.title = Text(f"{wording.label(model, 44)}: {len(blocks)} blocks, {wording.parameters(total)} parameters")
    table.min_width = len(table.title)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Block", overflow="fold")
    table.add_column("Modules", overflow="fold", ratio=1)
    table.add_column("Parameters", justify="right", no_wrap=True)
    table.add_column("Share", justify="right", no_wrap=True)
    for index, block in enumerate(blocks):
        name = wording.label(block.name, 40) + (" (inert)" if block.inert else "")
        table.add_row(
            str(index),
            Text(name),
            Text(_prefixes(block.prefixes)),
            Text(wording.parameters(block.num_parameters)),
            Text(wording.share(block.num_parameters / (total or 1))),
        )
    return table


def plain_table(caption: str) -> Table:
    """Return an empty table in the style of all tables, with a caption below it."""
    return Table(
        box=box.SIMPLE_HEAD, caption=Text(caption, style="dim"), caption_justify="left",
        title_justify="left", title_style="bold", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip


def wide_table(caption: str) -> Table:
    """Return an empty table in the same style that is at least as wide as the lines of its caption."""
    table = plain_table(caption)
    table.min_width = min(80, max(map(len, caption.splitlines())))
    return table


def _prefixes(prefixes: Sequence[str], shown: int = 6) -> str:
    return wording.listed([wording.label(prefix, 60) for prefix in prefixes], shown)
