"""What a run did, for ``history.json``: candidates and curves, without clocks, so that equal runs give equal bytes."""

from biotune.records import Evaluation, Task
from biotune.results import History
from biotune.results.history import Candidate, Curve
from biotune.runner.final import TrainedEntry
from biotune.runner.lineage import stored_parents
from biotune.runner.session import Session
from biotune.runner.summary import Found
from biotune.runner.ties import tied_recipes


def build_history(session: Session, found: Found) -> History:
    """Return the content of ``history.json``."""
    return History(
        schema_version=History.VERSION,
        judged_after_epochs=session.tasks.rungs[-1] or session.config.training.epochs,
        judged_on_folds=len(session.tasks.judging),
        judged_images=sum(len(session.tasks.data.parts[fold][1]) for fold in session.tasks.judging),
        tied_recipes=tied_recipes(session, found.candidates),
        candidates=tuple(
            Candidate.model_validate(
                {**row.to_json(), "parents": stored_parents(session.store, session.search_name, row.sequence)}
            )
            for row in found.candidates
        ),
        curves=tuple(
            _curve(name, task, result)
            for name, entry in found.entries.items()
            for task, result in zip(entry.tasks, entry.results, strict=True)
        ),
        judged_curves=_judged_curves(session, found.entries["biotune"]),
    )


def _curve(name: str, task: Task, result: Evaluation) -> Curve:
    return Curve(
        label=name,
        method=name,
        seed=task.seed,
        train_loss=tuple(record.train_loss for record in result.curve),
        validation_loss=tuple(r.validation_loss for r in result.curve if r.validation_loss is not None),
        validation_accuracy=tuple(r.accuracy for r in result.curve if r.accuracy is not None),
        validation_score=tuple(record.score for record in result.curve if record.score is not None),
    )


def _judged_curves(session: Session, winner: TrainedEntry) -> tuple[Curve, ...]:
    """Return the trainings of the search that judged the chosen recipe, each as far as it came.

    None where the final trainings left images out themselves.
    """
    recipe = winner.tasks[0].recipe
    if recipe is None or session.tasks.final_fold is None:
        return ()
    longest: dict[tuple[int | None, int], tuple[Task, Evaluation]] = {}
    for task, result in session.ledger.rows(session.search_name):
        key = task.fold, task.seed
        is_own = task.recipe == recipe and result.outcome == "ok"
        if is_own and (key not in longest or len(result.curve) > len(longest[key][1].curve)):
            longest[key] = task, result
    return tuple(_curve(winner.name, task, result) for task, result in longest.values())
