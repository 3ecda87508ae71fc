"""Several tasks at a time, each in a process of a Ray cluster: of this machine, or of many."""

import socket
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil

from biotune.errors import BioTuneError, InputError
from biotune.executors.base import Hooks, NotHereError, Resources, Work
from biotune.executors.messages import Seen
from biotune.executors.ray_connection import RayConnection
from biotune.executors.ray_worker import Place, RayWorker, Surroundings
from biotune.records import Evaluation, Task
from biotune.wording import listed, plural

LOOK_EVERY_S = 0.1
"""How often the stop signal is looked at, as in the pool."""
TRIES = 4
"""Machines of a cluster come and go by no fault of the task: each gets so many workers."""
SAY_AFTER_S = 20.0
"""When it is said that workers find no room; Ray takes a few seconds to start one where there is room."""
START_S = 600.0
"""How long the first worker may take to start; a cluster that grows has to start a machine for it."""
END_S = 5.0
"""How long processes of this machine may take to end after they were killed."""


class RayCluster:
    """Keeps actors on a Ray cluster; each builds a worker once and trains one task after the other.

    Connection and actors are made for the first task. A task goes to the actor that trained its beginning, if that one
    is free. Where an actor is lost, another one takes its place, and its task is repeated by whichever is free first.

    Args:
        work: says how a worker is built.
        resources: how many actors, and what each takes of the cluster.
        hooks: called in this process with what the actors tell.
    """

    def __init__(self, work: Work, resources: Resources, hooks: Hooks) -> None:
        self.capacity = resources.workers
        self._connection = RayConnection(resources)
        self._work = work
        self._build: Any = work.elsewhere()
        self._resources = resources
        self._hooks = hooks
        self._waiting: deque[Task] = deque()
        self._tries: Counter[str] = Counter()
        self._workers: list[_Worker] = []
        self._losses = 0
        self._started = 0.0
        self._has_said = False
        self._has_sent = False

    def has_begun(self, task: Task) -> bool:
        """Return whether a free actor has trained the beginning of a task."""
        return any(worker.is_free and task.training in worker.seen for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Give a task to a free actor; it waits where none is."""
        self._waiting.append(task)
        self._hand_out()

    def wait(self) -> tuple[Task, Evaluation]:
        """Return the next result that any actor gives."""
        if not self._workers:
            self._open()
        while True:
            self._hooks.check()
            self._hand_out()
            if (late := self._late()) is not None:
                return late
            worker = self._next()
            if worker is None:
                self._look_for_room()
                continue
            try:
                kind, content = worker.receive()
            except self._ray.exceptions.RayError as error:
                if (killed := self._lost(worker, error)) is not None:
                    return killed
                continue
            if kind == "result":
                return worker.finished(), content
            if kind == "error":
                self._failed(worker, content)
            else:
                self._tell(worker, kind, content)

    def close(self) -> None:
        """End all actors, also in the middle of a step, and the connection; a cluster of others goes on."""
        for worker in self._workers:
            worker.end()
        here = [worker.place.pid for worker in self._workers if worker.place and worker.place.host == _host()]
        psutil.wait_procs(list(_processes(here)), END_S)
        self._workers = []
        self._connection.close()

    def _open(self) -> None:
        """Connect and ask for all actors."""
        self._ray = self._connection.open()
        used = self._resources
        self._actor = self._ray.remote(RayWorker).options(
            num_cpus=used.threads,
            num_gpus=used.gpus,
            memory=used.memory_bytes or None,
            scheduling_strategy="SPREAD",
        )
        self._build = self._ray.put(self._build)
        self._workers = [self._worker(number) for number in range(self.capacity)]
        self._started = time.monotonic()

    def _worker(self, number: int) -> "_Worker":
        return _Worker(self._ray, self._actor.remote([self._build], number, Surroundings.here()), number)

    def _hand_out(self) -> None:
        """Give waiting tasks to free actors."""
        free = [worker for worker in self._workers if worker.is_free]
        while self._waiting and free:
            task = self._waiting.popleft()
            worker = max(free, key=lambda one: task.training in one.seen)
            free.remove(worker)
            worker.begin(task)

    def _next(self) -> "_Worker | None":
        """Return an actor of which there is news, after a moment at most."""
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        ready, _ = self._ray.wait(list(awaited), num_returns=1, timeout=LOOK_EVERY_S)
        return awaited[ready[0]] if ready else None

    def _tell(self, worker: "_Worker", kind: str, content: Any) -> None:
        if kind == "place":
            _require_same(content)
        elif kind == "begun":
            self._losses = 0
        elif kind == "say":
            self._hooks.say(content)
        elif worker.task is not None:
            self._hooks.on_epoch(worker.task, content)

    def _failed(self, worker: "_Worker", error: Exception) -> None:
        """Raise what ended a training, unless the machine only lacks the images: Ray then brings one copy to each."""
        if not isinstance(error, NotHereError):
            raise error
        if not self._has_sent:
            self._has_sent = True
            self._build = self._ray.put(self._work.with_images())
        self._replace(worker)

    def _lost(self, worker: "_Worker", error: Exception) -> tuple[Task, Evaluation] | None:
        """Replace an actor that died, or whose machine is gone; return its task if it was tried often enough."""
        self._losses += 1
        if self._losses > TRIES * self.capacity:
            raise InputError(f"no worker can be started on the Ray cluster: {_last_line(error)}")
        if worker.task is not None:
            self._tries[worker.task.key] += 1
            if self._tries[worker.task.key] >= TRIES:
                del self._tries[worker.task.key]
                return self._given_up(worker, Evaluation("killed", 0.0, cause=_last_line(error)))
        self._replace(worker)
        return None

    def _late(self) -> tuple[Task, Evaluation] | None:
        """Replace an actor that is silent for too long; return its task with that as the result."""
        for worker in self._workers:
            if worker.task is not None and self._resources.is_late(worker.seconds):
                return self._given_up(worker, Evaluation("timeout", 0.0))
        return None

    def _given_up(self, worker: "_Worker", result: Evaluation) -> tuple[Task, Evaluation]:
        """Replace an actor, and return its task with a result, which then nobody tries again."""
        seconds, task = worker.seconds, worker.finished()
        self._replace(worker)
        return task, replace(result, seconds=seconds)

    def _replace(self, worker: "_Worker") -> None:
        """Ask for another actor in the place of one; its task waits for any that is free."""
        worker.end()
        if worker.task is not None:
            self._waiting.appendleft(worker.task)
        self._workers[worker.number] = self._worker(worker.number)

    def _look_for_room(self) -> None:
        """Say once that actors have to wait for others to end, and give up where none could start."""
        waited = time.monotonic() - self._started
        started = sum(worker.place is not None for worker in self._workers)
        if started == self.capacity or waited < SAY_AFTER_S:
            return
        each = _taken(self._resources)
        if not started and waited > START_S:
            raise InputError(
                f"the Ray cluster has no room for a worker, which takes {each}; ask for less, or wait until others end."
            )
        if not self._has_said:
            self._has_said = True
            self._hooks.say(
                f"Ray has started {started} of {self.capacity} workers; the others wait for room, {each} for each."
            )


class _Worker:
    """An actor with the task that it works on, and the trainings that it has seen."""

    def __init__(self, ray: Any, actor: Any, number: int) -> None:
        self.number = number
        self.task: Task | None = None
        self.began: float | None = None
        self.place: Place | None = None
        self.seen = Seen()
        self._ray = ray
        self._actor = actor
        self.awaited: Any = actor.place.remote()
        """The reference, or the stream of references, of what it tells next; None if it is free."""

    @property
    def seconds(self) -> float:
        """Seconds since it told that it has begun with its task."""
        return 0.0 if self.began is None else time.monotonic() - self.began

    @property
    def is_free(self) -> bool:
        return self.awaited is None

    def begin(self, task: Task) -> None:
        self.task, self.began = task, None
        self.seen.add(task.training)
        self.awaited = self._actor.train.options(num_returns="streaming").remote(task)

    def receive(self) -> tuple[str, Any]:
        """Return a message that is there: its kind and content. Raises RayError: the actor is lost."""
        if self.place is None:
            self.place = self._ray.get(self.awaited)
            self.awaited = None
            return "place", self.place
        kind, content = self._ray.get(next(self.awaited))
        self.began = self.began or time.monotonic()
        return kind, content

    def finished(self) -> Task:
        """Return the task, and be free for the next one."""
        task, self.task, self.awaited = self.task, None, None
        if task is None:
            raise BioTuneError("a worker sent a result that nobody asked for.")
        return task

    def end(self) -> None:
        self._ray.kill(self._actor)


def _taken(resources: Resources) -> str:
    """Return in words what a worker takes."""
    parts = [plural(resources.threads, "CPU")]
    if resources.gpus:
        parts.append(f"{resources.gpus:g} GPU")
    if resources.memory_bytes:
        parts.append(f"{resources.memory_bytes / 2**30:g} GiB of memory")
    return listed(parts)


def _require_same(place: Place) -> None:
    """Refuse a worker with other versions: its results would be others."""
    for name, here in Place.here().versions.items():
        if (there := place.versions[name]) != here:
            raise InputError(
                f"the Ray worker on {place.host} has {name} {there}, and this process has {here}; install the same "
                "version on all machines of the cluster."
            )


def _processes(pids: Iterable[int]) -> Iterator[psutil.Process]:
    """Yield those of these processes that have not ended."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _host() -> str:
    return socket.gethostname()


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
