"""Figures of the search: what its recipes reached for how much that they train."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from biotune.report.figures import INK, METHOD_COLORS, MUTED, WIDTH, styled
from biotune.results.history import Candidate
from biotune.results.summary import Block

_FEWEST = 5
"""Recipes, of at least two different shares, that make a figure worth a look."""


@dataclass(frozen=True)
class Reached:
    """What a recipe reached.

    Args:
        share: of the network's parameters that it trains, in [0, 1].
        fitness: on the images held out from it; higher is better.
        is_chosen: whether it is the winner.
    """

    share: float
    fitness: float
    is_chosen: bool


def reached(candidates: Sequence[Candidate], blocks: Sequence[Block], values: object) -> list[Reached]:
    """Return what each recipe that finished the race reached, the best of its evaluations.

    Args:
        candidates: what the search evaluated.
        blocks: the winner's, with its multipliers.
        values: the winner's named values.

    Returns:
        One entry for each recipe; none where there are too few to compare. A recipe without a trained block fits the
        head at once: its share is that of the head.
    """
    parameters = np.array([block.parameters for block in blocks], dtype=np.float64)
    winner = tuple(block.multiplier for block in blocks)
    best: dict[tuple[object, ...], Reached] = {}
    for one in candidates:
        if one.outcome != "ok" or not one.finished:
            continue
        trained = np.array(one.multipliers) > 0
        trained[-1] |= not trained.any()
        key = (one.multipliers, tuple(sorted(one.values.items())))
        found = Reached(
            share=float(parameters[trained].sum() / parameters.sum()),
            fitness=one.fitness,
            is_chosen=one.multipliers == winner and one.values == values,
        )
        if key not in best or found.fitness > best[key].fitness:
            best[key] = found
    rows = list(best.values())
    return rows if len(rows) >= _FEWEST and len({row.share for row in rows}) > 1 else []


def front(rows: Sequence[Reached]) -> list[Reached]:
    """Return the recipes that no other one beats: none trains no more and reaches more, from the smallest share on."""
    found: list[Reached] = []
    for row in sorted(rows, key=lambda row: (row.share, -row.fitness)):
        if not found or row.fitness > found[-1].fitness:
            found.append(row)
    return found


@styled()
def shares(rows: Sequence[Reached]) -> Figure:
    """Draw fitness over the share of trained parameters, with the recipes that no other one beats.

    ``rows`` is what ``reached`` gave, at least one recipe.
    """
    figure = Figure((WIDTH, 3.4), layout="constrained")
    axes = figure.add_subplot()
    best = front(rows)
    axes.step(
        [100 * row.share for row in best], [row.fitness for row in best], where="post", color=MUTED, lw=1.1, zorder=1
    )
    for chosen, marker, size, color in ((False, "o", 24, INK), (True, "D", 46, METHOD_COLORS["biotune"])):
        part = [row for row in rows if row.is_chosen == chosen]
        name = "the chosen recipe" if chosen else "recipe"
        if part:
            axes.scatter(
                [100 * row.share for row in part], [row.fitness for row in part],
                s=size, marker=marker, color=color, alpha=1 if chosen else 0.6, lw=0, label=name, zorder=2 + chosen,
            )  # fmt: skip
    axes.set(xscale="log", xlabel="trained parameters, %", ylabel="fitness (validation)")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="both")
    axes.margins(x=0.05, y=0.12)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
