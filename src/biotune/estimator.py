"""``biotune.ImageClassifier``: fine-tuning as an estimator of scikit-learn, with images in the place of rows."""

import math
import numbers
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from biotune.api import DEFAULTS, tune
from biotune.classifier import Prediction
from biotune.datasets import ImageSet
from biotune.datasets.in_memory import open_data
from biotune.datasets.listing import group_of_one, readable, written
from biotune.datasets.unlabelled import listed
from biotune.errors import InputError
from biotune.exports import Export, export
from biotune.exports.source import Format
from biotune.notebook import Page
from biotune.report.card import card
from biotune.runs.events import Observer
from biotune.scored import ScoredRun, evaluate_run

if TYPE_CHECKING:
    import pandas as pd


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A pretrained network that ``fit`` fine-tunes as ``biotune.tune`` does, for pipelines and cross-validation.

    After ``fit``, ``classes_`` holds the labels in the order of the columns of ``predict_proba``, ``result_`` the run,
    a ``biotune.TuneResult``, and ``classifier_`` the networks, in memory: a pickled estimator predicts anywhere.

    Args:
        model: name of a network, or a module or ``biotune.Backbone`` of one's own, as for ``biotune.tune``.
        preset: ``quick``, ``standard``, ``reference`` or ``paper``.
        budget: time that ``fit`` may take, ``"30m"``; None for that of the preset.
        seed: root seed; equal data, parameters and seeds give equal networks.
        test_fraction: share of the images that ``fit`` sets aside, to say in its report how good the network is. Where
            other images decide, as in cross-validation, 0 lets it learn from all.
        out: the run folder, as for ``biotune.tune``: an equal ``fit`` continues the run, one on other images is
            refused. None for a temporary one, which goes with the estimator: several fits need that.
        settings: further options of ``biotune.tune`` by name, ``{"image_size": 64, "epochs": 5}``, or by section.
        observer: receives progress and messages, as for ``biotune.tune``; ``biotune.silent`` drops them.
    """

    def __init__(
        self,
        model: Any = DEFAULTS.model.name,
        *,
        preset: str = "quick",
        budget: str | None = None,
        seed: int = 0,
        test_fraction: float = 0.2,
        out: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.model = model
        self.preset = preset
        self.budget = budget
        self.seed = seed
        self.test_fraction = test_fraction
        self.out = out
        self.settings = settings
        self.observer = observer

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> "ImageClassifier":  # noqa: N803
        """Find a recipe for the images and fine-tune the network by it.

        Args:
            X: n images: a list of paths, a column of a table, an array of shape (n, height, width[, 1 or 3]), uint8 or
                floating point in [0, 1], or a list of arrays or of images of Pillow. Without ``y``, anything that
                ``biotune.tune`` takes and that has labels: a folder of class folders, a table, a named data set.
            y: a label for each image, texts or whole numbers.
            groups: images of one group, such as those of a patient, stay together in every split; an image whose group
                is missing (None, NaN or pandas.NA) is a group of its own.

        Returns:
            The estimator.

        Raises:
            InputError: bad input; the message says what to do.
        """
        classes, data = (None, _unpaired(X, groups)) if y is None else _labelled(X, y, groups)
        folder = self._folder()
        budget = {} if self.budget is None else {"budget": self.budget}
        self.result_ = tune(
            data,
            out=folder,
            model=self.model,
            preset=self.preset,
            seed=self.seed,
            observer=self.observer,
            **{"test_fraction": self.test_fraction, **budget, **(self.settings or {})},
        )
        self.classifier_ = self.result_.classifier
        names = self.classifier_.class_names
        self.classes_ = np.array(names) if classes is None else classes
        self._columns = [names.index(name) for name in _names_of(self.classes_)]
        return self

    def _folder(self) -> Path:
        """Return the run folder; a temporary one is removed with the estimator, and that of an earlier fit at once."""
        if discard := self.__dict__.pop("_discard", None):
            discard()
        if self.out is not None:
            return Path(self.out)
        folder = Path(tempfile.mkdtemp(prefix="biotune-"))
        self._discard = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: everything but who removes the temporary folder."""
        return {name: value for name, value in super().__getstate__().items() if name != "_discard"}

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the label of each image, shape (n,); images are as for ``fit``, or one path, or a folder of them.

        Raises InputError: an image that cannot be read; ``predict_table`` continues past it.
        """
        found: NDArray[Any] = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[found])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the probabilities of the classes, shape (n, classes), in the order of ``classes_``."""
        check_is_fitted(self)
        rows = [list(answer.probabilities.values()) for answer in self.classifier_.predict(X)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes_))[:, self._columns]

    def predict_table(self, X: Any, top: int = 1) -> "pd.DataFrame":  # noqa: N803
        """Return a pandas table with a row for each image.

        Args:
            X: the images, as for ``predict``.
            top: how many of the most probable classes are given.

        Returns:
            The columns path, label, probability, label_2, probability_2, ...; reason, which says why an image cannot
            be read; whether it is unlike those that the network learned from, and its distance, 1 or more where it is.
            Cells of which nothing is known are missing.

        Raises:
            InputError: pandas is not installed.
        """
        check_is_fitted(self)
        if not 1 <= top <= len(self.classes_):
            raise InputError(f"top is {top}; give a number of classes, 1 to {len(self.classes_)}.")
        try:
            import pandas as pd
        except ImportError:
            raise InputError(
                "a table needs pandas: pip install pandas; predict and predict_proba work without it."
            ) from None
        labels = dict(zip(_names_of(self.classes_), self.classes_.tolist(), strict=True))
        return pd.DataFrame([_row(answer, top, labels) for answer in self.classifier_.predictions(X)])

    def evaluate(self, X: Any, y: Any = None, split: str = "") -> ScoredRun:  # noqa: N803
        """Return scores on labelled images, given as for ``fit``; ``.mistakes(20)`` lists the surest wrong answers.

        Args:
            X: the images.
            y: their labels; None where the images have labels of their own, such as a folder.
            split: the part that is scored, as for ``biotune evaluate``; of what ``fit`` learned from, the test images.

        Returns:
            The scores, and every answer.
        """
        folder = self._kept_folder()
        data = _unpaired(X, None) if y is None else _labelled(X, y, None)[1]
        source = data if isinstance(data, str | Path) else open_data(data)
        return evaluate_run(folder, source, split=split, model=self.result_.backbone)

    def report(self) -> Page:
        """Return the report of the run, which a notebook shows below the cell."""
        self._kept_folder()
        return self.result_.report()

    def export(self, out: str | Path, format: Format = "timm") -> Export:  # noqa: A002 - the option's name
        """Write the networks into a new folder, for use without BioTune, as ``biotune.export`` does.

        Args:
            out: the new folder.
            format: ``timm``, ``onnx`` or ``hub``; docs/export.md describes them.

        Returns:
            Where it lies and how closely it answers as the run does.
        """
        folder = self._kept_folder()
        return export(folder, format, out=out, model=self.result_.backbone)

    def _kept_folder(self) -> Path:
        """Return the run folder; refuse where a temporary one is gone, as for a pickled estimator."""
        check_is_fitted(self)
        folder: Path = self.result_.folder
        if not folder.is_dir():
            raise InputError(f"the run folder '{folder}' is gone; give ImageClassifier(out=...) a folder that stays.")
        return folder

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        """Return what a notebook shows: scikit-learn's diagram, and below it what ``fit`` found."""
        shown: dict[str, str] = super()._repr_mimebundle_(**options)
        if "text/html" in shown and hasattr(self, "result_"):
            shown["text/html"] += card(self.result_.summary, self.result_.folder)
        return shown

    def __sklearn_tags__(self) -> Any:
        """Say to scikit-learn what ``fit`` takes: images, and labels unless a folder has them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.three_d_array = tags.input_tags.string = True
        tags.target_tags.required = False
        tags.no_validation = True
        return tags


def _unpaired(data: Any, groups: Any) -> Any:
    """Return data that has labels of its own; refuse what needs labels beside it."""
    if isinstance(data, list | np.ndarray) or hasattr(data, "iloc"):
        raise InputError("y is missing; give one label per image (only a folder, a table or a data set has its own).")
    if groups is not None:
        raise InputError("groups go with y; a table has a column 'group' for them.")
    return data


def _labelled(images: Any, labels: Any, groups: Any) -> tuple[NDArray[Any], ImageSet]:
    """Return the classes in the order of scikit-learn, and the images with their labels as names."""
    if isinstance(images, str | Path):
        raise InputError(f"X is '{images}' and y is given too; give a list of paths with y, or a folder without.")
    kept = images if isinstance(images, np.ndarray) else list(listed(images))
    wanted = column_or_1d(labels, warn=True)
    _require_labels(labels if isinstance(labels, list | tuple) else wanted.tolist())  # NumPy makes a text of NaN
    try:
        check_classification_targets(wanted)
        classes, of = np.unique(wanted, return_inverse=True)
    except TypeError:  # bytes, or values without an order
        kinds = " and ".join(sorted({type(label).__name__ for label in wanted.tolist()}))
        raise InputError(f"labels of type {kinds} were given; give all as texts, or all as whole numbers.") from None
    names = _names_of(classes)
    if len(set(names)) < len(names):
        raise InputError(f"two labels are written alike ({sorted(names)[:20]}); give every class one label.")
    found = open_data((kept, [names[index] for index in of]))
    return classes, found if groups is None else replace(found, groups=_group_names(groups, found.ids))


def _require_labels(labels: Sequence[Any]) -> None:
    """Refuse labels of which one is missing."""
    for index, label in enumerate(labels):
        if _is_missing(label):
            raise InputError(f"the label of image {index} is missing ({label}); give every image one, or leave it out.")


def _names_of(classes: NDArray[Any]) -> list[str]:
    """Return the names of classes in a run."""
    return [written(str(label)) for label in classes.tolist()]


def _group_names(groups: Any, ids: Sequence[str]) -> tuple[str, ...]:
    """Return one group per image as a text; one that is missing is a group of its own."""
    given = list(groups)
    if len(given) != len(ids):
        raise InputError(f"{len(ids)} images and {len(given)} groups were given; give one group per image.")
    pairs = zip(given, ids, strict=True)
    return tuple(group_of_one(name) if _is_missing(group) else readable(str(group)) for group, name in pairs)


def _is_missing(value: Any) -> bool:
    """Return whether a cell holds nothing: None, NaN, or what pandas calls NA or NaT."""
    is_nan = isinstance(value, numbers.Real) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _row(answer: Prediction, top: int, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of a table; ``labels`` gives the label of a class by its name."""
    best: Sequence[tuple[str, float | None]] = [("", None)] * top if answer.reason else answer.top(top)
    row: dict[str, Any] = {"path": answer.path}
    for place, (name, probability) in enumerate(best, 1):
        suffix = "" if place == 1 else f"_{place}"
        row |= {f"label{suffix}": labels.get(name), f"probability{suffix}": probability}
    return row | {"reason": answer.reason, "unlike": answer.unlike, "distance": answer.distance}
