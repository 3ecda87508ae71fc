"""BioTune: automatic fine-tuning of pretrained image classifiers by evolution.

Names are loaded when first used, so that ``import biotune`` is quick and needs no torch.
"""

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from biotune.version import __version__

if TYPE_CHECKING:
    from biotune.api import check, compare, evaluate, predict, refine, train, tune
    from biotune.classifier import Classifier, load_run
    from biotune.errors import BioTuneError, BioTuneWarning, InputError
    from biotune.estimator import ImageClassifier
    from biotune.exports import export
    from biotune.finished import TuneResult
    from biotune.models import Backbone, partition_of
    from biotune.partition import Block, BlockPartition
    from biotune.recipe import Recipe
    from biotune.runs.events import silent
    from biotune.search import Evolution, SearchSettings
    from biotune.space import BlockSpace

# Threads that spin while they wait make a step fifty times slower when other processes want the cores (measured:
# SqueezeNet at 64 px, two cores, two busy neighbours); a short spin costs nothing on a quiet machine. It is read when
# torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_HOME = {
    "Backbone": "biotune.models",
    "BioTuneError": "biotune.errors",
    "BioTuneWarning": "biotune.errors",
    "Block": "biotune.partition",
    "BlockPartition": "biotune.partition",
    "BlockSpace": "biotune.space",
    "Classifier": "biotune.classifier",
    "Evolution": "biotune.search",
    "ImageClassifier": "biotune.estimator",
    "InputError": "biotune.errors",
    "Recipe": "biotune.recipe",
    "SearchSettings": "biotune.search",
    "TuneResult": "biotune.finished",
    "check": "biotune.api",
    "compare": "biotune.api",
    "evaluate": "biotune.api",
    "export": "biotune.exports",
    "load_run": "biotune.classifier",
    "partition_of": "biotune.models",
    "predict": "biotune.api",
    "refine": "biotune.api",
    "silent": "biotune.runs.events",
    "train": "biotune.api",
    "tune": "biotune.api",
}

__all__ = [
    "Backbone",
    "BioTuneError",
    "BioTuneWarning",
    "Block",
    "BlockPartition",
    "BlockSpace",
    "Classifier",
    "Evolution",
    "ImageClassifier",
    "InputError",
    "Recipe",
    "SearchSettings",
    "TuneResult",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "load_run",
    "partition_of",
    "predict",
    "refine",
    "silent",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module 'biotune' has no attribute '{name}'")
    with warnings.catch_warnings():
        # of tqdm in a notebook without widgets, which other libraries load: no bar of BioTune needs them
        warnings.filterwarnings("ignore", "IProgress not found")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
