"""Keeps recorded outputs in memory and on disk, each within a budget: those that save the most work per byte."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from biotune.training.prefix.outputs import Recorded
from biotune.training.prefix.recorder import ScratchError, on_disk

WORTH_READING = 100.0
"""Multiplications per recorded byte above which a cold read from disk takes less time than the work that it saves.

Measured on one core and a disk of 400 MB/s: reading was slower below 30 and faster above 200; see docs/architecture.md.
"""

Key = tuple[str, bool]
"""Name of a module, and whether its outputs were recorded in batches of one size."""


@dataclass(frozen=True)
class Scratch:
    """Disk space for outputs that do not fit into memory.

    Args:
        folder: outputs are kept on the disk of this folder.
        limit_bytes: largest size of all outputs; at most half of the space that is free at the start. 0 turns it off.
    """

    folder: Path = Path()
    limit_bytes: int = 0

    def capacity(self) -> int:
        """Return how many bytes may be written; 0 if the folder does not exist."""
        try:
            return min(self.limit_bytes, shutil.disk_usage(self.folder).free // 2)
        except OSError:
            return 0


@dataclass
class _Entry:
    """The stored outputs of a module.

    Args:
        recorded: the outputs.
        in_memory: True in memory, False on disk.
        work: multiplications per image that they save, together with the other outputs of their plan.
        saved: ``work``, summed over all uses.
        priority: value of keeping them, as of their last use.
    """

    recorded: Recorded
    in_memory: bool
    work: float = 0.0
    saved: float = 0.0
    priority: float = 0.0

    @property
    def num_bytes(self) -> int:
        return self.recorded.values.nbytes


class ActivationStore:
    """Recorded outputs in memory and, if they do not fit, on disk.

    Outputs with the lowest priority are dropped first: work saved x uses / bytes, plus the priority of the outputs that
    had been dropped last when they were used. So outputs that were used much, but long ago, are dropped in the end
    (GreedyDual-Size with frequency: Cherkasova, HP Labs report HPL-98-69R1, 1998). Outputs that leave memory move to
    disk if that is worth it.

    Args:
        memory_bytes: budget of the outputs in memory.
        scratch: the disk space.
        say: called with a sentence if the disk cannot be written.
    """

    def __init__(
        self, memory_bytes: int, scratch: Scratch | None = None, say: Callable[[str], None] = lambda _sentence: None
    ) -> None:
        self.memory_bytes = memory_bytes
        self.scratch = scratch or Scratch()
        self.disk_bytes = self.scratch.capacity()
        self._say = say
        self._age = 0.0
        self._entries: dict[Key, _Entry] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __getitem__(self, key: Key) -> Recorded:
        return self._entries[key].recorded

    def used(self, in_memory: bool) -> int:
        """Return the bytes held now in memory, or on disk."""
        return sum(entry.num_bytes for entry in self._entries.values() if entry.in_memory == in_memory)

    def add(self, key: Key, recorded: Recorded, in_memory: bool) -> None:
        """Add outputs, after ``make_room`` has been called for them."""
        self._entries[key] = _Entry(recorded, in_memory)

    def clear(self) -> None:
        """Drop all outputs."""
        self._entries.clear()

    def use(self, keys: Collection[Key], work: float) -> None:
        """Note that a training uses outputs, and how many multiplications per image they save together."""
        for key in keys:
            entry = self._entries[key]
            entry.work = max(entry.work, work)
            entry.saved += work
            entry.priority = self._age + entry.saved / entry.num_bytes

    def make_room(self, num_bytes: int, in_memory: bool, keep: Collection[Key], worth: float = float("inf")) -> bool:
        """Drop outputs until ``num_bytes`` more bytes fit.

        Args:
            num_bytes: bytes of the outputs to be added.
            in_memory: True for memory, False for disk.
            keep: outputs that must stay.
            worth: priority of the new outputs; only outputs with a lower one are dropped.

        Returns:
            Whether they fit now.
        """
        room = (self.memory_bytes if in_memory else self.disk_bytes) - self.used(in_memory)
        others = {key: entry for key, entry in self._entries.items() if entry.in_memory == in_memory}
        spare = [key for key, entry in others.items() if key not in keep and entry.priority < worth]
        if room + sum(others[key].num_bytes for key in spare) < num_bytes:
            return False
        for key in sorted(spare, key=lambda key: others[key].priority):
            if room >= num_bytes:
                break
            room += others[key].num_bytes
            self._remove(key, keep)
        return True

    def give_up_disk(self, reason: str) -> None:
        """Write nothing more to disk, and say so; outputs that are there already stay."""
        self.disk_bytes = 0
        self._say(
            f"The outputs of frozen blocks do not fit into memory and cannot be written to '{self.scratch.folder}' "
            f"({reason}); the run continues without them, with the same results. Set cache.activations_gib = 0 to "
            "avoid this."
        )

    def _remove(self, key: Key, keep: Collection[Key]) -> None:
        entry = self._entries.pop(key)
        moved = self._moved(entry, keep) if entry.in_memory else None
        if moved is None:
            self._age = max(self._age, entry.priority)
        else:
            entry.recorded, entry.in_memory = moved, False
            self._entries[key] = entry

    def _moved(self, entry: _Entry, keep: Collection[Key]) -> Recorded | None:
        """Return a copy of the outputs on disk, None if that is not worth it."""
        if entry.work * len(entry.recorded.values) < WORTH_READING * entry.num_bytes:
            return None
        if not self.make_room(entry.num_bytes, False, keep, entry.priority):
            return None
        try:
            return on_disk(entry.recorded, self.scratch.folder)
        except ScratchError as error:
            self.give_up_disk(str(error))
            return None
