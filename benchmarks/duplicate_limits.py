"""Measures the effect of each limit of the search for near copies: the table in docs/check.md.

Each limit is made stricter and looser, one at a time, on three of the sets of ``benchmarks.duplicates``. Counted are
the copies that are found (50 images of each set and seven copies of each, searched by themselves, so that the figures
are a little higher than in the main table), and the pairs of different images that are declared copies in the whole
set.

    python -m benchmarks.duplicate_limits --json docs/results/duplicate_limits.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.datasets import register
from benchmarks.duplicates import COPIES, NUM_COPIED, patches, photos, searched
from biotune.inspection import duplicates, near_duplicates
from biotune.inspection.duplicates import components

TRIED = {
    "LARGEST_DISTANCE": (60, 100),
    "LARGEST_SHARE": (0.6, 0.9),
    "_ORDERS": (16, 64),
    "_NEIGHBOURS": (2, 8),
    "_LEAST_COARSE_CORRELATION": (0.85, 0.5),
    "_CANDIDATES_EACH": (1, 10),
    "_STEPS": (1, 6),
    "_LARGEST_SCALING": (0.05, 0.2),
    "_LARGEST_SHIFT": (1.0, 4.0),
    "_LEAST_CORRELATION": (0.95, 0.8),
    "_LEAST_DETAIL_CORRELATION": (0.75, 0.4),
    "_LEAST_DETAIL": (0.4, 0.0),
    "_NOISE_VARIANCE": (1.0, 4.0),
    "_RELATIVE_VARIANCE": (0.0225, 0.09),
    "_LEAST_GAIN": (0.85, 0.5),
    "_LARGEST_GAIN": (1.2, 2.0),
    "_LARGEST_COLOUR_ERROR": (8.0, 32.0),
    "_GENEROUS": (2.0, 8.0),
    "_DAMPING": (0.1, 0.001),
    "_BRIGHTNESS_DAMPING": (1.0, 0.0),
    "_LEAST_FITTED_GAIN": (0.6, 0.1),
}
"""Limit -> a stricter and a looser value."""


def measured(originals: list[Image.Image]) -> dict[str, float]:
    """Return the share of copies found, and the number of pairs of different images declared the same."""
    chosen = np.random.default_rng(0).permutation(len(originals))[:NUM_COPIED]
    shares = []
    for copy in list(COPIES.values())[:-1]:  # the last one, flipped, does not count as a copy
        images = [*(originals[row] for row in chosen), *(copy(originals[row]) for row in chosen)]
        group = components(len(images), searched(images)[0])
        shares.append(float(np.mean(group[NUM_COPIED:] == group[:NUM_COPIED])))
    return {"found": round(float(np.mean(shares)), 3), "pairs_of_originals": len(searched(originals)[0])}


def main() -> None:
    """Measure every limit and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("docs/results/duplicate_limits.json"))
    arguments = parser.parse_args()
    register()
    sets = {"photos": photos(), "skimage_photos": patches("skimage_photos"), "dermo_patches": patches("dermo_patches")}
    rows: list[dict[str, Any]] = [{"limit": None, **{name: measured(images) for name, images in sets.items()}}]
    for limit, values in TRIED.items():
        module = near_duplicates if hasattr(near_duplicates, limit) else duplicates
        usual = getattr(module, limit)
        for value in values:
            setattr(module, limit, value)
            rows.append({"limit": limit, "value": value, **{name: measured(images) for name, images in sets.items()}})
        setattr(module, limit, usual)
    arguments.json.write_text(json.dumps({"command": "python -m benchmarks.duplicate_limits", "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
