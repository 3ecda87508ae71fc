"""Recorded outputs on disk are those in memory, bit for bit, and leave nothing behind."""

import gc
import resource
from contextlib import closing
from pathlib import Path

import pytest
import torch

from biotune.training.prefix.recorder import Recorder, ScratchError, on_disk


def batches_of(dtype: torch.dtype, channels_last: bool) -> list[torch.Tensor]:
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return [torch.randn(count, 3, 4, 5).to(dtype).contiguous(memory_format=layout) for count in (4, 4, 1)]


def mapped_files(folder: Path) -> list[str]:
    """The files of a folder that this process maps, those without a name included."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rows", [[0], [8, 3, 3, 7], list(range(9))])
def test_rows_from_disk_are_those_that_were_recorded(tmp_path, dtype, channels_last, rows):
    batches = batches_of(dtype, channels_last)
    memory = Recorder(9)
    with closing(Recorder(9, tmp_path)) as disk:
        for batch in batches:
            memory.append(batch)
            disk.append(batch)
        written = disk.finish()
    expected = torch.cat(batches)[rows]
    for recorded in (memory.finish(), written, on_disk(memory.finish(), tmp_path)):
        found = recorded.rows(torch.tensor(rows))
        assert torch.equal(found, expected)
        assert found.dtype == dtype
        assert found.contiguous(memory_format=torch.channels_last).stride() == found.stride() or not channels_last


def test_the_file_has_no_name_and_is_gone_with_its_outputs(tmp_path):
    recorder = Recorder(9, tmp_path)
    for batch in batches_of(torch.float32, True):
        recorder.append(batch)
    recorded = recorder.finish()
    assert list(tmp_path.iterdir()) == []
    assert len(mapped_files(tmp_path)) == 1
    recorder.close()
    del recorded, recorder
    gc.collect()
    assert mapped_files(tmp_path) == []


def test_too_few_rows_are_an_error(tmp_path):
    recorder = Recorder(10, tmp_path)
    recorder.append(torch.ones(4, 3))
    with closing(recorder), pytest.raises(RuntimeError, match="invalid for input of size"):
        recorder.finish()


def test_a_folder_that_is_not_there_is_a_scratch_error(tmp_path):
    with pytest.raises(ScratchError, match="No such file or directory"):
        Recorder(9, tmp_path / "missing")


@pytest.fixture
def small_files():
    """No file may grow beyond 64 KiB, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_grow_is_a_scratch_error(tmp_path, small_files):
    recorder = Recorder(100, tmp_path)
    recorder.append(torch.ones(60, 256))
    with closing(recorder), pytest.raises(ScratchError, match="File too large"):
        recorder.append(torch.ones(40, 256))
