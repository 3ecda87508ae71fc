"""Photographs on white, emoji and icons: pictures with an opacity, from archives in the data root.

The last two are tested on pictures of another maker than those to train on. Licences:

* ``tuxpaint_stamps``: GPL-2+; its authors gave most photographs to the public domain.
* ``emoji_makers``: Google's Noto emoji Apache 2.0 (OFL 1.1 as a font), Twitter's Twemoji CC BY 4.0; the packages MIT.
* ``icon_makers``: Oxygen LGPL-3+, GNOME's icons CC BY-SA 3.0 or LGPL-3.
"""

import hashlib
import io
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.debian import files_in_package, find_package
from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import in_memory

Pixels = NDArray[np.uint8]
Named = dict[str, bytes]

STAMPS_PACKAGE = "tuxpaint-stamps-default"
EMOJI_TRAIN, EMOJI_TEST = "emoji-datasource-google-16.0.0.tgz", "emoji-datasource-twitter-16.0.0.tgz"
ICONS_TRAIN, ICONS_TEST = "oxygen-icon-theme", "gnome-icon-theme"

_STAMPS = "usr/share/tuxpaint/stamps/"
_STAMP_FOLDERS = {
    "bird": ("animals/birds/",),
    "fish": ("animals/fish/", "animals/shellfish/"),
    "flower": ("plants/",),
    "fruit": ("food/fruit/", "food/nuts/"),
    "hand sign": ("symbols/alphabets/asl/",),
    "insect": ("animals/insects/",),
    "mammal": ("animals/mammals/", "animals/marsupials/"),
    "tool": ("household/", "hobbies/"),
    "vegetable": ("food/vegetables/",),
    "vehicle": ("vehicles/", "military/vehicles/"),
}
_NO_PHOTO = re.compile(r"cartoon|/toys|plastic|_(mirror|flip)\.png$")
_STAMP_SIDE, _STAMPS_TO_TRAIN = 224, 13
_EMOJI_SIDE, _EMOJI_TO_TRAIN, _EMOJI_TO_TEST = 64, 40, 80
_NO_CATEGORY = "Component"
"""Skin tones and hair: parts of other emoji."""

_ICON_SIDE, _ICONS_TO_TRAIN, _ICONS_TO_TEST = 64, 40, 100
CONTEXTS = ("actions", "apps", "devices", "mimetypes", "places")


def find_stamps(root: Path) -> Path | None:
    """Return Debian's package of the stamps."""
    return find_package(root, STAMPS_PACKAGE)


