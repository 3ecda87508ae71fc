"""Which recipes of a search the final phase decides between."""

import pytest

from biotune.runner.search import Ranked, ranked_recipes
from biotune.runs.store import Candidate
from biotune.settings.resolve import resolve
from recipes import recipe

FOUND = [(1.0, 3.0, 0.0), (1.0, 3.2, 0.0), (2.0, 3.0, 0.0), (0.3, 0.3, 0.3), (1.0, 0.0, 0.0)]
"""Best first; the second, the third and the last differ from the first in one block."""


def candidates():
    return [
        Candidate(
            sequence=index,
            generation=0,
            kind="new",
            fold=0,
            genes=(0.5,) * 4,
            recipe=recipe(*multipliers),
            outcome="ok",
            fitness=0.9 - 0.01 * index,
            finished=True,
        )
        for index, multipliers in enumerate(FOUND)
    ]


class Plain:
    """A session as far as ranking needs one."""

    def __init__(self, config):
        self.config = config


@pytest.mark.parametrize(
    ("preset", "count", "expected"),
    [
        ("standard", 1, [0]),
        ("standard", 2, [0, 3]),
        ("standard", 3, [0, 3, 1]),
        ("standard", 9, [0, 3, 1, 2, 4]),
        ("paper", 3, [0, 1, 2]),
    ],
)
def test_finalists_differ_in_two_blocks_as_long_as_there_are_such(preset, count, expected):
    config = resolve(preset, {"data": {"folds": 1}})
    ranked = ranked_recipes(Plain(config), candidates(), count)
    assert [one.first for one in ranked] == expected
    assert ranked[0] == Ranked(recipe(*FOUND[0]), pytest.approx(0.9), 0)
