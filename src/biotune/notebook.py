"""How a Python program sees a run: bars on a terminal, a bar below the cell of a notebook, warnings of Python."""

import html
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from biotune.errors import BioTuneWarning, InputError
from biotune.progress import Display
from biotune.runs.events import Event, Message, Observer
from biotune.runs.events import Progress as Step
from biotune.wording import duration

EVERY_S = 0.2
"""A notebook draws a bar at most so often."""


@contextmanager
def shown(observer: Observer | None) -> Iterator[Observer]:
    """Yield the observer of a run that a program asked for.

    Args:
        observer: the program's own, which receives everything; None shows progress and messages on standard error, or
            below the cell of a notebook, and turns warnings into warnings of Python.

    Yields:
        Observer: to be handed to the run.
    """
    if observer is not None:
        yield observer
        return
    console = Console(stderr=True)
    with NotebookDisplay() if console.is_jupyter else Display(console) as display:

        def show(event: Event) -> None:
            if isinstance(event, Message) and event.warning:
                warnings.warn(event.text, BioTuneWarning, stacklevel=_level_of_caller())
            else:
                display(event)

        yield show


def _level_of_caller() -> int:
    """Return the level, as ``warnings.warn`` counts in the function that calls this, of who called BioTune."""
    frame, level, found = sys._getframe(1), 1, 1
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "biotune":
            found = level + 1
        frame, level = frame.f_back, level + 1
    return found


class NotebookDisplay:
    """An observer for notebooks: one output below the cell, which needs IPython and no widgets.

    Messages stay; the bar goes when the run ends.
    """

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._step: Step | None = None
        self._drawn = 0.0
        self._handle: Any = None

    def __enter__(self) -> "NotebookDisplay":
        from IPython.display import display

        self._handle = display(_Html(""), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._step = None
        self._draw()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Message):
            self._messages.append(event.text)
            self._draw()
        elif isinstance(event, Step):
            is_new = self._step is None or (self._step.phase, self._step.done) != (event.phase, event.done)
            self._step = event
            if is_new or time.monotonic() - self._drawn >= EVERY_S:
                self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        lines = [f"<div>{html.escape(text)}</div>" for text in self._messages]
        self._handle.update(_Html("".join([*lines, _bar(self._step) if self._step else ""])))


def _bar(step: Step) -> str:
    """Return a bar with its words as HTML."""
    share = min(1.0, (step.done + step.fraction) / step.total) if step.total else 0.0
    left = "" if step.seconds_left is None else f", about {duration(step.seconds_left)} left"
    phase = step.phase.replace("_", " ")
    detail = f" ({step.detail})" if step.detail not in ("", phase) else ""
    words = html.escape(f"{phase} {step.done}/{step.total}{detail}{left}")
    return f'<div><progress value="{share:.3f}" style="width:16rem;vertical-align:middle"></progress> {words}</div>'


class _Html:
    """HTML for a notebook; anywhere else, nothing."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return ""

    def _repr_html_(self) -> str:
        return self._text


class Page:
    """The report of a run: a notebook shows it below the cell, anything else its path.

    Args:
        path: of ``report.html``, one file that loads nothing.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"there is no report '{path}'; 'biotune status {path.parent}' says where the run stands.")
        self.path = path

    def __repr__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" title="BioTune report" style="width:100%;height:42rem;border:0"></iframe>'
