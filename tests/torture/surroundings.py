"""Time budgets by the clock, and commands that run out of memory or have no network."""

import ctypes
import functools
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import tomli_w

import tiny
from forked import without_report
from torture.faults import brief_command
from torture.promise import Case, Promise, Scene, misbehaved

BUDGETS_S = (0.5, 2, 5, 10, 20, 40, 60, 90)
"""From less than a network needs to load, to some hundred candidates."""
ALLOWED_S, ALLOWED_SHARE = 10.0, 0.02
_STEP_BYTES = 4 * 2**20
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_OUTWARD = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def budgets(scene: Scene, count: int) -> Iterator[Case]:
    """Tune with several time budgets, of which the search, of minutes, uses up the larger ones."""
    settings = scene.root / "long.toml"
    search = {**tiny.TINY["search"], "population": 100, "generations": 100}
    settings.write_text(tomli_w.dumps({**tiny.TINY, "search": search}))
    scene.call("tune", scene.images, "--config", settings, "--max-evaluations", 1, "--out", scene.fresh())  # decodes
    for seconds in BUDGETS_S[:count]:
        out, begun = scene.fresh(), time.monotonic()
        ended = scene.call("tune", scene.images, "--config", settings, "--budget", f"{seconds}s", "--out", out)
        taken = time.monotonic() - begun
        fault = misbehaved(ended, (0,))
        if not fault and taken > seconds + max(ALLOWED_S, ALLOWED_SHARE * seconds):
            fault = f"it took {taken:.1f} s"
        fault = fault or _not_said(out, ended.err)
        yield Case(f"a budget of {seconds} s, {taken:.1f} s taken", fault)


def _not_said(out: Path, said: str) -> str:
    """Return what is not said of a run that searched nothing."""
    if json.loads((out / "summary.json").read_text())["search"]["evaluations"]:
        return ""
    if "nothing is searched" not in said:
        return "what is left out was not said before"
    return "" if "Nothing was searched" in (out / "report.html").read_text() else "the page calls it a search"


def short_of_memory(more: int) -> None:
    """Let this process have so many bytes of address space more than it has now."""
    without_report()
    limit = psutil.Process().memory_info().vms + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def little_memory(scene: Scene, count: int) -> Iterator[Case]:
    """Tune with 1, 2, 3, ... times 4 MiB, until there is enough; then the same command goes on.

    PyTorch's own libraries may end the process by a signal, which is as good as a kill.
    """
    for step in range(1, count + 1):
        out, more = scene.fresh(), step * _STEP_BYTES
        ended = scene.call(*brief_command(scene), "--out", out, prepare=functools.partial(short_of_memory, more))
        again = scene.call(*brief_command(scene), "--out", out, prepare=without_report)
        yield Case(
            f"{more >> 20} MiB", misbehaved(ended, (0, 2, -signal.SIGSEGV, -signal.SIGABRT)) or misbehaved(again, (0,))
        )
        if ended.code == 0:
            return


def alone(log: Path) -> None:
    """Take the network from this process, where the system allows it, and note every attempt to use one."""
    ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def audit(event: str, values: Sequence[object]) -> None:
        if event in _OUTWARD and not (event == "socket.connect" and isinstance(values[-1], str | bytes)):
            os.write(stream, f"{event} {values[1:]}\n".encode())

    sys.addaudithook(audit)


def without_network(scene: Scene, count: int) -> Iterator[Case]:
    """Let every command that has its network and its images work alone."""
    run, out = scene.fresh(), scene.fresh("out")
    out.mkdir(parents=True)
    common = ("--config", scene.settings)
    commands: tuple[tuple[object, ...], ...] = (
        ("tune", scene.images, *common, "--out", run),
        ("tune", scene.images, *common, "--out", run),
        ("train", scene.images, "--method", "full", *common, "--out", out / "train"),
        ("compare", scene.images, "--methods", "full,probe", "--no-tuned", "--seeds", 1, *common, "--out", out / "all"),
        ("refine", scene.trained, "--seeds", 1, "--agents", 4, "--iterations", 2, "--out", out / "refined"),
        ("check", scene.images, "--out", out / "checked"),
        ("evaluate", run, scene.images),
        ("predict", run, scene.images),
        ("explain", run, scene.images, "--out", out / "explained"),
        *(("export", run, "--format", kind, "--out", out / kind) for kind in ("timm", "hub", "onnx")),
        *(("status", run), ("report", run), ("blocks", tiny.NETWORK)),
        *((name,) for name in ("models", "datasets", "methods", "searches")),
    )
    for number, command in enumerate(commands[:count]):
        log = scene.root / f"outward-{number}.txt"
        ended = scene.call(*command, prepare=functools.partial(alone, log))
        tried = log.read_text().splitlines() if log.exists() else ["it was never watched"]
        yield Case(str(command[0]), misbehaved(ended, (0,)) or (f"it tried {tried[0]}" if tried else ""))


PROMISES = (
    Promise("a process that runs out of memory: a sentence, and the same command goes on", little_memory, "limits"),
    Promise("--budget: met within 2 % or 10 s, and what is left out is said before", budgets, "budgets"),
    Promise("no network: no command needs one, or tries to reach one", without_network, "commands"),
)
