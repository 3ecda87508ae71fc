"""Kills at random moments of every long command, its final phase and the writing of its results included."""

import functools
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from biotune.classifier import load_run
from biotune.errors import InputError
from forked import Ended, die_at_write
from torture.promise import LONGEST, Case, Promise, Scene, difference, misbehaved, results

FURTHEST_WRITE = 60
"""Writes after which a process dies at the latest: about as many as a whole tiny run has."""

AT_ONCE = 5


def _tune(scene: Scene) -> Sequence[object]:
    return "tune", scene.images, "--config", scene.settings


def _train(scene: Scene) -> Sequence[object]:
    return "train", scene.images, "--method", "full", "--config", scene.settings


def _compare(scene: Scene) -> Sequence[object]:
    methods = ("--methods", "biotune,full,random", "--no-tuned")
    return "compare", scene.images, *methods, "--config", scene.settings, "--seeds", 1


def _refine(scene: Scene) -> Sequence[object]:
    return "refine", scene.trained, "--seeds", 3, "--agents", 4, "--iterations", 3


COMMANDS = {"tune": _tune, "train": _train, "compare": _compare, "refine": _refine}


def killed(command: str, scene: Scene, count: int) -> Iterator[Case]:
    """Kill a command again and again in one folder until it reaches its end, in as many folders as are needed.

    Half of the kills come at a random time, the others at a random write. What a chain of kills leaves must equal what
    a command that nobody disturbed gives, and what lies there after each kill must load.
    """
    arguments, begun = COMMANDS[command](scene), time.monotonic()
    expected = scene.undisturbed(*arguments, out=scene.fresh())
    duration = time.monotonic() - begun
    generator, done = random.Random(command), 0
    while done < count:
        out, kills, faults = scene.fresh(), 0, list[str]()
        while True:
            is_last = done >= count
            ended = _once(scene, (*arguments, "--out", out), generator, None if is_last else duration)
            if is_last or ended.code != -signal.SIGKILL:
                break
            kills, done = kills + 1, done + 1
            faults.append(_unusable(out) if command in ("tune", "train") else "")
        faults += [misbehaved(ended, (0,)), difference(results(out), expected)]
        fault = next(filter(None, faults), "")
        yield Case(f"{kills} kills of {command}", fault and f"{fault} (in {out})", kills)
        if not fault:
            scene.drop(out)


def _once(scene: Scene, arguments: Sequence[object], generator: random.Random, duration: float | None) -> Ended:
    """Run a command that is killed at some moment, or, without a duration, to its end."""
    if duration is None:
        return scene.call(*arguments)
    if generator.random() < 0.5:
        return scene.call(*arguments, prepare=functools.partial(die_at_write, generator.randint(1, FURTHEST_WRITE)))
    command = scene.start(*arguments)
    command.process.join(generator.uniform(0, duration))
    if command.process.exitcode is None:
        command.process.kill()
    return command.wait()


def _unusable(out: Path) -> str:
    """Return why what a killed run left cannot be loaded; empty where it loads, or there is no model yet."""
    try:
        load_run(out)
    except InputError:
        return ""  # before the first training there is none
    except Exception as error:  # whatever it is, it is a fault
        return f"after a kill, {type(error).__name__}: {error}"
    return ""


def killed_workers(scene: Scene, count: int) -> Iterator[Case]:
    """Kill one worker process of a search with two or three, at a random time: it goes on, with the result of one."""
    generator, begun = random.Random("worker"), time.monotonic()
    expected = scene.undisturbed(*_tune(scene), out=scene.fresh())
    duration = time.monotonic() - begun
    for number in range(count):
        out = scene.fresh()
        command = scene.start(*_tune(scene), "--workers", 2 + number % 2, "--out", out)
        command.process.join(generator.uniform(0.2, 1) * duration)
        workers = psutil.Process(command.process.pid).children(recursive=True) if command.process.is_alive() else []
        if workers:
            generator.choice(workers).kill()
        ended = command.wait(LONGEST)
        fault = misbehaved(ended, (0,)) or difference(results(out), expected)
        yield Case(f"worker {number}", fault and f"{fault} (in {out})", count=int(bool(workers)))
        if not fault:
            scene.drop(out)


def started_at_once(scene: Scene, count: int) -> Iterator[Case]:
    """Start the same command several times at once: one works, the others name it, or find it finished."""
    expected = scene.undisturbed(*_tune(scene), out=scene.fresh())
    for number in range(max(1, count // AT_ONCE)):
        out = scene.fresh()
        commands = [scene.start(*_tune(scene), "--out", out) for _ in range(AT_ONCE)]
        ended = [command.wait(LONGEST) for command in commands]
        refused = [one.err for one in ended if one.code == 2]
        faults = [misbehaved(one, (0, 2)) for one in ended]
        faults += ["" if f"another process works in '{out}'" in text else f"refused: {text[-300:]}" for text in refused]
        faults += [difference(results(out), expected)]
        fault = next(filter(None, faults), "")
        yield Case(f"starts {number}", fault and f"{fault} (in {out})", AT_ONCE)


PROMISES = (
    *(
        Promise(
            f"kill -9 of {command}, then the same command: the same result", functools.partial(killed, command), "kills"
        )
        for command in COMMANDS
    ),
    Promise("kill -9 of a worker: the search goes on, with the result of one worker", killed_workers, "kills"),
    Promise("the same command started five times at once: one of them works", started_at_once, "kills"),
)
