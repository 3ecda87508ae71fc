"""Whether a temperature from held-out images makes the probabilities of a run's vote better: ``RUN...``.

A finished run trained its final networks on all labels, so none of its images are held out from them. Its recipes are
trained here once more without the validation images, which chose them. From what these networks say of the validation
images come two temperatures, and the vote of the final networks is divided by each, on the test images.
"""

import copy
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import nn

from benchmarks.datasets import register
from biotune.metrics import calibration_error, cross_entropy, log_softmax
from biotune.models.vote import voting
from biotune.recipe import Recipe
from biotune.records import GIVEN
from biotune.results import Summary
from biotune.runner.answers import vote_of
from biotune.runner.opening import opened
from biotune.runner.session import Session
from biotune.runs import folder as files
from biotune.runs.events import silent
from biotune.runs.folder import StopSignal
from biotune.runs.status import finished_summary
from biotune.settings.resolve import load_config
from biotune.training.scoring import predict_logits
from biotune.trials.worker import source_of

Logs = NDArray[np.float64]


class Row(NamedTuple):
    """A temperature, with the log-loss in nats and the calibration error on the test images at it."""

    name: str
    temperature: float
    log_loss: float
    calibration_error: float


def temperature(logits: Logs, labels: NDArray[np.int64]) -> float:
    """Return the number above 0 by which logits, shape (n, classes), are divided for the least log-loss."""
    found = minimize_scalar(
        lambda exponent: cross_entropy(logits / 10.0**exponent, labels), bounds=(-2.0, 2.0), method="bounded"
    )
    return float(10.0**found.x)


def measure(run: Path) -> list[Row]:
    """Return what each temperature gives on the test images of a finished run, which is not changed."""
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(shutil.copytree(run, Path(scratch) / "run"))
        with opened(load_config(run / files.CONFIG)[0], copied, silent, StopSignal()) as session:
            summary = finished_summary(run)
            recipes = _voters(session, summary, Recipe.load(run))
            test = session.data.test
            if test is None:
                raise SystemExit(f"'{run}' has no test images.")
            pixels, labels = test.open(), session.tasks.data.labels[session.tasks.data.parts[None][1]]
            alone = [_held_out(session, recipe, 0) for recipe in recipes]
            together = vote_of(log_softmax(_held_out(session, recipe, seed)) for seed, recipe in enumerate(recipes))
            source = source_of(pixels.images, session.worker.preprocessing, session.config.compute)
            rows = np.arange(len(pixels.labels))
            networks = _final_networks(session, run, summary)
            vote = vote_of(log_softmax(predict_logits(network, source, rows)) for network in networks)
    of_one = float(np.exp(np.mean([np.log(temperature(one, labels)) for one in alone])))
    found = {"as it is": 1.0, "of single networks": of_one, "of a vote": temperature(together, labels)}
    found["best on the test"] = temperature(vote, pixels.labels)
    return [
        Row(name, value, cross_entropy(vote / value, pixels.labels), calibration_error(vote / value, pixels.labels))
        for name, value in found.items()
    ]


def _voters(session: Session, summary: Summary, like: Recipe) -> list[Recipe]:
    """Return the recipes of the final networks, that of the exported one first."""
    trained = {fields["seed"]: fields for _, fields, _ in session.store.trainings("final") if fields["fold"] == -1}
    chosen = [trained[seed] for seed in (summary.exported.seed, *summary.exported.members)]
    return [like.with_multipliers(row["multipliers"]).with_values(row.get("values") or {}) for row in chosen]


def _held_out(session: Session, recipe: Recipe, number: int) -> Logs:
    """Return the logits of the validation images by a network that did not learn from them."""
    task = session.tasks.one(GIVEN, recipe, session.tasks.search_seeds[0] + number)
    task = replace(task, keep_weights=True)
    if not session.worker.weights.has(task):
        session.worker.evaluate(task)
    return predict_logits(session.worker.load(task), session.worker.pixels, session.tasks.data.parts[None][1])


def _final_networks(session: Session, run: Path, summary: Summary) -> Sequence[nn.Module]:
    network = copy.deepcopy(Recipe.release(session.worker.model))
    members = [files.member_path(run, seed) for seed in summary.exported.members]
    found = voting(network, (run / files.MODEL).read_bytes(), members)
    return list(found.networks) if members else [found]  # type: ignore[arg-type]


def main(runs: Sequence[str]) -> None:
    """Print a table of Markdown for each of some run folders."""
    register()
    print("| data | temperature | value | log-loss | calibration error |\n|---|---|---|---|---|")
    for run in map(Path, runs):
        name = finished_summary(run).data.name
        for row in measure(run):
            numbers = f"{row.temperature:.2f} | {row.log_loss:.3f} | {100 * row.calibration_error:.1f} %"
            print(f"| {name} | {row.name} | {numbers} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
