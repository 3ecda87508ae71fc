"""Names that act as markup, through real commands to every page, drawing, table and line that they write."""

import csv
import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import tomli_w
from markdown_it import MarkdownIt

import browser
import tiny
from biotune.runs.folder import REPORT
from biotune.serving import served
from forked import die_at_write
from torture.promise import Case, Promise, Scene, misbehaved

EVIL = "http://evil.example"
NAMES = (
    "</script><script>alert(1)</script>",
    "<script>console.log(1)</script>",
    f"<script src={EVIL}/x.js></script>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    f"<img src={EVIL}/x.png>",
    f'" style="background:url({EVIL}/x.png)',
    "' onmouseover='alert(1)' autofocus onfocus='alert(1)",
    "--><svg onload=alert(1)>",
    "]]><svg onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</textarea></pre></code><script>alert(1)</script>",
    "</text></svg><script>alert(1)</script>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><foreignObject><iframe src=javascript:alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>",
    f'<meta http-equiv=refresh content="0;url={EVIL}">',
    f"<base href={EVIL}/>",
    f"<link rel=stylesheet href={EVIL}/x.css>",
    f"<iframe src={EVIL}></iframe>",
    f"<form action={EVIL}><button autofocus>go",
    f"<style>@import '{EVIL}/x.css';</style>",
    "<style>*{display:none}</style>",
    "javascript:alert(1)",
    f"[link]({EVIL})",
    "[link](javascript:alert(1))",
    f"![image]({EVIL}/x.png)",
    f"<{EVIL}>",
    "| a | b |",
    "`code` **bold** ~~gone~~ # title",
    "---",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "{{ 7 * 7 }}{% raw %}{{ config }}",
    "${alert(1)}`${alert(1)}`",
    "%s%n%d{0}{name}",
    r"$\frac{$",
    r"\input{x}$\alpha_",
    "[bold red]markup[/][link=http://evil.example]x[/link]",
    "\u202egnp.exe\u202c",
    "\u2066left\u2069\u200fright\u200e",
    "a\u200bb\ufeffc\u00add",
    "\u0410\u0430 homoglyph",
    "e\u0301\u0301\u0301\u0301\u0301 marks",
    "猫と犬 🦊 👩‍👩‍👧",
    "مرحبا",
    '=HYPERLINK("http://evil.example","x")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "a,b;c\td",
    'quote " and \' and ""',
    "C:\\temp\\x",
    "CON",
    "x" * 180,
)
"""Texts that a page, a drawing, a card, a table or a terminal would act on if it took them for its own."""

AT_ONCE = 12
"""Names of one run: as many classes."""
_FORMULA = re.compile(r"[=+@\t\r-]")
_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclasses.dataclass(frozen=True)
class Named:
    """A data set whose every name is one of some names.

    Args:
        table: its table.
        marks: a word of each class name, which nothing else holds.
        settings: a small run.
    """

    table: Path
    marks: Sequence[str]
    settings: Path


def _named(root: Path, names: Sequence[str]) -> Named:
    """Write a data set: class names, files, groups, its folder and the settings file have these names."""
    folder = root / f"{_as_file(names[0])} set"
    rows = [["path", "label", "group"]]
    marks = [f"zq{number:02}" for number in range(len(names))]
    for number, (name, mark) in enumerate(zip(names, marks, strict=True)):
        for image in range(8):
            path = f"{_as_file(name)} {mark} {image}.png"
            tiny.write_image(folder / path, 100 * number + image, number % 3)
            rows.append([path, f"{name} {mark}", f"{name} {mark} {image}"])
    table = folder / f"{_as_file(names[-1])}.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    settings = folder / "tiny.toml"
    changes = {"search": tiny.BRIEF["search"], "final": {"seeds": 1, "candidates": 1, "baselines": ["probe"]}}
    settings.write_text(tomli_w.dumps({**tiny.TINY, **{k: {**tiny.TINY[k], **part} for k, part in changes.items()}}))
    return Named(table, marks, settings)


def _as_file(name: str) -> str:
    return name.replace("/", "\u2215")[:60]


def injected(scene: Scene, count: int) -> Iterator[Case]:
    """Let every command meet ``count`` names, and look at all that it writes."""
    if browser.PROGRAM is None:
        return
    with browser.Browser() as window:
        for first in range(0, min(count, len(NAMES)), AT_ONCE):
            names = NAMES[first : min(first + AT_ONCE, count)]
            yield from _with_names(scene, window, _named(scene.fresh(), names))


def _with_names(scene: Scene, window: browser.Browser, data: Named) -> Iterator[Case]:
    """Yield a case for each command, and for each page, drawing and table that it wrote."""
    root = data.table.parent.parent / f"{_as_file(data.table.stem)} out"
    run, compared, common = root / "run", root / "compared", ("--config", data.settings)
    methods = ("--methods", "full,probe", "--no-tuned", "--seeds", 1)
    commands: tuple[tuple[object, ...], ...] = (
        ("tune", data.table, *common, "--out", run),
        ("compare", data.table, *methods, *common, "--out", compared),
        ("check", data.table, "--out", root / "checked"),
        ("evaluate", run, data.table, "--out", root / "scored"),
        ("predict", run, *sorted(data.table.parent.glob("*.png"))),
        ("explain", run, data.table.parent, "--out", root / "explained"),
        ("export", run, "--format", "hub", "--out", root / "exported"),
        ("status", run),
        ("blocks", tiny.NETWORK),
    )
    for command in commands:
        ended = scene.call(*command)
        acting = _ACTING.search(ended.err if command[0] in ("predict", "explain") else ended.out + ended.err)
        fault = misbehaved(ended, (0,)) or (f"it prints {acting[0]!r}" if acting else "")
        yield Case(f"{command[0]} with {data.table.name}", fault)
        if command[0] == "predict":
            (root / "predicted.csv").write_text(ended.out, encoding="utf-8")
    card = root / "exported" / "README.md"
    if card.exists():
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(card.read_text(encoding="utf-8"))
        (root / "card.htm").write_text(f"<!doctype html><meta charset=utf-8>{page}", encoding="utf-8")
    yield from _pages(window, root, data.marks)
    yield from _tables(root)
    stopped = root / "stopped"
    scene.call(*commands[0][:-1], stopped, prepare=functools.partial(die_at_write, 25))
    with served(stopped) as url:
        yield Case(f"the live page in {root}", "; ".join(window.visit(url).did))


def _pages(window: browser.Browser, root: Path, marks: Sequence[str]) -> Iterator[Case]:
    """Look at every page and every drawing, as they are and without their policy."""
    paths = sorted(path for path in root.rglob("*") if path.suffix in (".html", ".svg", ".htm"))
    for path, bare in itertools.product(paths, (False, True)):
        seen = window.open(path, bare)
        lost = [mark for mark in marks if mark not in seen.source] if path.name == REPORT else []
        fault = "; ".join(seen.did) or (f"classes are not shown: {lost}" if lost else "")
        yield Case(f"{path.relative_to(root)}{' without its policy' if bare else ''} in {root}", fault)


def _tables(root: Path) -> Iterator[Case]:
    """Look for cells that a spreadsheet would compute."""
    for path in sorted(path for path in root.rglob("*.csv") if path.is_file()):
        with path.open(encoding="utf-8", newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        formulas = [cell for cell in cells if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)]
        yield Case(f"{path.relative_to(root)} in {root}", f"formulas: {formulas[:3]}" if formulas else "")


PROMISES = (
    Promise("a name that acts as markup: no page, drawing, card, table or terminal obeys it", injected, "names"),
)
