"""The entries: what a user would try, each in a module that does it as a careful person would, and BioTune.

All start from the pretrained network that BioTune loads and learn from the same images. AutoGluon is not among them: it
asks for other versions of torch and timm than BioTune does, and takes its weights from the hub.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from benchmarks.alternatives.task import Outcome, Task
from biotune.errors import InputError

SMALLEST_SIDE, LARGEST_SIDE = 16, 1024


@dataclass(frozen=True)
class Entry:
    """One way of fine-tuning.

    Args:
        name: in commands and files.
        title: for tables and figures.
        function: ``module:function``, which takes a task and a seed.
        package: that it needs besides those of BioTune; empty for none.
        side: of the images in pixels; 0 for that of the task.
        automatic: True if BioTune chooses it.
    """

    name: str
    title: str
    function: str
    package: str = ""
    side: int = 0
    automatic: bool = False

    def run(self, task: Task, seed: int) -> Outcome:
        """Learn, choose, and answer on the test set."""
        task = replace(task, image_size=self.side or task.image_size, automatic=self.automatic)
        module, _, function = self.function.partition(":")
        chosen = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return cast(Callable[[Task, int], Outcome], chosen)(task, seed)

    @property
    def missing(self) -> str:
        """Why it cannot run here, as a sentence; empty if it can."""
        if not self.package or importlib.util.find_spec(self.package):
            return ""
        return f"'{self.name}' is left out: the package {self.package} is not installed."


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("features", "Logistic regression", "features:run"),
        Entry("last_block", "Last block", "last_block:run"),
        Entry("head_then_all", "Head, then all", "head_then_all:run"),
        Entry("plain_loop", "Plain loop", "plain_loop:run"),
        Entry("layer_decay", "Layer decay", "layer_decay:run"),
        Entry("fastai", "fastai", "fine_tune:run", package="fastai"),
        Entry("biotune-quick", "BioTune quick", "presets:run_quick"),
        Entry("biotune-standard", "BioTune standard", "presets:run_standard"),
    )
}
AUTOMATIC = ("biotune-quick", "biotune-standard")
"""Entries that can choose the image size themselves."""

DEFAULT = ("features", "features@128", "features@224", *list(ENTRIES)[1:], "biotune-quick@auto")


def entry_of(name: str) -> Entry:
    """Return an entry by its name, which may end in ``@`` and a side in pixels; of BioTune's presets also in ``@auto``.

    Raises InputError: there is none of this name, or the side is out of range.
    """
    base, at, side = name.partition("@")
    if base not in ENTRIES:
        raise InputError(f"--entries cannot name '{name}'; choose from {', '.join(ENTRIES)}, or NAME@SIDE.")
    entry = ENTRIES[base]
    if not at:
        return entry
    if side == "auto" and base in AUTOMATIC:
        return replace(entry, name=name, title=f"{entry.title}, own size", automatic=True)
    if not side.isdecimal() or not SMALLEST_SIDE <= int(side) <= LARGEST_SIDE:
        raise InputError(f"--entries cannot name '{name}'; give a side from {SMALLEST_SIDE} to {LARGEST_SIDE} pixels.")
    return replace(entry, name=name, title=f"{entry.title}, {side} px", side=int(side))
