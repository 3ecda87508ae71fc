"""When trainings that fail end the run: where the next ones would too, or where nothing can replace one."""

from biotune.errors import BioTuneError, InputError
from biotune.records import FAILURES, Evaluation, Task

MOST_FAILURES = 3
"""So many trainings that fail in the same way one after the other end the run: the others would too."""

DIVERGED = "NaN loss, or the same answer for all images"
"""What it means, for users, that a final training diverged."""


class Failures:
    """Counts trainings that failed in the same way, one after the other.

    ``row`` holds the latest of them: those that ended the run are not stored, so that the next call tries them again.
    """

    def __init__(self) -> None:
        self.row: list[Task] = []
        self._last = ("", "")

    def count(self, task: Task, evaluation: Evaluation) -> None:
        """Look at the next finished training.

        Raises BioTuneError, with the traceback of an error as its note, or InputError: it is one failure too many, or
        that of a final training, which nothing can replace (unless memory is short: then other seeds may do).
        """
        if evaluation.outcome not in FAILURES:
            self.row, self._last = [], ("", "")
            return
        kind = (evaluation.outcome, evaluation.reason)
        self.row, self._last = [*(self.row if kind == self._last else []), task], kind
        if len(self.row) == MOST_FAILURES:
            raise _error(evaluation, f"{MOST_FAILURES} trainings in a row")
        if task.keep_weights and evaluation.outcome != "oom":
            raise _error(evaluation, "a final training")


def why(evaluation: Evaluation) -> str:
    """Return in a few words why a training failed; empty if it did not."""
    return {
        "oom": "out of memory",
        "error": evaluation.reason,
        "timeout": "longer than --training-timeout",
        "killed": f"its process died, and so did the next: {evaluation.reason}",
    }.get(evaluation.outcome, "")


def _error(evaluation: Evaluation, what: str) -> BioTuneError:
    kept = "what was finished before is stored"
    if evaluation.outcome == "oom":
        return InputError(
            f"{what} ran out of memory; {kept}. Free some and run the same command again, or begin a new run with a "
            "smaller --batch-size or --image-size, or with fewer --workers."
        )
    if evaluation.outcome == "timeout":
        return InputError(
            f"{what} took longer than --training-timeout; {kept}. Run the same command again with a longer one, or "
            "with none."
        )
    if evaluation.outcome == "killed":
        return InputError(
            f"the processes of {what} died, and so did the next ones ({evaluation.reason}); {kept}. If memory is "
            "short, run the same command with fewer --workers."
        )
    error = BioTuneError(f"{what} failed: {evaluation.reason}")
    error.add_note(evaluation.cause)
    return error
