"""A run from start to end: unit of cost, search, choice, baselines, test, results. The same call again continues it."""

from dataclasses import replace
from pathlib import Path

from biotune.datasets import ImageSet
from biotune.errors import InputError
from biotune.models import Backbone
from biotune.records import GIVEN
from biotune.report.answer_files import write_answer_table
from biotune.report.run_page import write_report
from biotune.results import Summary
from biotune.results.refinement import REFINED
from biotune.results.summary import Budget
from biotune.runner.answered_images import answered_images
from biotune.runner.answers import write_answers
from biotune.runner.baselines import baseline
from biotune.runner.best_model import BestModel, put_model
from biotune.runner.certain import expect_baselines, expect_search
from biotune.runner.familiarity import write_familiarity
from biotune.runner.final import TrainedEntry, train
from biotune.runner.history import build_history
from biotune.runner.limits import FREE, time_budget
from biotune.runner.members import write_members
from biotune.runner.opening import greet, opened
from biotune.runner.operating_point import operating_point
from biotune.runner.refine_winner import refine_heads, score_refined
from biotune.runner.refine_winner import settings_of as refine_settings
from biotune.runner.search import Ranked
from biotune.runner.searched import Searched, chosen_recipe, searched
from biotune.runner.session import Session
from biotune.runner.summary import Found, build_summary
from biotune.runner.testing import OUT_OF_FOLD, TestSet, drop_weights, score, score_out_of_fold
from biotune.runner.unit import first_model
from biotune.runner.within_budget import Kept, within_budget
from biotune.runs import folder as files
from biotune.runs.events import Observer, silent
from biotune.runs.files import write_json
from biotune.runs.folder import StopSignal
from biotune.runs.manifest import finish
from biotune.runs.status import finished_summary
from biotune.settings.config import RunConfig
from biotune.settings.sections import BASELINES
from biotune.tracking.processes import followed
from biotune.trials.failures import DIVERGED


def run(
    config: RunConfig,
    folder: Path,
    command: str = "",
    observer: Observer = silent,
    stop: StopSignal | None = None,
    image_set: ImageSet | None = None,
    backbone: Backbone | None = None,
) -> Summary:
    """Do a run, or what is left of it, and return its summary.

    Args:
        config: what to do.
        folder: the run folder; a new or empty one, or that of the same run.
        command: as typed, for the summary.
        observer: receives messages and progress.
        stop: a request to stop; everything finished stays stored.
        image_set: the images, where the configuration cannot name their source.
        backbone: the user's own module, where the configuration names one.

    Returns:
        The content of ``summary.json``.

    Raises:
        InputError: bad input, or the folder of another run.
        InterruptedRunError: stopped by ``stop``.
        DamagedStateError: a file of the folder is damaged.
    """
    with (
        followed(config.tracking.to, folder, observer) as followers,
        opened(config, folder, followers, stop or StopSignal(), image_set, backbone) as session,
    ):
        followers.start()
        finished = _finished(folder, session.config)
        if finished is not None:
            session.drop_checkpoints()  # left by a kill at the very end
            return finished
        greet(session)
        test, best = TestSet(session), BestModel(folder, session.setup, session.worker)
        session.desk.keeper = best
        if config.method.name != "search":
            return _write_results(session, _train_only(session, test), test, command)
        refine_settings(session)  # what cannot be refined is refused before anything is trained
        expect_search(session)
        expect_baselines(session, config.final.baselines)
        first_model(session, best)
        smaller, kept = within_budget(session)
        return _write_results(smaller, _tune(smaller, test, best, kept), test, command)


def _finished(folder: Path, config: RunConfig) -> Summary | None:
    """Return the summary of a run that was finished under the same budget, or None."""
    path = folder / files.SUMMARY
    needed = (files.MODEL, files.RECIPE, files.REPORT)
    if not path.exists() or not all((folder / name).exists() for name in needed):
        return None
    if (folder / files.UNFINISHED).exists():  # the model belongs to a further call, or a kill came at the last moment
        return None
    summary = finished_summary(folder)
    if not all(files.member_path(folder, seed).exists() for seed in summary.exported.members):
        return None
    same = summary.budget == Budget.model_validate(config.limits())
    return summary if same and summary.status == "finished" else None


def _without_search(session: Session, kept: Kept) -> Searched:
    """Return what takes the place of a search for which the time budget has no room."""
    baselines = tuple(name for name in session.config.final.baselines if name == FREE)
    only = Ranked(kept.fallback(session.full_recipe), 0.0, 0)
    return Searched(kept.unit(session.config), baselines, [], [only], time_budget(session))


