"""Data sets that torchvision reads and, with a network, downloads; their files keep torchvision's layout."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import DIGITS, LabelledFile, from_files, in_memory
from biotune.datasets.named.fashion_mnist import read_fashion_mnist
from biotune.errors import InputError

_PATIENCE_S = 10.0
"""Seconds without any answer after which a download fails, chosen by hand."""

_PARTS = {"train": "train", "val": "validation", "test": "test"}
_STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class Opener(Protocol):
    """Reads a data set in the data root; with ``download``, fetches missing files first."""

    def __call__(self, root: Path, *, download: bool) -> ImageSet:
        """Return the images."""


@dataclass(frozen=True)
class TorchvisionSet:
    """Where a data set of torchvision is stored, and how it gets there.

    Args:
        name: name of the data set.
        open: reads the data set.
        markers: files or folders that exist in the data root if the data set is there.
        archives: archives that torchvision fetches and unpacks, in words; it uses those in ``folder`` if they exist.
        folder: folder of the archives, relative to the data root.
        page: web page of the archives.
    """

    name: str
    open: Opener
    markers: tuple[str, ...]
    archives: str
    folder: str
    page: str

    def find(self, root: Path) -> Path | None:
        """Return the data root if the data are there."""
        return root if all((root / marker).exists() for marker in self.markers) else None

    def read(self, root: Path) -> ImageSet:
        """Return the images; torchvision's errors for damaged files pass through."""
        return self.open(root, download=False)

    def fetch(self, root: Path) -> None:
        """Download and unpack the data; archives that are in their place already are only unpacked.

        Args:
            root: the data root; created if missing.

        Raises:
            InputError: the download failed, for example without a network; the message says which files belong where.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{self.name}.lock"), _impatient():
                self.open(root, download=True)
        except (OSError, EOFError, RuntimeError, ValueError) as error:
            raise InputError(
                f"the data set '{self.name}' is not in '{root}' and could not be fetched ({_last_line(error)}); put "
                f"{self.archives} of {self.page} into '{root / self.folder}', or name another folder with --data-root."
            ) from None


def _mnist(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import MNIST  # noqa: PLC0415 - torchvision is slow to import

    parts = {split: MNIST(root, train=split == "train", download=download) for split in ("train", "test")}
    arrays = {split: (part.data.numpy()[..., None], part.targets.numpy()) for split, part in parts.items()}
    return in_memory("mnist", DIGITS, arrays)


def _usps(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import USPS  # noqa: PLC0415

    parts = {split: USPS(root, train=split == "train", download=download) for split in ("train", "test")}
    arrays = {split: (part.data[..., None], np.array(part.targets)) for split, part in parts.items()}
    return in_memory("usps", DIGITS, arrays)


def _svhn(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import SVHN  # noqa: PLC0415

    parts = {split: SVHN(root, split=split, download=download) for split in ("train", "test")}
    arrays = {split: (part.data.transpose(0, 2, 3, 1), part.labels) for split, part in parts.items()}
    return in_memory("svhn", DIGITS, arrays)


def _cifar(root: Path, *, download: bool, classes: int) -> ImageSet:
    from torchvision.datasets import CIFAR10, CIFAR100  # noqa: PLC0415

    kind = {10: CIFAR10, 100: CIFAR100}[classes]
    parts = {split: kind(root, train=split == "train", download=download) for split in ("train", "test")}
    arrays = {split: (part.data, np.array(part.targets)) for split, part in parts.items()}
    return in_memory(f"cifar{classes}", parts["train"].classes, arrays)


def _stl10(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import STL10  # noqa: PLC0415

    class Labelled(STL10):  # type: ignore[misc]  # torchvision has no types
        """STL-10 without the 2.6 GB of unlabelled images, which would only be hashed."""

        train_list = STL10.train_list[:2]

    parts = {split: Labelled(root, split=split, download=download) for split in ("train", "test")}
    arrays = {split: (part.data.transpose(0, 2, 3, 1), part.labels) for split, part in parts.items()}
    return in_memory("stl10", _STL10_CLASSES, arrays)


def _flowers102(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import Flowers102  # noqa: PLC0415

    return _files("flowers102", root, partial(Flowers102, root, download=download))


def _aircraft(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import FGVCAircraft  # noqa: PLC0415

    return _files("aircraft", root, partial(FGVCAircraft, root, annotation_level="variant", download=download))


def _dtd(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import DTD  # noqa: PLC0415

    return _files("dtd", root, partial(DTD, root, partition=1, download=download), sort=True)


def _fashion_mnist(root: Path, *, download: bool) -> ImageSet:
    from torchvision.datasets import FashionMNIST  # noqa: PLC0415

    FashionMNIST(root, download=download)
    return read_fashion_mnist(root / "FashionMNIST" / "raw")


def _files(name: str, root: Path, part: Callable[..., Any], *, sort: bool = False) -> ImageSet:
    """Join the official parts of a data set of files.

    torchvision gives files and labels only with decoded images, hence the use of its private lists. If it numbers the
    classes of each part separately (``sort``), they are joined by name.
    """
    rows: list[LabelledFile] = []
    names: dict[str, None] = {}
    for split, kept_as in _PARTS.items():
        opened = part(split=split)
        names |= dict.fromkeys(opened.classes)
        pairs = zip(opened._image_files, opened._labels, strict=True)
        rows += [LabelledFile(Path(file), opened.classes[label], kept_as) for file, label in pairs]
    return from_files(name, root, sorted(names) if sort else list(names), rows)


@contextmanager
def _impatient() -> Iterator[None]:
    """Let a silent connection fail after some seconds: by default torchvision's downloads wait forever."""
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(earlier)


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip("<>") if lines else type(error).__name__


