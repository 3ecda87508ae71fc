"""One entry in a process of its own: ``python -m benchmarks.alternatives.process FOLDER NAME SEED FILE``."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.alternatives.entries import entry_of
from benchmarks.alternatives.task import Task, read_task
from biotune.errors import BioTuneError
from biotune.runs.files import write_atomic

ROOT = Path(__file__).parent.parent.parent
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def measured(task: Task, name: str, seed: int) -> dict[str, Any]:
    """Run an entry in a new process, with an empty cache of images, and return what it reached and what it cost.

    Args:
        task: written in its folder.
        name: which entry.
        seed: decides all its random numbers.

    Returns:
        ``accuracy`` and ``macro`` on the test set, ``predicted``, ``chosen``, ``wall_s``, ``cpu_s`` (user and system
        time of the process and its children, starting Python and importing PyTorch included) and ``peak_mib``.

    Raises:
        BioTuneError: the process failed; the message ends in the last line that it wrote.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="biotune-bench-") as folder:
        found, log = Path(folder) / "found.json", Path(folder) / "log"
        arguments = [str(task.folder.resolve()), name, str(seed), str(found)]
        environment = {**os.environ, "PYTHONPATH": path, "BIOTUNE_CACHE": str(Path(folder) / "cache")}
        environment |= dict.fromkeys(_THREADS, str(task.threads))
        started = time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, *arguments],
                cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                process.wait()
                raise
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            lines = log.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            raise BioTuneError(f"the entry '{name}' failed on '{task.folder.name}': {lines[-1]}")
        answers: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    costs = {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}
    return {"entry": name, "seed": seed, **scored(task, answers), **costs}


def scored(task: Task, answers: dict[str, Any]) -> dict[str, Any]:
    """Return the accuracies of some answers on the test set, and the answers."""
    truth = task.truth()
    right = truth == np.array(answers["predicted"])
    recalls = [right[truth == label].mean() for label in np.unique(truth)]
    return {"accuracy": float(right.mean()), "macro": float(np.mean(recalls)), **answers}


def main(folder: str, name: str, seed: str, found: str) -> None:
    """Run an entry and write what it answered."""
    task, entry = read_task(Path(folder)), entry_of(name)
    torch.set_num_threads(task.threads)
    outcome = entry.run(task, int(seed))
    write_atomic(Path(found), json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main(*sys.argv[1:])
