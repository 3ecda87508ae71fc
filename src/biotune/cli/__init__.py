"""The command line: parses, calls, prints; no logic."""

from biotune.cli import checking, demo, looking, tuning, using
from biotune.cli.app import main

__all__ = ["checking", "demo", "looking", "main", "tuning", "using"]
