"""Writing files: whole or not at all."""

import errno
import json
import os

import pytest

from biotune.errors import InputError
from biotune.runs.files import write_atomic, write_json


@pytest.mark.parametrize(("content", "expected"), [(b"\x00\xff", b"\x00\xff"), ("grün", "grün".encode())])
def test_bytes_and_text(content, expected, tmp_path):
    write_atomic(tmp_path / "file", b"old and longer")
    write_atomic(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failed_write_leaves_the_old_file_and_says_what_it_needs(number, tmp_path, monkeypatch):
    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"cannot write '.*file' \(1,234 bytes\): .*; make room or choose another"):
        write_atomic(tmp_path / "file", b"x" * 1234)
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_json_is_readable_and_knows_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"name": "grün", "value": 0.1})
    assert (tmp_path / "a.json").read_text() == '{\n  "name": "grün",\n  "value": 0.1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text())["value"] == 0.1
    assert not (tmp_path / "b.json").exists()
