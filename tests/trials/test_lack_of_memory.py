"""A training for which there is no memory: tried again, then a bad result, and nothing of it stays in memory."""

import gc
import weakref

import torch

from biotune.records import Evaluation
from trials.tiny_tasks import FULL, LATE


class Refusing:
    """Makes the forward pass of a worker's network fail for want of memory, so many times."""

    def __init__(self, worker, times: int) -> None:
        self.left, self.asked = times, 0
        self.seen: list[weakref.ref] = []
        worker.model.register_forward_pre_hook(self._refuse)

    def _refuse(self, _model, inputs) -> None:
        if not torch.is_grad_enabled():  # validation and recording
            return
        self.asked += 1
        if self.left:
            self.left -= 1
            self.seen.append(weakref.ref(inputs[0]))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_it_is_tried_again_with_the_same_result(worker):
    expected = worker().evaluate(FULL)
    there = worker()
    memory = Refusing(there, 1)
    found = there.evaluate(FULL)
    assert memory.left == 0
    assert (found.outcome, found.curve, found.fitness) == ("ok", expected.curve, expected.fitness)


def test_then_it_is_a_bad_result_and_the_next_one_trains(worker):
    expected = worker().evaluate(LATE)
    there = worker()
    memory = Refusing(there, 2)
    failed = there.evaluate(FULL)
    assert (failed.outcome, failed.fitness, failed.curve) == ("oom", 0.0, ())
    assert failed.seconds > 0
    assert not there.weights.has(FULL)
    assert Evaluation.from_json(failed.to_json()) == failed
    found = there.evaluate(LATE)
    assert (found.outcome, found.curve) == ("ok", expected.curve)
    assert memory.left == 0


def test_nothing_of_a_failed_training_stays_in_memory(worker):
    there = worker()
    there.evaluate(LATE)  # outputs of its frozen blocks are recorded
    assert there.cache.used_bytes > 0
    memory = Refusing(there, 2)
    there.evaluate(FULL)
    gc.collect()
    assert there.cache.used_bytes == 0
    assert [batch() for batch in memory.seen] == [None, None]
