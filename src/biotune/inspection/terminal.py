"""What ``biotune check`` prints for people: the findings of a data set as tables and sentences, 80 columns wide."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.inspection.findings import UNASSIGNED, Copies, Findings, Unreadable
from biotune.report.tables import plain_table

_ROWS = 12
_NAMES = 3
_BAR = 20


def findings_tables(findings: Findings) -> Iterator[RenderableType]:
    """Yield what to print, in 80 columns, most important first and the closing sentence last."""
    bad = len(findings.quarantined)
    yield Text(
        f"{wording.label(findings.name, 50)}: {wording.plural(findings.images, 'image')} of "
        f"{wording.plural(len(findings.classes), 'class', 'classes')}"
        + (f", {bad:,} more that cannot be read" if bad else ""),
        style="bold",
    )
    if findings.warnings:
        yield Text()
    for number, warning in enumerate(findings.warnings, 1):
        yield Text.assemble((f"{number}. ", "yellow"), wording.printable(warning))
    for title, items in _copies(findings):
        yield from (Text(), _copies_table(title, items))
    if bad:
        yield from (Text(), _quarantine_table(findings.quarantined))
    yield from (Text(), _classes_table(findings), Text(), _facts_table(findings), Text())
    yield Text(findings.conclusion, style="yellow" if findings.warnings else "green")


def _copies(findings: Findings) -> Iterator[tuple[str, list[Copies]]]:
    """Yield every group of copies once, under the gravest title that it deserves."""
    shown: set[str] = set()
    for title, groups in (
        ("The same picture in several splits", findings.leaks),
        ("The same picture in several classes", findings.label_conflicts),
        ("Other copies", findings.duplicates),
    ):
        items = [item for item in groups if item.paths[0] not in shown]
        shown.update(item.paths[0] for item in items)
        if items:
            yield title, items


def _copies_table(title: str, items: Sequence[Copies]) -> Table:
    table = _titled(f"{title}: {len(items):,}")
    table.add_column("Copies", no_wrap=True)
    table.add_column("Files", overflow="fold", ratio=1)
    table.add_column("Split, class", overflow="fold", max_width=26)
    for item in items[:_ROWS]:
        places = [
            " ".join([*([split] if split != UNASSIGNED else []), wording.label(name)])
            for split, name in zip(item.splits, item.classes, strict=True)
        ]
        for number, (path, place) in enumerate(zip(item.paths[:_NAMES], places, strict=False)):
            head = "" if number else f"{len(item.paths)} {item.kind}"
            table.add_row(head, Text(wording.label(path, 200)), Text(wording.label(place, 200)))
        if len(places) > _NAMES:
            table.add_row("", Text(f"and {len(places) - _NAMES:,} more"))
    return _with_rest(table, len(items))


def _quarantine_table(items: Sequence[Unreadable]) -> Table:
    table = _titled(f"Cannot be read: {len(items):,}")
    table.add_column("File", overflow="fold", ratio=1)
    table.add_column("Why", overflow="fold", max_width=42)
    for item in items[:_ROWS]:
        table.add_row(Text(wording.label(item.path, 200)), Text(wording.printable(item.reason, 200)))
    return _with_rest(table, len(items))


def _classes_table(findings: Findings) -> Table:
    """Return the largest classes, and the smallest: those in between are left out where there are many."""
    counts, splits = findings.classes, findings.splits
    table = plain_table("")
    table.add_column("Class", overflow="fold", max_width=32)
    table.add_column("Images", justify="right", no_wrap=True)
    for split in splits if list(splits) != [UNASSIGNED] else ():
        table.add_column(split.capitalize(), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    order = sorted(counts, key=lambda name: -counts[name])
    shown = order if len(order) <= _ROWS + 2 else [*order[: _ROWS - 4], None, *order[-4:]]
    largest = max(1, *counts.values())
    for name in shown:
        if name is None:
            table.add_row(Text(f"... {len(order) - _ROWS:,} classes between ...", style="dim"))
            continue
        cells = [f"{part.classes[name]:,}" for split, part in splits.items() if split != UNASSIGNED or len(splits) > 1]
        bar = "█" * round(_BAR * counts[name] / largest)
        table.add_row(Text(wording.label(name, 60)), f"{counts[name]:,}", *cells, Text(bar, style="blue"))
    return table


def _facts_table(findings: Findings) -> Table:
    table = plain_table("")
    table.show_header = False
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    if sizes := findings.sizes:
        for name, values in (("Width", sizes.width), ("Height", sizes.height)):
            table.add_row(name, f"{values.min:.0f} to {values.max:.0f} pixels, median {values.median:.0f}")
        ratio = sizes.aspect_ratio
        table.add_row("Width : height", f"{ratio.min:.2f} to {ratio.max:.2f}, median {ratio.median:.2f}")
    for title, counts in (
        ("Formats", findings.formats),
        ("Stored as", findings.modes),
        ("Done to pixels", findings.notes),
    ):
        if counts:
            table.add_row(title, Text(", ".join(f"{wording.label(key, 60)}: {n:,}" for key, n in counts.items())))
    for number, sentence in enumerate(findings.ignored):
        table.add_row("" if number else "Ignored", Text(wording.printable(sentence.removeprefix("Ignored "), 200)))
    return table


def _titled(title: str) -> Table:
    table = plain_table("")
    table.title = title
    table.expand = True
    return table


def _with_rest(table: Table, count: int) -> Table:
    if count > _ROWS:
        table.caption = Text(f"and {count - _ROWS:,} more: see --json or --out", style="dim")
    return table
