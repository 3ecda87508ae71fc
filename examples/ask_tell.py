"""Use the evolution on its own, by ask and tell, for any function of learning-rate multipliers. Needs NumPy, not torch.

Run: python examples/ask_tell.py
"""

import math
import sys

from biotune import BlockSpace, Evolution, SearchSettings

WANTED = (0.0, 0.0, 0.5, 1.0, 4.0)


def quality(multipliers: tuple[float, ...]) -> float:
    """Return how close a recipe is to the wanted one, in (0, 1]: a stand-in for training and validating a network."""
    distance = 0.0
    for value, wanted in zip(multipliers, WANTED, strict=True):
        if (value == 0) != (wanted == 0):
            distance += 1.0
        elif wanted > 0:
            distance += abs(math.log10(value / wanted))
    return 1.0 / (1.0 + distance)


def main() -> None:
    """Search and print the best recipe after every generation."""
    space = BlockSpace.unnamed(num_blocks=len(WANTED))
    settings = SearchSettings(population=10, elites=3, generations=10, folds=1)
    search = Evolution(space.num_genes, seed=0, settings=settings, space=space)
    best, best_fitness = (0.0,) * len(WANTED), 0.0
    generation = 0
    while (batch := search.ask()) is not None:
        if batch.generation > generation:
            print(f"generation {generation}: fitness {best_fitness:.3f}")
            generation = batch.generation
        recipes = [space.decode(genes).multipliers for genes in batch.points]
        fitness = [quality(recipe) if any(recipe) else 0.0 for recipe in recipes]
        search.tell(fitness)
        best_fitness, best = max([(best_fitness, best), *zip(fitness, recipes, strict=True)])
    print(f"generation {generation}: fitness {best_fitness:.3f}")
    print("wanted:", " ".join(f"{value:6.2f}" for value in WANTED))
    print("found: ", " ".join(f"{value:6.2f}" for value in best))
    print("torch was loaded:", "torch" in sys.modules)


if __name__ == "__main__":
    main()
