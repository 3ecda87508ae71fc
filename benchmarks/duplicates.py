"""Measures how well near duplicates are found, and how long that takes: the figures of docs/check.md.

From each of four sets of real images, 50 are chosen and copied in eight ways. The search runs on all images of the set
and the copies. A copy counts as found if it is in a group with its original. Pairs of different images of the set that
are declared the same are counted too; flipped copies must not be found.

    python -m benchmarks.duplicates --json docs/results/duplicates.json
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from benchmarks.datasets import register
from biotune.datasets import DATASETS
from biotune.images.decoding import difference_hash
from biotune.inspection.duplicates import Pairs, components, near_pairs
from biotune.inspection.near_duplicates import thumbnail

SETS = ("skimage_photos", "dermo_patches", "mnist5000")
NUM_COPIED = 50
"""Images of each set that are copied, chosen by hand: shares come in steps of 2 %."""
REPEATED = "chessboard_RGB.png"  # the same picture as chessboard_GRAY.png


def reencoded(image: Image.Image, quality: int) -> Image.Image:
    """Return an image after JPEG compression."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(image: Image.Image, left: float, right: float) -> Image.Image:
    """Crop shares of the width and the height, at least one pixel in total."""
    width, height = image.size
    columns, rows = max(1, round(width * (left + right))), max(1, round(height * (left + right)))
    first_column, first_row = round(columns * left / (left + right)), round(rows * left / (left + right))
    return image.crop((first_column, first_row, width - columns + first_column, height - rows + first_row))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 85": lambda image: reencoded(image, 85),
    "JPEG, quality 50": lambda image: reencoded(image, 50),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "10 % brighter": lambda image: image.point(lambda value: min(255, round(1.1 * value))),
    "3 % cropped, all around": lambda image: cropped(image, 0.015, 0.015),
    "3 % cropped, at one corner": lambda image: cropped(image, 0.03, 0.0),
    "half the size, JPEG, brighter, cropped": lambda image: reencoded(
        cropped(image, 0.015, 0.015)
        .resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
        .point(lambda value: min(255, round(1.1 * value))),
        85,
    ),
    "flipped (no copy)": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def searched(images: list[Image.Image]) -> tuple[Pairs, float]:
    """Return the near pairs of images, and the seconds of the search without decoding."""
    hashes = np.stack([np.frombuffer(difference_hash(image), dtype=np.uint8) for image in images])
    thumbnails = np.stack([thumbnail(image) for image in images])
    start = time.perf_counter()
    pairs = near_pairs(hashes, thumbnails.__getitem__)
    return pairs, time.perf_counter() - start


def photos() -> list[Image.Image]:
    """Return scikit-image's pictures of 100 pixels or more, and the quarters of the larger ones."""
    pictures: list[Image.Image] = []
    for file in sorted(Path(skimage.__file__).parent.joinpath("data").glob("*.*")):
        if file.suffix in (".png", ".jpg") and file.name != REPEATED:
            picture = Image.open(file).convert("RGB")
            width, height = picture.width // 2, picture.height // 2
            if min(picture.size) >= 100:
                pictures.append(picture)
            if min(picture.size) >= 300:
                corners = [(left, top) for left in (0, width) for top in (0, height)]
                pictures += [picture.crop((left, top, left + width, top + height)) for left, top in corners]
    return pictures


def patches(name: str) -> list[Image.Image]:
    """Return all images of a named data set."""
    arrays = DATASETS[name].load().arrays
    pixels = arrays.repeat(3 // arrays.shape[3], axis=3) if arrays is not None else ()
    return [Image.fromarray(image) for image in pixels]


def measured(originals: list[Image.Image]) -> dict[str, Any]:
    """Return the share of copies found, by kind, and the pairs of different images that are declared the same."""
    chosen = np.random.default_rng(0).permutation(len(originals))[:NUM_COPIED]
    pairs, seconds = searched(originals)
    found = {}
    for kind, copy in COPIES.items():
        copies = [copy(originals[row]) for row in chosen]
        group = components(len(originals) + len(copies), searched([*originals, *copies])[0])
        found[kind] = float(np.mean(group[len(originals) :] == group[chosen]))
    return {"images": len(originals), "found": found, "pairs_of_originals": len(pairs), "seconds": round(seconds, 2)}


def timed(kind: str, count: int) -> dict[str, Any]:
    """Return the seconds of a search among made-up hashes: random, equal, or alike (40 % of the same 60 bits set)."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    if kind == "equal":
        hashes[:] = hashes[0]
    if kind == "alike":
        hashes[:] = np.packbits((rng.random((count, 256)) < 0.4) & (np.arange(256) < 60), axis=1)
    pictures = rng.integers(0, 256, (1000, 32, 32, 3), dtype=np.uint8)
    start = time.perf_counter()
    pairs = near_pairs(hashes, lambda rows: pictures[rows % 1000])
    return {"hashes": kind, "images": count, "pairs": len(pairs), "seconds": round(time.perf_counter() - start, 1)}


def main() -> None:
    """Measure all sets and the timing, write the JSON file."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("docs/results/duplicates.json"))
    parser.add_argument("--images", type=int, default=100_000, help="Number of made-up hashes.")
    arguments = parser.parse_args()
    result = {
        "command": "python -m benchmarks.duplicates",
        "sets": {"photos": measured(photos()), **{name: measured(patches(name)) for name in SETS}},
        "timing": [timed(kind, arguments.images) for kind in ("random", "equal", "alike")],
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
