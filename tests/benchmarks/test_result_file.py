"""What a result file says of the machine, and where it is written."""

import json

import pytest

from benchmarks.result_file import cpu_model, machine, require_writable, write_report
from biotune.errors import InputError

CPU_INFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i7: fast\nprocessor\t: 1\n"


def test_the_processor_is_named():
    assert cpu_model(CPU_INFO) == "Intel(R) Core(TM) i7: fast"


def test_a_system_that_names_no_processor_names_its_kind():
    assert cpu_model("")


def test_the_machine_is_told_in_numbers_that_can_be_true():
    found = machine("cpu", threads=1)

    assert 1 <= found["cores"] <= 4096
    assert found["memory_gib"] > 0.5
    assert found["accelerator"] is None


def test_a_result_is_written_whole_into_a_new_folder(tmp_path):
    write_report(tmp_path / "new" / "found.json", {"µs": 1})

    assert json.loads((tmp_path / "new" / "found.json").read_text(encoding="utf-8")) == {"µs": 1}


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="give another file with --out"):
        write_report(tmp_path / "file" / "found.json", {})


def test_before_measuring_a_place_that_cannot_be_written_is_refused_and_another_left_as_it_is(tmp_path):
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file" / "found.json", tmp_path):
        with pytest.raises(InputError, match=r"cannot write '.*': .*; give another file with --out"):
            require_writable(place)

    require_writable(tmp_path / "file")
    require_writable(tmp_path / "new" / "found.json")

    assert (tmp_path / "file").read_text() == "kept"
    assert not list((tmp_path / "new").iterdir())