def read_tuxpaint_stamps(package: Path) -> ImageSet:
    """Return photographs of things on white, padded to squares of 224 pixels: 13 of each class to train, or half of it.

    Drawings (folders ``cartoon``), toys, and pictures made for mirroring are left out.
    """
    classes: dict[str, Named] = {name: {} for name in _STAMP_FOLDERS}
    for name, content in files_in_package(package, lambda path: bool(_stamp(path))):
        classes[_stamp(name)][name] = content
    train, test = {}, {}
    for name, files in classes.items():
        shuffled = _shuffled(files)
        count = min(_STAMPS_TO_TRAIN, len(shuffled) // 2)
        train[name], test[name] = shuffled[:count], shuffled[count:]
    pixels = {name: _on_white(content, _STAMP_SIDE) for files in classes.values() for name, content in files.items()}
    return _two_makers("tuxpaint_stamps", (train, pixels), (test, pixels))


def _stamp(path: str) -> str:
    """Return the class of a file of the package; empty if it shows none."""
    inside = path.removeprefix(_STAMPS)
    if inside == path or not path.endswith(".png") or _NO_PHOTO.search(path):
        return ""
    return next((name for name, folders in _STAMP_FOLDERS.items() if inside.startswith(folders)), "")


def find_emoji(root: Path) -> Path | None:
    """Return the data root if it holds both packages."""
    return root if all((root / name).exists() for name in (EMOJI_TRAIN, EMOJI_TEST)) else None


def read_emoji_makers(root: Path) -> ImageSet:
    """Return emoji, 64x64, by category: Google's to train, 40 a class, other ones as Twitter draws them to test, 80.

    Only emoji that both draw; skin tones and hair are left out.
    """
    names: dict[str, list[str]] = defaultdict(list)
    google = _members(root / EMOJI_TRAIN, re.compile(r"package/(?:emoji\.json|img/google/64/(.*\.png))"))
    twitter = _members(root / EMOJI_TEST, re.compile(r"package/img/twitter/64/(.*\.png)"))
    for emoji in json.loads(google["package/emoji.json"]):
        if emoji["category"] != _NO_CATEGORY and emoji["image"] in google and emoji["image"] in twitter:
            names[emoji["category"]].append(emoji["image"])
    shuffled = {category: _shuffled(names[category]) for category in sorted(names)}
    train = {category: images[:_EMOJI_TO_TRAIN] for category, images in shuffled.items()}
    test = {category: images[_EMOJI_TO_TRAIN:][:_EMOJI_TO_TEST] for category, images in shuffled.items()}
    return _two_makers(
        "emoji_makers", (train, _drawn(google, train, _EMOJI_SIDE)), (test, _drawn(twitter, test, _EMOJI_SIDE))
    )


def find_icons(root: Path) -> Path | None:
    """Return the data root if it holds both packages."""
    return root if find_package(root, ICONS_TRAIN) and find_package(root, ICONS_TEST) else None


def read_icon_makers(root: Path) -> ImageSet:
    """Return icons, 64x64, by context: Oxygen's to train, at most 40 a class; GNOME's, 48x48, to test, at most 100."""
    oxygen = _icons(root, ICONS_TRAIN, "usr/share/icons/oxygen/base/64x64/")
    gnome = _icons(root, ICONS_TEST, "usr/share/icons/gnome/48x48/")
    train = {context: _shuffled(_of(oxygen, context))[:_ICONS_TO_TRAIN] for context in CONTEXTS}
    test = {context: _shuffled(_of(gnome, context))[:_ICONS_TO_TEST] for context in CONTEXTS}
    return _two_makers(
        "icon_makers", (train, _drawn(oxygen, train, _ICON_SIDE)), (test, _drawn(gnome, test, _ICON_SIDE))
    )


def _icons(root: Path, package: str, folder: str) -> Named:
    """Return the icons of all contexts of a package: ``context/name.png`` -> content; links to others are left out."""
    starts = tuple(f"{folder}{context}/" for context in CONTEXTS)
    found = files_in_package(
        find_package(root, package) or root, lambda path: path.startswith(starts) and path.endswith(".png")
    )
    return {name.removeprefix(folder): content for name, content in found}


def _of(icons: Named, context: str) -> list[str]:
    return [name for name in icons if name.startswith(f"{context}/")]


def _members(archive: Path, pattern: re.Pattern[str]) -> Named:
    """Return the members that match a pattern by its group, or by their names where it is empty."""
    found = {}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            match = pattern.fullmatch(member.name)
            if match and member.isreg() and (stream := tar.extractfile(member)):
                found[next((group for group in match.groups() if group), member.name)] = stream.read()
    return found


def _shuffled(names: Iterable[str]) -> list[str]:
    """Return names in an order that depends on nothing but each of them: that of their SHA-256."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def _drawn(files: Named, classes: Mapping[str, list[str]], side: int) -> dict[str, Pixels]:
    return {name: _on_white(files[name], side) for names in classes.values() for name in names}


def _on_white(content: bytes, side: int) -> Pixels:
    """Cut the empty margin off, put the picture into the middle of a white square, and resize that."""
    with Image.open(io.BytesIO(content)) as opened:
        image = opened.convert("RGBA")
    image = image.crop(image.getbbox() or (0, 0, *image.size))
    widest = max(image.size)
    square = Image.new("RGBA", (widest, widest), "white")
    square.alpha_composite(image, ((widest - image.width) // 2, (widest - image.height) // 2))
    return np.asarray(square.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


Part = tuple[Mapping[str, list[str]], Mapping[str, Pixels]]
"""Names by class, and pixels by name."""


def _two_makers(name: str, train: Part, test: Part) -> ImageSet:
    """Make an image set from the pictures to train on and those to test on."""
    parts = {}
    for split, (classes, pixels) in (("train", train), ("test", test)):
        stacked = np.stack([pixels[image] for images in classes.values() for image in images])
        parts[split] = (stacked, np.repeat(np.arange(len(classes)), [len(images) for images in classes.values()]))
    return in_memory(name, tuple(train[0]), parts)
