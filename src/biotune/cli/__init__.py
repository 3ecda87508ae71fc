"""The command line: parses, calls, prints; no logic. One module for each command, named for it."""

from biotune.cli import (
    blocks,
    check,
    compare,
    demo,
    evaluate,
    explain,
    export,
    listings,
    predict,
    refine,
    report,
    serve,
    status,
    track,
    train,
    tune,
)
from biotune.cli.app import main

__all__ = [
    "blocks",
    "check",
    "compare",
    "demo",
    "evaluate",
    "explain",
    "export",
    "listings",
    "main",
    "predict",
    "refine",
    "report",
    "serve",
    "status",
    "track",
    "train",
    "tune",
]
