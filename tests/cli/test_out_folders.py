"""Where ``check``, ``evaluate`` and ``explain`` write: not into the folder of a run or a comparison."""

import shutil

import pytest

import biotune
from biotune.errors import InputError


@pytest.fixture(params=["check", "evaluate", "explain"])
def write(request, cli, finished, images, tmp_path):
    """Let a command write into ``tmp_path``."""
    data = images / "red" / "000.png" if request.param == "explain" else images
    run = () if request.param == "check" else (finished.folder,)
    return lambda: cli(request.param, *run, data, "--out", tmp_path)


@pytest.mark.parametrize("mark", ["run.sqlite", ".owner.json", "plan.json"])
def test_a_folder_of_a_run_or_a_comparison_is_refused(write, mark, tmp_path):
    (tmp_path / mark).touch()
    ended = write()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"biotune: '{tmp_path}' holds a run or a comparison of biotune, whose files must stay as they are; choose "
        "another folder with --out.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == [mark]


def test_a_folder_of_the_same_command_is_written_again(write):
    assert [write().code for _ in range(2)] == [0, 0]


def test_from_python_a_copy_of_the_results_of_a_run_is_refused(finished, images, tmp_path):
    for name in ("config.toml", "recipe.yaml", "answers.csv"):
        shutil.copy(finished.folder / name, tmp_path)
    with pytest.raises(InputError, match="holds a run or a comparison of biotune"):
        biotune.evaluate(finished.folder, images).write(tmp_path)
    assert (tmp_path / "answers.csv").read_bytes() == (finished.folder / "answers.csv").read_bytes()