def _tune(session: Session, test: TestSet, best: BestModel, kept: Kept) -> Found:
    """Search, choose, and compare."""
    config = session.config
    found = searched(session, best) if kept.searches else _without_search(session, kept)
    chosen = chosen_recipe(session, found)
    winner, trained = chosen.winner, chosen.trained
    if winner.results[winner.best_index].outcome != "ok":
        raise _no_training(winner, "final training")
    best.close()
    _put_chosen(session, winner)
    unchosen = [entry for entry in trained if entry is not winner]
    refined = refine_heads(session, winner)
    without = "there is no test set, so it will be trained again with one fold of the images left out at a time"
    tested = "the test set is opened now" if session.data.test else without
    session.say(f"The recipe is chosen; {tested}.")
    entries, answers = {"biotune": winner}, {"biotune": score(session, winner, test.open())}
    if refined is not None:
        refined = replace(refined, answers=score_refined(session, refined, test.open()))
    optimistic = _best_on_test(session, trained, test) if config.final.test_all else None
    full = baseline(session, "full", winner, 1) if session.ledger.trainings("full") else winner
    drop_weights(session, unchosen, keep=[winner, full])
    for name in BASELINES:
        if name in found.baselines or (name == "full" and full is not winner):
            entry = baseline(session, name, winner, None if name in found.baselines else 1, chosen.swept)
            entries[name], answers[name] = entry, score(session, entry, test.open())
            drop_weights(session, [entry], keep=[winner])
    estimated = score_out_of_fold(session, winner)
    return Found(
        entries, answers, found.candidates, trained, optimistic, estimated, found.stopped_by, found.unit, refined
    )


def _best_on_test(session: Session, finalists: list[TrainedEntry], test: TestSet) -> float | None:
    """Return the papers' figure: the best mean test accuracy of all finalists, optimistic since chosen on the test."""
    scores = [score(session, finalist, test.open()) for finalist in finalists]
    return max((float(answers.correct.mean()) for answers in scores if answers is not None), default=None)


def _train_only(session: Session, test: TestSet) -> Found:
    """One method, without a search."""
    method = session.config.method
    session.ledger.plan("final", len(session.tasks.final_seeds))
    session.ledger.plan(OUT_OF_FOLD, len(session.tasks.estimating))
    given = session.given_recipe if method.name == GIVEN else None
    entry = train(session, method.name, given)
    if entry.results[entry.best_index].outcome != "ok":
        raise _no_training(entry, "training")
    answers = {"biotune": score(session, entry, test.open())}
    return Found({"biotune": entry}, answers, [], [], out_of_fold=score_out_of_fold(session, entry))


def _no_training(entry: TrainedEntry, what: str) -> InputError:
    """Return the error of an entry none of whose trainings gave a network."""
    if any(result.outcome == "oom" for result in entry.results):
        return InputError(f"no {what} fits into memory; begin a new run with a smaller --batch-size or --image-size.")
    return InputError(f"every {what} diverged ({DIVERGED}); lower --learning-rate and start a new run.")


def _write_results(session: Session, found: Found, test: TestSet, command: str) -> Summary:
    """Write everything that a finished run leaves; the summary comes last."""
    folder = session.folder
    winner, its_answers = found.entries["biotune"], found.answers["biotune"]
    _put_chosen(session, winner)
    write_members(session, winner)
    found = replace(found, operating_point=operating_point(session, winner, its_answers))
    summary, history = build_summary(session, command, found), build_history(session, found)
    write_json(folder / files.HISTORY, history.to_json())
    tested = test.open()
    if tested is not None:
        refined = {} if found.refined is None else {REFINED: found.refined.answers}
        write_answers(folder, session.data.class_names, tested, {**found.answers, **refined})
    answered = answered_images(session, winner, its_answers, test.open())
    if answered is not None:
        write_answer_table(folder, answered)
    write_familiarity(session, test.open())
    write_report(folder, summary, history, answered)
    finish(folder, summary.to_json())
    session.drop_checkpoints()
    return summary


def _put_chosen(session: Session, winner: TrainedEntry) -> None:
    """Export the best seed of what was chosen."""
    best, result = winner.tasks[winner.best_index], winner.results[winner.best_index]
    session.desk.ensure_weights([best])
    put_model(session.folder, session.setup, session.worker, best, result.fitness, "the chosen one")
