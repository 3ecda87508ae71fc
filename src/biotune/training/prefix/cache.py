"""Activations of a frozen prefix, computed once and shared by every training that freezes it.

Outputs that fit into the memory budget are used for all batches. Otherwise they are kept on disk, possibly only those
of fewer blocks. Then they are used only for batch sizes for which they equal the network's own outputs bit for bit, so
that free disk space never changes a result. If nothing can be kept, the frozen blocks run in every step.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

import torch
from torch import Tensor, nn

from biotune.recipe import Recipe
from biotune.training.precision import Forward
from biotune.training.prefix.outputs import Recorded, RecordedSource
from biotune.training.prefix.plan import FILL_BATCH, Planner, PrefixPlan
from biotune.training.prefix.recorder import Recorder, ScratchError
from biotune.training.prefix.storage import WORTH_READING, ActivationStore, Scratch
from biotune.training.prefix.stubs import hooked, stubbed
from biotune.training.sources import InputSource, RowSource


class PrefixCache:
    """Outputs of frozen modules for all images of a source, kept within byte budgets.

    Args:
        source: the images.
        budget_bytes: largest size of the outputs in memory; 0 turns the cache off.
        forward: runs a network on a batch and returns its logits.
        check: called between fill batches; may raise to stop.
        say: called once with a sentence about what is not reused, and why.
        scratch: disk space for outputs that do not fit into memory.
        sizes: batch sizes of the trainings, apart from the last batch of an epoch.
    """

    def __init__(
        self,
        source: RowSource,
        budget_bytes: int,
        forward: Forward,
        check: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _sentence: None,
        scratch: Scratch | None = None,
        sizes: Collection[int] = (),
    ) -> None:
        self.source = source
        self.forward = forward
        self.check = check
        self.store = ActivationStore(budget_bytes, scratch, self._say_once)
        self._sizes = frozenset(sizes)
        self._planner = Planner(source, forward)
        self._say = say
        self._said: set[str] = set()

    @property
    def used_bytes(self) -> int:
        """Present size in memory and on disk, in bytes."""
        return self.store.used(in_memory=True) + self.store.used(in_memory=False)

    def covers(self, model: nn.Module, recipe: Recipe) -> bool:
        """Return whether the frozen prefix fits into memory, so no step computes it; arguments as in ``attached``.

        Savings by the disk or by fewer blocks do not count, since they depend on the machine.
        """
        plan = self._whole(model, recipe)
        return bool(plan.needed) and self._fits(plan)

    @contextmanager
    def attached(self, model: nn.Module, recipe: Recipe) -> Iterator[InputSource]:
        """Replace the frozen prefix of a network by recorded outputs, and restore it afterwards.

        The network has the pretrained weights in every frozen block and the recipe applied, and is in evaluation mode.
        What is yielded gives the batches to run it on: from this cache, or pixels if nothing can be cached.
        """
        whole = self._whole(model, recipe)
        if not whole.needed and self.store.memory_bytes and recipe.multipliers[0] == 0:
            self._say_once(_DIFFERENT if whole.is_different else _NOTHING)
        fits = self._fits(whole)
        plan, recorded = (whole, self._outputs(model, whole)) if fits else self._beyond_memory(model, recipe, whole)
        if not recorded:
            yield self.source
            return
        with stubbed(model, (*plan.needed, *plan.unread)) as stubs:
            yield RecordedSource(self.source, stubs, recorded, plan.unread, None if fits else self._sizes)

    def _beyond_memory(
        self, model: nn.Module, recipe: Recipe, whole: PrefixPlan
    ) -> tuple[PrefixPlan, dict[str, Recorded]]:
        """Return plan and outputs for as many blocks as there is room for: deeper prefixes save more."""
        first_trained = next(index for index, value in enumerate(recipe.multipliers) if value > 0)
        reasons = list[str]()
        for depth in (None, *range(first_trained - 1, 0, -1)):
            plan = self._planner.plan(model, recipe, depth)
            reasons.append(self._obstacle(model, plan))
            if not plan.needed or reasons[-1]:
                continue
            try:
                recorded = self._outputs(model, plan, is_exact=True)
            except ScratchError as error:
                self.store.give_up_disk(str(error))
                reasons[-1] = f"the disk of '{self.store.scratch.folder}' cannot be written"
                continue
            if depth is not None:
                last = recipe.partition.names[depth - 1]
                start = f"Of the frozen blocks of some recipes only those up to '{last}' are reused: the outputs of all"
                self._say_once(f"{start} need {self._bytes(whole) / 2**20:,.0f} MiB, and {reasons[0]}.")
            return plan, recorded
        self._say_once(f"{_RECOMPUTED}: their outputs need {self._bytes(whole) / 2**20:,.0f} MiB, and {reasons[0]}.")
        return PrefixPlan(), {}

    def _obstacle(self, model: nn.Module, plan: PrefixPlan) -> str:
        """Return why outputs that do not fit into memory are not kept; empty if they are kept."""
        if not self._fits(plan):
            memory = f"there is room for {self.store.memory_bytes / 2**20:,.0f} in memory (compute.prefix_cache_mib)"
            if self._bytes(plan) > self.store.disk_bytes:
                return f"{memory} and for {self.store.disk_bytes / 2**20:,.0f} on disk (cache.activations_gib)"
            if plan.work < WORTH_READING * plan.image_bytes:
                return f"{memory}; reading them from disk may take longer than computing them"
        if not self._planner.is_exact(model, plan, self._sizes):
            return "at this run's batch size they would differ from the network's own in the last bits"
        return ""

    def _outputs(self, model: nn.Module, plan: PrefixPlan, is_exact: bool = False) -> dict[str, Recorded]:
        """Return the outputs for all images by module, recorded if missing. They stay valid: the prefix never changes.

        With ``is_exact``, full batches only are recorded, since a short last one may round differently.
        """
        count = len(self.source)
        keys = {name: (name, is_exact and count % FILL_BATCH > 0) for name in plan.needed}
        missing = [name for name, key in keys.items() if key not in self.store]
        in_memory = self._fits(plan)
        self.store.make_room(sum(plan.needed[name] for name in missing) * count, in_memory, keys.values())
        if missing:
            folder = None if in_memory else self.store.scratch.folder
            with ExitStack() as stack:
                recorders = {name: stack.enter_context(closing(Recorder(count, folder))) for name in missing}
                self._record(model, recorders, is_exact)
                for name, recorder in recorders.items():
                    self.store.add(keys[name], recorder.finish(), in_memory)
        self.store.use(keys.values(), plan.work)
        return {name: self.store[key] for name, key in keys.items()}

    def _record(self, model: nn.Module, recorders: Mapping[str, Recorder], is_exact: bool) -> None:
        count = len(self.source)
        for start in range(0, count, FILL_BATCH):
            self.check()
            wanted = min(FILL_BATCH, count - start)
            rows = torch.arange(start, start + (FILL_BATCH if is_exact else wanted)) % count
            receivers = {name: _appender(recorder, wanted) for name, recorder in recorders.items()}
            with torch.no_grad(), hooked(model, receivers):
                self.forward(model, self.source.batch(rows))

    def _whole(self, model: nn.Module, recipe: Recipe) -> PrefixPlan:
        return self._planner.plan(model, recipe) if self.store.memory_bytes else PrefixPlan()

    def _fits(self, plan: PrefixPlan) -> bool:
        return self._bytes(plan) <= self.store.memory_bytes

    def _bytes(self, plan: PrefixPlan) -> int:
        return plan.image_bytes * len(self.source)

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


_RECOMPUTED = "Frozen blocks are recomputed in every step of some trainings"
_NOTHING = f"{_RECOMPUTED}: there is no frozen module with a single output tensor that stays the same."
_DIFFERENT = f"{_RECOMPUTED}: with recorded outputs, this network's logits would change in the last bits."


def _appender(recorder: Recorder, count: int) -> Callable[[Tensor], None]:
    return lambda output: recorder.append(output[:count])
