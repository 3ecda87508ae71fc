"""A long search: memory, open files, processes and shared memory stay what they were."""

import gc
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import tiny
from forked import without_report
from torture.promise import Case, Promise, Scene

GROWTH = 0.05
"""Share by which memory may grow from the first tenth of the candidates to the last."""

_CONTEXT = multiprocessing.get_context("forkserver")
_CHECK_EVERY = 10


def _search(images: Path, folder: Path, count: int, pipe: Any) -> None:
    """Search in this process, and send memory in bytes, open files and child processes after every few candidates."""
    from biotune import runner
    from biotune.runs.events import CandidateFinished

    without_report()
    own, candidates = psutil.Process(), 0

    def watch(event: object) -> None:
        nonlocal candidates
        if isinstance(event, CandidateFinished):
            candidates += 1
            if candidates % _CHECK_EVERY == 0:
                gc.collect()
                pipe.send((candidates, own.memory_info().rss, own.num_fds(), len(own.children(recursive=True))))

    search = {"name": "random", "population": 10, "generations": count // 10, "rungs": (1.0,)}
    changes = {
        "search": search,
        "training": {"epochs": 1},
        "budget": {"max_evaluations": count},
        "final": tiny.BRIEF["final"],
    }
    runner.run(tiny.tiny_config(images, changes), folder, observer=watch)
    pipe.send(None)


def long_search(scene: Scene, count: int) -> Iterator[Case]:
    """Search for ``count`` candidates; compare the last tenth of them with the first."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    shared = {path.name for path in Path("/dev/shm").glob("*")}
    process = _CONTEXT.Process(target=_search, args=(scene.images, scene.fresh(), count, sender))
    process.start()
    sender.close()
    seen = list[tuple[int, int, int, int]]()
    try:
        while (row := receiver.recv()) is not None:
            seen.append(row)
            yield Case(f"{row[0]} candidates so far", count=0)
    except EOFError:
        yield Case("the search", f"it ended after {seen[-1][0] if seen else 0} candidates")
        return
    finally:
        process.join(30)
        process.kill()
    tenth = max(1, len(seen) // 10)
    early, late = seen[tenth], seen[-1]
    growth = max(rss for _, rss, *_ in seen[-tenth:]) / max(rss for _, rss, *_ in seen[: tenth + 1]) - 1
    left = {path.name for path in Path("/dev/shm").glob("*")} - shared
    yield Case("memory", f"it grew by {growth:.1%}" if growth >= GROWTH else "", late[0])
    yield Case("open files", f"from {early[2]} to {late[2]}" if late[2] > early[2] else "", 0)
    yield Case("processes", f"from {early[3]} to {late[3]}" if late[3] > early[3] else "", 0)
    yield Case("shared memory", f"left: {', '.join(sorted(left))}" if left else "", 0)


PROMISES = (
    Promise(
        "a long search: memory grows by less than 5 %, open files and processes not at all", long_search, "candidates"
    ),
)
