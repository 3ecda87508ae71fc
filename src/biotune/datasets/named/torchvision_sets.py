"""Data sets that torchvision reads and, with a network, downloads; their files keep torchvision's layout."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import DIGITS, LabelledFile, from_files, in_memory
from biotune.datasets.named.packaged import read_fashion_mnist
from biotune.errors import InputError

_PATIENCE_S = 10.0
"""Seconds without any answer after which a download fails, chosen by hand."""

_PARTS = {"train": "train", "val": "validation", "test": "test"}
_STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


Opener = Callable[[str, Path, bool], ImageSet]
"""Reads a data set, by its name, in the data root; if the last value is True, fetches missing files first."""


@dataclass(frozen=True)
class TorchvisionSet:
    """Where a data set of torchvision is stored, and how it gets there.

    Args:
        name: name of the data set.
        open: reads the data set.
        markers: files or folders that exist in the data root if the data set is there.
        archives: archives that torchvision fetches and unpacks, in words; it uses those in ``folder`` if they exist.
        page: web page of the archives.
        folder: folder of the archives, relative to the data root.
    """

    name: str
    open: Opener
    markers: tuple[str, ...]
    archives: str
    page: str
    folder: str = ""

    def find(self, root: Path) -> Path | None:
        """Return the data root if the data are there."""
        return root if all((root / marker).exists() for marker in self.markers) else None

    def read(self, root: Path) -> ImageSet:
        """Return the images; torchvision's errors for damaged files pass through."""
        return self.open(self.name, root, False)

    def fetch(self, root: Path) -> None:
        """Download and unpack the data into the data root; archives that are there already are only unpacked.

        Raises InputError: there is no network, or the download failed; says which files belong where.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{self.name}.lock"), _impatient():
                self.open(self.name, root, True)
        except (OSError, EOFError, RuntimeError, ValueError) as error:
            raise InputError(
                f"the data set '{self.name}' is not in '{root}' and could not be fetched ({_last_line(error)}); put "
                f"{self.archives} of {self.page} into '{root / self.folder}', or name another folder with --data-root."
            ) from None


def _class(name: str) -> Any:
    """Return a class of torchvision, which is slow to import; STL10 without its 2.6 GB of unlabelled images."""
    found = getattr(import_module("torchvision.datasets"), name)
    return type("Labelled", (found,), {"train_list": found.train_list[:2]}) if name == "STL10" else found


def _of_arrays(kind: str, class_names: Sequence[str] = (), *, by_split: bool = False) -> Opener:
    """Return a reader of a training and a test set that torchvision holds as arrays; the classes may be torchvision's.

    ``by_split`` says that it asks for ``split="train"`` rather than ``train=True``.
    """

    def read(name: str, root: Path, download: bool) -> ImageSet:
        opened = {
            part: _class(kind)(root, **({"split": part} if by_split else {"train": part == "train"}), download=download)
            for part in ("train", "test")
        }
        arrays = {part: (_channels_last(np.asarray(each.data)), _labels(each)) for part, each in opened.items()}
        return in_memory(name, class_names or opened["train"].classes, arrays)

    return read


def _channels_last(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 3:
        return pixels[..., None]
    return pixels.transpose(0, 2, 3, 1) if pixels.shape[1] == 3 else pixels


def _labels(opened: Any) -> NDArray[np.int64]:
    return np.asarray(opened.targets if hasattr(opened, "targets") else opened.labels)


def _of_files(kind: str, *, sort: bool = False, **options: object) -> Opener:
    """Return a reader of the official parts of a data set of files.

    torchvision gives files and labels only with decoded images, hence the use of its private lists. If it numbers the
    classes of each part separately (``sort``), they are joined by name.
    """

    def read(name: str, root: Path, download: bool) -> ImageSet:
        rows: list[LabelledFile] = []
        names: dict[str, None] = {}
        for split, kept_as in _PARTS.items():
            opened = _class(kind)(root, split=split, download=download, **options)
            names |= dict.fromkeys(opened.classes)
            pairs = zip(opened._image_files, opened._labels, strict=True)
            rows += [LabelledFile(Path(file), opened.classes[label], kept_as) for file, label in pairs]
        return from_files(name, root, sorted(names) if sort else list(names), rows)

    return read


def _fashion_mnist(_name: str, root: Path, download: bool) -> ImageSet:
    _class("FashionMNIST")(root, download=download)
    return read_fashion_mnist(root / "FashionMNIST" / "raw")


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


_CIFAR, _OXFORD = "www.cs.toronto.edu/~kriz/cifar.html", "www.robots.ox.ac.uk/~vgg/data"
_MNIST_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_FLOWERS = tuple(f"flowers-102/{name}" for name in ("jpg", "imagelabels.mat", "setid.mat"))
_FASHION = "github.com/zalandoresearch/fashion-mnist (or of the Debian package dataset-fashion-mnist)"

# fmt: off
TORCHVISION_SETS: dict[str, TorchvisionSet] = {each.name: each for each in (
    TorchvisionSet("mnist", _of_arrays("MNIST", DIGITS), tuple(f"MNIST/raw/{file}" for file in _MNIST_FILES),
                   "the four .gz files", "yann.lecun.com/exdb/mnist", "MNIST/raw"),
    TorchvisionSet("fashion_mnist", _fashion_mnist, ("FashionMNIST/raw",),
                   "the four .gz files", _FASHION, "FashionMNIST/raw"),
    TorchvisionSet("usps", _of_arrays("USPS", DIGITS), ("usps.bz2", "usps.t.bz2"),
                   "usps.bz2 and usps.t.bz2", "www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html"),
    TorchvisionSet("svhn", _of_arrays("SVHN", DIGITS, by_split=True), ("train_32x32.mat", "test_32x32.mat"),
                   "train_32x32.mat and test_32x32.mat", "ufldl.stanford.edu/housenumbers"),
    TorchvisionSet("cifar10", _of_arrays("CIFAR10"), ("cifar-10-batches-py",), "cifar-10-python.tar.gz", _CIFAR),
    TorchvisionSet("cifar100", _of_arrays("CIFAR100"), ("cifar-100-python",), "cifar-100-python.tar.gz", _CIFAR),
    TorchvisionSet("stl10", _of_arrays("STL10", _STL10_CLASSES, by_split=True), ("stl10_binary",),
                   "stl10_binary.tar.gz", "cs.stanford.edu/~acoates/stl10"),
    TorchvisionSet("flowers102", _of_files("Flowers102"), _FLOWERS,
                   "102flowers.tgz, imagelabels.mat and setid.mat", f"{_OXFORD}/flowers/102", "flowers-102"),
    TorchvisionSet("aircraft", _of_files("FGVCAircraft", annotation_level="variant"), ("fgvc-aircraft-2013b",),
                   "fgvc-aircraft-2013b.tar.gz", f"{_OXFORD}/fgvc-aircraft"),
    TorchvisionSet("dtd", _of_files("DTD", sort=True, partition=1), ("dtd/dtd",),
                   "dtd-r1.0.1.tar.gz", f"{_OXFORD}/dtd", "dtd"),
)}
# fmt: on
