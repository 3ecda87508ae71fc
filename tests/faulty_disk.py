"""A disk that refuses to change or list files of one folder, at a chosen moment or from then on."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ERRORS = (errno.EROFS, errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT)
CHANGES = ("unlink", "mkdir", "rmdir", "replace", "scandir", "listdir")
"""The functions of ``os`` that all removing, making, moving and listing comes down to."""
Change = tuple[str, str]
Wrong = Callable[[Change], bool]


class FaultyDisk:
    """Notes the changes of files in a folder, and refuses some.

    Args:
        folder: the folder; what happens elsewhere succeeds.
        is_wrong: whether to refuse a change, given the function's name and the path within the folder.
        number: the error.
        stays: whether all further changes are refused too, as on a disk that turned read-only.
    """

    def __init__(
        self, folder: Path, is_wrong: Wrong = lambda _: False, number: int = errno.EIO, stays: bool = False
    ) -> None:
        self._folder, self._is_wrong, self._stays = folder, is_wrong, stays
        self.reason = os.strerror(number)
        self._number = number
        self.changes: list[Change] = []
        self.refused: list[Change] = []

    def around(self, name: str, change: Callable[..., object]) -> Callable[..., object]:
        """Return one of the functions of ``os`` as this disk does it."""

        def watched(path: object, *arguments: object, **options: object) -> object:
            inside = self._inside(arguments[0] if name == "replace" else path, options.get("dir_fd"))
            if inside is not None:
                self.changes.append((name, inside))
                if (self._stays and self.refused) or self._is_wrong((name, inside)):
                    self.refused.append((name, inside))
                    raise OSError(self._number, self.reason, str(path))
            return change(path, *arguments, **options)

        return watched

    def _inside(self, path: object, parent: object) -> str | None:
        """Return a path relative to the folder, None if it is elsewhere."""
        held = path if isinstance(path, int) else parent
        whole = Path(f"/proc/self/fd/{held}").readlink() if isinstance(held, int) else Path.cwd()
        if not isinstance(path, int):
            whole /= os.fspath(path)  # type: ignore[call-overload]
        return str(whole.relative_to(self._folder)) if whole.is_relative_to(self._folder) else None


@contextmanager
def faulty(disk: FaultyDisk) -> Iterator[FaultyDisk]:
    """Put a disk in the place of the one that is there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, disk.around(name, getattr(os, name)))
        yield disk
