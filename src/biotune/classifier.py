"""Using the model of a run: its network, its labels, its answers."""

import itertools
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from biotune.datasets.unlabelled import listed, named
from biotune.errors import DamagedStateError, InputError
from biotune.images.decoding import UnreadableImageError
from biotune.models import (
    OWN,
    Backbone,
    LoadedModel,
    as_backbone,
    forward_logits,
    load_backbone,
    load_model,
    load_text_network,
    resolve_name,
)
from biotune.models.familiarity import Familiarity, compared
from biotune.models.vote import Vote, voting
from biotune.pixels.inputs import Row, kind_of, read_row
from biotune.recipe import Recipe
from biotune.records import Inputs, Preprocessing, TextInputs, inputs_from_json
from biotune.runs import folder as files
from biotune.runs.manifest import read_result
from biotune.runs.status import finished_summary
from biotune.runs.unfinished import about_model, read_model
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config
from biotune.training.sources import batch_of
from biotune.user_files import parse_yaml

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """The answer for one image or text: the most probable class, its probability in [0, 1], and that of every class.

    Without a label (empty, of probability 0), the reason says why there is none. The distance to the images that the
    network learned from is 1 where an image begins to be unlike them; None where the run does not know.
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float] = field(repr=False)
    reason: str = ""
    distance: float | None = None

    @property
    def unlike(self) -> bool | None:
        """Whether the image is unlike those that the network learned from; None where the run does not know."""
        return None if self.distance is None else self.distance > 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary; ``unlike`` and ``distance`` only where the run knows."""
        known = {} if self.distance is None else {"unlike": self.unlike}
        return {name: value for name, value in vars(self).items() if name != "distance" or known} | known

    def top(self, number: int) -> list[tuple[str, float]]:
        """Return the classes of highest probability, at most so many, with their probabilities, the highest first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])[:number]


class Lock:
    """Lets one thread at a time into a block of code; a copy, or a pickle, of its owner has one of its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Lock"], tuple[()]]:
        return Lock, ()


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned network with what it needs to be used; threads that share it take turns.

    Args:
        model: in evaluation mode, on the CPU.
        class_names: by output index.
        preprocessing: how images, or texts, are prepared for it.
        note: of an unfinished run, which model this is; empty for a finished one.
        operating_point: a class, of two, and the probability from which on it is answered; None: the more probable one.
        familiarity: tells images that are unlike those that the network learned from; None where the run does not know.
        lock: held while the network works, which also notes what its layers give.
    """

    model: nn.Module = field(repr=False)
    class_names: tuple[str, ...]
    preprocessing: Inputs
    note: str = ""
    operating_point: tuple[str, float] | None = None
    familiarity: Familiarity | None = field(default=None, repr=False)
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def predict(self, images: Any) -> list[Prediction]:
        """Return one prediction per image, in order; raises InputError for one that cannot be read.

        Images are given as for ``predictions``.
        """
        answers = list(self.predictions(images))
        for answer in answers:
            if answer.reason:
                raise UnreadableImageError(Path(answer.path), answer.reason)
        return answers

    def predictions(self, images: Any) -> Iterator[Prediction]:
        """Yield one prediction per image, in order; one that cannot be read has a reason in place of a label.

        Images are one or several of these: the path of a file, or of a folder, which stands for those inside it; the
        content of a file (bytes); pixels of shape (height, width[, 1 or 3]), uint8 or floating point in [0, 1], or a
        stack of them; an image of Pillow; a column of a table, or a table with a column ``path``. Those that are no
        files are called ``image 0``, ``image 1``, ... in answers. A text is the path of its file (``Path``), or the
        text itself (``str``, or bytes in UTF-8).

        Raises InputError: something else than images.
        """
        kind = kind_of(self.preprocessing)
        remaining = (named(number, image, kind) for number, image in enumerate(listed(images, kind)))
        while part := list(itertools.islice(remaining, BATCH)):
            pixels, reasons = list[Row](), list[str]()
            for one in part:
                try:
                    pixels.append(read_row(one.opened(), self.preprocessing))
                    reasons.append("")
                except UnreadableImageError as error:
                    reasons.append(error.reason)
            rows = iter(self._seen(pixels) if pixels else ())
            for one, reason in zip(part, reasons, strict=True):
                yield Prediction(one.name, "", 0.0, {}, reason) if reason else self._prediction(one.name, *next(rows))

    def probabilities(self, images: Sequence[Row]) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, classes), of preprocessed images, each (size, size, 3) uint8.

        Encoded texts are rows of tokens, each (max_length,) int32.
        """
        with self.lock, torch.inference_mode():
            logits = forward_logits(self.model, batch_of(images, self.preprocessing))
        return np.asarray(torch.softmax(logits.double(), dim=1).numpy())

    def _seen(self, images: Sequence[Row]) -> Iterable[tuple[NDArray[np.float64], float | None]]:
        """Return class probabilities and the distance of preprocessed images, which one pass of the networks gives."""
        if self.familiarity is None:
            return zip(self.probabilities(images), itertools.repeat(None))
        exported = self.model.networks[0] if isinstance(self.model, Vote) else self.model
        with self.lock, compared(exported, list(self.familiarity.learned)) as values:
            rows = self.probabilities(images)
            return list(
                zip(rows, (self.familiarity.distances(values) / self.familiarity.threshold).tolist(), strict=True)
            )

    def _prediction(self, path: str, row: NDArray[np.float64], distance: float | None) -> Prediction:
        best = int(row.argmax())
        if self.operating_point is not None:
            name, threshold = self.operating_point
            label = self.class_names.index(name)
            best = label if row[label] >= threshold else 1 - label
        named = {name: float(value) for name, value in zip(self.class_names, row, strict=True)}
        return Prediction(path, self.class_names[best], float(row[best]), named, distance=distance)