_OXFORD = "www.robots.ox.ac.uk/~vgg/data"
_IDX_FILES = tuple(
    f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
)

TORCHVISION_SETS: dict[str, TorchvisionSet] = {
    each.name: each
    for each in (
        TorchvisionSet(
            "mnist",
            _mnist,
            markers=tuple(f"MNIST/raw/{file}" for file in _IDX_FILES),
            archives="the four .gz files",
            folder="MNIST/raw",
            page="yann.lecun.com/exdb/mnist",
        ),
        TorchvisionSet(
            "fashion_mnist",
            _fashion_mnist,
            markers=tuple(f"FashionMNIST/raw/{file}" for file in _IDX_FILES),
            archives="the four .gz files",
            folder="FashionMNIST/raw",
            page="github.com/zalandoresearch/fashion-mnist (or of the Debian package dataset-fashion-mnist)",
        ),
        TorchvisionSet(
            "usps",
            _usps,
            markers=("usps.bz2", "usps.t.bz2"),
            archives="usps.bz2 and usps.t.bz2",
            folder="",
            page="www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html",
        ),
        TorchvisionSet(
            "svhn",
            _svhn,
            markers=("train_32x32.mat", "test_32x32.mat"),
            archives="train_32x32.mat and test_32x32.mat",
            folder="",
            page="ufldl.stanford.edu/housenumbers",
        ),
        TorchvisionSet(
            "cifar10",
            partial(_cifar, classes=10),
            markers=("cifar-10-batches-py",),
            archives="cifar-10-python.tar.gz",
            folder="",
            page="www.cs.toronto.edu/~kriz/cifar.html",
        ),
        TorchvisionSet(
            "cifar100",
            partial(_cifar, classes=100),
            markers=("cifar-100-python",),
            archives="cifar-100-python.tar.gz",
            folder="",
            page="www.cs.toronto.edu/~kriz/cifar.html",
        ),
        TorchvisionSet(
            "stl10",
            _stl10,
            markers=("stl10_binary",),
            archives="stl10_binary.tar.gz",
            folder="",
            page="cs.stanford.edu/~acoates/stl10",
        ),
        TorchvisionSet(
            "flowers102",
            _flowers102,
            markers=("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat"),
            archives="102flowers.tgz, imagelabels.mat and setid.mat",
            folder="flowers-102",
            page=f"{_OXFORD}/flowers/102",
        ),
        TorchvisionSet(
            "aircraft",
            _aircraft,
            markers=("fgvc-aircraft-2013b",),
            archives="fgvc-aircraft-2013b.tar.gz",
            folder="",
            page=f"{_OXFORD}/fgvc-aircraft",
        ),
        TorchvisionSet(
            "dtd",
            _dtd,
            markers=("dtd/dtd",),
            archives="dtd-r1.0.1.tar.gz",
            folder="dtd",
            page=f"{_OXFORD}/dtd",
        ),
    )
}
