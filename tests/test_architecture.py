"""Ratchets: sizes of modules and functions, no open ends, and what is imported when."""

import ast
import subprocess
import sys
import tokenize
import types
import warnings
from pathlib import Path

import pytest

import biotune

SOURCE = Path(biotune.__file__).parent
ROOT = Path(__file__).parent.parent
MODULES = sorted([*SOURCE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), ROOT / "docs" / "reference.py"])
LARGEST_MODULE, LARGEST_FUNCTION, MOST_ROOT_NAMES = 400, 60, 25
LIGHT = (
    "search",
    "space",
    "partition",
    "records",
    "recipe",
    "runs.store",
    "runs.status",
    "statistics",
    "metrics",
    "results",
    "report.run_page",
    "report.comparison_page",
)
HEAVY = ("torch", "torchvision", "timm", "sklearn", "matplotlib", "PIL", "pandas", "huggingface_hub")


def code_lines(path: Path) -> set[int]:
    """Return the lines that hold code: no comments, no blank lines."""
    dull = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with path.open("rb") as stream:
        tokens = [token for token in tokenize.tokenize(stream.readline) if token.type not in dull]
    return {line for token in tokens[1:] for line in range(token.start[0], token.end[0] + 1)}


def function_sizes(path: Path) -> dict[str, int]:
    """Return the lines of code of every function, its signature, decorators and docstring left out."""
    lines = code_lines(path)
    sizes = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if body else node.end_lineno
            sizes[node.name] = len(lines & set(range(first, node.end_lineno + 1)))
    return sizes


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_stays_readable(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LARGEST_MODULE
    assert {name: size for name, size in function_sizes(path).items() if size > LARGEST_FUNCTION} == {}
    assert not [word for word in ("TODO", "FIXME", "XXX", "breakpoint(", "pickle.load(") if word in text]
    assert ast.get_docstring(ast.parse(text)), "every module says what it decides"


def loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    """Return which modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sorted({set(names)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_root_import_is_light():
    assert loaded_by("import biotune; dir(biotune)", (*HEAVY, "numpy", "pydantic", "rich", "typer")) == []


@pytest.mark.parametrize("module", [*LIGHT, "settings.resolve", "runs.folder", "executors"])
def test_what_needs_no_torch_loads_none(module):
    assert loaded_by(f"import biotune.{module}", ("torch", "torchvision", "timm")) == []


def test_the_command_line_answers_without_torch():
    assert loaded_by("import biotune.cli", HEAVY) == []


@pytest.mark.parametrize("given", [None, "7"])
def test_waiting_threads_spin_briefly_unless_the_user_says_otherwise(given, monkeypatch):
    """Set when biotune is imported: a program that imports it before torch is as quick as the command line."""
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if given is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", given)
    code = "import biotune, os; print(os.environ['GOMP_SPINCOUNT'])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == (given or "10000")


def test_a_notebook_without_widgets_is_not_told_of_them(monkeypatch):
    def load(module):
        warnings.warn("IProgress not found. Please update jupyter and ipywidgets.", UserWarning, stacklevel=1)
        return types.SimpleNamespace(tune=module)

    monkeypatch.setattr(biotune, "import_module", load)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert biotune.tune == "biotune.api"
    assert caught == []


def test_few_names_at_the_root():
    assert len(biotune.__all__) <= MOST_ROOT_NAMES
    assert sorted(biotune.__all__) == dir(biotune)


@pytest.mark.parametrize("name", biotune.__all__)
def test_every_public_name_resolves(name):
    assert getattr(biotune, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'biotune' has no attribute 'Evoluton'"):
        biotune.Evoluton  # noqa: B018


def test_types_are_shipped():
    assert (SOURCE / "py.typed").exists()


def test_test_files_have_names_of_their_own():
    """Test folders are no packages: two files of one name would hide each other."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py")]
    assert sorted(set(names) - {"conftest.py"}) == sorted(name for name in names if name != "conftest.py")
