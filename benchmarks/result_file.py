"""Result files and the facts in them about the machine: processor, cores, load, versions; no host and no path."""

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import psutil
import torch

from biotune.errors import InputError
from biotune.machine import num_cores
from biotune.runner.setup import versions
from biotune.runs.files import write_atomic

_CPU_INFO = Path("/proc/cpuinfo")


def machine(device: str, threads: int) -> dict[str, Any]:
    """Return the facts of this machine that speed depends on.

    Args:
        device: the device that was measured.
        threads: PyTorch threads.

    Returns:
        Processor, cores that this process may use, threads, memory in GiB, system, accelerator, and the load average
        of the last minute: a value far above the threads in use means that the machine had other work.
    """
    accelerated = torch.device(device).type == "cuda"
    return {
        "cpu": cpu_model(_CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""),
        "cores": num_cores(),
        "threads": threads,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "accelerator": torch.cuda.get_device_name(device) if accelerated else None,
        "load_average": round(os.getloadavg()[0], 2),
    }


def cpu_model(cpu_info: str) -> str:
    """Return the processor's name from the text of ``/proc/cpuinfo``, else from the platform module."""
    for line in cpu_info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def report(benchmark: str, command: str, device: str, threads: int, content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a result file.

    Args:
        benchmark: name of the benchmark.
        command: the command as the user typed it.
        device: the device that was measured.
        threads: PyTorch threads.
        content: settings and results.

    Returns:
        The content, JSON-able.
    """
    return {
        "benchmark": benchmark,
        "command": command,
        "versions": versions(),
        "machine": machine(device, threads),
        **content,
    }


def require_writable(path: Path) -> None:
    """Raise InputError if a result file cannot be written: better before measuring for minutes."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with NamedTemporaryFile(dir=path.parent):
            pass


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write a result file; raise InputError if that fails."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}; give another file with --out.") from None
