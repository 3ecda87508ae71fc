"""Writing files: whole or not at all."""

import errno
import json
import os

import pytest

from biotune.errors import InputError
from biotune.runs.files import make_folder, move_atomic, remove, tidy, write_atomic, write_json
from faulty_disk import ERRORS, FaultyDisk, faulty


@pytest.mark.parametrize(("content", "expected"), [(b"\x00\xff", b"\x00\xff"), ("grün", "grün".encode())])
def test_bytes_and_text(content, expected, tmp_path):
    write_atomic(tmp_path / "file", b"old and longer")
    write_atomic(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "first"),
    [(errno.ENOSPC, "make room"), *((n, "make its disk writable") for n in (errno.EIO, errno.EROFS))],
)
def test_a_failed_write_leaves_the_old_file_and_says_what_it_needs(number, first, tmp_path, monkeypatch):
    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=rf"cannot write '.*file' \(1,234 bytes\): .*; {first} or choose another"):
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


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda folder: write_atomic(folder / "file", "new"), "cannot write '{}/file' (3 bytes)"),
        (lambda folder: move_atomic(folder / "file", folder / "moved"), "cannot write '{}/moved'"),
        (lambda folder: make_folder(folder / "pictures"), "cannot make the folder '{}/pictures'"),
        (lambda folder: remove(folder / "file"), "cannot remove '{}/file'"),
    ],
)
def test_a_disk_that_refuses_everything_is_one_sentence(number, act, said, tmp_path):
    (tmp_path / "file").write_text("old")
    with faulty(FaultyDisk(tmp_path, lambda _: True, number)), pytest.raises(InputError) as caught:
        act(tmp_path)
    assert str(caught.value).startswith(f"{said.format(tmp_path)}: {os.strerror(number)}; make ")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("number", ERRORS)
def test_what_stays_although_nobody_needs_it_is_a_warning(number, tmp_path):
    (tmp_path / "kept").mkdir()
    for name in ("a", "b"):
        (tmp_path / "kept" / name).touch()
    with faulty(FaultyDisk(tmp_path, ("unlink", "kept/a").__eq__, number)):
        assert tidy(tmp_path / "kept").startswith(f"Cannot remove '{tmp_path / 'kept'}': {os.strerror(number)}; noth")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["a"]
    assert tidy(tmp_path / "kept") == ""
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_remove_is_no_fault_of_a_read_only_disk(tmp_path):
    with faulty(FaultyDisk(tmp_path, lambda _: True, errno.EROFS)) as disk:
        remove(tmp_path / "file")
        assert tidy(tmp_path / "file") == ""
    assert disk.refused == [("unlink", "file")] * 2
