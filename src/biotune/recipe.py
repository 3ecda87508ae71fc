"""A recipe: which blocks are trained and how fast; readable, repeatable, usable in your own training loop."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from biotune import frozen
from biotune.errors import InputError
from biotune.partition import Block, BlockPartition, make_partition
from biotune.user_files import parse_yaml, read_text, user_path
from biotune.wording import shorten

if TYPE_CHECKING:
    from torch import nn

FORMAT_VERSION = 2
"""Version 2 added ``values``; a recipe without them is written as version 1, which older versions read."""

Value = bool | int | float | str
"""Types of a named value of a recipe: those that JSON and YAML store alike."""

ALL_FROZEN = "every block is frozen; give at least one block a multiplier above 0."

HEAD_START, FITTED = "head_start", "fitted"
"""The value of a recipe whose training starts from the classifier that the method ``probe`` gives."""

STATISTICS, KEPT = "statistics", "kept"
"""The value of a recipe whose trained batch norms keep their pretrained statistics."""


@dataclass(frozen=True)
class Recipe:
    """One learning-rate multiplier per block of a network; 0 means frozen.

    A search may produce a recipe that freezes every block. It can be stored, but not applied, unless its classifier is
    fitted before training (``is_probe``).

    Args:
        partition: the blocks that the multipliers belong to.
        multipliers: one per block, >= 0.
        base_learning_rate: learning rate of multiplier 1, above 0.
        optimizer: the optimiser that the recipe was found with: ``adam``, ``adamw`` or ``sgd``.
        model: name of the network that the recipe was found for.
        values: further settings of a training that belong to the recipe, as (name, value) pairs sorted by name;
            ``training.recipe_values`` says which a training knows. It refuses others.
    """

    partition: BlockPartition
    multipliers: tuple[float, ...]
    base_learning_rate: float = 1e-3
    optimizer: str = "adam"
    model: str = ""
    values: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if len(self.multipliers) != len(self.partition):
            raise InputError(
                f"a recipe needs {len(self.partition)} multipliers, one per block, got {len(self.multipliers)}."
            )
        if not all(math.isfinite(value) and value >= 0 for value in self.multipliers):
            raise InputError(f"multipliers must be finite and >= 0 (0 freezes a block), got {list(self.multipliers)}.")
        if not (math.isfinite(self.base_learning_rate) and self.base_learning_rate > 0):
            raise InputError(f"the base learning rate must be above 0, got {self.base_learning_rate}.")
        names = [name for name, _ in self.values]
        if names != sorted(set(names)):
            raise InputError(f"the values of a recipe must be sorted by name, each name once, got {names}.")
        wrong = [name for name, value in self.values if not isinstance(value, bool | int | float | str)]
        if wrong or any(isinstance(value, float) and not math.isfinite(value) for _, value in self.values):
            raise InputError(f"the values of a recipe must be finite numbers, texts, true or false, got {self.values}.")

    @property
    def is_probe(self) -> bool:
        """Whether every block is frozen and the classifier is fitted, so that the method ``probe`` is all there is."""
        return not any(self.multipliers) and self.value(HEAD_START) == FITTED

    @property
    def trains_nothing(self) -> bool:
        """Whether every block that the loss reaches is frozen, and the classifier stays random."""
        reached = zip(self.partition.blocks, self.multipliers, strict=True)
        return not self.is_probe and not any(multiplier for block, multiplier in reached if not block.inert)

    @property
    def mask(self) -> tuple[bool, ...]:
        """Whether each block is trained."""
        return tuple(multiplier > 0 for multiplier in self.multipliers)

    def with_multipliers(self, multipliers: Sequence[float]) -> Self:
        """Return the same recipe with other multipliers, one per block."""
        return replace(self, multipliers=tuple(multipliers))

    def at_one_rate(self, multiplier: float = 1.0) -> Self:
        """Return the recipe that trains the same blocks, all at one rate."""
        return self.with_multipliers([multiplier if trained else 0.0 for trained in self.mask])

    def value(self, name: str) -> Value | None:
        """Return a named value, or None where the recipe leaves it to the run."""
        return dict(self.values).get(name)

    def with_values(self, values: Mapping[str, Value]) -> Self:
        """Return the same recipe with other named values."""
        return replace(self, values=tuple(sorted(values.items())))

    def rates(self, learning_rate: float | None = None) -> dict[str, float]:
        """Return block name -> learning rate, for a rate of multiplier 1 (the recipe's own by default); 0 if frozen."""
        base = self.base_learning_rate if learning_rate is None else learning_rate
        return {block.name: base * multiplier for block, multiplier in self._pairs()}

    @property
    def trainable(self) -> int:
        """Number of trained scalar parameters."""
        return sum(block.num_parameters for block, value in self._pairs() if value > 0)

    @property
    def trainable_fraction(self) -> float:
        """Share of trained parameters, in [0, 1]; 0 for a probe, whose classifier is fitted and not trained."""
        return self.trainable / sum(block.num_parameters for block in self.partition.blocks)

    def apply(self, model: "nn.Module") -> "nn.Module":
        """Freeze and unfreeze the blocks of a network, in place.

        Parameters of frozen blocks stop requiring gradients. Their modules stay in evaluation mode (batch-norm
        statistics and dropout included) even when a training loop calls ``model.train()``, in copies of the network
        too, until ``Recipe.release``. So do the batch norms of trained blocks if ``statistics`` is ``kept``; their
        weights and biases are trained.

        Args:
            model: a network with the blocks of this recipe; the head may have another number of classes. Of one inside
                ``DataParallel`` or ``torch.compile``, the inner network is taken.

        Returns:
            The same network.

        Raises:
            InputError: the recipe was made for another network, or every block is frozen.
        """
        network = frozen.unwrapped(model)
        self.check(network)
        self.release(network)
        self.set_trainable(network)
        frozen.hold(network, *self.frozen_modules(network))
        if self.value(STATISTICS) == KEPT:
            self.keep_statistics(network)
        return model

    def keep_statistics(self, model: "nn.Module") -> None:
        """Hold the batch norms of trained blocks in evaluation mode, in place, until ``Recipe.release``."""
        frozen.hold(model, (), [name for name in frozen.with_statistics(model) if not self.is_frozen(name)])

    def set_trainable(self, model: "nn.Module") -> None:
        """Set ``requires_grad`` of every parameter but no mode, so that frozen batch-norm statistics drift."""
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.multipliers[self.partition.owner(name)] > 0)

    @staticmethod
    def release(model: "nn.Module") -> "nn.Module":
        """Undo ``apply``: every module can change its mode and every parameter is trained again."""
        frozen.let_go(frozen.unwrapped(model))
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model

    def frozen_modules(self, model: "nn.Module") -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the outermost completely frozen modules, and the frozen modules that contain trained ones."""
        states = {name: self.is_frozen(name) for name, _ in model.named_modules() if name}
        whole: list[str] = []
        shells: list[str] = []
        for name, is_frozen in states.items():
            if is_frozen and not any(name.startswith(outer + ".") for outer in whole):
                below = [state for other, state in states.items() if other.startswith(name + ".")]
                (whole if all(below) else shells).append(name)
        return tuple(whole), tuple(shells)

    def is_frozen(self, name: str) -> bool:
        """Return whether a module, parameter or buffer belongs to a frozen block."""
        owner = self.partition.enclosing(name)
        return owner is not None and self.multipliers[owner] == 0

    def check(self, model: "nn.Module") -> None:
        """Raise InputError, in one sentence, unless the network has the blocks of this recipe and it does something."""
        if self.trains_nothing:
            raise InputError(ALL_FROZEN)
        model = frozen.unwrapped(model)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        try:
            partition = make_partition(self.partition.blocks, shapes, [name for name, _ in model.named_buffers()])
        except InputError:
            raise InputError(
                f"this recipe, made for {self.model or 'another network'}, does not fit: the layers of this network "
                "have other names; use the same architecture."
            ) from None
        if partition.fingerprint != self.partition.fingerprint:
            raise InputError(
                f"this recipe was made for {self.model or 'another network'} with other layers (partition "
                f"{self.partition.fingerprint}, this network {partition.fingerprint}); use the same architecture."
            )

    def parameter_groups(
        self, model: "nn.Module", learning_rate: float | None = None, weight_decay: float | None = None
    ) -> list[dict[str, Any]]:
        """Return optimiser groups, one per trained block (two with weight decay: vectors and scalars get none).

        Args:
            model: the network that ``apply`` was called on.
            learning_rate: rate of multiplier 1; by default the recipe's own.
            weight_decay: decay of weights with two or more dimensions, biases and norms get 0; by default the recipe's
                own value of that name, or 0.

        Returns:
            Groups with ``params``, ``lr`` = rate x multiplier, ``weight_decay``, ``name`` and ``inert`` (the block's).

        Raises:
            InputError: the recipe trains no block: it is a probe, whose classifier is fitted at once.
        """
        if not any(self.multipliers):
            raise InputError(
                "this recipe trains no block: the whole network is frozen, and its classifier was fitted by logistic "
                "regression. Use the run's model.safetensors, or fit it again: biotune train DATA --method probe."
            )
        rates = self.rates(learning_rate)
        decay = float(self.value("weight_decay") or 0.0) if weight_decay is None else weight_decay
        members: dict[tuple[int, bool], list[Any]] = {}
        for name, parameter in frozen.unwrapped(model).named_parameters():
            owner = self.partition.owner(name)
            if self.multipliers[owner] > 0:
                decays = decay > 0 and parameter.ndim > 1
                members.setdefault((owner, decays), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": rates[self.partition.blocks[owner].name],
                "weight_decay": decay if decays else 0.0,
                "name": self.partition.blocks[owner].name,
                "inert": self.partition.blocks[owner].inert,
            }
            for (owner, decays), parameters in sorted(members.items(), key=lambda item: item[0])
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``recipe.yaml``."""
        return {
            "biotune_recipe": FORMAT_VERSION if self.values else 1,
            "model": self.model,
            "optimizer": self.optimizer,
            "base_learning_rate": self.base_learning_rate,
            "partition": self.partition.fingerprint,
            "blocks": [
                {
                    "name": block.name,
                    "multiplier": value,
                    "parameters": block.num_parameters,
                    "prefixes": list(block.prefixes),
                    **({"inert": True} if block.inert else {}),
                }
                for block, value in self._pairs()
            ],
            **({"values": dict(self.values)} if self.values else {}),
        }

    def to_yaml(self) -> str:
        """Return the text of ``recipe.yaml``."""
        header = "# Learning rate of a block = base_learning_rate * multiplier; multiplier 0 = frozen.\n"
        return header + yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=110)

    @classmethod
    def from_dict(cls, data: Any, source: str = "the recipe") -> Self:
        """Rebuild from the result of ``to_dict``, or the content of a file; ``source`` names it in messages.

        Raises InputError: another format version, or a missing or wrong field.
        """
        if not isinstance(data, dict) or "biotune_recipe" not in data:
            raise InputError(f"{source} is not a recipe: the key 'biotune_recipe' is missing.")
        if data["biotune_recipe"] not in (1, FORMAT_VERSION):
            version = shorten(repr(data["biotune_recipe"]), 40)
            raise InputError(f"{source} has format {version}; this version reads 1 to {FORMAT_VERSION}.")
        try:
            blocks = tuple(
                Block(
                    str(row["name"]), tuple(map(str, row["prefixes"])), int(row["parameters"]), bool(row.get("inert"))
                )
                for row in data["blocks"]
            )
            recipe = cls(
                BlockPartition(blocks, str(data["partition"])),
                tuple(float(row["multiplier"]) for row in data["blocks"]),
                float(data["base_learning_rate"]),
                str(data["optimizer"]),
                str(data["model"]),
                tuple(sorted(data.get("values", {}).items())),
            )
        except KeyError as error:
            raise InputError(f"{source} lacks the field {error}; write it again with Recipe.save.") from None
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{source} has a field of the wrong kind ({shorten(str(error), 100)}).") from None
        if recipe.trains_nothing:
            raise InputError(f"{source}: {ALL_FROZEN}")
        return recipe

    def save(self, path: str | Path) -> None:
        """Write ``recipe.yaml``; what is there before stays whole if that fails."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(self.to_yaml(), encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``recipe.yaml``, or the one of a run folder.

        Raises InputError: the file is missing, is not YAML, or does not hold a recipe.
        """
        path = user_path(path, "path of the recipe")
        path = path / "recipe.yaml" if path.is_dir() else path
        return cls.from_dict(parse_yaml(read_text(path, "the recipe"), f"the recipe '{path}'"), f"'{path}'")

    def _pairs(self) -> Iterator[tuple[Block, float]]:
        return zip(self.partition.blocks, self.multipliers, strict=True)
