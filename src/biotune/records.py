"""Plain records that cross module, process and file borders: frozen, JSON-able, no torch."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from biotune.recipe import Recipe

Outcome = Literal["ok", "diverged", "oom", "error", "timeout", "killed", "infeasible"]

FAILURES: tuple[Outcome, ...] = ("oom", "error", "timeout", "killed")
"""The outcomes of trainings that did not reach their end, by a fault of their own or of the machine."""


class Inputs:
    """How something of a source becomes the network's input; the same object serves training, prediction and export."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """A text that differs whenever inputs are made in another way."""
        return json.dumps(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, from which ``inputs_from_json`` makes the object again."""
        raise NotImplementedError


@dataclass(frozen=True)
class Preprocessing(Inputs):
    """How an image becomes the network's input.

    Args:
        image_size: side of the square input, in pixels.
        mean: per RGB channel, of values scaled to [0, 1].
        std: per RGB channel.
        resize: ``crop`` (shorter side to image_size / crop_fraction, centre crop), ``squash`` (aspect ratio given up)
            or ``pad`` (longer side to image_size, black borders).
        crop_fraction: share of the resized shorter side that the centre crop keeps, in (0, 1].
        interpolation: ``bilinear`` or ``bicubic`` (both antialiased).
    """

    image_size: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    resize: str = "crop"
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        return 3, self.image_size, self.image_size

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from ``to_json``."""
        return cls(**{**data, "mean": tuple(data["mean"]), "std": tuple(data["std"])})


PADDING, UNKNOWN = 0, 1
"""Tokens of no word: what fills a row behind the last word of its text, and a word outside the vocabulary."""


class _RowInputs(Inputs):
    """How a text becomes the network's input: a row of tokens, then ``PADDING``.

    Args:
        max_length: tokens of a text that are used, from its beginning; the length of a row.
    """

    max_length: int

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Tokens of one input."""
        return (self.max_length,)

    @property
    def fingerprint(self) -> str:
        """A hash, since vocabularies are long: 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()


@dataclass(frozen=True)
class TextPreprocessing(_RowInputs):
    """How a text becomes the network's input: a row of tokens, one for each word, then ``PADDING``.

    Args:
        vocabulary: the known words, the most frequent first; the token of word i is i + 2.
        max_length: words of a text that are used, from its beginning; the length of a row.
        lower_case: whether capitals are ignored.
    """

    vocabulary: tuple[str, ...]
    max_length: int
    lower_case: bool = True

    @property
    def num_tokens(self) -> int:
        """How many different tokens there are."""
        return len(self.vocabulary) + 2

    @property
    def vocabulary_size(self) -> int:
        """How many words the network knows."""
        return len(self.vocabulary)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return {"vocabulary": list(self.vocabulary), "max_length": self.max_length, "lower_case": self.lower_case}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from ``to_json``."""
        return cls(**{**data, "vocabulary": tuple(data["vocabulary"])})


@dataclass(frozen=True)
class TokenizerPreprocessing(_RowInputs):
    """How a text becomes the network's input where the network came with a tokenizer of its own.

    Args:
        tokenizer: what the library ``tokenizers`` writes as ``tokenizer.json``; its token i is i + 1 here, so that
            ``PADDING`` is none of them.
        max_length: tokens of a text that are used, special ones included; the length of a row.
        vocabulary_size: different tokens.
    """

    tokenizer: str
    max_length: int
    vocabulary_size: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


TextInputs = TextPreprocessing | TokenizerPreprocessing


def inputs_from_json(data: dict[str, Any]) -> Preprocessing | TextInputs:
    """Rebuild what ``Inputs.to_json`` returned; KeyError, TypeError or ValueError where it is something else."""
    if "tokenizer" in data:
        return TokenizerPreprocessing(**data)
    return TextPreprocessing.from_json(data) if "vocabulary" in data else Preprocessing.from_json(data)


GIVEN = "given"
"""The method that trains the recipe of its task as it is."""

GIVEN_ONCE = "recipe"
"""What ``GIVEN`` was called before; it still stands in result keys, and in the files of older runs."""


AUGMENTED = 2
"""What stands in the key of an augmented training; raised when the changed images become others. It was true."""

ALL_IMAGES = -1
"""The fold of a training on all training and validation images: none is held out."""


@dataclass(frozen=True)
class Task:
    """One training to be done: everything its result depends on.

    Args:
        method: name in the registry of methods, and options.
        recipe: what is trained and how fast, rounded as in the result key; None where the method decides it.
        fold: index of the training fold, None for the full training set, or ``ALL_IMAGES``.
        seed: seeds the fresh head and the data order.
        epochs: largest number of epochs.
        config_hash: hash of everything else that a result depends on.
        keep_weights: True to leave the best weights in the run folder.
        augmented: True to train on augmented images.
        first_epoch: where a paused training of the same recipe may be taken up again; says what the task costs, not
            what it gives.
        last_epoch: pause after so many epochs; 0 to train to the end.
        keep_above: also keep the weights if the fitness is above this; says what is left behind, not what is found.
    """

    method: str
    recipe: Recipe | None
    fold: int | None
    seed: int
    epochs: int
    config_hash: str
    keep_weights: bool = False
    augmented: bool = False
    first_epoch: int = 0
    last_epoch: int = 0
    keep_above: float = math.inf

    @property
    def key(self) -> str:
        """The identity of the result: SHA-256 (24 hexadecimal digits) of all fields that it depends on."""
        fields = self.to_json()
        name, colon, options = self.method.partition(":")
        fields["method"] = f"{GIVEN_ONCE if name == GIVEN else name}{colon}{options}"
        del fields["keep_weights"], fields["first_epoch"]
        if not self.last_epoch:
            del fields["last_epoch"]
        if self.augmented or (self.recipe is not None and self.recipe.value("augment") is not None):
            fields["augmented"] = AUGMENTED  # a level of the recipe holds whether the task is marked or not
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def training(self) -> str:
        """The identity of the whole training, which tasks that pause at different epochs share."""
        return replace(self, last_epoch=0).key

    @property
    def is_infeasible(self) -> bool:
        """Whether the task needs no training, since its recipe freezes every block and fits nothing."""
        return self.recipe is not None and self.recipe.trains_nothing

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary: of the recipe, its multipliers, and its named values if it has some.

        ``keep_above`` is left out: it depends on when the task was handed out.
        """
        fields = {name: value for name, value in vars(self).items() if name not in ("recipe", "keep_above")}
        fields["multipliers"] = list(self.recipe.multipliers) if self.recipe else []
        if self.recipe and self.recipe.values:
            fields["values"] = dict(self.recipe.values)
        return fields


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave. Losses are means over samples (nats); scores are in [0, 1].

    All but the training loss are None where no image was held out.

    Args:
        epoch: counted from 0.
        train_loss: mean training loss of the epoch, penalty included.
        validation_loss: mean cross-entropy on the validation set.
        accuracy: share of right labels on the validation set.
        macro_accuracy: mean per-class recall on the validation set.
        score: the chosen metric, higher is better.
        calibrated_loss: see ``metrics.calibrated_loss``; None where candidates are ranked by the score.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    accuracy: float | None = None
    macro_accuracy: float | None = None
    score: float | None = None
    calibrated_loss: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """The result of one task.

    Args:
        outcome: ``ok``; ``diverged`` (a loss became NaN or infinite, or the last step left a ruined network), ``oom``
            (out of memory), ``error`` (it raised one), ``timeout`` (it took longer than it may), ``killed`` (its
            process died, again and again) and ``infeasible`` (all blocks frozen) have fitness 0, the worst.
        fitness: higher is better; 0 where no image was held out.
        best_epoch: index into ``curve`` of the epoch that counts, the best or the last one; -1 without one.
        curve: one record per finished epoch.
        seconds: wall time of the training, validation included.
        trainable: number of trained scalar parameters.
        held_out: log-probability of each held-out image's own class after the last epoch; see ``metrics.calibrated``.
            Empty where candidates are not ranked by it.
        cpu_seconds: CPU time of the same, of all threads; 0 in rows that older versions stored.
        cause: of ``error`` its traceback, of ``killed`` how the process ended; else empty.
    """

    outcome: Outcome
    fitness: float
    best_epoch: int = -1
    curve: tuple[EpochRecord, ...] = field(default=())
    seconds: float = 0.0
    trainable: int = 0
    held_out: tuple[float, ...] = ()
    cpu_seconds: float = 0.0
    cause: str = ""

    @property
    def reason(self) -> str:
        """The last line of the cause."""
        return (self.cause.strip().splitlines() or [""])[-1]

    @property
    def best(self) -> EpochRecord | None:
        """The record of the epoch that counts."""
        return self.curve[self.best_epoch] if self.best_epoch >= 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from ``to_json``."""
        curve = tuple(EpochRecord(**row) for row in data["curve"])
        return cls(**{**data, "curve": curve, "held_out": tuple(data.get("held_out", ()))})


INFEASIBLE = Evaluation(outcome="infeasible", fitness=0.0)
"""The result of a point that freezes every block: it costs no training."""
