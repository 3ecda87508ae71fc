"""A comparison from start to end, data set by data set. The same call again continues it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from biotune.comparison.data_set import DataSetEntries, finish_entries, merged
from biotune.comparison.entries import Entry
from biotune.comparison.results import DataSetResult, build_comparison, data_set_result
from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.report.comparison_page import write_comparison
from biotune.results import Comparison
from biotune.results.summary import Model
from biotune.runner.answers import write_answers
from biotune.runner.opening import greet, opened
from biotune.runner.session import Session
from biotune.runner.setup import replace_fields
from biotune.runner.summary import describe_model
from biotune.runner.testing import TestSet
from biotune.runs import folder as files
from biotune.runs.comparisons import COMPARISON, PAGE, PLAN, TABLES, folder_names, read_plan
from biotune.runs.events import Message, Observer, silent
from biotune.runs.files import guarded, make_output_folder, remove, write_json
from biotune.runs.folder import StopSignal
from biotune.runs.manifest import write_manifest
from biotune.settings.config import RunConfig


@dataclass(frozen=True)
class ComparePlan:
    """What is compared on what.

    Args:
        config: of every run; its data source is replaced by each of ``sources``.
        sources: paths or names of data sets.
        entries: BioTune first, if it takes part.
        tuned: True to add an entry with a sweep for every method that is not a search.
        images: the images of a source that only a program holds, by its name in ``sources``.
    """

    config: RunConfig
    sources: tuple[str, ...]
    entries: tuple[Entry, ...]
    tuned: bool = True
    images: Mapping[str, ImageSet] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The entry that all others are compared with: BioTune, else the first."""
        return self.entries[0].key


def compare(
    plan: ComparePlan, folder: Path, command: str = "", observer: Observer = silent, stop: StopSignal | None = None
) -> Comparison:
    """Do a comparison, or what is left of it.

    Every data set has a folder of its own, with a store like a run's: all that was trained is kept, and a further
    method costs only its own trainings.

    Args:
        plan: what to compare.
        folder: a new or empty one, or that of the same comparison.
        command: as typed.
        observer: receives messages and progress.
        stop: a request to stop; everything finished stays stored.

    Returns:
        The results, as in ``comparison.json``.

    Raises:
        InputError: bad input, or the folder of something else.
        InterruptedRunError: stopped by ``stop``.
        DamagedStateError: a file of the folder is damaged.
    """
    stop = stop or StopSignal()
    _require_ours(folder)
    _require_data(plan)
    make_output_folder(folder)
    if left_out := _left_out(folder, plan):
        names = ", ".join(left_out)
        text = f"The tables will not show {names}, which '{folder}' holds too; name them as well to keep them."
        observer(Message(text, warning=True))
    named = {"data": list(plan.sources), "methods": [entry.key for entry in plan.entries]}
    if not (folder / PLAN).exists():
        write_json(folder / PLAN, named)
    results: list[DataSetResult] = []
    model: Model | None = None
    settled = plan.config
    places = [folder / name for name in folder_names(plan.sources)]
    for number, (source, place) in enumerate(zip(plan.sources, places, strict=True), 1):
        data = replace_fields(plan.config.data, source=source)
        network = plan.config.model if (place / files.CONFIG).exists() else settled.model
        config = replace_fields(plan.config, data=data, compute=settled.compute, model=network)
        further = sum(not (later / files.ANSWERS).exists() for later in places[number:])
        result, model, settled = _one(config, plan, place, further, observer, stop)
        results.append(result)
    if model is None:
        raise InputError("there is no data set to compare on; name at least one.")
    comparison = build_comparison(command, model, plan.reference, _with_distinct_names(results, places))
    remove(folder / files.MANIFEST)  # of an earlier call, which knew other results
    write_comparison(folder, comparison)
    write_json(folder / PLAN, named)
    write_json(folder / COMPARISON, comparison.to_json())
    write_manifest(folder, (COMPARISON, PAGE, *TABLES))
    return comparison


def _one(
    config: RunConfig, plan: ComparePlan, folder: Path, further: int, observer: Observer, stop: StopSignal
) -> tuple[DataSetResult, Model, RunConfig]:
    """Compare on one data set, with ``further`` to come; entries on other folds work in folders of their own.

    Returned are the result, the description of the network, and the configuration with network, input size, device,
    threads and precision as the next ones take them.
    """
    parts: list[DataSetEntries] = []
    for folds in dict.fromkeys(entry.folds for entry in plan.entries):
        entries = [entry for entry in plan.entries if entry.folds == folds]
        own = folder / f"folds-{folds}" if folds else folder
        changed = replace_fields(config, data=replace_fields(config.data, folds=folds)) if folds else config
        with opened(changed, own, observer, stop, plan.images.get(config.data.source)) as session:
            greet(session)
            session.ledger.further = further
            test = TestSet(session)
            config = replace_fields(config, compute=session.config.compute, model=session.config.model)
            parts.append(finish_entries(session, entries, plan.tuned, test))
            _write_answers(own, session, parts[-1], test)
            if folds == plan.entries[0].folds:
                first = session
            session.drop_checkpoints()
    return data_set_result(first, merged(parts)), describe_model(first), config


def _with_distinct_names(results: Sequence[DataSetResult], places: Sequence[Path]) -> list[DataSetResult]:
    """Where two data sets have the same name (the last part of a path), name all by their folders in the comparison."""
    if len({result.found.name for result in results}) == len(results):
        return list(results)
    return [
        replace(result, found=result.found.model_copy(update={"name": place.name}))
        for result, place in zip(results, places, strict=True)
    ]


def _write_answers(folder: Path, session: Session, part: DataSetEntries, test: TestSet) -> None:
    tested = test.open()
    if tested is not None:
        answers = {key: finished.answers for key, finished in part.by_key.items()}
        write_answers(folder, session.data.class_names, tested, answers)


def _left_out(folder: Path, plan: ComparePlan) -> list[str]:
    """Return the data sets and methods of the folder's comparison that are no longer named."""
    if not (folder / PLAN).exists():
        return []
    named = {*plan.sources, *(entry.key for entry in plan.entries)}
    return [name for name in chain(*read_plan(folder)) if name not in named]


def _require_data(plan: ComparePlan) -> None:
    """Refuse data sets named twice, and later ones that cannot be learned from, before the first takes its hours."""
    places = [str(Path(source).resolve()) if Path(source).exists() else source for source in plan.sources]
    if twice := [source for source, place in zip(plan.sources, places, strict=True) if places.count(place) > 1]:
        raise InputError(f"the data set '{twice[-1]}' is named twice; name each once.")
    for source in plan.sources[1:]:
        require_learnable(plan.images.get(source) or open_source(source, plan.config.data.root))


def _require_ours(folder: Path) -> None:
    with guarded(f"look into '{folder}'"):
        is_other = folder.is_dir() and not (folder / PLAN).exists()
        found = [path.name for path in folder.iterdir()] if is_other else []
    if foreign := sorted(name for name in found if not name.startswith(".")):
        raise InputError(
            f"'{folder}' is not empty and not a comparison of biotune (it holds '{foreign[0]}'); "
            "choose a new folder with --out."
        )
