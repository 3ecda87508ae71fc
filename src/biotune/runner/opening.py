"""Opens a run folder: locks it, sets everything up, checks that it is this run's; and says what the run works on."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from biotune.datasets import ImageSet
from biotune.executors import EXECUTORS, Hooks, Work
from biotune.models import Backbone
from biotune.records import TextInputs
from biotune.runner.resources import resources_of
from biotune.runner.session import Session, Tasks
from biotune.runner.setup import Setup, describe, set_up
from biotune.runs import folder as files
from biotune.runs.events import Event, Message, Observer
from biotune.runs.folder import StopSignal, claim, locked
from biotune.runs.manifest import put_aside_changed
from biotune.runs.store import SIZING, RunStore
from biotune.settings.config import RunConfig
from biotune.settings.resolve import result_hash
from biotune.trials.counting import Counter
from biotune.trials.desk import Desk
from biotune.trials.ledger import Ledger
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker, start_worker
from biotune.wording import listed, plural


@contextmanager
def opened(
    config: RunConfig,
    folder: Path,
    observer: Observer,
    stop: StopSignal,
    image_set: ImageSet | None = None,
    backbone: Backbone | None = None,
) -> Iterator[Session]:
    """Open a run folder: a new one, or one to continue.

    Args:
        config: what to do.
        folder: a new or empty one, or that of the same work; locked meanwhile.
        observer: receives messages and progress.
        stop: a request to stop.
        image_set: the images, where the configuration cannot name their source.
        backbone: the user's own module, where the configuration names one.

    Yields:
        Session: open until the work inside is done; no worker outlives it.

    Raises:
        InputError: bad input, or the folder of something else.
        DamagedStateError: a file of the folder is damaged.
    """
    with locked(folder, observer):
        started = time.monotonic()  # now that no other thread works
        setup = set_up(config, folder, _watching(observer, stop), image_set, backbone)
        continued = claim(folder, setup.config, setup.facts)
        keep_changed_aside(folder, observer)
        files.write_learned(folder, (row.tobytes() for row in setup.data.sides[0].decoded.facts.digests))
        with RunStore(folder / files.STORE) as store:
            if setup.sizing is not None:
                store.set_fact(SIZING, setup.sizing.to_json())
            yield from _work_in(setup, folder, store, observer, stop, backbone, continued, started)


def keep_changed_aside(folder: Path, observer: Observer) -> None:
    """Move the results of a finished run that are not as it left them aside, and say so: it writes them again."""
    if changed := put_aside_changed(folder):
        text = f"Not as the run left them, so kept as NAME.changed and written again: {listed(changed)}."
        observer(Message(text, warning=True))


def _work_in(
    setup: Setup,
    folder: Path,
    store: RunStore,
    observer: Observer,
    stop: StopSignal,
    backbone: Backbone | None,
    continued: bool,
    started: float,
) -> Iterator[Session]:
    """Yield the session of a folder that belongs to this run."""
    config, data = setup.config, trial_data(setup.data, setup.config)
    ledger = Ledger(config, store, observer, started)
    hooks = Hooks(ledger.on_epoch, stop.check, lambda text: observer(Message(text)))
    inputs = setup.loaded.preprocessing
    texts = inputs if isinstance(inputs, TextInputs) else None
    spec = WorkerSpec(config, len(setup.data.class_names), setup.loaded.weights_sha256, data, folder, backbone, texts)
    worker = Worker(spec, setup.loaded, hooks)
    counter = Counter(worker)
    work = Work(
        worker.evaluate,
        lambda: partial(start_worker, spec.by_reference()),
        lambda: partial(start_worker, spec.with_images()),
    )
    with closing(EXECUTORS[config.compute.executor](work, resources_of(config.compute), hooks)) as executor:
        desk = Desk(store, ledger, executor, worker.weights)
        tasks = Tasks(config, result_hash(config, setup.facts), counter, data)
        session = Session(setup, folder, store, worker, counter, desk, tasks, observer, stop, continued)
        yield session


def _watching(observer: Observer, stop: StopSignal) -> Observer:
    """Return an observer that also looks at the stop signal with every event."""

    def watch(event: Event) -> None:
        stop.check()
        observer(event)

    return watch


def greet(session: Session) -> None:
    """Say what a run works on, and every note and warning about its data and network."""
    data = session.data
    describe(session.setup, session.observer)
    if session.tasks.out_of_fold and session.config.method.name == "search":
        session.say(
            f"{len(data.validation)} validation {data.kind}s are few: at the last rung, recipes are also judged on "
            f"{plural(len(session.tasks.judging) - 1, 'further part')} of the training {data.kind}s, held out of a "
            "training of its own; the allowance of the search counts this too."
        )
    if session.continued:
        count = len(session.store.trainings())
        stored = "1 training is stored" if count == 1 else f"{count} trainings are stored"
        session.say(f"Continuing the run in '{session.folder}': {stored}.")
