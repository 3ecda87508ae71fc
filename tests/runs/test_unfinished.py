"""The model of an unfinished run: old or new at every moment, never parts of both."""

import pathlib
from pathlib import Path

import pytest

from biotune.errors import DamagedStateError
from biotune.runs.unfinished import Unfinished, about_model, digest, read_model, replace_model, settle

MODELS = {"old": b"old weights", "new": b"new weights"}
LAST_MOMENT = 12


class Killed(BaseException):
    """The process died here."""


def about(name: str) -> Unfinished:
    return Unfinished(f"the {name} one", 0.5, digest(MODELS[name]), f"recipe: {name}\n", ["a", "b"], {"size": 8}, "d")


def put(folder: Path, name: str) -> None:
    replace_model(folder, MODELS[name], about(name))


def lying(folder: Path) -> tuple[bytes | None, str | None]:
    """Return what a user finds under the two names."""
    model, recipe = folder / "model.safetensors", folder / "recipe.yaml"
    return model.read_bytes() if model.exists() else None, recipe.read_text() if recipe.exists() else None


@pytest.fixture
def die_at(monkeypatch):
    """Die at the n-th moment before or after a file is moved or removed; ``die_at(0)`` never does."""

    def prepare(number: int) -> None:
        left = number

        def tick() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        def around(change):
            def dying(path, *arguments, **options):
                tick()
                result = change(path, *arguments, **options)
                tick()
                return result

            return dying

        monkeypatch.setattr(pathlib.Path, "replace", around(pathlib.Path.replace))
        monkeypatch.setattr(pathlib.Path, "unlink", around(pathlib.Path.unlink))

    with monkeypatch.context():
        yield prepare


@pytest.mark.parametrize("before", ["old", None])
@pytest.mark.parametrize("moment", range(1, LAST_MOMENT + 1))
def test_killed_at_any_moment_it_is_the_old_or_the_new_one(before, moment, die_at, tmp_path, monkeypatch):
    if before:
        put(tmp_path, before)
    die_at(moment)
    with pytest.raises(Killed):
        put(tmp_path, "new")
    monkeypatch.undo()

    found = read_model(tmp_path)
    assert found in [(about("new"), MODELS["new"]), (about("old"), MODELS["old"]) if before else None]
    model, recipe = lying(tmp_path)
    assert model is None or recipe in (None, f"recipe: {model.decode().split()[0]}\n")
    settle(tmp_path)
    if found is not None:
        assert lying(tmp_path) == (found[1], found[0].recipe)
        assert (tmp_path / "labels.json").exists()
    assert read_model(tmp_path) == found


def test_the_moments_above_are_all(die_at, tmp_path):
    """Five files are put in their place; the recipe and what lay beside the model are removed."""
    put(tmp_path, "old")
    die_at(2 * 6 + 2 * 2 + 1)
    put(tmp_path, "new")
    with pytest.raises(Killed):
        settle(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"model.safetensors", "recipe.yaml", "labels.json", "preprocessing.json", "unfinished.json"}
    assert "model.next.safetensors" not in names


def test_without_a_model_there_is_nothing(tmp_path):
    settle(tmp_path)
    assert (about_model(tmp_path), read_model(tmp_path), list(tmp_path.iterdir())) == (None, None, [])


def test_the_sentence_says_which_one():
    assert about("old").sentence(Path("runs/a")) == (
        "The run in 'runs/a' is not finished; its best model so far is the old one "
        "(fitness 0.5000 on the validation images)."
    )


@pytest.mark.parametrize("damage", ["cut", "flip", "missing"])
def test_other_weights_are_refused(damage, tmp_path):
    put(tmp_path, "old")
    path = tmp_path / "model.safetensors"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"old weight" if damage == "cut" else b"olt weights")
    with pytest.raises(DamagedStateError, match=r"model\.safetensors' is missing or damaged; continue the run"):
        read_model(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"what": "x"}'])
def test_a_damaged_description_is_refused(text, tmp_path):
    (tmp_path / "unfinished.json").write_text(text)
    with pytest.raises(DamagedStateError, match=r"unfinished\.json' is damaged"):
        about_model(tmp_path)