def load_run(
    folder: str | Path,
    model: nn.Module | Backbone | None = None,
    vote: bool | None = None,
    operating_point: bool = False,
) -> Classifier:
    """Return the networks of a finished run, which vote; before the end, the one that is best so far by validation.

    Args:
        folder: the run folder.
        model: for the run of a module of one's own, that module again; its weights do not matter.
        vote: True for all final networks, which answer by the mean of their probabilities; False for the exported one;
            None: a vote if there are several.
        operating_point: True to answer by the threshold of two classes that held-out images chose.

    Returns:
        The classifier; its ``model`` is a ``biotune.models.Vote`` if several networks answer.

    Raises:
        InputError: no model yet, or one network where a vote was asked for, or the module is missing or another one, or
            an operating point was asked for where there is none.
        DamagedStateError: a file of the run cannot be read.
    """
    folder = Path(folder)
    unfinished = read_model(folder)
    if unfinished is None and not (folder / files.SUMMARY).exists():
        files.require_begun(folder)
        raise InputError(f"'{folder}' holds no model of biotune yet; run the command that began it to continue.")
    members = _members(folder, unfinished is None, required=bool(vote)) if vote is not False else []
    point = _operating_point(folder, unfinished is None, vote) if operating_point else None
    with _damaged(folder / files.CONFIG):
        config, facts = load_config(folder / files.CONFIG)
        architecture, heads = str(facts["model"]), tuple(facts["heads"])
    if unfinished is None:
        labels, inputs, note = _json(folder, files.LABELS), _json(folder, files.PREPROCESSING), ""
        content = read_result(folder, files.MODEL)
    else:
        about, content = unfinished
        labels, inputs, note = about.labels, about.preprocessing, about.sentence(folder)
    with _damaged(folder / files.LABELS):
        names = tuple(map(str, labels))
    with _damaged(folder / files.PREPROCESSING):
        preprocessing = inputs_from_json(inputs)
    network = _own_network(folder, model, architecture, heads, preprocessing, len(names))
    for path in members:
        read_result(folder, path.relative_to(folder).as_posix())
    with _damaged(folder / files.MODEL):
        if network is None:
            network = _named_network(config, architecture, preprocessing, len(names)).model
        network = voting(network, content, members)
    return Classifier(network, names, preprocessing, note, point, _familiarity(folder, unfinished is None))


