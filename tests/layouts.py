"""Tiny files in the layouts of the public data sets, and what is to be read from them.

torchvision compares some of them with the checksums of the real files: the writers below exchange those checksums for
the ones of the tiny files.
"""

import bz2
import gzip
import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as public
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat


@dataclass(frozen=True)
class Expected:
    """What a data set is to be read as: class names by label, labels and splits, and pixels or ids."""

    class_names: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[str, ...]
    pixels: NDArray[np.uint8] | None = None
    ids: tuple[str, ...] | None = None


Writer = Callable[[Path, pytest.MonkeyPatch], Expected]

DIGITS = tuple("0123456789")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(shape[0]).integers(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def new_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_photo(path: Path, colour: int = 0) -> None:
    Image.new("RGB", (6, 4), (colour, 0, 0)).save(new_file(path))


def write_idx(path: Path, values: NDArray[np.uint8], *, packed: bool = False) -> None:
    header = bytes((0, 0, 8, values.ndim)) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    content = header + values.tobytes()
    new_file(path).write_bytes(gzip.compress(content) if packed else content)


def write_idx_set(folder: Path, *, packed: bool = False) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Write three training and two test images; return all pixels and labels."""
    pixels, labels = noise(5, 28, 28), np.array([7, 0, 9, 1, 7], dtype=np.uint8)
    parts = (pixels[:3], labels[:3], pixels[3:], labels[3:])
    ending = ".gz" if packed else ""
    for file, part in zip(IDX_FILES, parts, strict=True):
        write_idx(folder / f"{file}{ending}", part, packed=packed)
    return pixels[..., None], tuple(labels.tolist())


def mnist(root: Path, _patch: pytest.MonkeyPatch) -> Expected:
    pixels, labels = write_idx_set(root / "MNIST" / "raw")
    return Expected(DIGITS, labels, ("train",) * 3 + ("test",) * 2, pixels)


def usps(root: Path, _patch: pytest.MonkeyPatch) -> Expected:
    """Values in [-1, 1], numbered from 1; digits too are numbered from 1."""
    values = np.array([-1.0, 1.0, 0.0])

    def lines(labels: tuple[int, ...]) -> bytes:
        cells = " ".join(f"{index + 1}:{values[index % 3]:.4f}" for index in range(256))
        return "".join(f"{label + 1} {cells}\n" for label in labels).encode()

    (root / "usps.bz2").write_bytes(bz2.compress(lines((0, 9))))
    (root / "usps.t.bz2").write_bytes(bz2.compress(lines((4,))))
    image = np.resize(np.array([0, 255, 127], dtype=np.uint8), (16, 16, 1))
    return Expected(DIGITS, (0, 9, 4), ("train", "train", "test"), np.stack([image] * 3))


def svhn(root: Path, patch: pytest.MonkeyPatch) -> Expected:
    """Pixels by height, width, channel and image; the digit 0 is labelled 10."""
    pixels = noise(4, 32, 32, 3)
    files: dict[str, Any] = {}
    for split, part, labels in (("train", slice(0, 2), [10, 3]), ("test", slice(2, 4), [1, 10])):
        file = root / f"{split}_32x32.mat"
        savemat(file, {"X": pixels[part].transpose(1, 2, 3, 0), "y": np.array(labels)[:, None]})
        files[split] = [*public.SVHN.split_list[split][:2], md5(file)]
    patch.setattr(public.SVHN, "split_list", files)
    return Expected(DIGITS, (0, 3, 1, 0), ("train", "train", "test", "test"), pixels)


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> Expected:
    return _cifar(root, patch, public.CIFAR10, "labels", ("airplane", "automobile"))


def cifar100(root: Path, patch: pytest.MonkeyPatch) -> Expected:
    return _cifar(root, patch, public.CIFAR100, "fine_labels", ("apple", "aquarium_fish"))


def _cifar(root: Path, patch: pytest.MonkeyPatch, kind: Any, key: str, names: tuple[str, ...]) -> Expected:
    """One batch for each file; a row of a batch is the red, then the green, then the blue pixels."""
    folder = root / kind.base_folder
    lists: dict[str, list[list[str]]] = {}
    images: list[NDArray[np.uint8]] = []
    splits: list[str] = []
    for split in ("train", "test"):
        lists[split] = []
        for file, _ in getattr(kind, f"{split}_list"):
            pixels = noise(len(images) + 2, 32, 32, 3)[:2]
            batch = {"data": pixels.transpose(0, 3, 1, 2).reshape(2, -1), key: [1, 0]}
            new_file(folder / file).write_bytes(pickle.dumps(batch))
            lists[split].append([file, md5(folder / file)])
            images.append(pixels)
            splits += [split, split]
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: list(names)}))
    patch.setattr(kind, "train_list", lists["train"])
    patch.setattr(kind, "test_list", lists["test"])
    patch.setattr(kind, "meta", kind.meta | {"md5": md5(meta)})
    return Expected(names, (1, 0) * len(images), tuple(splits), np.concatenate(images))


def stl10(root: Path, patch: pytest.MonkeyPatch) -> Expected:
    """Pixels by image, channel, column and row; labels count from 1; the unlabelled images are not there."""
    folder = root / "stl10_binary"
    pixels, labels = noise(3, 96, 96, 3), np.array([10, 1, 2], dtype=np.uint8)
    lists: dict[str, list[list[str]]] = {"train": [], "test": []}
    for split, part in (("train", slice(0, 2)), ("test", slice(2, 3))):
        files = {
            f"{split}_X.bin": pixels[part].transpose(0, 3, 2, 1).tobytes(),
            f"{split}_y.bin": labels[part].tobytes(),
        }
        for name, content in files.items():
            new_file(folder / name).write_bytes(content)
            lists[split].append([name, md5(folder / name)])
    patch.setattr(public.STL10, "train_list", [*lists["train"], ["unlabeled_X.bin", "of a file that is not there"]])
    patch.setattr(public.STL10, "test_list", lists["test"])
    names = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
    return Expected(names, (9, 0, 1), ("train", "train", "test"), pixels)


def flowers102(root: Path, patch: pytest.MonkeyPatch) -> Expected:
    """Images and classes count from 1; three lists of image numbers are the splits."""
    folder = root / "flowers-102"
    for number in range(1, 7):
        write_photo(folder / "jpg" / f"image_{number:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.array([[77, 1, 102, 77, 9, 8]])})
    savemat(folder / "setid.mat", {"trnid": [[4, 2]], "valid": [[1, 6]], "tstid": [[3, 5]]})
    known = public.Flowers102._file_dict
    hashed = {key: (known[key][0], md5(folder / known[key][0])) for key in ("label", "setid")}
    patch.setattr(public.Flowers102, "_file_dict", known | hashed)
    ids = tuple(f"flowers-102/jpg/image_{number:05d}.jpg" for number in (4, 2, 1, 6, 3, 5))
    names = tuple(public.Flowers102.classes)
    return Expected(names, (76, 0, 76, 7, 101, 8), ("train",) * 2 + ("validation",) * 2 + ("test",) * 2, ids=ids)


def aircraft(root: Path, _patch: pytest.MonkeyPatch) -> Expected:
    """Class names have blanks and slashes, and their order is that of the list of variants."""
    folder = root / "fgvc-aircraft-2013b" / "data"
    new_file(folder / "variants.txt").write_text("F-16A/B\nBoeing 707-320\n")
    lines = {
        "train": "0000001 Boeing 707-320\n0000002 F-16A/B\n",
        "val": "0000003 F-16A/B\n",
        "test": "0000004 F-16A/B\n",
    }
    for split, text in lines.items():
        (folder / f"images_variant_{split}.txt").write_text(text)
    for number in range(1, 5):
        write_photo(folder / "images" / f"{number:07d}.jpg")
    ids = tuple(f"fgvc-aircraft-2013b/data/images/{number:07d}.jpg" for number in range(1, 5))
    return Expected(("F-16A/B", "Boeing 707-320"), (1, 0, 0, 0), ("train", "train", "validation", "test"), ids=ids)


def dtd(root: Path, _patch: pytest.MonkeyPatch) -> Expected:
    """Part 1 of ten; a class that is missing in one part must not shift the labels of that part."""
    folder = root / "dtd" / "dtd"
    lines = {
        "train": ("zigzagged/z_1.jpg", "banded/b_1.jpg"),
        "val": ("zigzagged/z_2.jpg",),
        "test": ("banded/b_2.jpg",),
    }
    for split, files in lines.items():
        new_file(folder / "labels" / f"{split}1.txt").write_text("".join(f"{file}\n" for file in files))
        (folder / "labels" / f"{split}2.txt").write_text("braided/of_another_part.jpg\n")
        for file in files:
            write_photo(folder / "images" / file)
    ids = tuple(f"dtd/dtd/images/{file}" for files in lines.values() for file in files)
    return Expected(("banded", "zigzagged"), (1, 0, 1, 0), ("train", "train", "validation", "test"), ids=ids)


LAYOUTS: dict[str, Writer] = {
    writer.__name__: writer for writer in (mnist, usps, svhn, cifar10, cifar100, stl10, flowers102, aircraft, dtd)
}
