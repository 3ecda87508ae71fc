"""Images with what a network looked at drawn over them."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from biotune import wording
from biotune.report.figures import INK, styled

Pixels = NDArray[np.uint8]

_STRONGEST = 0.7
"""Share of the colour where the heat is 1: the image stays visible below it."""


class Seen(NamedTuple):
    """An image with what spoke for the answer.

    Args:
        image: RGB values, shape (height, width, 3).
        heat: how much each place spoke for the answer, in [0, 1], of any shape (rows, columns).
    """

    image: Pixels
    heat: NDArray[np.float32]

    @property
    def overlay(self) -> Pixels:
        """The image in grey, coloured where the heat is, of its shape: violet where a little, yellow where most."""
        height, width = self.image.shape[:2]
        heat = np.asarray(Image.fromarray(self.heat).resize((width, height), Image.Resampling.BILINEAR))
        grey = np.asarray(Image.fromarray(self.image).convert("L").convert("RGB"), dtype=np.float32)
        colour = 255 * mpl.colormaps["plasma"](heat)[..., :3]
        return np.asarray(np.rint(grey + _STRONGEST * heat[..., None] * (colour - grey)), dtype=np.uint8)

    @property
    def pair(self) -> Pixels:
        """The image and, right of it, the overlay, shape (height, 2 * width, 3)."""
        return np.concatenate([self.image, self.overlay], axis=1)


@styled()
def explanation(seen: Seen, answer: str, probability: float) -> Figure:
    """Draw an image beside its overlay, under the answer and its probability."""
    figure = Figure((7.2, 4.0), layout="constrained")
    for axes, pixels in zip(figure.subplots(1, 2), (seen.image, seen.overlay), strict=True):
        axes.imshow(pixels, interpolation="none")
        axes.set_axis_off()
    title = f"{wording.label(answer, 48)}  {wording.percent(probability)}"
    figure.suptitle(title, parse_math=False, color=INK, size=13)
    return figure
