"""The command line: parses, calls, prints; no logic."""

from biotune.cli import demo, looking, tuning, using
from biotune.cli.app import main

__all__ = ["demo", "looking", "main", "tuning", "using"]
