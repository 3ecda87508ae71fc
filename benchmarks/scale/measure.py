"""How time and peak memory grow with the number of images, of blocks, and with the population."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.result_file import report
from benchmarks.timing import straight_line
from biotune.errors import BioTuneError, InputError
from biotune.machine import num_cores

ROOT = Path(__file__).parent.parent.parent
LINEAR_GOAL = 0.99
"""Smallest R² that counts as linear growth, chosen by hand."""

FEWEST_IMAGES = 100
"""Fewer images take too little time to be measured."""

MANY_LAYERS = 32
"""Number of convolutions of the network that is cut into more and more blocks."""

Say = Callable[[str], None]
Point = dict[str, Any]


@dataclass(frozen=True)
class ScalePlan:
    """What is measured; an empty series is left out.

    Args:
        images: numbers of images, decoded once into a memory-mapped file.
        on_demand: numbers of images that are decoded whenever they are needed, as beyond the limit of the cache.
        blocks: numbers of blocks that one network is cut into, divisors of 32.
        populations: sizes of the population of a whole run.
        threads: PyTorch threads; 0 for every core.
    """

    images: tuple[int, ...] = (1000, 2000, 4000, 8000, 16000, 32000, 64000)
    on_demand: tuple[int, ...] = (4000, 16000, 64000)
    blocks: tuple[int, ...] = (2, 4, 8, 16, 32)
    populations: tuple[int, ...] = (4, 8, 16, 32)
    threads: int = 0

    def __post_init__(self) -> None:
        for counts in (self.images, self.on_demand, self.blocks, self.populations):
            if sorted(set(counts)) != list(counts):
                raise InputError(f"the points {', '.join(map(str, counts))} do not grow; give each once, in order.")
        if few := [count for count in (*self.images, *self.on_demand) if count < FEWEST_IMAGES]:
            raise InputError(f"{few[0]} images are too few to be measured; give {FEWEST_IMAGES} or more.")
        for count in self.blocks:
            if count < 2 or MANY_LAYERS % count:
                raise InputError(f"{MANY_LAYERS} layers cannot be cut into {count} equal blocks; give a divisor.")


QUICK = ScalePlan((1000, 4000, 8000), (2000, 8000), (2, 32), (4, 16))
"""Fewer and smaller points."""


def measure_scale(plan: ScalePlan, command: str, say: Say) -> dict[str, Any]:
    """Measure every series, each point in a new process.

    Args:
        plan: what is measured.
        command: the command as the user typed it, for the result.
        say: called with the name of each measurement.

    Returns:
        The content of ``scale.json``.

    Raises:
        BioTuneError: a point failed.
    """
    threads = plan.threads or num_cores()
    asked: dict[str, tuple[str, Sequence[int], dict[str, Any]]] = {
        "images": ("images", plan.images, {"keep": True}),
        "images_on_demand": ("images", plan.on_demand, {"keep": False}),
        "blocks": ("blocks", plan.blocks, {}),
        "population": ("population", plan.populations, {}),
    }
    series = {}
    for name, (kind, counts, options) in asked.items():
        points = []
        for count in counts:
            say(f"{name.replace('_', ' ')}: {count:,}")
            points.append({"count": count, **measure_point({"kind": kind, "count": count, **options}, threads)})
        if points:
            series[name] = {"points": points, **growth(points)}
    content = {"settings": asdict(plan), "goals": {"r_squared": LINEAR_GOAL}, "series": series}
    return report("scale", command, "cpu", threads, content)


def measure_point(given: dict[str, Any], threads: int) -> Point:
    """Measure one point in a fresh process.

    Args:
        given: ``kind`` and the arguments of that function in ``points.POINTS``.
        threads: PyTorch threads.

    Returns:
        Laps by name, ``peak_bytes`` (all memory, including mapped files) and ``own_bytes`` (without mapped files,
        which the system reclaims when memory is short).

    Raises:
        BioTuneError: the process failed.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="biotune-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale.points", json.dumps({**given, "threads": threads})],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "BIOTUNE_CACHE": str(Path(folder) / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise BioTuneError(f"the measuring point {given} failed: {reason}")
    found: Point = json.loads(done.stdout)
    return found


def growth(points: Sequence[Point]) -> dict[str, Any]:
    """Return how a series grows with its counts.

    Args:
        points: each with ``count``, laps by name, ``peak_bytes`` and ``own_bytes``; if there is a
            count of ``evaluations``, growth is measured against it.

    Returns:
        ``counts``; ``time``: for each lap the line of wall seconds over the counts, its ``r_squared`` for processor
        seconds, and the ratio of the last point's to the first; ``memory``: bytes per count, and that ratio, for both
        kinds.
    """
    counts = [point["evaluations" if "evaluations" in point else "count"] for point in points]
    laps = [name for name, value in points[0].items() if isinstance(value, dict)]
    time, memory = {}, {}
    for name in laps:
        wall = [point[name]["wall_s"] for point in points]
        time[name] = {**_line(counts, wall), "cpu_r_squared": _r_squared(counts, [p[name]["cpu_s"] for p in points])}
    for name in ("peak_bytes", "own_bytes"):
        memory[name] = _line(counts, [point[name] for point in points])
    return {"counts": counts, "time": time, "memory": memory}


def _line(counts: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """Return slope, intercept, ``r_squared`` (None for two points, which a line always meets), and last to first."""
    line = straight_line(counts, values).to_json() if len(counts) > 1 else {"slope": None, "intercept": None}
    return {**line, "r_squared": _r_squared(counts, values), "last_to_first": values[-1] / values[0]}


def _r_squared(counts: Sequence[float], values: Sequence[float]) -> float | None:
    return straight_line(counts, values).r_squared if len(counts) > 2 else None
