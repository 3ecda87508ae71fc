"""The tracker ``wandb``: a run of Weights & Biases, online or, with ``WANDB_MODE=offline``, in local files."""

import os
import secrets
from collections.abc import Mapping

from biotune.tracking.base import Closing, Tracker, required

PROJECT = "biotune"
"""Unless ``WANDB_PROJECT`` names another."""


class WandB(Tracker):
    """A run in the project that is given."""

    def open(self, identity: str, points: int) -> str:
        """Begin a run, or continue one behind the rows that it has."""
        self._wandb = required("wandb", "wandb")
        self._step = points
        self._run = self._wandb.init(
            project=self.where or os.environ.get("WANDB_PROJECT") or PROJECT,
            id=identity or secrets.token_hex(4),
            name=self.name,
            resume="allow",
            settings={"console": "off", "silent": True},
        )
        for group, step in (("search", "candidate"), ("training", "epoch")):
            self._run.define_metric(step, hidden=True)
            self._run.define_metric(f"{group}/*", step_metric=step)
        return str(self._run.id)

    def settings(self, values: Mapping[str, str]) -> None:
        """Note the settings as the run's configuration."""
        self._run.config.update({**values, "folder": str(self.folder.absolute())}, allow_val_change=True)

    def point(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Note a row; curves of the search are drawn over candidates, those of trainings over epochs."""
        axis = "candidate" if group == "search" else "epoch"
        self._run.log({axis: step, **{f"{group}/{name}": value for name, value in values.items()}}, step=self._step)
        self._step += 1

    def closing(self, closing: Closing) -> None:
        """Note the figures as the run's summary and the files as an artifact."""
        self._run.summary.update({f"result/{name}": value for name, value in closing.figures.items()})
        self._run.summary["verdict"] = closing.verdict
        files = self._wandb.Artifact(f"report-{self._run.id}", "report")
        for path in closing.files:
            files.add_file(str(path))
        self._run.log_artifact(files)

    def close(self, *, finished: bool) -> None:
        """Send what is left; a stopped run counts as failed until it is continued."""
        self._run.finish(exit_code=0 if finished else 1)
