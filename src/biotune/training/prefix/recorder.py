"""Records outputs in memory, or in an unnamed file on disk that is mapped into memory."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from biotune.training.prefix.outputs import Recorded


class ScratchError(Exception):
    """Outputs cannot be written to a folder; the message is the system's reason."""


class Recorder:
    """Takes the outputs of one module for all images, batch by batch and in order.

    Args:
        images: number of images.
        folder: the outputs are kept on the disk of this folder; None for memory.

    Raises:
        ScratchError: the folder cannot be written.
    """

    def __init__(self, images: int, folder: Path | None = None) -> None:
        self._images = images
        self._count = 0
        self._file = None if folder is None else _NamelessFile(folder)
        self._recorded: Recorded | None = None

    def append(self, output: Tensor) -> None:
        """Store the outputs of the next images; raises ScratchError where the disk is full."""
        if self._recorded is None:
            self._recorded = Recorded.empty(output, 0 if self._file else self._images)
        if self._file is None:
            self._recorded.put(torch.arange(self._count, self._count + len(output)), output)
            self._count += len(output)
        else:
            self._file.write(output.permute(0, *self._recorded.order))

    def close(self) -> None:
        """Discard an unfinished recording."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> Recorded:
        """Return the recorded outputs, of at least one batch."""
        if self._recorded is None:
            raise RuntimeError("nothing was recorded.")
        return self._recorded if self._file is None else self._file.mapped(self._recorded, self._images)


def on_disk(recorded: Recorded, folder: Path) -> Recorded:
    """Return the same outputs in a file on the disk of a folder; raises ScratchError where it cannot be written."""
    with closing(_NamelessFile(folder)) as file:
        file.write(recorded.values)
        return file.mapped(recorded, len(recorded.values))


class _NamelessFile:
    """A file whose disk space is freed when nothing maps it any more, even if the process is killed.

    It is written before it is mapped, so a full disk raises an error instead of killing the process.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 - see close
        except OSError as error:
            raise ScratchError(error.strerror) from None

    def write(self, rows: Tensor) -> None:
        """Append rows of ``Recorded.values``."""
        rest = memoryview(rows.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise ScratchError(error.strerror) from None

    def mapped(self, like: Recorded, images: int) -> Recorded:
        """Return the written outputs of ``images`` images, with the type, shape and order of ``like``."""
        values = torch.from_numpy(np.memmap(self._file, np.uint8, "r+")).view(like.values.dtype)
        return Recorded(values.view(images, *like.values.shape[1:]), like.order)

    def close(self) -> None:
        """Close the file; mapped outputs stay valid."""
        self._file.close()
