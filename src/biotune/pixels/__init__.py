"""A labelled set to rows of pixels: decoded once, kept in a cache, and divided into training, validation and test."""

from biotune.pixels.cache import decoded_images
from biotune.pixels.learning_data import LearningData
from biotune.pixels.loading import load

__all__ = ["LearningData", "decoded_images", "load"]
