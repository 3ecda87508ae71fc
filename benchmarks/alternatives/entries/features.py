"""Logistic regression on the frozen network's pooled features."""

from benchmarks.alternatives.plain import Network, fit_head
from benchmarks.alternatives.task import Outcome, Task


def run(task: Task, seed: int, epochs: int = 0) -> Outcome:
    """Standardise the features of all labelled images, fit by L-BFGS, choose C by five-fold cross-validation."""
    del epochs  # nothing is trained by gradients
    network = Network(task, seed)
    data = task.labelled("train", "validation")
    head, penalty = fit_head(network, data, seed)
    return task.tested(lambda images: head.predict(network.features(images)), C=penalty)
