"""The first sentences of a run: on what it works, and what is doubtful about that."""

from biotune.runner.session import Session
from biotune.runner.setup import Setup


def greet(session: Session, setup: Setup, continued: bool) -> None:
    """Say what a run works on, and every note and warning about its data and network.

    Args:
        session: of the run.
        setup: what it was set up from.
        continued: whether the folder holds earlier work.
    """
    data, loaded = setup.data, setup.loaded
    session.say(
        f"{data.name}: {len(data.train)} training, {len(data.validation)} validation and {data.num_test} test images "
        f"in {len(data.class_names)} classes; {loaded.name} in {len(loaded.partition)} blocks, "
        f"weights: {loaded.weights}."
    )
    if session.out_of_fold and session.config.method.name == "search":
        session.say(
            f"{len(data.validation)} validation images are few: recipes are judged on all "
            f"{len(data.train) + len(data.validation)} training and validation images, in "
            f"{len(session.evaluator.judging)} trainings that each leave one fold out; that is several "
            "times the work."
        )
    for note in data.remarks.warnings:
        session.say(note, warning=True)
    for note in data.remarks.notes:
        session.say(note)
    for note in setup.notes:
        session.say(note[:1].upper() + note[1:], warning=True)
    if data.remarks.quarantined:
        first, others = data.remarks.quarantined[0], len(data.remarks.quarantined) - 1
        more = f", and {others} more" if others else ""
        session.say(f"Left out, since it cannot be read: {first.id} ({first.reason}){more}.", warning=True)
    if continued:
        count = len(session.store.trainings())
        stored = "1 training is stored" if count == 1 else f"{count} trainings are stored"
        session.say(f"Continuing the run in '{session.folder}': {stored}.")
