"""The processes that follow a run for its trackers: begun by the run, asked now and then, waited for at its end."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from biotune.runs.events import Event, Message, Observer
from biotune.wording import listed, shorten

PATIENCE_S = 60.0
"""How long a finished run waits for its trackers, which have the last results and the report to note."""

INTERRUPTED_S = 5.0
"""How long an interrupted one waits, which may be about to be killed; the call that continues it notes the rest."""


class Followers:
    """An observer that passes everything on, and warns once of each tracker that has failed.

    Args:
        trackers: each a name, or a name and a destination after a colon.
        folder: the run folder.
        observer: receives the events, and the warnings.
    """

    def __init__(self, trackers: Sequence[str], folder: Path, observer: Observer) -> None:
        self._trackers, self._folder, self._observer = trackers, folder, observer
        self._running: dict[str, _Follower] = {}

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        self._observer(event)
        self._warn_of_failed()

    def start(self) -> None:
        """Begin to follow; the run folder exists, and this process works in it."""
        for tracker in self._trackers:
            try:
                self._running[tracker] = _started(tracker, self._folder)
            except OSError as error:
                self._warn(tracker, error.strerror or str(error))

    def wait(self) -> None:
        """Wait until the followers have ended, since the run has; those that do not are ended, with a warning."""
        self._warn_of_failed()
        if self._running:
            self._observer(Message(f"Waiting for {listed(list(self._running))} to note the rest."))
        for tracker in self._ended(PATIENCE_S):
            self._end(tracker, f"it needed more than {PATIENCE_S:g} s after the run")
        self._warn_of_failed()

    def leave(self) -> None:
        """End the followers of an interrupted run soon."""
        for tracker in self._ended(INTERRUPTED_S):
            self._end(tracker, "")
        self._warn_of_failed()

    def _ended(self, seconds: float) -> Iterator[str]:
        """Wait so long for all followers; end those that are still at work, and yield their trackers."""
        end = time.monotonic() + seconds
        for tracker, follower in list(self._running.items()):
            try:
                follower.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                follower.process.kill()
                follower.process.wait()
                yield tracker

    def _warn_of_failed(self) -> None:
        for tracker, follower in list(self._running.items()):
            if follower.process.poll() is not None:
                self._end(tracker, follower.last_words() if follower.process.returncode else "")

    def _end(self, tracker: str, reason: str) -> None:
        """Forget a follower that has ended, with a warning where there is a reason."""
        self._running.pop(tracker).said.close()
        if reason:
            self._warn(tracker, reason)

    def _warn(self, tracker: str, reason: str) -> None:
        text = (
            f"Tracking with {tracker} ended ({reason.rstrip('.')}); the run does not need it. What is missing there is "
            f"added by: biotune track {self._folder} --to {tracker}"
        )
        self._observer(Message(text, warning=True))


@contextmanager
def followed(trackers: Sequence[str], folder: Path, observer: Observer) -> Iterator[Followers]:
    """Yield the observer of a run that trackers may follow; at the end, when the run folder is free, wait for them."""
    followers = Followers(trackers, folder, observer)
    try:
        yield followers
    except BaseException:
        followers.leave()
        raise
    followers.wait()


@dataclass(frozen=True)
class _Follower:
    """A process, and the file that has what it says."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def last_words(self) -> str:
        """Return its last line, without our name."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return shorten(lines[-1].removeprefix("biotune: "), 300) if lines else f"exit code {self.process.returncode}"


def _started(tracker: str, folder: Path) -> _Follower:
    """Begin to follow, in a process that Ctrl+C does not reach."""
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the follower has ended
    command = [sys.executable, "-m", "biotune", "track", str(folder), "--to", tracker]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
    )
    return _Follower(process, said)
