"""The last block and the logistic regression as the classifier, at a low rate."""

from benchmarks.alternatives.plain import Network, fit_head, put_head, train
from benchmarks.alternatives.task import Outcome, Task

RATE = 1e-4


def run(task: Task, seed: int, epochs: int = 10) -> Outcome:
    """Train them on all labelled images, batch norms in evaluation mode; nothing is chosen but C."""
    network, data = Network(task, seed), task.labelled("train", "validation")
    head, penalty = fit_head(network, data, seed)
    put_head(network, head)
    named = dict(network.model.named_parameters())
    for parameter in named.values():
        parameter.requires_grad_(False)
    trained = [parameter.requires_grad_() for name, parameter in named.items() if name.startswith(network.last_block)]
    train(network, data, epochs, [{"params": trained, "lr": RATE}], augment=False, kept=True)
    return task.tested(network.predict, C=penalty, rate=RATE)
