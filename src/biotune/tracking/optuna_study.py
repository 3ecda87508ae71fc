"""The tracker ``optuna``: the search as a study of Optuna, which optuna-dashboard shows."""

from collections.abc import Mapping
from typing import Any

from biotune.recipe import Value
from biotune.settings.config import SETTINGS
from biotune.tracking.base import Closing, Curve, TrackedCandidate, Tracker, required

LARGEST_MULTIPLIER = 10.0
"""That of all laws; a recipe that a search starts from may have larger ones, which widen the range of their trial."""


class OptunaStudy(Tracker):
    """A study in ``optuna.db`` of the run folder, or in the storage whose URL is given.

    A candidate is a trial: complete, pruned where it left the race early, or failed. Its parameters are the multipliers
    of the blocks and the named values.
    """

    def open(self, identity: str, points: int) -> str:
        """Create the study, or open it; its identity is its name."""
        del points
        self._optuna = required("optuna", "optuna")
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        storage = self.where or f"sqlite:///{(self.folder / 'optuna.db').absolute()}"
        self._study = (
            self._optuna.load_study(study_name=identity, storage=storage) if identity else self._created(storage)
        )
        return str(self._study.study_name)

    def _created(self, storage: str) -> Any:
        """Return a new study, named for the run; with a number where another one has that name."""
        taken = set(self._optuna.get_all_study_names(storage))
        names = (self.name, *(f"{self.name} {number}" for number in range(2, len(taken) + 3)))
        name = next(name for name in names if name not in taken)
        return self._optuna.create_study(storage=storage, study_name=name, direction="maximize")

    def settings(self, values: Mapping[str, str]) -> None:
        """Note the settings as attributes of the study."""
        self._study.set_user_attr("settings", dict(values))

    def point(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Leave it out: a study has trials only."""

    def candidate(self, candidate: TrackedCandidate) -> None:
        """Add a trial."""
        distributions = self._optuna.distributions
        parameters: dict[str, Value] = {**candidate.multipliers}
        ranges = {
            name: distributions.FloatDistribution(0.0, max(LARGEST_MULTIPLIER, multiplier))
            for name, multiplier in candidate.multipliers.items()
        }
        for name, value in candidate.values.items():
            if choices := SETTINGS[f"training.{name}"].choices:
                parameters[name] = value
                ranges[name] = distributions.CategoricalDistribution(choices)
        states = self._optuna.trial.TrialState
        ended = states.COMPLETE if candidate.finished else states.PRUNED
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=ended if candidate.outcome == "ok" else states.FAIL,
                value=candidate.fitness,
                params=parameters,
                distributions=ranges,
                user_attrs={**candidate.scalars(), **candidate.values, "outcome": candidate.outcome},
            )
        )

    def curve(self, curve: Curve) -> None:
        """Leave it out."""

    def closing(self, closing: Closing) -> None:
        """Note the figures as attributes of the study."""
        self._study.set_user_attr("result", dict(closing.figures))
        self._study.set_user_attr("verdict", closing.verdict)
