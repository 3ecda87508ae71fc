"""Measures what the arithmetic of a search takes when it refines weights: CPU time of ask and tell per generation.

It is compared with the least that judging takes: one matrix product of 512 features of 10,000 images with the weights
of all agents, in float32 on one thread. Prints one row per search, and writes OUT.

    python -m benchmarks.heuristics --out docs/results/heuristics.json
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.result_file import report
from biotune.search import SEARCHES, SearchSettings
from biotune.space import BoxSpace

NAMES = ("pso", "rpso", "bat", "firefly", "ga", "de")
IMAGES, FEATURES = 10_000, 512
CLASSES, AGENTS = (10, 100), (10, 100)
GENERATIONS = 9
"""Generations that are timed; the median counts."""


def search_seconds(name: str, agents: int, num_genes: int) -> float:
    """Return the CPU time of ask and tell, median over generations."""
    settings = SearchSettings(agents * (GENERATIONS + 1), agents, generations=GENERATIONS)
    search = SEARCHES[name](num_genes, 0, settings, BoxSpace(np.zeros(num_genes), 0.01))
    fitness = np.random.default_rng(0)
    seconds: list[float] = []
    while True:
        start = time.process_time()
        batch = search.ask()
        if batch is None:
            return statistics.median(seconds[1:])
        asked = time.process_time() - start
        values = fitness.random(len(batch.points))
        start = time.process_time()
        search.tell(values)
        seconds.append(asked + time.process_time() - start)


def product_seconds(agents: int, classes: int) -> float:
    """Return the CPU time of one matrix product that gives all logits of all agents, median of five."""
    features, weights = torch.randn(IMAGES, FEATURES), torch.randn(FEATURES, agents * classes)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        features @ weights
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def main() -> None:
    """Measure all searches and sizes, print the results and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--searches", default=",".join(NAMES), help="names, separated by commas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [(agents, classes) for agents in AGENTS for classes in CLASSES]
    product = {f"{agents} x {classes * FEATURES}": product_seconds(agents, classes) for agents, classes in sizes}
    results: dict[str, dict[str, float]] = {"matrix product": product}
    for name in arguments.searches.split(","):
        results[name] = {
            f"{agents} x {classes * FEATURES}": search_seconds(name, agents, classes * FEATURES)
            for agents, classes in sizes
        }
        print(name, {size: f"{1000 * seconds:.1f} ms" for size, seconds in results[name].items()}, flush=True)
    command = f"python -m benchmarks.heuristics {shlex.join(sys.argv[1:])}"
    content = report("heuristics", command, "cpu", 1, {"images": IMAGES, "features": FEATURES, "seconds": results})
    arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
