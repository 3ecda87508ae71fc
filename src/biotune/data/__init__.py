"""What it learns from: image sources, decoding, splits and named data sets."""

from biotune.data.cache import decoded_images
from biotune.data.datasets import DATASETS, DatasetInfo, data_root
from biotune.data.folds import stratified_folds
from biotune.data.image_set import ImageSet
from biotune.data.images import load_image
from biotune.data.intake import LearningData, take_in
from biotune.data.sources import open_source
from biotune.data.splits import Splits, make_splits

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "ImageSet",
    "LearningData",
    "Splits",
    "data_root",
    "decoded_images",
    "load_image",
    "make_splits",
    "open_source",
    "stratified_folds",
    "take_in",
]
