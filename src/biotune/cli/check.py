"""``check``: inspects a data set before anything is learned from it."""

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err, out, print_json, say
from biotune.errors import InputError
from biotune.runs.events import Progress
from biotune.runs.files import make_output_folder, write_atomic
from biotune.runs.folder import require_no_work
from biotune.wording import csv_cell

if TYPE_CHECKING:
    from biotune.inspection.findings import Findings
    from biotune.progress import Display


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune check photos/\n\n"
    "biotune check labels.csv --contact-sheet sheet.png\n\n"
    "biotune check photos/ --groups near-copies --write groups.csv\n\nbiotune check photos/ --json --strict"
)
@opt.with_settings(opt.options_of("check"))
def check(
    given: opt.Given,
    data: opt.Data,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--contact-sheet",
            help=r"Draw some images of each class, copies and outliers \[default: none].",
            callback=opt.user_paths,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=r"Write contact-sheet.png, quarantine.csv and duplicates.csv into this folder \[default: none].",
            callback=opt.user_paths,
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            help=r"Write the group of each image into this CSV file \[default: none].",
            callback=opt.user_paths,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help=r"Exit code 2 if there is anything to look at \[default: false].")
    ] = False,
    quiet: opt.Quiet = False,
    json: opt.Json = False,
) -> None:
    """Read every image once: counts, sizes, copies, leaks between splits, files that cannot be read."""
    from biotune.datasets.sources import open_source
    from biotune.inspection.conclusions import conclude
    from biotune.inspection.groups import count_groups, groups_of
    from biotune.inspection.inspection import inspect
    from biotune.inspection.sheet import inspection_sheet
    from biotune.inspection.terminal import findings_tables
    from biotune.progress import Display

    sheets = [path for path in (sheet, folder and folder / "contact-sheet.png") if path is not None]
    _require_paths(sheet, write)
    if folder is not None:
        require_no_work(folder)
    config = opt.to_config(given).data
    image_set = open_source(data, config.root)
    if not len(image_set):
        raise InputError(f"'{data}' has no labelled image; there is nothing to check.")
    with Display(err, verbose=False if quiet else None) as display:
        inspection = inspect(image_set, _Reading(display))
    is_joined = config.groups == "near-copies"
    groups = groups_of(image_set, inspection.duplicates if is_joined else ())
    if is_joined:
        inspection = replace(inspection, image_set=replace(image_set, groups=groups))
    if is_joined or write is not None:
        say(count_groups(groups).sentence(len(groups)), quiet)
    if write is not None:
        write_atomic(write, _table(("path", "group"), list(zip(image_set.ids, groups, strict=True))))
    findings = conclude(inspection)
    if folder is not None:
        make_output_folder(folder)
        write_atomic(folder / "quarantine.csv", _quarantine_csv(findings))
        write_atomic(folder / "duplicates.csv", _duplicates_csv(findings))
    if sheets:
        buffer = io.BytesIO()
        inspection_sheet(inspection, findings).save(buffer, "PNG")
        for path in sheets:
            write_atomic(path, buffer.getvalue())
    if json:
        print_json(findings.to_json())
    else:
        for part in findings_tables(findings):
            out.print(part, highlight=False)
    if strict and findings.warnings:
        raise InputError(f"{findings.name}: {findings.conclusion}")


class _Reading:
    """Turns counts of images into events with the time left."""

    def __init__(self, display: "Display") -> None:
        self._display = display
        self._start = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        spent = time.monotonic() - self._start
        left = spent / done * (total - done) if spent > 1 else None
        self._display(Progress("reading images", done, total, seconds_left=left))
        if done == total:
            self._display(Progress("looking for copies", done, total))


def _require_paths(sheet: Path | None, groups: Path | None) -> None:
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise InputError(f"the contact sheet '{sheet}' is a PNG file; give a name that ends in .png.")
    for path, what in ((sheet, "the contact sheet"), (groups, "the groups")):
        if path is not None and not path.parent.is_dir():
            raise InputError(f"there is no folder '{path.parent}' for {what}; make it or give another name.")


def _quarantine_csv(findings: "Findings") -> str:
    return _table(("path", "reason"), [(item.path, item.reason) for item in findings.quarantined])


def _duplicates_csv(findings: "Findings") -> str:
    rows = [
        (str(number), item.kind, path, split, name)
        for number, item in enumerate(findings.duplicates, 1)
        for path, split, name in zip(item.paths, item.splits, item.classes, strict=True)
    ]
    return _table(("copies", "kind", "path", "split", "class"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([header, *([csv_cell(cell) for cell in row] for row in rows)])
    return buffer.getvalue()
