"""What recipes reached for how much that they train."""

import pytest

from biotune.report.search_figures import Reached, front, reached, shares
from biotune.results.history import Candidate
from biotune.results.summary import Block

BLOCKS = [
    Block(name=name, multiplier=rate, parameters=size)
    for name, rate, size in (("a", 0.0, 70), ("b", 1.0, 20), ("c", 2.0, 10))
]


def candidate(multipliers, fitness, **changes):
    row = {
        "sequence": 0, "generation": 0, "kind": "new", "fold": 0, "genes": (), "multipliers": multipliers,
        "outcome": "ok", "fitness": fitness, "finished": True,
    }  # fmt: skip
    return Candidate.model_validate(row | changes)


RECIPES = [(0, 1, 2), (1, 1, 1), (0, 0, 1), (0, 1, 1), (0, 0, 0)]


def test_shares_by_hand():
    """Of 100 parameters the first trains 30, then 100, 10, 30, and the head alone: 10."""
    rows = [candidate(recipe, 0.5 + number / 10) for number, recipe in enumerate(RECIPES)]
    found = reached(rows, BLOCKS, {})
    assert [row.share for row in found] == [0.3, 1.0, 0.1, 0.3, 0.1]
    assert [row.is_chosen for row in found] == [True, False, False, False, False]


def test_a_recipe_counts_once_and_only_at_the_end_of_the_race():
    rows = [candidate(recipe, 0.5) for recipe in RECIPES]
    again = [candidate(RECIPES[1], 0.9, kind="reevaluate"), candidate((3, 1, 1), 0.99, finished=False)]
    failed = [candidate((5, 5, 5), 0.0, outcome="diverged")]
    found = reached([*rows, *again, *failed], BLOCKS, {})
    assert [row.fitness for row in found] == [0.5, 0.9, 0.5, 0.5, 0.5]


def test_values_make_another_recipe():
    rows = [candidate(recipe, 0.5) for recipe in RECIPES] + [candidate(RECIPES[0], 0.6, values={"augment": "none"})]
    assert [row.is_chosen for row in reached(rows, BLOCKS, {"augment": "none"})] == [False] * 5 + [True]


@pytest.mark.parametrize("recipes", [RECIPES[:4], [(0, number, 1) for number in range(1, 9)]])
def test_few_recipes_or_one_share_are_not_drawn(recipes):
    assert reached([candidate(recipe, 0.5) for recipe in recipes], BLOCKS, {}) == []


def test_the_front_by_hand():
    """The second trains more than the first and reaches less; the fourth ties with the third and trains more."""
    rows = [Reached(share, fitness, False) for share, fitness in ((0.1, 0.6), (0.2, 0.5), (0.3, 0.8), (0.9, 0.8))]
    assert [row.share for row in front(rows[::-1])] == [0.1, 0.3]


def test_the_chosen_recipe_is_marked():
    rows = [Reached(0.1 * number, 0.5, number == 3) for number in range(1, 6)]
    figure = shares(rows)
    recipes, chosen = figure.axes[0].collections
    assert len(recipes.get_offsets()) == 4
    assert chosen.get_offsets().tolist() == [[pytest.approx(30), 0.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["recipe", "the chosen recipe"]
