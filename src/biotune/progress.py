"""Shows events: two bars with the time left on a terminal, plain lines otherwise; always on standard error."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from biotune.runs.events import Event, Message
from biotune.runs.events import Progress as Step
from biotune.wording import duration

PLAIN_EVERY_S = 10.0


class Display:
    """An observer of runs.

    Args:
        console: the one to write to, on standard error.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._phase = ""
        self._last_line = 0.0
        self._bars: Progress | None = None
        self._outer: TaskID | None = None
        self._inner: TaskID | None = None

    def __enter__(self) -> "Display":
        if self.console.is_terminal or self.console.is_jupyter:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]}"),
                TextColumn("[dim]{task.fields[left]}"),
            )
            self._bars = Progress(*columns, console=self.console, transient=True)
            self._outer = self._bars.add_task("starting", count="", left="", total=None)
            self._inner = self._bars.add_task("", count="", left="", total=1.0, visible=False)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Message):
            style = "yellow" if event.warning else None
            # a log keeps each message on its line; a terminal shows whole words
            wrap = not self.console.is_terminal
            self.console.print(event.text, style=style, highlight=False, markup=False, soft_wrap=wrap)
        elif isinstance(event, Step) and self._bars is not None:
            self._draw(event)
        elif isinstance(event, Step):
            self._write(event)

    def _draw(self, step: Step) -> None:
        if self._bars is None or self._outer is None or self._inner is None:
            return
        left = "" if step.seconds_left is None else f"about {duration(step.seconds_left)} left"
        self._bars.update(
            self._outer,
            description=step.phase.replace("_", " "),
            completed=step.done + step.fraction,
            total=step.total,
            count=f"{step.done}/{step.total}",
            left=left,
        )
        self._bars.update(
            self._inner,
            description=f"  {step.detail}",
            completed=step.fraction,
            total=1.0,
            count=f"{step.fraction:.0%}",
            visible=bool(step.detail),
        )

    def _write(self, step: Step) -> None:
        now = time.monotonic()
        if step.phase == self._phase and step.done < step.total and now - self._last_line < PLAIN_EVERY_S:
            return
        self._phase, self._last_line = step.phase, now
        left = "" if step.seconds_left is None else f", about {duration(step.seconds_left)} left"
        phase = step.phase.replace("_", " ")
        detail = f" ({step.detail})" if step.detail not in ("", phase) else ""
        line = f"{phase}: {step.done}/{step.total}{detail}{left}"
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
