"""What a refinement works with: its settings and images, and the network with changeable weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.metrics import METRICS, Metric, reported
from biotune.pixels.rows import ImageRows
from biotune.randomness import derived_seeds
from biotune.refinement import LastLayer, Outputs, Weights, is_last, last_features, rest_of
from biotune.refinement.layers import Vector
from biotune.runner.refine_source import Subject
from biotune.runs.events import Message, Observer
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.settings.config import RunConfig
from biotune.space import BoxSpace
from biotune.trials.weights import portable
from biotune.trials.worker import placed, source_of


@dataclass(frozen=True)
class Work:
    """What a refinement works with.

    Args:
        config: device and layers are resolved.
        subject: what is refined.
        weights: the tensors that are refined.
        space: the box around their trained values.
        evaluations: points that each repetition evaluates: random search gets as many as the chosen one takes.
        store: the open store.
        observer: receives progress and messages.
        stop: looked at between products.
    """

    config: RunConfig
    subject: Subject
    weights: Weights
    space: BoxSpace
    evaluations: int
    store: RunStore
    observer: Observer
    stop: StopSignal

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seed of each repetition."""
        return derived_seeds(self.config.refine.seeds, self.config.seed, "refine")

    @property
    def num_classes(self) -> int:
        """Outputs of the network."""
        return len(self.subject.data.class_names)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """What every entry is scored by, by its name in results: the reported metrics and the objective."""
        settings = self.config.refine
        measures = {name: METRICS[name] for name in reported(self.config.training.metric)}
        return {**measures, settings.metric: settings.measure(self.subject.data.class_names)}

    @property
    def memory_bytes(self) -> int:
        """Memory for the evaluation of many vectors at a time."""
        return self.config.refine.memory_mib * 2**20

    @property
    def at_once(self) -> int:
        """Vectors that are made of points at a time: in float64, a quarter of that memory."""
        return max(1, self.memory_bytes // (4 * 8 * len(self.weights.centre)))

    def say(self, text: str, warning: bool = False) -> None:
        """Tell the observer a sentence."""
        self.observer(Message(text, warning))


class Network:
    """The trained network: what it gives with other weights, on any images.

    Args:
        work: what the refinement works with.
    """

    def __init__(self, work: Work) -> None:
        subject = work.subject
        self._work = work
        self._partition = subject.partition("layer")
        self._model = placed(subject.model, work.config.compute)
        self._head = subject.heads[0] if len(subject.heads) == 1 else ""
        self._has_said = False
        self._is_last = is_last(self._head, work.config.refine.layer)

    def features(self, images: ImageRows) -> NDArray[np.float32] | None:
        """Return what the classifier gets of images; None where it is not one fully connected layer."""
        self._work.stop.check()
        source = source_of(images, self._work.subject.preprocessing, self._work.config.compute)
        return last_features(self._model, self._head, source) if self._head else None

    @contextmanager
    def outputs(self, images: ImageRows, features: NDArray[np.float32] | None) -> Iterator[Outputs]:
        """Yield the network with changeable weights on images, given what the classifier gets of them, if known."""
        work, compute = self._work, self._work.config.compute
        if self._is_last and features is not None:
            bias: Any = self._model.get_submodule(self._head).bias
            yield LastLayer(features, work.weights, bias, compute.device, work.memory_bytes, work.stop.check)
            return
        source = source_of(images, work.subject.preprocessing, compute)
        room = compute.prefix_cache_mib * 2**20
        with rest_of(self._model, work.weights, self._partition, source, room, work.stop.check) as rest:
            if not rest.is_recorded and not self._has_said:
                self._has_said = True
                work.say("Nothing before the refined layers can be recorded, so the whole network runs for each point.")
            yield rest

    def require_refit(self) -> None:
        """Refuse a classifier that cannot be fitted to all labels, before anything is searched."""
        layer = self._model.get_submodule(self._head) if self._head else None
        if type(layer) is not torch.nn.Linear or layer.bias is None:
            raise InputError(
                "a refit needs a classifier that is one fully connected layer with a bias, which this network has not; "
                "leave out --take refit."
            )

    def refitted_state(self, vector: Vector) -> dict[str, torch.Tensor]:
        """Return all tensors of the trained network, with weight and bias of its classifier from ``refit``."""
        state = portable(self._model.state_dict())
        names = [f"{self._head}.{name}" for name in ("weight", "bias")]
        parts = np.split(vector, [state[names[0]].numel()])
        new = {
            name: torch.from_numpy(part).to(state[name]).view_as(state[name])
            for name, part in zip(names, parts, strict=True)
        }
        return {**state, **new}

    def state(self, vector: Vector) -> dict[str, torch.Tensor]:
        """Return all tensors of the network with a vector in its place."""
        return {**portable(self._model.state_dict()), **self._work.weights.tensors(vector)}
