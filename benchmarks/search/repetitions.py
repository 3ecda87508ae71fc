"""One repetition: every search once on one data set with one root seed, and what each of them reached."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.incumbents import Curve, Incumbents, IncumbentStep
from biotune.comparison.data_set import DataSetEntries, FinishedEntry, finish_entries
from biotune.comparison.entries import BIOTUNE, Entry
from biotune.errors import InputError
from biotune.runner.opening import greet, opened
from biotune.runner.session import Session
from biotune.runner.summary import describe_model, describe_protocol
from biotune.runner.testing import TestSet
from biotune.runner.unit import Unit
from biotune.runs.events import Observer
from biotune.runs.folder import StopSignal
from biotune.settings.config import RunConfig


@dataclass(frozen=True)
class Searched:
    """What one search reached in one repetition. Costs are in full fine-tunes.

    Args:
        curve: the incumbent's fitness against the work of the search.
        work: work of the search, counted in multiplications.
        search_cost: seconds of the search, in full fine-tunes.
        total_cost: seconds of search and final phase, in full fine-tunes.
        seconds: seconds of search and final phase.
        candidates: number of candidates that were begun.
        trainings: number of trainings of the search; resuming after a pause counts as another one.
        test: test accuracy of each final training that did not diverge.
        correct: share of these that label a test image rightly, shape (num_images,); None where all diverged.
    """

    curve: Curve
    work: float
    search_cost: float
    total_cost: float
    seconds: float
    candidates: int
    trainings: int
    test: tuple[float, ...]
    correct: NDArray[np.float64] | None

    @property
    def validation(self) -> float | None:
        """Fitness of the last incumbent; None where no candidate finished the race."""
        return self.curve[-1].fitness if self.curve else None

    @property
    def accuracy(self) -> float | None:
        """Mean test accuracy over the final trainings."""
        return None if self.correct is None else float(self.correct.mean())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, the answers left out."""
        fields = asdict(self)
        del fields["correct"]
        return {**fields, "test": list(self.test), "curve": [[step.work, step.fitness] for step in self.curve]}


@dataclass(frozen=True)
class Repetition:
    """Every search once.

    Args:
        data_set: its name, unique within the benchmark.
        seed: root seed.
        unit: one full fine-tune of this repetition.
        searches: name -> what it reached, BioTune first.
        facts: about data, network and protocol, JSON-able.
    """

    data_set: str
    seed: int
    unit: Unit
    searches: dict[str, Searched]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, the facts left out."""
        return {
            "data_set": self.data_set,
            "seed": self.seed,
            "full_finetune_seconds": self.unit.seconds,
            "full_finetune_epochs": self.unit.epochs,
            "searches": {name: found.to_json() for name, found in self.searches.items()},
        }


def compare_searches(
    config: RunConfig, others: Sequence[str], folder: Path, observer: Observer, stop: StopSignal
) -> tuple[Unit, dict[str, Searched], dict[str, Any]]:
    """Compare BioTune's search with others on one data set with one root seed, or finish an earlier call.

    Args:
        config: BioTune's configuration, with the data source and the root seed.
        others: names of the other searches.
        folder: run folder of this comparison.
        observer: receives messages and progress.
        stop: a request to stop.

    Returns:
        The unit of cost, what each search reached, and facts.

    Raises:
        InputError: bad input, or no test images.
    """
    entries = [Entry(BIOTUNE, "search"), *(Entry(name, "search", {"name": name}) for name in others)]
    incumbents = Incumbents(observer)
    with opened(config, folder, incumbents, stop) as session:
        greet(session)
        incumbents.session = session
        test = TestSet(session)
        if not test.exists:
            raise InputError(
                f"the data set '{session.data.name}' has no test images to measure accuracy on; "
                "give --test-fraction above 0."
            )
        compared = finish_entries(session, entries, tuned=False, test=test)
        return compared.unit, _searched(session, compared, incumbents, compared.unit), _facts(session)


def _searched(session: Session, compared: DataSetEntries, incumbents: Incumbents, unit: Unit) -> dict[str, Searched]:
    found = {}
    for name, finished in compared.default.items():
        own = session if name == BIOTUNE else session.for_search(name, session.config.search)
        found[name] = _one(own, finished, incumbents.curve(own.search_name, unit.epochs), unit)
    return found


def _one(session: Session, finished: FinishedEntry, curve: Curve, unit: Unit) -> Searched:
    search = session.search_name
    answers = finished.answers
    total = session.ledger.spent(search, session.final_name)
    return Searched(
        curve,
        work=session.work(search) / unit.epochs,
        search_cost=session.ledger.spent(search) / unit.seconds,
        total_cost=total / unit.seconds,
        seconds=total,
        candidates=len(finished.candidates),
        trainings=session.ledger.trainings(search),
        test=() if answers is None else tuple(answers.correct.mean(axis=1).tolist()),
        correct=None if answers is None else answers.correct.mean(axis=0),
    )


def in_unit(found: Searched, own: Unit, unit: Unit) -> Searched:
    """Return what a search reached with its costs in another unit.

    Args:
        found: costs in ``own``.
        own: the unit of the comparison that it took part in.
        unit: the one to use.

    Returns:
        The same in ``unit``.
    """
    seconds, epochs = own.seconds / unit.seconds, own.epochs / unit.epochs
    return replace(
        found,
        curve=tuple(IncumbentStep(step.work * epochs, step.fitness) for step in found.curve),
        work=found.work * epochs,
        search_cost=found.search_cost * seconds,
        total_cost=found.total_cost * seconds,
    )


def _facts(session: Session) -> dict[str, Any]:
    """Return what all repetitions on a data set have in common."""
    data, protocol = session.data, describe_protocol(session).to_json()
    del protocol["seeds"]
    return {
        "data": {
            "train": len(data.train),
            "validation": len(data.validation),
            "test": data.num_test,
            "classes": len(data.class_names),
        },
        "model": describe_model(session).to_json(),
        "protocol": protocol,
    }
