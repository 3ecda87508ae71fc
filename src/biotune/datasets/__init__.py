"""A source to a labelled set of images, its splits and folds; and the named data sets."""

from biotune.datasets.folds import stratified_folds
from biotune.datasets.image_set import ImageSet
from biotune.datasets.registry import DATASETS, DatasetInfo, data_root
from biotune.datasets.sources import open_source
from biotune.datasets.splits import Splits, make_splits

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "ImageSet",
    "Splits",
    "data_root",
    "make_splits",
    "open_source",
    "stratified_folds",
]
