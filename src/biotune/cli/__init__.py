"""The command line: parses, calls, prints; no logic."""

from biotune.cli import benching, checking, comparing, demo, looking, tuning, using
from biotune.cli.app import main

__all__ = ["benching", "checking", "comparing", "demo", "looking", "main", "tuning", "using"]
