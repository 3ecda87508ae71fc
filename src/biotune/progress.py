"""Shows events: two bars with the time left on a terminal, plain lines otherwise; always on standard error."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from biotune.runs.events import CandidateFinished, Event, Message
from biotune.runs.events import Progress as Step
from biotune.wording import duration

PLAIN_EVERY_S = 10.0


class Display:
    """An observer of runs.

    Args:
        console: the one to write to, on standard error.
        verbose: True to show every candidate too, and with every line the time since the start; False to show nothing.
    """

    def __init__(self, console: Console, verbose: bool | None = None) -> None:
        self.console = console
        self._verbose = verbose
        self._start = time.monotonic()
        self._written = ("", 0, "")
        self._last_line = 0.0
        self._bars: Progress | None = None
        self._outer: TaskID | None = None
        self._inner: TaskID | None = None

    def __enter__(self) -> "Display":
        if self.console.is_terminal and self._verbose is not False:
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
        if self._verbose is False:
            return
        if isinstance(event, Message):
            self._print(event.text, "yellow" if event.warning else None)
        elif isinstance(event, CandidateFinished):
            if self._verbose:
                self._print(_candidate(event))
        elif self._bars is not None:
            self._draw(event)
        else:
            self._write(event)

    def _print(self, text: str, style: str | None = None) -> None:
        clock = f"[{duration(time.monotonic() - self._start)}] " if self._verbose else ""
        # a log keeps each message on its line; a terminal shows whole words
        wrap = not self.console.is_terminal
        self.console.print(clock + text, style=style, highlight=False, markup=False, soft_wrap=wrap)

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
        """Print a line where a phase begins or ends and, now and then, where another step of it does."""
        now, new = time.monotonic(), (step.phase, step.done, step.detail)
        begins, ends = step.phase != self._written[0], step.done >= step.total
        if new == self._written or not (begins or ends or now - self._last_line >= PLAIN_EVERY_S):
            return
        self._written, self._last_line = new, now
        left = "" if step.seconds_left is None else f", about {duration(step.seconds_left)} left"
        phase = step.phase.replace("_", " ")
        detail = f" ({step.detail})" if step.detail not in ("", phase) else ""
        self._print(f"{phase}: {step.done}/{step.total}{detail}{left}")


def _candidate(found: CandidateFinished) -> str:
    """Return a line about a candidate: its fitness, then the multiplier of each block and the named values."""
    recipe = found.recipe
    blocks = (f"{name} {value:.3g}" for name, value in zip(recipe.partition.names, recipe.multipliers, strict=True))
    values = (f"{name} = {value}" for name, value in recipe.values)
    return f"{found.search}, candidate: fitness {found.fitness:.4f}, {', '.join([*blocks, *values])}"
