"""Workers of toy tasks, for processes that import them by name."""

import os
import signal
import time
from pathlib import Path

from biotune.errors import InputError
from biotune.executors import Evaluate, Hooks
from biotune.records import Evaluation, Task


def toy(hooks: Hooks, number: int) -> Evaluate:
    """Return a worker whose tasks say in their method what happens; the fitness is a tenth of the seed."""

    def evaluate(task: Task) -> Evaluation:
        name, _, text = task.method.partition(":")
        if name == "slow":
            time.sleep(float(text))
        elif name == "fail":
            raise RuntimeError("out of memory")
        elif name == "refuse":
            raise InputError("this cannot be trained; choose another.")
        elif name == "die" and (not text or _first_time(Path(text))):
            os.kill(os.getpid(), signal.SIGKILL)
        elif name == "forever":
            Path(text).write_text(str(os.getpid()))
            for epoch in range(10**6):
                hooks.check()
                hooks.on_epoch(task, epoch)
                time.sleep(0.01)
        for epoch in range(task.epochs):
            hooks.on_epoch(task, epoch)
        hooks.say(f"done {task.seed}")
        return Evaluation("ok", task.seed / 10, seconds=float(os.getpid()))

    return evaluate


def _first_time(path: Path) -> bool:
    if path.exists():
        return False
    path.touch()
    return True