def _members(folder: Path, is_finished: bool, required: bool) -> list[Path]:
    """Return the files of the other networks of a finished run; InputError where some are required and none there."""
    if not is_finished:
        if not required:
            return []
        raise InputError(f"the run in '{folder}' is not finished, so it has one network only; leave out --vote.")
    seeds = finished_summary(folder).exported.members
    if required and not seeds:
        raise InputError(
            f"the run in '{folder}' has one network only, and a vote needs several (--seeds 3); leave out --vote."
        )
    return [files.member_path(folder, seed) for seed in seeds]


def _operating_point(folder: Path, is_finished: bool, vote: bool | None) -> tuple[str, float]:
    """Return the operating point of a finished run; InputError where it has none, or one of other networks."""
    summary = finished_summary(folder) if is_finished else None
    if summary is None or summary.operating_point is None:
        raise InputError(
            f"the run in '{folder}' has no operating point: a finished run of two classes with test images has one, if "
            "images were held out that choose it; leave out --operating-point."
        )
    if vote is False and summary.exported.members:
        raise InputError(
            f"the operating point of the run in '{folder}' is that of all its networks together; leave out --single."
        )
    return summary.operating_point.class_name, summary.operating_point.threshold


def _familiarity(folder: Path, is_finished: bool) -> Familiarity | None:
    """Return what tells unlike images; None before the end, of texts, and of older runs."""
    if not is_finished or not (folder / files.FAMILIARITY).exists():
        return None
    content = read_result(folder, files.FAMILIARITY)
    with _damaged(folder / files.FAMILIARITY):
        return Familiarity.from_bytes(content)


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Say that a file is damaged where what it holds cannot be used."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise DamagedStateError(
            f"'{path}' is damaged ({error}); run the same command again, or restore a copy."
        ) from None


def _json(folder: Path, name: str) -> Any:
    with _damaged(folder / name):
        return json.loads(read_result(folder, name).decode())


def _named_network(config: RunConfig, name: str, inputs: Inputs, num_classes: int) -> LoadedModel:
    """Return the network of a run that has a name, with random weights."""
    if isinstance(inputs, TextInputs):
        return load_text_network(resolve_name(name), num_classes, inputs, config.text)
    size = inputs.image_size if isinstance(inputs, Preprocessing) else None
    auxiliary = config.model.keep_auxiliary and name == "torchvision:inception_v3"
    return load_model(name, num_classes, weights="random", image_size=size, keep_auxiliary=auxiliary)


def _own_network(
    folder: Path,
    model: nn.Module | Backbone | None,
    architecture: str,
    heads: tuple[str, ...],
    preprocessing: Inputs,
    num_classes: int,
) -> nn.Module | None:
    """Return the user's module with the run's head; None for the run of a network that has a name."""
    own = architecture.startswith(f"{OWN}:")
    if own and model is None:
        raise InputError(
            f"'{folder}' holds a run of {architecture}, a module of your own; only Python can load it: "
            "biotune.load_run(folder, model=...)."
        )
    if model is None:
        return None
    if not own or not isinstance(preprocessing, Preprocessing):
        raise InputError(f"'{folder}' holds a run of {architecture}, which is loaded by its name; leave out model.")
    backbone = Backbone(as_backbone(model).module, preprocessing.image_size, head=heads)
    network = load_backbone(backbone, num_classes).model
    about = about_model(folder)
    recipe = (
        Recipe.load(folder)
        if about is None
        else Recipe.from_dict(parse_yaml(about.recipe, f"the recipe of '{folder}'"), f"'{folder}'")
    )
    recipe.check(network)
    return network
