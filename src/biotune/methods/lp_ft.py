"""Linear probing first, then full fine-tuning from there."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from biotune.methods.base import FineTuningMethod, MethodOptions, Signals, Stage
from biotune.methods.fixed import LinearProbe
from biotune.recipe import Recipe


class ProbeThenFullOptions(MethodOptions):
    """Options of ``lp_ft``."""

    share: Annotated[float, Field(gt=0, lt=1, description="share of the planned epochs that only probe")] = 0.5
    start: Annotated[Literal["best", "last"], Field(description="probed classifier that fine-tuning starts from")] = (
        "best"
    )


class ProbeThenFull(FineTuningMethod):
    """LP-FT: first the fresh classifier alone, then every block from there.

    Of E planned epochs the first k = round(share x E), at least 1 and less than E, train the classifier alone, and the
    rest train everything. Fine-tuning starts from the classifier of the best epoch (by score, then validation loss) or
    of the last one, with a fresh optimiser. Early stopping counts from the switch on; the best epoch is the best of
    all.

    Source: Kumar et al. 2022 (ICLR), algorithm "LP-FT". Departures: one run of E epochs with one schedule instead
    of two runs, so full fine-tuning starts at the schedule's factor of epoch k (one half for the default share and a
    cosine) and at the probe's base rate; the authors choose both rates on validation data.
    """

    Options = ProbeThenFullOptions
    options: ProbeThenFullOptions

    def trained(self, epoch: int, epochs: int) -> Recipe:
        """Return the classifier alone while it is probed, then everything."""
        probe = LinearProbe(self.network, self.options).outline()
        if epoch < num_probing(self.options.share, epochs):
            return probe
        return probe.with_multipliers([self.options.rate] * len(probe.partition))

    def prepare(self, model: nn.Module) -> Recipe:
        """Announce every block, in the partition where the classifier is a block of its own."""
        self._model = model
        self._best: dict[str, Tensor] = {}
        self._best_value = (-1.0, 0.0)
        probe = LinearProbe(self.network, self.options).outline()
        return probe.with_multipliers([self.options.rate] * len(probe.partition))

    def stage(self, epoch: int, signals: Signals) -> Stage:
        """Probe, switch, fine-tune."""
        probing = num_probing(self.options.share, signals.epochs)
        if 0 < epoch <= probing:
            self._remember_best(signals)
        if epoch == probing and self.options.start == "best":
            self._model.load_state_dict(self._best, strict=False)
        recipe = self.trained(epoch, signals.epochs)
        return Stage(recipe, reset=epoch == probing, may_stop=epoch >= probing)

    def _remember_best(self, signals: Signals) -> None:
        """Keep the classifier if the epoch that has just ended is the best so far, or the last, if none has a score."""
        last = signals.curve[-1]
        if last.score is None or last.validation_loss is None:
            value = (float(last.epoch), 0.0)
        else:
            value = (last.score, -last.validation_loss)
        if not self._best or value > self._best_value:
            self._best_value = value
            with torch.no_grad():
                self._best = {n: p.clone() for n, p in self._model.named_parameters() if self.network.is_fresh(n)}


def num_probing(share: float, epochs: int) -> int:
    """Return the number of epochs that train the classifier alone, in [0, epochs)."""
    return min(max(1, round(share * epochs)), epochs - 1)
