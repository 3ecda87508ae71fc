"""Files inside a Debian package, read from the package itself: nothing is unpacked or installed."""

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

_MAGIC = b"!<arch>\n"
_HEADER = 60


def files_in_package(package: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield the regular files of a package, in its order; links are left out.

    A package is an archive of ``ar``: a header of 60 bytes and the content for each member, padded to even length. The
    member ``data.tar.*`` holds the files. Source: deb(5) of dpkg.

    Args:
        package: a file that ends in ``.deb``.
        wanted: whether a path, without ``./`` before it, is to be read.

    Yields:
        tuple[str, bytes]: path and content.

    Raises:
        ValueError: this is no Debian package.
    """
    with package.open("rb") as stream:
        _seek_data(stream)
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isreg() and wanted(name):
                    yield name, cast(BinaryIO, tar.extractfile(member)).read()


def find_package(root: Path, name: str) -> Path | None:
    """Return the newest file of a package in the data root, by name; None if there is none."""
    return max(root.glob(f"{name}_*.deb"), default=None)


def _seek_data(stream: BinaryIO) -> None:
    """Go to the first byte of the member that holds the files."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is no Debian package")
    while header := stream.read(_HEADER):
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        stream.seek(size + size % 2, 1)
    raise ValueError("it holds no files")
