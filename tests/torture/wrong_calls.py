"""Wrong calls of every command: exit code 2 and a sentence, no traceback, no hang."""

import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

from biotune.settings.config import RunConfig
from biotune.settings.table import rows_of
from torture.promise import Case, Promise, Scene, misbehaved

SECONDS = 60
"""After which a call counts as one that hangs."""

WRONG: dict[Any, tuple[str, ...]] = {
    int: ("-1", "abc", "1.5", "1" * 40, "\u0661\u0662", "", "nan"),
    float: ("abc", "nan", "-inf", "-1e300", ""),
}
NONSENSE = ("no such thing", ",", "a,a", "{}", "\u202e", "../..")


def _options() -> Iterator[tuple[str, str, str]]:
    """Yield commands with one of their options and a value that cannot be right."""
    for row in rows_of(RunConfig):
        if row.setting.option is None or row.kind is bool:
            continue
        for command in row.setting.option.commands:
            if command in COMMANDS:
                values = WRONG.get(row.kind, NONSENSE if row.choices else ("",))
                yield from ((command, row.spelling, value) for value in values)


COMMANDS: dict[str, tuple[str, ...]] = {
    "tune": ("IMAGES", "--out", "OUT"),
    "train": ("IMAGES", "--method", "full", "--out", "OUT"),
    "compare": ("IMAGES", "--out", "OUT"),
    "refine": ("RUN", "--out", "OUT"),
    "check": ("IMAGES",),
    "blocks": ("resnet18",),
    "evaluate": ("RUN", "IMAGES"),
    "predict": ("RUN", "IMAGES"),
    "report": ("RUN",),
    "status": ("RUN",),
    "serve": ("RUN",),
    "export": ("RUN", "--format", "timm", "--out", "OUT"),
    "explain": ("RUN", "IMAGES", "--out", "OUT"),
}
"""How each command is called, in the places of data, of a finished run and of a new folder."""

PLACES = ("missing", "pipe", "device", "loop", "file", "empty", "", "long", "~nobody/x", "hf:", "\udcff")
"""What stands in the place of data or a run, see ``_place``."""


def _place(scene: Scene, kind: str) -> str:
    """Return the path of something that is no data and no run."""
    (scene.root / "places").mkdir(exist_ok=True)
    path = scene.root / "places" / kind
    if kind == "pipe" and not path.exists():
        os.mkfifo(path)
    elif kind == "device":
        return "/dev/zero"
    elif kind == "loop" and not path.is_symlink():
        path.symlink_to(path)
    elif kind == "file":
        path.write_bytes(bytes(range(256)))
    elif kind == "empty":
        path.mkdir(exist_ok=True)
    elif kind == "long":
        return "a" * 5000
    elif kind not in ("missing", "pipe", "loop"):
        return kind
    return str(path)


def _calls(scene: Scene) -> Iterator[tuple[str, ...]]:
    """Yield wrong calls, all that there are."""
    known = {"IMAGES": str(scene.images), "RUN": str(scene.trained)}

    def filled(words: tuple[str, ...], place: str | None = None) -> tuple[str, ...]:
        first = None if place is None else next(word for word in words if word in known)
        return tuple(_place(scene, place or "") if word == first else known.get(word, word) for word in words)

    for command, option, value in _options():
        yield command, *filled(COMMANDS[command]), option, value
    for command, words in COMMANDS.items():
        yield command, *filled(words), "--no-such-option"
        yield command, *filled(words), "one", "more", "than", "--wanted"
        yield (command,)
        for place in PLACES if set(words) & known.keys() else ():
            yield command, *filled(words, place)
    yield ("no-such-command",)


def called(scene: Scene, count: int) -> Iterator[Case]:
    """Make wrong calls, as many of each command as of any other."""
    generator, groups = random.Random("calls"), dict[str, list[tuple[str, ...]]]()
    for call in _calls(scene):
        groups.setdefault(call[0], []).append(call)
    for calls in groups.values():
        generator.shuffle(calls)
    turns = (call for turn in itertools.zip_longest(*groups.values()) for call in turn if call is not None)
    for call in itertools.islice(turns, count):
        out = scene.fresh()
        arguments = [str(out) if word == "OUT" else word for word in call]
        ended = scene.call(*arguments, seconds=SECONDS)
        fault = misbehaved(ended, (2,)) or ("it says nothing" if not ended.err.strip() else "")
        yield Case(" ".join(arguments)[:200], fault)
        scene.drop(out)


PROMISES = (Promise("a wrong call: exit code 2 and a sentence, no traceback, no hang", called, "calls"),)
