"""The settings of trackers: in which other tools a run can be followed."""

from typing import Annotated, Literal, get_args

from pydantic import field_validator

from biotune.errors import InputError
from biotune.settings.reading import read_names
from biotune.settings.sections import Section
from biotune.settings.setting import RUN, RUN_COMMANDS, Option, Setting
from biotune.wording import listed

TrackerName = Literal["tensorboard", "mlflow", "wandb", "optuna"]
TRACKER_NAMES: tuple[TrackerName, ...] = get_args(TrackerName)


def read_tracker(text: str) -> tuple[str, str]:
    """Return a tracker's name and its destination, which may be empty, of ``NAME`` or ``NAME:DESTINATION``.

    Raises InputError: an unknown name.
    """
    name, colon, where = text.partition(":")
    if name not in TRACKER_NAMES or (colon and not where):
        raise InputError(
            f"the tracker '{text}' is unknown; give {listed(TRACKER_NAMES, conjunction='or')}, or one of them with a "
            "destination, such as tensorboard:logs."
        )
    return name, where


class TrackingConfig(Section):
    """In which other tools a run is shown; nothing of the run depends on them."""

    to: Annotated[
        tuple[str, ...],
        Setting(
            "Other tools that show the run, separated by commas: tensorboard, mlflow, wandb, optuna; each may have a "
            "destination, as tensorboard:logs",
            Option(RUN, RUN_COMMANDS, name="track", read=read_names, default="none"),
            page="tracking.md",
            may_change=True,
        ),
    ] = ()

    @field_validator("to")
    @classmethod
    def _known(cls, trackers: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse unknown names, and one that is given twice: their notes of what it has would mix."""
        names = [read_tracker(tracker)[0] for tracker in trackers]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"the tracker '{twice[0]}' is given twice (--track); name each once.")
        return trackers
