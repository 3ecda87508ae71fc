"""The application object, how errors become exit codes, and how signals stop a run."""

import errno
import io
import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from biotune.errors import BioTuneError, InputError, InterruptedRunError
from biotune.machine import is_lack_of_memory
from biotune.version import __version__

if TYPE_CHECKING:
    from biotune.runs.folder import StopSignal

ORDER = (
    *("tune", "train", "compare", "refine", "demo", "predict", "evaluate", "explain", "export", "report", "serve"),
    "track",
    *("status", "check", "blocks", "models", "datasets", "methods", "searches"),
)
"""The commands as `biotune --help` lists them: what most people need comes first."""


_UsageError: Any = typer.BadParameter.__base__
"""What the parser of options raises; its own module is private in some versions of Typer."""


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Turn what the parser of options refuses into one of our sentences."""
    try:
        yield
    except _UsageError as error:
        if error.message is None or "Usage: " in error.message:  # no arguments at all: the help
            raise
        text = error.format_message().rstrip(".")
        command = f"{error.ctx.command_path} --help" if error.ctx else "biotune --help"
        raise InputError(f"{text[:1].lower()}{text[1:]}; see '{command}'.") from None


class _OurGroup(TyperGroup):
    """Lists the commands in ``ORDER``, whichever module is imported first, and refuses wrong options in our words."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse what stands before a command."""
        with _in_our_words():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse and do a command."""
        with _in_our_words():
            return super().invoke(ctx)


app = typer.Typer(
    name="biotune",
    cls=_OurGroup,
    help="Automatic fine-tuning of pretrained image classifiers: evolution finds which blocks to train and how fast.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
NARROWEST = 60
"""Columns of output, at least: in fewer, tables lose their words, while a terminal wraps a line."""


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    return console if console.width >= NARROWEST else Console(stderr=stderr, width=NARROWEST)


out, err = _console(stderr=False), _console(stderr=True)


_REFUSED = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE),
)
"""What an operating system answers when a disk is full, broken or protected, or too many files are open."""


def _show_version(asked: bool) -> None:
    if asked:
        out.print(f"biotune {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _biotune(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main(commands: typer.Typer = app, program: str = "biotune") -> None:
    """Run a command line. Exit codes: 0 done, 1 our fault, 2 wrong input, 3 interrupted, 4 damaged state.

    Args:
        commands: the commands; those of ``benchmarks`` have the same errors and messages as ours.
        program: what the user types before a command.
    """
    sys.argv[0] = program
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()  # where they were closed before
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what an encoding lacks must not end the work
    try:
        _require_no_empty(sys.argv[1:])
        commands(prog_name=program)
    except BioTuneError as error:
        for trace in getattr(error, "__notes__", ()):
            err.print(trace, highlight=False, markup=False, soft_wrap=True)
        _end_with(str(error), error.exit_code)
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not (sentence := _sentence(error)):
            raise
        _end_with(sentence)


def _sentence(error: Exception) -> str:
    """Return what to say of an error of the system that no sentence was written for; empty where it is our fault."""
    if is_lack_of_memory(error):
        reason = (str(error).strip() or "none left").splitlines()[0]
        return (
            f"there is not enough memory ({reason}); close other programs, or take fewer --workers, a smaller "
            "--batch-size or --image-size."
        )
    if isinstance(error, OSError) and error.errno in _REFUSED:
        where = f"'{error.filename}'" if error.filename else "a file"
        return (
            f"the system refuses to use {where}: {error.strerror}; see that there is room and permission there, then "
            "run the same command again."
        )
    return ""


def _end_with(sentence: str, code: int = InputError.exit_code) -> NoReturn:
    """Print a sentence on standard error, and end the program."""
    style = "red" if code != InterruptedRunError.exit_code else "yellow"
    err.print(f"biotune: {sentence}", style=style, highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)


def _require_no_empty(arguments: list[str]) -> None:
    """Refuse an empty argument, as an unset variable of a script leaves it: it means neither 'here' nor 'none'."""
    for before, argument in pairwise(["", *arguments]):
        if not argument or re.fullmatch("--[a-z-]+=", argument):
            name = argument or (before if before.startswith("-") else "")
            where = f" ({name.rstrip('=')})" if name else ""
            raise InputError(f"an argument of the command is empty{where}; give a value, or leave the option out.")


def command_line() -> str:
    """Return the command as typed."""
    return f"{sys.argv[0]} {shlex.join(sys.argv[1:])}"


def print_json(data: Any) -> None:
    """Print JSON on standard output."""
    is_narrow = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=is_narrow) + "\n")


def say(sentence: str, quiet: bool = False) -> None:
    """Print a sentence on standard error, nothing for an empty one, or where only results and errors are wanted."""
    if sentence and not quiet:
        err.print(f"biotune: {sentence}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def stoppable() -> Iterator["StopSignal"]:
    """Turn the first Ctrl+C or SIGTERM into a request to stop; a second Ctrl+C ends at once."""
    from biotune.runs.folder import StopSignal

    stop = StopSignal()

    def request(number: int, _frame: FrameType | None) -> None:
        stop.requested = True
        err.print("Stopping after this step; press Ctrl+C again to stop at once.", style="yellow", highlight=False)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    earlier = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def resumable() -> Iterator["StopSignal"]:
    """Like ``stoppable``; an interrupted command then says how to continue it.

    Yields:
        StopSignal: the request to stop.

    Raises:
        InterruptedRunError: stopped; what was finished is stored.
    """
    try:
        with stoppable() as stop:
            yield stop
    except InterruptedRunError as error:
        raise InterruptedRunError(f"{error} Continue with: {command_line()}") from None
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"stopped at once; everything finished before is stored. Continue with: {command_line()}"
        ) from None
