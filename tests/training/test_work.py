"""Work by hand: multiplications of each block, and passes of each epoch."""

import pytest
import torch

from biotune.training.work import epoch_work, work_shares
from small_network import Case

SHARES = (0.5, 0.3, 0.15, 0.05)


def test_shares_of_a_forward_pass():
    """12 x 12 pixels become 5 x 5.

    The stem: 5 x 5 x 4 outputs of 27 weights. The middle: as many of 9, and 5 x 5 x 6 of 4. Then 5 of 6, and 3 of 5.
    """
    case = Case()
    counts = [2700, 900 + 600, 30, 15]
    shares = work_shares(case.model, case.network.partition, torch.zeros(2, 3, 12, 12))
    assert shares == pytest.approx([count / sum(counts) for count in counts])


@pytest.mark.parametrize(
    ("multipliers", "recorded", "thirds"),
    [
        ((1, 1, 1, 1), 0, 3 * (0.5 + 0.3 + 0.15 + 0.05)),
        ((2, 0.1, 5, 1), 0, 3.0),
        ((1, 0, 0, 1), 0, 3 * 0.5 + 2 * (0.3 + 0.15) + 3 * 0.05),
        ((0, 0, 0, 1), 0, 0.5 + 0.3 + 0.15 + 3 * 0.05),
        ((0, 0, 0, 1), 3, 3 * 0.05),
        ((0, 0.5, 0, 1), 0, 0.5 + 3 * 0.3 + 2 * 0.15 + 3 * 0.05),
        ((0, 0.5, 0, 1), 1, 3 * 0.3 + 2 * 0.15 + 3 * 0.05),
        ((0, 0, 1, 1), 1, 0.3 + 3 * (0.15 + 0.05)),
    ],
)
def test_passes_of_an_epoch(multipliers, recorded, thirds):
    assert epoch_work(SHARES, multipliers, recorded) == pytest.approx(thirds / 3)
