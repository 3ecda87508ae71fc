"""What tasks take, counted by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_tasks import BLOCKS, FULL, LATE, recipe

from biotune.models import Backbone, load_backbone
from biotune.records import GIVEN, Task
from biotune.trials.counting import Counter
from biotune.trials.worker import Worker
from small_network import Small
from tiny import tiny_config

FOUR = {
    "stem": ("stem",),
    "middle": ("middle", "norm", "scale"),
    "hidden": ("hidden",),
    "head": ("classifier",),
}


@pytest.mark.parametrize(
    ("method", "even"),
    [
        ("full", True),
        ("linear_probe", True),
        ("probe", True),
        ("llrd", True),
        ("l2_sp", True),
        ("auto_rgn", True),
        ("lora", True),
        ("lp_ft", False),
        ("gradual_last_first", False),
        ("gradual_first_last", False),
    ],
)
def test_which_methods_train_the_same_blocks_all_the_time(method, even, worker):
    assert Counter(worker()).is_even(Task(method, None, None, 1, 10, "hash")) == even


def test_half_of_the_images_are_half_of_the_work(worker):
    count = Counter(worker({"data": {"folds": 2}}))
    assert count.work_of(dataclasses.replace(FULL, fold=0), 2) == pytest.approx(1.0)


def test_work_grows_with_the_depth_of_the_first_trained_block(worker):
    count = Counter(worker())
    shares = [
        count.work_of(dataclasses.replace(LATE, recipe=recipe(*(0.0,) * first, *(1.0,) * (BLOCKS - first))), 1)
        for first in range(BLOCKS)
    ]
    assert shares[0] == count.work_of(FULL, 1) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[-1] < 0.1


@pytest.fixture
def four_blocks(images, spec_of):
    """A maker of workers with a network of four blocks that take 2700, 1500, 30 and 15 multiplications an image."""

    def make(*changes) -> Worker:
        torch.set_num_threads(1)
        loaded = load_backbone(Backbone(Small(), image_size=12, head="classifier", blocks=FOUR), 3)
        config = tiny_config(images, *changes)
        return Worker(spec_of(config, loaded), loaded)

    return make


A, B, C, D = (count / 4245 for count in (2700, 1500, 30, 15))
"""Shares of the four blocks. An epoch: trained 3 thirds, frozen above a trained block 2, below all of them 1."""

PROBED = (A + B + C) / 3 + D
STAGED = {
    "full": (1.0, 1.0, 1.0, 1.0),
    "lora": (1.0, 1.0, 1.0, 1.0),
    "gradual_last_first": (PROBED, (A + B) / 3 + C + D, A / 3 + B + C + D, 1.0),
    "gradual_last_first:epochs_per_stage=2": (PROBED, PROBED, (A + B) / 3 + C + D, (A + B) / 3 + C + D),
    "gradual_first_last": (A + 2 / 3 * (B + C) + D, A + B + 2 / 3 * C + D, 1.0, 1.0),
    "gradual_first_last:head_always=false": (A + 2 / 3 * (B + C + D), A + B + 2 / 3 * (C + D), 1 - D / 3, 1.0),
    "lp_ft": (PROBED, PROBED, 1.0, 1.0),
    "lp_ft:share=0.25": (PROBED, 1.0, 1.0, 1.0),
    "linear_probe": (D, D, D, D),
    "probe": (1 / 3, 0.0, 0.0, 0.0),
    "auto_rgn": (2.0, 2.0, 2.0, 2.0),
    "auto_rgn:batches=2": (1 + 16 / 36,) * 4,
}
"""Thirty-six images in batches of eight: five measured batches are all of them, two are sixteen."""


@pytest.mark.parametrize("method", STAGED)
def test_work_is_that_of_every_epoch(method, four_blocks):
    """Of four planned epochs, the work after each."""
    task, count = dataclasses.replace(FULL, method=method, epochs=4), Counter(four_blocks())
    assert [count.work_of(task, epochs) for epochs in range(5)] == pytest.approx(np.cumsum([0, *STAGED[method]]))


@pytest.mark.parametrize(
    ("changes", "augmented", "prefix"),
    [
        ({}, False, 0),
        ({"compute": {"prefix_cache_mib": 0}}, False, A + B),
        ({"training": {"frozen_statistics": "train"}}, False, A + B),
        ({"training": {"augment": "light"}}, False, 0),
        ({"training": {"augment": "light"}}, True, A + B),
    ],
)
def test_a_frozen_prefix_is_paid_where_it_is_computed(changes, augmented, prefix, four_blocks):
    work = four_blocks(changes)
    given, count = work.network.recipe((0.0, 0.0, 1.0, 0.0)), Counter(work)
    task = dataclasses.replace(FULL, method=GIVEN, recipe=given, augmented=augmented)
    assert count.work_of(task, 1) == pytest.approx(prefix / 3 + C + 2 / 3 * D)


def test_counting_work_changes_no_result(worker):
    expected = worker().evaluate(LATE)
    work = worker()
    count = Counter(work)
    work.evaluate(dataclasses.replace(LATE, recipe=recipe(*(1e30,) * BLOCKS)))
    assert count.work_of(LATE, 2) > 0
    assert work.evaluate(LATE).curve == expected.curve
    assert count.work_of(LATE, 2) == Counter(worker()).work_of(LATE, 2)
