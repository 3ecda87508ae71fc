"""Other tools in which a run can be followed: TensorBoard, MLflow, Weights & Biases, Optuna's dashboard.

A tracker runs in a process of its own and reads the run folder, so it cannot change, slow down or end a run.
"""

from biotune.tracking.base import Tracker
from biotune.tracking.mlflow_run import MLflow
from biotune.tracking.optuna_study import OptunaStudy
from biotune.tracking.tensorboard_files import TensorBoard
from biotune.tracking.wandb_run import WandB

TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
    "optuna": OptunaStudy,
}

__all__ = ["TRACKERS", "Tracker"]
