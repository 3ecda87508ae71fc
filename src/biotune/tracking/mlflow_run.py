"""The tracker ``mlflow``: a run of an experiment of MLflow, on a server or in a local database."""

import os
import re
import time
from collections.abc import Mapping

from biotune.tracking.base import Closing, Tracker, required

EXPERIMENT = "biotune"
"""Unless ``MLFLOW_EXPERIMENT_NAME`` names another."""

_LONGEST = 500
"""Characters of a parameter that every store of MLflow keeps."""
_BATCH = 100
"""Parameters that MLflow takes at a time."""


class MLflow(Tracker):
    """A run at the tracking URI that is given, or at the one that MLflow takes itself (``MLFLOW_TRACKING_URI``)."""

    def open(self, identity: str, points: int) -> str:
        """Begin a run, or continue one."""
        del points
        self._entities = required("mlflow.entities", "mlflow")
        self._client = required("mlflow", "mlflow").MlflowClient(tracking_uri=self.where or None)
        if identity:
            self._client.update_run(identity, status="RUNNING")
        self._run = identity or self._begun()
        return self._run

    def _begun(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        tags = {"biotune.folder": str(self.folder.absolute())}
        return str(self._client.create_run(experiment, run_name=self.name, tags=tags).info.run_id)

    def settings(self, values: Mapping[str, str]) -> None:
        """Note the settings as parameters."""
        rows = [self._entities.Param(key, value[:_LONGEST]) for key, value in values.items()]
        for start in range(0, len(rows), _BATCH):
            self._client.log_batch(self._run, params=rows[start : start + _BATCH])

    def point(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Note one point of each curve as metrics."""
        now = int(time.time() * 1000)
        names = {f"{group}/{name}": value for name, value in values.items()}
        rows = [self._entities.Metric(_allowed(name), value, now, step) for name, value in names.items()]
        self._client.log_batch(self._run, metrics=rows)

    def closing(self, closing: Closing) -> None:
        """Note the figures as metrics and the files as artifacts."""
        self.point("result", 0, closing.figures)
        self._client.set_tag(self._run, "mlflow.note.content", closing.verdict)
        for path in closing.files:
            self._client.log_artifact(self._run, str(path))

    def close(self, *, finished: bool) -> None:
        """Say whether the run is finished, or stopped."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")


def _allowed(name: str) -> str:
    """Return the name of a metric with nothing but what MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", name, flags=re.ASCII)
