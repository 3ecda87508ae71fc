"""One text: read, or refused with a reason."""

import os

import pytest

from biotune.texts import MAX_BYTES, UnreadableTextError, read_text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"good", "good"),
        ("\ufeffgut \u00e4".encode(), "gut \u00e4"),
        (b"a" * MAX_BYTES, "a" * MAX_BYTES),
        (b"a\0b", "a\0b"),
    ],
)
def test_a_text_is_read_whether_it_is_a_file_or_not(tmp_path, content, text):
    (tmp_path / "one.txt").write_bytes(content)

    assert read_text(content) == read_text(tmp_path / "one.txt") == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b" \n\t ", "it holds no word"),
        ("gr\u00fcn".encode("latin-1"), r"it is not in UTF-8 \(byte 3\)"),
        (b"a" * (MAX_BYTES + 1), "it has more than 4,194,304 bytes"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(tmp_path, content, reason):
    (tmp_path / "one.txt").write_bytes(content)

    with pytest.raises(UnreadableTextError, match=f"cannot read a text in memory: {reason}"):
        read_text(content)
    with pytest.raises(UnreadableTextError, match=f"cannot read the text '.*one.txt': {reason}"):
        read_text(tmp_path / "one.txt")


def test_a_pipe_is_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")

    with pytest.raises(UnreadableTextError, match="it is not a regular file"):
        read_text(tmp_path / "pipe.txt")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnreadableTextError, match="No such file"):
        read_text(tmp_path / "none.txt")
