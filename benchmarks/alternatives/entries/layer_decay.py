"""timm's layer-wise decay of the rate: the deeper a layer, the lower its rate."""

from typing import Any

from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]

from benchmarks.alternatives.plain import Network, best_rate, train
from benchmarks.alternatives.task import Labelled, Outcome, Task

RATES = (3e-4, 1e-3, 3e-3)
DECAY, WEIGHT_DECAY = 0.75, 0.05
"""timm's default, and the usual weight decay of AdamW with it."""


def run(task: Task, seed: int, epochs: int = 20) -> Outcome:
    """Choose the rate of the classifier on held-out images, then train on all labelled ones from the start."""
    learned, held_out = task.labelled("train"), task.labelled("validation")
    rate, scores = best_rate(RATES, lambda rate: _trained(task, seed, learned, rate, epochs).accuracy(held_out))
    final = _trained(task, seed, task.labelled("train", "validation"), rate, epochs)
    return task.tested(final.predict, rate=rate, held_out=scores)


def _trained(task: Task, seed: int, data: Labelled, rate: float, epochs: int) -> Network:
    network = Network(task, seed)
    groups: list[dict[str, Any]] = param_groups_layer_decay(network.model, WEIGHT_DECAY, layer_decay=DECAY)
    train(network, data, epochs, [{**group, "lr": rate * group["lr_scale"]} for group in groups])
    return network
