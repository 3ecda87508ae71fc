"""A labelled set to rows of pixels: decoded once, kept in a cache, and dealt to training, validation and test."""

from biotune.pixels.cache import decoded_images
from biotune.pixels.loading import LearningData, take_in

__all__ = ["LearningData", "decoded_images", "take_in"]
