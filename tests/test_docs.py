"""The documents say what is there: links, commands, names, keys, defaults and examples."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import biotune
import tiny
from benchmarks import commands
from biotune.cli.app import app
from biotune.settings.presets import PRESETS
from biotune.settings.resolve import resolve
from biotune.space.start import START
from docs import reference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")] + sorted(
    ROOT.glob("docs/*.md")
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
BENCHMARKS = "python -m benchmarks "
PROGRAMS = ("biotune ", BENCHMARKS)
PAGES_OF_RESULTS = reference.PAGES


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def links() -> Iterator[tuple[str, str]]:
    for page, text in TEXTS.items():
        shown = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", shown):
            if not target.startswith(("http:", "https:")):
                yield page, target


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_lines() -> Iterator[str]:
    for text in TEXTS.values():
        for block in fenced(text, "console"):
            whole = re.sub(r"\\\n\s*", "", block)  # continued lines
            yield from (line for line in whole.splitlines() if line.startswith(PROGRAMS))


def mentioned_commands() -> Iterator[str]:
    """Commands in running text, with placeholders."""
    for text in TEXTS.values():
        yield from re.findall(r"`((?:biotune|python -m benchmarks) [a-z][^`]*)`", text)


def command_of(line: str) -> tuple[Any, list[str]]:
    """Return the command that a line calls, of a group the one inside, and what is left of the words."""
    program, words = app, shlex.split(line.removeprefix(BENCHMARKS).removeprefix("biotune "))
    if line.startswith(BENCHMARKS) and not line.startswith(f"{BENCHMARKS}biotune "):
        program = commands.app
    command: Any = typer.main.get_command(program)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def table(page: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of all tables of a section whose first cell is code: that code -> the other cells."""
    section = TEXTS[page].split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if row.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in rows if re.fullmatch(r"`[^`]+`", row[0])}


def nodes(value: Any, path: str = "") -> set[str]:
    """Return every path of JSON data, lists as ``[]``."""
    found = {path} - {""}
    if isinstance(value, list):
        return found.union(*(nodes(item, f"{path}[]") for item in value if isinstance(item, dict)))
    if not isinstance(value, dict):
        return found
    return found.union(*(nodes(item, f"{path}.{key}" if path else key) for key, item in value.items()))


def containers(paths: set[str]) -> set[str]:
    return {path for path in paths if any(other.startswith((f"{path}.", f"{path}[]")) for other in paths)}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with an unreadable file, copies in several parts and the papers' extra figure."""

    images = tiny.write_classes(tmp_path_factory.mktemp("docs") / "images")
    (images / tiny.CLASSES[0] / "broken.png").write_text("no image")
    (images / tiny.CLASSES[0] / "copies").mkdir()
    for number in range(8):
        shutil.copy(images / tiny.CLASSES[0] / "000.png", images / tiny.CLASSES[0] / "copies" / f"{number}.png")
    folder = images.parent / "run"
    tiny.run(tiny.tiny_config(images, tiny.BRIEF, {"final": {"test_all": True}}), folder)
    return folder


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    file, _, anchor = target.partition("#")
    found = (ROOT / page).parent / file if file else ROOT / page

    assert found.exists()
    assert not anchor or anchor in anchors(found.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", list(TEXTS))
def test_a_named_file_exists(page: str) -> None:
    named = set(re.findall(r"`((?:src|tests|docs|benchmarks|examples)/[^`\s]+)`", TEXTS[page]))
    current = {file for file in named if "NAME" not in file and page != "CHANGELOG.md"}

    assert {file for file in current if not (ROOT / file).exists()} == set()


def test_the_architecture_names_every_folder_and_file_of_the_package() -> None:
    cells = re.findall(
        r"^\| (`.+?) \|", TEXTS["docs/architecture.md"].split("\n## Folders\n")[1].split("\n## ")[0], re.MULTILINE
    )
    named = {name.rstrip("/") for cell in cells for name in re.findall(r"`([^`]+)`", cell)} - {"training/prefix"}
    package = ROOT / "src" / "biotune"
    found = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert named == {name for name in found if not name.startswith("__")}


def test_the_import_order_is_the_one_that_is_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    section = TEXTS["docs/architecture.md"].split("\n## Import order\n")[1]

    assert fenced(section, "text")[0].splitlines() == [
        layer.replace("biotune.", "").replace(" : ", ", ") for layer in layers
    ]


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_a_shown_command_parses(line: str) -> None:
    command, arguments = command_of(line)

    assert command.make_context(command.name, arguments).params


@pytest.mark.parametrize("line", sorted(set(mentioned_commands())))
def test_a_mentioned_command_has_its_options(line: str) -> None:
    command, arguments = command_of(line)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}

    assert {argument for argument in arguments if argument.startswith("-")} <= known


