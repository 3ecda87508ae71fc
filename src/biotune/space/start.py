"""Common ways to fine-tune, from which a search of recipes starts."""

from collections.abc import Collection

from biotune.recipe import FITTED, HEAD_START, KEPT, STATISTICS, Recipe

_FITTED = {HEAD_START: FITTED}
_KEPT = {HEAD_START: FITTED, STATISTICS: KEPT}
_AUGMENTED = {"augment": "standard"}

Rates = tuple[float, float, float, float]

START: tuple[tuple[str, Rates, dict[str, str]], ...] = (
    ("probe", (0, 0, 0, 0), _FITTED),
    ("last block and head, slow", (0, 0, 0.1, 0.1), _KEPT),
    ("last half, slow", (0, 0.1, 0.1, 0.1), _KEPT),
    ("every block, a third, augmented", (0.3, 0.3, 0.3, 0.3), _KEPT | _AUGMENTED),
    ("every block, augmented", (1, 1, 1, 1), _AUGMENTED),
    ("every block", (1, 1, 1, 1), {}),
    ("last half", (0, 1, 1, 1), {}),
    ("fast blocks under a frozen head", (3, 3, 3, 0), {}),
    ("every block, slow", (0.1, 0.1, 0.1, 0.1), _KEPT),
    ("every block, a third", (0.3, 0.3, 0.3, 0.3), _KEPT),
    ("every block, slow, augmented", (0.1, 0.1, 0.1, 0.1), _KEPT | _AUGMENTED),
    ("fast blocks under a slower head", (3, 3, 3, 1), {}),
    ("every block, very slow", (0.03, 0.03, 0.03, 0.03), _KEPT),
)
"""Where a search starts that also chooses named values, most worth trying first: what it is; the multipliers of the
first half, the last half, the last block and the head; the values that differ from a run's defaults."""


def informed_recipes(template: Recipe, values: Collection[str] = ()) -> list[Recipe]:
    """Return common ways to fine-tune a network, distinct, in the order in which they are worth trying.

    Args:
        template: a recipe of the network.
        values: names of the values that the search chooses besides the multipliers. Without any, the recipes are those
            of ``informed_multipliers``; with some, those of ``START``, with these values only.

    Returns:
        Recipes over the blocks of the template.
    """
    size = len(template.partition)
    if not values:
        return [template.with_multipliers(multipliers) for multipliers in informed_multipliers(size)]
    recipes = [
        template.with_multipliers(spread(rates, size)).with_values(
            {**dict(template.values), **{name: value for name, value in named.items() if name in values}}
        )
        for _, rates, named in START
    ]
    return list(dict.fromkeys(recipe for recipe in recipes if not recipe.trains_nothing))


def spread(rates: Rates, num_blocks: int) -> tuple[float, ...]:
    """Return one multiplier per block from those of the first half, the last half, the last block and the head."""
    first, second, last, head = map(float, rates)
    half, body = num_blocks // 2, num_blocks - 1
    below = [last if index == body - 1 else first if index < half else second for index in range(body)]
    return (*below, head)


def informed_multipliers(num_blocks: int) -> list[tuple[float, ...]]:
    """Return common ways to fine-tune, as multipliers, to start a search from.

    They span depths and rates: every block; fast blocks under a slower head; the head alone, at a high rate; the last
    block and the head; a third of the rate; fast blocks under a frozen head; the fastest blocks under a slow one and a
    frozen head; the last half; fast blocks under a very slow one and a frozen head; every block under a slower head;
    fast blocks under a very slow head; the last half, faster; layer-wise decay (0.75 per block from the head down).
    docs/performance.md has the measurements behind the choice.

    Args:
        num_blocks: number of blocks, at least 1.

    Returns:
        Distinct tuples of ``num_blocks`` multipliers, in the order in which they are worth trying.
    """
    if num_blocks == 1:
        return [(1.0,), (3.0,), (0.3,)]
    half, body = num_blocks // 2, num_blocks - 1
    candidates = [
        (1.0,) * num_blocks,
        (3.0,) * body + (1.0,),
        (0.0,) * body + (3.0,),
        (0.0,) * (body - 1) + (1.0, 1.0),
        (0.3,) * num_blocks,
        (3.0,) * body + (0.0,),
        (10.0,) * (body - 1) + (1.0, 0.0),
        (0.0,) * half + (1.0,) * (num_blocks - half),
        (3.0,) * (body - 1) + (0.3, 0.0),
        (1.0,) * body + (0.3,),
        (3.0,) * body + (0.3,),
        (0.0,) * half + (3.0,) * (body - half) + (1.0,),
        tuple(0.75 ** (body - index) for index in range(num_blocks)),
    ]
    return list(dict.fromkeys(candidates))
