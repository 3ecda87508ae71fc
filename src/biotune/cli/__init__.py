"""The command line: parses, calls, prints; no logic."""

from biotune.cli import checking, comparing, demo, looking, tuning, using
from biotune.cli.app import main

__all__ = ["checking", "comparing", "demo", "looking", "main", "tuning", "using"]
