"""Files of run folders that were cut, changed or overwritten: continued equal, restored, or refused by name."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import tiny
from biotune import runner
from biotune.classifier import load_run
from biotune.errors import BioTuneError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.folder import StopSignal
from biotune.runs.manifest import changed_results
from biotune.runs.status import run_status
from biotune.settings.config import RunConfig
from damaged import DAMAGES
from forked import without_report
from torture.promise import Case, Promise, Scene, difference, results

BRIEF = {**tiny.BRIEF, "final": {**tiny.BRIEF["final"], "seeds": 2}}


class _StopAt:
    """An observer that stops a run when a sentence is said."""

    def __init__(self, sentence: str) -> None:
        self.sentence, self.stop = sentence, StopSignal()

    def __call__(self, event: object) -> None:
        self.stop.requested |= isinstance(event, Message) and self.sentence in event.text


def damaged(scene: Scene, count: int) -> Iterator[Case]:
    """Damage one file of a run that was stopped before its results were written, or of a finished one.

    Then look at its state, load its network, and give the same command again.
    """
    without_report()
    config = tiny.tiny_config(scene.images, BRIEF)
    stopped, finished, generator = scene.root / "stopped", scene.root / "finished", random.Random("damage")
    stop = _StopAt("The recipe is chosen")
    with suppress(InterruptedRunError):
        runner.run(config, stopped, observer=stop, stop=stop.stop)
    runner.run(config, finished)
    expected = results(finished)
    for number in range(count):
        source = (stopped, finished)[number % 2]
        names = sorted(
            path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.name != ".lock"
        )
        name, damage, fraction = generator.choice(names), generator.choice(DAMAGES), generator.random()
        out = scene.fresh()
        shutil.copytree(source, out)
        damage(out / name, fraction)
        fault = _outcome(config, out, name, expected)
        what = f"{damage.__name__} {source.name}/{name} at {fraction:.4f}"
        yield Case(what, fault and f"{fault} (in {out})")
        if not fault:
            scene.drop(out)


def _outcome(config: RunConfig, out: Path, name: Path, expected: dict[str, bytes]) -> str:
    """Return what is wrong with how a damaged folder is treated; empty if nothing is."""
    for use in (run_status, load_run):
        if fault := _refusal(lambda use=use: use(out), out, name)[1]:
            return f"{use.__name__}: {fault}"
    refused, fault = _refusal(lambda: runner.run(config, out), out, name)
    if fault or refused:
        return fault and f"the same command: {fault}"
    if left := changed_results(out):
        return f"not restored: {', '.join(left)}"
    return difference(results(out), expected)


def _refusal(do: Callable[[], object], out: Path, name: Path) -> tuple[bool, str]:
    """Return whether something was refused, and what is wrong with how: one sentence names the file, or the folder."""
    try:
        do()
    except BioTuneError as error:
        text = str(error)
        is_clear = "\n" not in text and (name.name in text or str(out) in text)
        return True, "" if is_clear else f"refused without the name of the file: {text[:300]}"
    except Exception as error:  # whatever it is, it is a fault
        return True, f"{type(error).__name__}: {str(error)[:300]}"
    return False, ""


PROMISES = (Promise("a damaged file: equal, restored, or refused by name", damaged, "damages"),)
