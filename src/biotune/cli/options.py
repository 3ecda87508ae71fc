"""The options of commands, made from the settings, and how what was typed becomes a configuration."""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from biotune.settings.config import RunConfig
from biotune.settings.resolve import OPTIONS, Changes, configured
from biotune.settings.setting import DATA, NETWORK, RUN, SEARCH, TRAINING
from biotune.settings.table import Row
from biotune.settings.words import default_of
from biotune.user_files import user_path
from biotune.wording import listed

COMPARISON = "Comparison"
_PANELS = (None, COMPARISON, SEARCH, NETWORK, DATA, TRAINING, RUN)
"""In the order in which ``--help`` lists them; None is the first list, without a name of its own."""

Data = Annotated[
    str,
    typer.Argument(
        help="Folder of class folders, train/val/test folders, a CSV or Parquet file, hf:NAME, or a data set's name."
    ),
]


def user_paths(typed: Any) -> Any:
    """Return a path, a list of them, or None, as ``user_path`` does: with the home folder in the place of ``~``."""
    if isinstance(typed, list | tuple):
        return [user_path(one) for one in typed]
    return None if typed is None else user_path(typed)


RunFolder = Annotated[Path, typer.Argument(help="A run folder.", callback=user_paths)]
AnyFolder = Annotated[Path, typer.Argument(help="Folder of a run or a comparison.", callback=user_paths)]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Run folder; the same command again continues it.", callback=user_paths)
]
Json = Annotated[bool, typer.Option("--json", help=r"Print the result as JSON \[default: false].", rich_help_panel=RUN)]
Verbose = Annotated[
    bool | None,
    typer.Option(
        "--verbose/--quiet",
        help="Say more, with every candidate and the time of each line; or only the result and errors "
        r"\[default: in between].",
        rich_help_panel=RUN,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help=r"Print only the result and errors \[default: false].", rich_help_panel=RUN),
]
Vote = Annotated[
    bool | None,
    typer.Option(
        "--vote/--single",
        help="Answer by the mean probabilities of all final networks, or by the exported one, as many times faster "
        r"\[default: vote, if the run has several].",
        rich_help_panel=RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help=r"Print size and time, train nothing \[default: false].", rich_help_panel=RUN),
]


@dataclass(frozen=True)
class Given:
    """The settings of a command line.

    Args:
        options: those that were typed: keyword -> value.
        file: the ``config.toml`` that ``--config`` names.
    """

    options: Mapping[str, Any]
    file: Path | None = None


class BriefHelp(TyperCommand):
    """A command whose ``--help`` lists the options that most people need; ``--help-all`` lists every one."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # of the parser's own
        """Write the help without the options of few people, and the others in one list."""
        brief = copy.copy(self)
        brief.params = [copy.copy(one) for one in self.params if not _is_of_few(one.name or "")]
        for one in brief.params:
            if isinstance(one, TyperOption):
                one.rich_help_panel = None
        super(BriefHelp, brief).format_help(ctx, formatter)

    def show_all(self, ctx: typer.Context) -> None:
        """Print the help with every option."""
        super().format_help(ctx, ctx.make_formatter())


def _is_of_few(name: str) -> bool:
    """Whether an option is one that few people need: ``--config``, or that of a setting not marked as main."""
    option = OPTIONS[name].setting.option if name in OPTIONS else None
    return name == _FILE.name or (option is not None and not option.main)


def _show_all(ctx: typer.Context, asked: bool) -> None:
    if asked and isinstance(ctx.command, BriefHelp):
        ctx.command.show_all(ctx)
        raise typer.Exit


def options_of(command: str) -> tuple[str, ...]:
    """Return the keywords of the settings that a command takes as options, in their order."""
    return tuple(keyword for keyword, row in OPTIONS.items() if row.has_option(command))


def with_settings(
    keywords: Iterable[str], *, brief: bool = False, remarks: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take options of settings; those that were typed are its first argument, a ``Given``.

    Typer reads the options from the signature, so one is made: what the function takes itself, and one keyword for each
    setting, None where the option was not typed.

    Args:
        keywords: names of settings that have an option.
        brief: True for a ``BriefHelp``: to take ``--help-all``, and ``--config`` too.
        remarks: section of the settings -> what this command's help says of its options besides.

    Returns:
        A decorator, to be used below ``app.command``.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        rows = [OPTIONS[keyword] for keyword in keywords]
        made = [*(_parameter(row, remarks.get(row.section, "")) for row in rows), *([_FILE] if brief else [])]
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def command(**typed: Any) -> None:
            options = {one.name: typed.pop(one.name) for one in made}
            path = options.pop(_FILE.name, None)
            typed.pop(_HELP_ALL.name, None)
            given = {keyword: value for keyword, value in options.items() if value is not None}
            function(Given(given, path), **typed)

        # the sort is stable: in each panel settings stand first, and what every command has, such as --json, last
        named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters = sorted(
            [one for one in named if not _panel(one)] + made + [one for one in named if _panel(one)], key=_panel
        )
        command.__signature__ = inspect.Signature([*parameters, *([_HELP_ALL] if brief else [])])  # type: ignore[attr-defined]
        return command

    return decorate


_FILE = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            "--config",
            help=r"A config.toml to start from \[default: none].",
            callback=user_paths,
            rich_help_panel=RUN,
        ),
    ],
)


_HELP_ALL = inspect.Parameter(
    "help_all",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option("--help-all", help="Show every option, and exit.", is_eager=True, callback=_show_all),
    ],
)


def _panel(parameter: inspect.Parameter) -> int:
    (shown,) = parameter.annotation.__metadata__
    return _PANELS.index(shown.rich_help_panel)


def _parameter(row: Row, remark: str = "") -> inspect.Parameter:
    """Return the parameter that Typer turns into the option of a setting."""
    option = row.setting.option
    if option is None:
        raise TypeError(f"the setting '{row.key}' has no option.")
    kind = row.kind if row.kind in (int, float, bool) and option.read is None else str
    spelling = f"{row.spelling}/--no-{row.spelling[2:]}" if kind is bool else row.spelling
    names = [name for name in (spelling, option.short) if name]
    # the default that Typer would show is None, which says that the option was not typed
    shown = typer.Option(*names, help=_help(row, remark), rich_help_panel=option.panel or None, show_default=False)
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(row.keyword, keyword_only, default=None, annotation=Annotated[kind | None, shown])


def _help(row: Row, remark: str) -> str:
    choices = f" ({listed(row.choices, len(row.choices), 'or')})" if row.choices else ""
    words = f"{remark}: {row.setting.help}" if remark else row.setting.help
    return rf"{words}{choices} \[default: {default_of(row) or 'none'}]."


def to_config(given: Given, changes: Changes | None = None) -> RunConfig:
    """Return the configuration of a command line: options win over its file, which wins over the preset.

    Args:
        given: what was typed.
        changes: win over everything.

    Returns:
        The checked configuration.

    Raises:
        InputError: both a file and a preset, or values that are refused; all of them in one message.
    """
    names = {OPTIONS[keyword].key: OPTIONS[keyword].spelling for keyword in given.options}
    return configured(given.options, changes or {}, given.file, names)


def source(typed: str) -> str:
    """Return DATA without slashes at its end; where a data set has that name, they mean the folder."""
    source = typed.rstrip("/") or typed[:1]
    if source == typed:
        return source
    from biotune.datasets import DATASETS

    return f"./{source}" if source in DATASETS else source
