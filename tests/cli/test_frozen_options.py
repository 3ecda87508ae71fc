"""The options of all commands are a promise: none comes, goes or moves by accident."""

from pathlib import Path

import typer

from biotune.cli.app import app

FROZEN = Path(__file__).with_name("frozen_options.txt")


def spelled() -> list[str]:
    """Return a line for each option, with the commands that take it."""
    commands: dict[str, list[str]] = {}
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                spelling = " ".join([*parameter.opts, *parameter.secondary_opts])
                commands.setdefault(spelling, []).append(name)
    return sorted(f"{option}: {' '.join(sorted(names))}" for option, names in commands.items())


def test_the_options_are_those_that_were_agreed():
    found, agreed = set(spelled()), set(FROZEN.read_text().splitlines())

    assert found == agreed, (
        f"\nNew: {sorted(found - agreed)}\nGone: {sorted(agreed - found)}\n"
        "An option stays for ever, and each makes --help longer. A setting that few people need can do without: leave "
        "out its `Option`, and it is set by config.toml and from Python. If the change is meant, edit the lines of "
        "tests/cli/frozen_options.txt, and say it in CHANGELOG.md."
    )
