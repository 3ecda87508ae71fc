"""Measures the effect of bfloat16, another memory layout and torch.compile on a training step: a CPU run uses none.

Each variant and the ordinary step (float32, channels last, eager) run in turn, and the best CPU time of each counts.
Prints one row per network, and writes OUT.

    python -m benchmarks.kernels --out docs/results/kernels.json
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from benchmarks.result_file import machine
from biotune.training.precision import FORWARDS

TURNS, STEPS = 3, 3
"""Rounds over all variants, and steps per timing; the best round of each variant counts."""

CASES: tuple[tuple[str, int, int, Callable[[], nn.Module]], ...] = (
    ("timm:test_resnet", 32, 10, lambda: timm.create_model("test_resnet", num_classes=10)),
    ("torchvision:squeezenet1_1", 64, 10, lambda: torchvision.models.squeezenet1_1(num_classes=10)),
)
"""Name, image size, batch size and maker of each network."""


def step_of(model: nn.Module, images: Tensor, labels: Tensor, precision: str = "float32") -> Callable[[], None]:
    """Return one step of Adam on a batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(FORWARDS[precision](model, images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def cpu_seconds(step: Callable[[], None]) -> float:
    """Return the CPU time of a few steps."""
    start = time.process_time()
    for _ in range(STEPS):
        step()
    return time.process_time() - start


def wall_seconds(step: Callable[[], None]) -> float:
    """Return the time of one step; compilers work in other processes, whose CPU time is not included here."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(make: Callable[[], nn.Module], size: int, batch: int) -> dict[str, float]:
    """Return each variant's speed relative to the ordinary step, and the time of compiling in steps."""
    labels = torch.randint(0, 10, (batch,))
    plain = torch.randn(batch, 3, size, size)
    last = plain.contiguous(memory_format=torch.channels_last)
    usual = make().to(memory_format=torch.channels_last).train()
    compiled = make().to(memory_format=torch.channels_last).train()
    compiled.compile()
    steps = {
        "usual": step_of(usual, last, labels),
        "bfloat16": step_of(usual, last, labels, "bfloat16"),
        "contiguous": step_of(make().train(), plain, labels),
        "compiled": step_of(compiled, last, labels),
    }
    steps["usual"]()
    waited = wall_seconds(steps["compiled"]) / wall_seconds(steps["usual"])
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(TURNS):
        for name, step in steps.items():
            step()
            best[name] = min(best[name], cpu_seconds(step))
    speed = {name: best["usual"] / seconds for name, seconds in best.items() if name != "usual"}
    return {**speed, "compile_over_step": waited}


def main() -> None:
    """Measure all networks, print the results and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # results of an earlier compilation must not be reused
    results: dict[str, Any] = {}
    for name, size, batch, make in CASES:
        results[name] = {"image_size": size, "batch": batch, **measure(make, size, batch)}
        print(name, {key: round(value, 2) for key, value in results[name].items()}, flush=True)
    arguments.out.write_text(json.dumps({"machine": machine("cpu", 1), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
