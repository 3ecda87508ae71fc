"""``--quiet`` means the same everywhere: the result and errors alone."""

import pytest


@pytest.mark.parametrize(
    "command",
    [
        ["check", "{images}"],
        ["check", "{images}", "--groups", "near-copies"],
        ["predict", "{run}", "{images}/red/000.png", "--threshold", 1],
        ["evaluate", "{run}", "{images}", "--out", "{out}"],
        ["explain", "{run}", "{images}/red/000.png", "--out", "{out}"],
    ],
)
def test_quiet_is_the_result_alone(command, finished, images, tmp_path, cli):
    places = {"run": finished.folder, "images": images, "out": tmp_path / "out"}
    words = [word.format(**places) if isinstance(word, str) else word for word in command]
    plain, quiet = cli(*words), cli(*words, "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert plain.err != ""
    assert quiet.out == plain.out != ""


def test_errors_are_never_quiet(finished, cli, tmp_path):
    ended = cli("predict", finished.folder, tmp_path / "none.png", "--quiet")
    assert ended.code == 2
    assert "none of the 1 images can be read" in ended.err
