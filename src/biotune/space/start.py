"""Common ways to fine-tune, from which a search of recipes starts."""

from biotune.recipe import Recipe


def informed_recipes(template: Recipe) -> list[Recipe]:
    """Return common ways to fine-tune a network, distinct, in the order in which they are worth trying.

    See ``informed_multipliers``; the template is a recipe of the network.
    """
    return [template.with_multipliers(multipliers) for multipliers in informed_multipliers(len(template.partition))]


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
