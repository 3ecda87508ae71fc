"""The recipes of a search: each once, in order, with what trained blocks have gained."""

import re

import pytest
from opened import opened, opened_history
from test_search_figures import candidate

from biotune.report.run_page import render
from biotune.report.search_tables import block_gains, recipe_rows
from biotune.results.summary import Block, RecipeOfRun

CHOSEN = RecipeOfRun(
    base_learning_rate=0.001,
    optimizer="adam",
    values={"augment": "none"},
    blocks=tuple(Block(name=name, multiplier=rate, parameters=1) for name, rate in (("a", 0.0), ("b", 1.0))),
    trainable_fraction=0.5,
)


def test_the_best_evaluation_of_each_recipe_in_order():
    rows = recipe_rows(
        [
            candidate((0, 1), 0.6, values={"augment": "none"}),
            candidate((0, 1), 0.9),
            candidate((1, 1), 0.95, finished=False),
            candidate((1, 1), 0.7, kind="reevaluate"),
            candidate((2, 1), 0.99, finished=False),
            candidate((3, 1), 0.0, outcome="diverged"),
            candidate((0, 0), 0.0, outcome="infeasible"),
        ],
        CHOSEN,
    )
    assert [(row.multipliers, row.fitness) for row in rows] == [
        ((0, 1), 0.9), ((1, 1), 0.7), ((0, 1), 0.6), ((2, 1), 0.99), ((3, 1), 0.0),
    ]  # fmt: skip
    assert [row.is_chosen for row in rows] == [False, False, True, False, False]


def test_one_recipe_is_no_table():
    assert recipe_rows([candidate((0, 1), 0.6), candidate((0, 1), 0.7)], CHOSEN) == []
    assert recipe_rows([], CHOSEN) == []


def test_gains_of_blocks_by_hand():
    """Three recipes train the first block, with 0.9 on average, three freeze it, with 0.5; none freezes the last."""
    found = [candidate((1, rate), value) for rate, value in ((1, 0.8), (2, 0.9), (3, 1.0))]
    found += [candidate((0, rate), 0.5) for rate in (1, 2, 3)]
    found += [candidate((0, 0.1), 0.99, finished=False), candidate((0, 9), 0.0, outcome="diverged")]
    assert block_gains(recipe_rows(found, CHOSEN)) == [pytest.approx(0.4), None]
    assert block_gains(recipe_rows(found[:5], CHOSEN)) == [None, None]
    assert block_gains([]) == []


def page(summary, history, recipes, **changes):
    rates = {f"{first}": (first, *[1.0] * 6) for first in recipes}
    rows = [candidate(rates[name], 0.5 + number / 1000, **changes) for number, name in enumerate(rates)]
    history["candidates"] = [row.to_json() for row in rows]
    return render(opened(summary), opened_history(history), {})


@pytest.mark.parametrize(("count", "shown"), [(2, 2), (10, 10), (12, 12), (250, 200)])
def test_the_page_lists_the_recipes(count, shown, summary, history):
    source = page(summary, history, range(1, count + 1))
    cells = re.findall(r'<td class="cell (\w+)">([^<]*)</td>', source)
    assert len(cells) == 7 * shown
    assert cells[0] == ("base" if count == 1 else "fast", f"×{count}")  # noqa: RUF001
    assert ("<summary>The other" in source) is (count > 10)
    assert ("history.json holds 50 more" in source) is (count == 250)


def test_a_page_of_one_recipe_has_no_table_of_them(summary, history):
    assert "The recipes that it tried" not in page(summary, history, [1])


def test_the_page_says_what_a_block_has_gained(summary, history):
    history["candidates"] = []
    source = page(summary, history, [0, 0.0001, 0.0002, 0.0003])
    assert "trained − frozen" not in source  # noqa: RUF001
    rows = [candidate((first, second, 1, 1, 1, 1, 1), value).to_json() for first, second, value in (
        (0, 1, 0.5), (0, 2, 0.5), (0, 3, 0.5), (1, 1, 0.6), (1, 2, 0.6), (1, 3, 0.6),
    )]  # fmt: skip
    source = render(opened(summary), opened_history(history | {"candidates": rows}), {})
    assert 'trained − frozen</small></td><td class="cell">+0.100</td><td class="cell"></td>' in source  # noqa: RUF001
