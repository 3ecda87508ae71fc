"""One image file to RGB pixels, and to the network's square: decoding, refusals, resizing."""

from biotune.images.resizing import load_image

__all__ = ["load_image"]
