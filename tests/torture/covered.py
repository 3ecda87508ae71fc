"""What users hand over, changed by atheris, which looks at which lines a change reaches; a bounded time each."""

import functools
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator

from torture.promise import Case, Promise, Scene

NAMES = ("recipe.yaml", "config.toml", "summary.json", "images.csv", "texts.csv")


def is_installed() -> bool:
    """Return whether atheris can be imported; it is no part of the extras, since few systems have a wheel of it."""
    return importlib.util.find_spec("atheris") is not None


def watched(name: str, scene: Scene, count: int) -> Iterator[Case]:
    """Let atheris change a file for ``count`` seconds."""
    from torture.fuzzing import valid

    if not is_installed():
        return
    folder = scene.fresh(name)
    (folder / "known").mkdir(parents=True)
    (folder / "known" / name).write_bytes(valid(scene, name))
    command = [sys.executable, "-m", "torture.atheris_process", name, str(count), str(folder)]
    environment, longest = {**os.environ, "OMP_NUM_THREADS": "1"}, count + 600  # a reader that hangs
    ended = subprocess.run(command, capture_output=True, env=environment, timeout=longest, check=False)
    said = ended.stderr.decode(errors="replace")
    runs = re.findall(r"^(?:Done |#)(\d+)", said, re.MULTILINE)
    fault = "" if ended.returncode == 0 else f"exit code {ended.returncode} (in {folder}): {_reason(said)}"
    yield Case(f"{name} by atheris", fault, int(runs[-1]) if runs else 1)


def _reason(said: str) -> str:
    """Return the line that says what went wrong."""
    found = [line for line in said.splitlines() if re.search(r"Error|ERROR|Exception", line)]
    return (found or said.strip().splitlines()[-1:] or ["(silent)"])[0][:300]


PROMISES = tuple(
    Promise(
        f"{name} as atheris changes it: read, or refused in a sentence", functools.partial(watched, name), "seconds"
    )
    for name in NAMES
)
