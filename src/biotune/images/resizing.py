"""From an RGB image to the network's square uint8 input: the one implementation of resizing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.errors import InputError
from biotune.images.decoding import ImageSource, decode
from biotune.records import Preprocessing

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

Pixels = NDArray[np.uint8]


def resize(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Resize an RGB image to uint8 pixels of shape (image_size, image_size, 3); antialiased.

    ``crop`` computes only what the centre crop keeps, so extreme shapes cost no more memory than others. Raises
    InputError: the way of resizing or the interpolation is unknown.
    """
    size = preprocessing.image_size
    if preprocessing.interpolation not in _RESAMPLING:
        raise InputError(f"unknown interpolation '{preprocessing.interpolation}': use bilinear or bicubic.")
    resample = _RESAMPLING[preprocessing.interpolation]
    match preprocessing.resize:
        case "squash":
            square = image.resize((size, size), resample)
        case "crop":
            side = min(image.size) * preprocessing.crop_fraction
            left, top = (image.width - side) / 2, (image.height - side) / 2
            square = image.resize((size, size), resample, box=(left, top, left + side, top + side))
        case "pad":
            scale = size / max(image.size)
            width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            square = Image.new("RGB", (size, size), "black")
            square.paste(image.resize((width, height), resample), ((size - width) // 2, (size - height) // 2))
        case unknown:
            raise InputError(f"unknown way of resizing '{unknown}': use crop, squash or pad.")
    return np.asarray(square)


def load_image(source: ImageSource, preprocessing: Preprocessing) -> Pixels:
    """Read one image and resize it.

    Args:
        source: a file, the content of one, or uint8 pixels of shape (height, width) or (height, width, 1 or 3).
        preprocessing: see ``resize``.

    Returns:
        uint8 pixels, shape (image_size, image_size, 3).

    Raises:
        InputError: the array has another shape or type; UnreadableImageError: the file cannot be used.
    """
    return resize(decode(source), preprocessing)
