"""Paths and files that users give: whatever they hold ends in one sentence, quickly and in little memory."""

import os
import resource
import subprocess
import sys

import pytest

from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.settings.resolve import load_config
from biotune.user_files import LARGEST_TEXT, parse_toml, parse_yaml, read_text, user_path

READERS = {"recipe": Recipe.load, "settings": load_config}


@pytest.fixture(params=READERS)
def reader(request):
    return READERS[request.param]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing", "large", "binary", "too long"])
def test_what_is_no_text_of_bounded_size_is_refused(kind, reader, tmp_path):
    path = tmp_path / "given"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        (path / "recipe.yaml").mkdir(parents=True)
    elif kind == "large":
        path.write_text("#" * (LARGEST_TEXT + 1))
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\x00a")
    elif kind == "too long":
        path = tmp_path / ("a" * 5000)
    with pytest.raises(InputError) as caught:
        reader(path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path)[:20] in str(caught.value)


ODD_YAML = {
    "deep": "[" * 50_000,
    "deep block": "".join("  " * depth + "a:\n" for depth in range(400)),
    "digits": "a: " + "1" * 5000,
    "date": "a: 2026-13-45",
    "time": "a: 2026-01-01 99:99:99",
    "whole number": "a: !!int ''",
    "number": "a: !!float x",
    "time without one": "a: !!timestamp x",
    "bytes": "a: !!binary é",
    "alias": "a: &x [1]\nb: *x",
    "bomb": "a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]",
    "odd key": "? [a]\n: b",
    "control": "a: \x01",
    "object": "!!python/object/apply:os.system ['true']",
    "two documents": "a: 1\n---\nb: 2",
}


@pytest.mark.parametrize("text", ODD_YAML.values(), ids=ODD_YAML)
def test_odd_yaml_is_refused_in_a_sentence(text):
    with pytest.raises(InputError, match=r"^'x' is not YAML") as caught:
        parse_yaml(text, "'x'")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


ODD_TOML = {
    "deep array": "a = " + "[" * 50_000,
    "deep table": "a = " + "{a = " * 5000,
    "deep key": ".".join(["a"] * 20_000) + " = 1",
    "deep header": "[" + ".".join(["'a b'"] * 20_000) + "]",
    "deep key with blanks": " . ".join(['"a"'] * 20_000) + " = 1",
    "digits": "a = " + "1" * 5000,
    "date": "a = 2026-13-45",
    "twice": "a = 1\na = 2",
}


@pytest.mark.parametrize("text", ODD_TOML.values(), ids=ODD_TOML)
def test_odd_toml_is_refused_in_a_sentence(text):
    with pytest.raises(InputError, match=r"^'x' is not TOML") as caught:
        parse_toml(text, "'x'")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    ["seed = " + "9" * 60, "search = 3", "method = 'x'", "resolved = 3", "[search]\noptions = 3", "training = [1]"],
)
def test_settings_of_another_kind_are_refused(text, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match="cannot be used"):
        load_config(tmp_path / "config.toml")


@pytest.mark.parametrize("text", ["", "3", "[]", "biotune_recipe: .nan", "biotune_recipe: {}"])
def test_yaml_that_is_no_recipe_is_refused(text, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        Recipe.load(tmp_path / "recipe.yaml")


def test_long_words_are_searched_in_linear_time():
    assert parse_toml(f"a = '{'b' * 900_000}'", "'x'") == {"a": "b" * 900_000}
    assert parse_toml("a = '" + "c d." * 200_000 + "'", "'x'")["a"].startswith("c d.")


def test_a_deep_key_takes_little_memory():
    code = f"import sys; sys.path[:0] = {sys.path!r}; from biotune.user_files import parse_toml\n"
    code += "try: parse_toml('.'.join(['a'] * 20_000) + ' = 1', 'x')\nexcept ValueError: print('refused')"
    limit = 500 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.stdout == "refused\n"


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbfseed = 3\n")
    assert load_config(tmp_path / "config.toml")[0].seed == 3
    assert read_text(tmp_path / "config.toml", "the settings") == "seed = 3\n"


def test_the_home_folder_is_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs/x") == tmp_path / "runs" / "x"
    assert user_path("here/~") == user_path("./here/~")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "the path is empty"),
        ("a\0b", "holds a zero byte"),
        ("a" * 300, "cannot be used: File name too long"),
        ("a/" * 3000, "cannot be used: File name too long"),
        ("~nobody-of-this-name/x", "begins with '~'"),
    ],
)
def test_what_cannot_be_a_path_is_refused(given, words):
    with pytest.raises(InputError, match=words) as caught:
        user_path(given)
    assert len(str(caught.value)) < 250
