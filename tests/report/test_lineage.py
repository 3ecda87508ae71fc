"""Where the chosen recipe came from: its ancestors, and no others."""

import pytest
from opened import opened, opened_history
from test_search_figures import candidate

from biotune.report import figures
from biotune.report import run_sentences as story
from biotune.report.lineage import lineage_of
from biotune.results.summary import Block, RecipeOfRun

CHOSEN = RecipeOfRun(
    base_learning_rate=0.001,
    optimizer="adam",
    blocks=(Block(name="a", multiplier=1.0, parameters=1),),
    trainable_fraction=1.0,
)


def candidates(parents, chosen):
    """Candidates with these parents; one of them, and its last copy, has the chosen recipe."""
    rows = [
        candidate((1.0 if number in chosen else 2.0 + number,), 0.5, sequence=number, parents=of)
        for number, of in enumerate(parents)
    ]
    return list(rows)


def test_all_ancestors_by_hand():
    """4 was bred from 2 and 3, 2 is a step away from 0, 3 was bred from 0 and 1; 5 from 4 has no part in it."""
    found = lineage_of(candidates([(), (), (0,), (0, 1), (2, 3), (4,), ()], chosen={4, 6}), CHOSEN)
    assert found.chosen.sequence == 4
    assert found.steps == ((0, 2), (0, 3), (1, 3), (2, 4), (3, 4))


def test_ancestors_of_three_steps_back_are_enough():
    found = lineage_of(candidates([(), (0,), (1,), (2,), (3,)], chosen={4}), CHOSEN)
    assert found.steps == ((1, 2), (2, 3), (3, 4))


def test_a_recipe_without_parents_has_no_steps():
    found = lineage_of(candidates([(), (), (0,)], chosen={1}), CHOSEN)
    assert (found.chosen.sequence, found.steps) == (1, ())


@pytest.mark.parametrize(("parents", "chosen"), [([(), ()], {1}), ([(), (0,)], set()), ([], set())])
def test_where_nothing_was_made_or_nothing_is_known_there_is_none(parents, chosen):
    assert lineage_of(candidates(parents, chosen), CHOSEN) is None


def test_the_steps_are_drawn(history):
    rows = opened_history(history).candidates
    plain, drawn = (figures.convergence(rows, None, steps) for steps in ((), ((0, 5), (1, 5))))
    extra = len(drawn.axes[0].get_lines()) - len(plain.axes[0].get_lines())
    assert extra == 2
    assert drawn.axes[0].get_lines()[0].get_xdata().tolist() == [1, 6]


@pytest.mark.parametrize(
    ("number", "kind", "parents", "said"),
    [
        (20, "new", (3, 5), "The chosen recipe is candidate 21, bred from candidates 4 and 6; thin lines lead"),
        (20, "probe", (3,), "The chosen recipe is candidate 21, a step away from candidate 4; thin lines"),
        (2, "new", (), "The chosen recipe is candidate 3, one that the search began with, or drew at random"),
    ],
)
def test_the_caption_says_where_it_came_from(number, kind, parents, said, summary, history):
    for row in history["candidates"]:
        row["multipliers"] = [9.0] * 7
    history["candidates"][30]["parents"] = [1]
    rates = [block["multiplier"] for block in summary["recipe"]["blocks"]]
    history["candidates"][number] |= {"kind": kind, "parents": list(parents), "multipliers": rates, "outcome": "ok"}
    caption = story.captions(opened(summary), opened_history(history))["convergence"]
    assert said in caption


def test_a_search_that_bred_nothing_has_no_lineage(summary, history):
    assert (
        "The chosen recipe is candidate" not in story.captions(opened(summary), opened_history(history))["convergence"]
    )
