"""The logistic regression as the classifier, then the whole network at a low rate."""

from sklearn.pipeline import Pipeline

from benchmarks.alternatives.plain import Network, best_rate, every_parameter, fit_head, put_head, train
from benchmarks.alternatives.task import Labelled, Outcome, Task

RATES = (3e-5, 1e-4, 3e-4)


def run(task: Task, seed: int, epochs: int = 10) -> Outcome:
    """Choose the rate on held-out images, then train on all labelled ones; batch norms stay in evaluation mode."""

    def trained(data: Labelled, head: Pipeline, rate: float) -> Network:
        network = Network(task, seed)
        put_head(network, head)
        train(network, data, epochs, every_parameter(network, rate), kept=True)
        return network

    learned, held_out = task.labelled("train"), task.labelled("validation")
    head, _ = fit_head(Network(task, seed), learned, seed)
    rate, scores = best_rate(RATES, lambda rate: trained(learned, head, rate).accuracy(held_out))
    everything = task.labelled("train", "validation")
    head, penalty = fit_head(Network(task, seed), everything, seed)
    final = trained(everything, head, rate)
    return task.tested(final.predict, rate=rate, held_out=scores, C=penalty)