@pytest.mark.parametrize("page", list(TEXTS))
def test_python_blocks_compile_and_import_what_there_is(page: str) -> None:
    trees = [ast.parse(block) for block in fenced(TEXTS[page], "python")]
    imported = {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "biotune"
        for alias in node.names
    }

    assert imported <= set(biotune.__all__)


@pytest.mark.parametrize("name", biotune.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    assert f"`biotune.{name}" in TEXTS["docs/index.md"]


@pytest.mark.parametrize("page", PAGES_OF_RESULTS)
def test_the_tables_of_results_are_made_from_the_types(page: str) -> None:
    """``python -m docs.reference`` writes them."""
    assert TEXTS[f"docs/{page}"] == reference.page(TEXTS[f"docs/{page}"])


def test_every_table_of_results_stands_on_a_page() -> None:
    shown = [name for page in PAGES_OF_RESULTS for name in re.findall(r"<!-- table: (\w+),", TEXTS[f"docs/{page}"])]

    assert sorted(shown) == sorted(reference.TABLES)


@pytest.mark.parametrize("file", reference.SCHEMAS)
def test_the_schemas_are_made_from_the_types(file: str) -> None:
    text = (ROOT / "docs" / "schemas" / file).read_text(encoding="utf-8")

    assert text == reference.schema(reference.SCHEMAS[file])


@pytest.mark.parametrize("file", ["summary.json", "history.json", "answers.json"])
def test_a_file_of_a_run_holds_what_its_type_holds_and_no_more(run_folder: Path, file: str) -> None:
    found = reference.SCHEMAS[file].read(run_folder / file)

    assert found.to_json() == json.loads((run_folder / file).read_text(encoding="utf-8"))


def test_every_key_of_a_recipe_is_documented(run_folder: Path) -> None:
    found = nodes(yaml.safe_load((run_folder / "recipe.yaml").read_text()))

    assert set(table("docs/summary.md", "recipe.yaml")) == (found - containers(found)) | {"blocks[].inert"}


@pytest.mark.parametrize(("column", "preset"), list(enumerate(PRESETS)))
def test_the_table_of_presets_has_their_sizes(column: int, preset: str) -> None:
    config = resolve(preset, {})
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", TEXTS["docs/method.md"], re.MULTILINE))
    cells = {name: rows[name].split(" | ")[column] for name in rows if rows[name].count(" | ") == 3}
    search = config.search

    assert cells["evaluations at most"] == str(search.evaluations)
    assert cells["`search.population` / `elites` / `generations`"] == (
        f"{search.population} / {search.elites} / {search.generations}"
    )
    assert cells["`training.epochs`"] == str(config.training.epochs)
    assert cells["`final.candidates`"] == str(config.final.candidates)


def test_the_start_of_a_search_with_values_is_that_of_the_code() -> None:
    named = {"head_start": "fitted", "statistics": "kept", "augment": "augmented"}
    rows = [
        [name, *(f"{rate:g}" if rate else "frozen" for rate in rates), ", ".join(named[value] for value in values)]
        for name, rates, values in START
    ]
    table_of_page = TEXTS["docs/method.md"].split("| recipe | first half |")[1].split("\n\n")[0].splitlines()[2:]

    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table_of_page] == rows


@pytest.mark.parametrize(
    ("example", "arguments", "expected"),
    [
        ("ask_tell.py", [], "torch was loaded: False"),
        ("own_training_loop.py", [], "batch-norm statistics included; unchanged: True"),
        ("python_api.py", ["run"], "test accuracy of the exported network"),
    ],
)
def test_an_example_runs(tmp_path: Path, example: str, arguments: list[str], expected: str) -> None:
    command = [sys.executable, str(ROOT / "examples" / example), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BIOTUNE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
