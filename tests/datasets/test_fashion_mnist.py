"""Fashion-MNIST, read from tiny files of the same layout."""

from pathlib import Path

import numpy as np
import pytest

import layouts
from biotune.datasets.sources import open_source
from biotune.errors import InputError

DEBIAN = Path("usr/share/datasets/fashion-mnist")


@pytest.mark.parametrize(
    ("folder", "packed"),
    [(DEBIAN, True), (Path("FashionMNIST/raw"), False), (Path("FashionMNIST/raw"), True)],
    ids=["debian", "torchvision", "torchvision-packed"],
)
def test_fashion_mnist_is_read_in_both_places(folder: Path, packed: bool, tmp_path: Path) -> None:
    pixels, labels = layouts.write_idx_set(tmp_path / folder, packed=packed)
    images = open_source("fashion_mnist", tmp_path)

    np.testing.assert_array_equal(images.arrays, pixels)
    assert tuple(images.labels.tolist()) == labels
    assert images.splits == ("train",) * 3 + ("test",) * 2
    assert images.class_names[7] == "Sneaker"


@pytest.mark.parametrize("content", [b"", b"cut short", b"\x1f\x8b\x08"], ids=["empty", "text", "gzip"])
def test_a_damaged_file_is_reported(content: bytes, tmp_path: Path) -> None:
    layouts.new_file(tmp_path / DEBIAN / "t10k-labels-idx1-ubyte.gz").write_bytes(content)

    with pytest.raises(InputError, match=rf"'fashion_mnist' in '{tmp_path}.* are damaged or incomplete .* then run: "):
        open_source("fashion_mnist", tmp_path)
