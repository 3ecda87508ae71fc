"""Measures how many weights of a last layer are judged in a second: at once, one after the other, and by the network.

A layer of 512 x 10 weights on 10,000 images, one thread, pieces of work in turn; each figure is the median over rounds.
A bare matrix product of the same size bounds what is possible. The whole network runs on a few of the images only, and
its time is scaled to all of them. Prints one row per number of agents, and writes OUT.

    python -m benchmarks.refine_speed --out docs/results/refine_speed.json
"""

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.result_file import report, write_report
from benchmarks.timing import Lap, in_turns, paired_ratio
from biotune.metrics import METRICS
from biotune.refinement import LastLayer, Objective, chosen_weights

IMAGES, FEATURES, CLASSES, AGENTS, ROUNDS = 10_000, 512, 10, (10, 100), 9
NETWORK_IMAGES, PIXELS = 64, 32
"""Images that the whole network is run on, and their side: a small part of the work, and the smallest usual size."""

BUDGET = 2**28
"""Bytes for the evaluation of many vectors: the default of ``refine.memory_mib``."""

GOALS = {"network": 50.0, "one_by_one": {"10": 4.0, "100": 6.0}, "product": 0.7}


class Case:
    """A trained layer, what it gets of some images, and their labels; all of it random.

    Args:
        agents: number of vectors that are judged at a time.
    """

    def __init__(self, agents: int) -> None:
        draw = np.random.default_rng(0)
        torch.manual_seed(0)
        self.layer = nn.Linear(FEATURES, CLASSES).requires_grad_(False)
        self.features = np.maximum(draw.normal(size=(IMAGES, FEATURES)), 0).astype(np.float32)
        self.labels = draw.integers(0, CLASSES, IMAGES)
        self.weights = chosen_weights(nn.Sequential(self.layer), ["0"], bias=False)
        self.vectors = self.weights.centre + draw.uniform(-0.01, 0.01, (agents, FEATURES * CLASSES))
        self.outputs = LastLayer(self.features, self.weights, self.layer.bias)
        self._rows, self._truth = torch.from_numpy(self.features), torch.from_numpy(self.labels)

    def at_once(self, metric: str) -> np.ndarray:
        """Judge all vectors as ``biotune refine`` does, in five parts."""
        parts = [np.arange(IMAGES)[number::5] for number in range(5)]
        return Objective(METRICS[metric], self.labels, CLASSES, parts).fitness(self.outputs, self.vectors)

    def one_by_one(self, metric: str) -> np.ndarray:
        """Load each vector into the layer, and judge it by what the layer gives."""
        judge: Callable[[Tensor], Tensor] = {
            "log_loss": lambda logits: -functional.cross_entropy(logits, self._truth),
            "accuracy": lambda logits: (logits.argmax(1) == self._truth).double().mean(),
        }[metric]
        values = []
        for vector in self.vectors:
            self.layer.weight.copy_(torch.from_numpy(vector).view(CLASSES, FEATURES))
            values.append(float(judge(self.layer(self._rows))))
        return np.array(values)

    def product(self) -> Callable[[], object]:
        """Return the bare matrix product of all vectors and all images."""
        stacked = torch.from_numpy(self.vectors.astype(np.float32)).view(-1, FEATURES)
        columns = self._rows.T.contiguous()
        return lambda: stacked @ columns


def through_the_network() -> Callable[[], object]:
    """Return what loads a layer into ResNet-18 and runs it on a few images."""
    model = torchvision.models.resnet18(num_classes=CLASSES).eval().requires_grad_(False)
    images, weight = torch.randn(NETWORK_IMAGES, 3, PIXELS, PIXELS), torch.randn(CLASSES, FEATURES)

    def work() -> None:
        model.fc.weight.copy_(weight)
        model(images)

    return work


def measure(agents: int) -> dict[str, Any]:
    """Return evaluations a second of every way, and their ratios, for a number of agents."""
    case = Case(agents)
    agree = {
        metric: float(np.abs(case.at_once(metric) - case.one_by_one(metric)).max())
        for metric in ("log_loss", "accuracy")
    }
    works: dict[str, Callable[[], object]] = {
        "loss": lambda: case.at_once("log_loss"),
        "accuracy": lambda: case.at_once("accuracy"),
        "one_by_one_loss": lambda: case.one_by_one("log_loss"),
        "one_by_one_accuracy": lambda: case.one_by_one("accuracy"),
        "product": case.product(),
        "network": through_the_network(),
    }
    for work in works.values():
        work()
    laps = in_turns(works, ROUNDS)
    scale = IMAGES / NETWORK_IMAGES * agents
    ratios = {
        "network": paired_ratio(laps["network"], laps["loss"], scale),
        "one_by_one_loss": paired_ratio(laps["one_by_one_loss"], laps["loss"]),
        "one_by_one_accuracy": paired_ratio(laps["one_by_one_accuracy"], laps["accuracy"]),
        "product_loss": paired_ratio(laps["product"], laps["loss"]),
        "product_accuracy": paired_ratio(laps["product"], laps["accuracy"]),
    }
    return {
        "agents": agents,
        "largest_difference": agree,
        "per_second": {
            name: per_second(rows, agents, 1 / scale * agents if name == "network" else 1.0)
            for name, rows in laps.items()
        },
        "ratios": {name: ratio.to_json() for name, ratio in ratios.items()},
    }


def per_second(laps: list[Lap], agents: int, factor: float) -> float:
    """Return evaluations in a second of CPU time, the median over rounds."""
    count = 1 if factor != 1.0 else agents
    return round(float(np.median([count * factor / lap.cpu_s for lap in laps])), 2)


def memory() -> dict[str, float]:
    """Return by how many MiB judging 100 vectors of 512 x 1,000 weights raises the peak of this process's memory.

    To be called first: the peak never falls.
    """
    layer = nn.Linear(FEATURES, 1000).requires_grad_(False)
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(IMAGES, FEATURES)).astype(np.float32), draw.integers(0, 1000, IMAGES)
    weights = chosen_weights(nn.Sequential(layer), ["0"], bias=False)
    outputs = LastLayer(features, weights, layer.bias, memory_bytes=BUDGET)
    vectors = np.repeat(weights.centre[None], max(AGENTS), 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Objective(METRICS["log_loss"], labels, 1000, [np.arange(IMAGES)]).fitness(outputs, vectors)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"budget_mib": BUDGET / 2**20, "grown_mib": round(grown / 2**10, 1)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/refine_speed.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    peak = memory()
    results = [measure(agents) for agents in AGENTS]
    for row in results:
        sys.stdout.write(json.dumps(row) + "\n")
    settings = {"images": IMAGES, "features": FEATURES, "classes": CLASSES, "rounds": ROUNDS, "pixels": PIXELS}
    command = f"python -m benchmarks.refine_speed --out {os.path.relpath(given.out)}"
    write_report(
        given.out,
        report(
            "refine_speed",
            command,
            "cpu",
            1,
            {"settings": settings, "goals": GOALS, "memory": peak, "results": results},
        ),
    )


if __name__ == "__main__":
    main()
