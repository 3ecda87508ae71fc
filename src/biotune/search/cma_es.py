"""CMA-ES through the package ``cmaes``, which Optuna's CMA-ES sampler uses too."""

from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.options import Options
from biotune.randomness import derived_seeds
from biotune.search.base import Batch, Points, Search, SearchSettings
from biotune.search.extra import require_package


class CovarianceOptions(Options):
    """Options of ``cmaes``."""

    step: Annotated[
        float, Field(gt=0, le=1, description="standard deviation at the start, in gene units; Optuna's default is 1/6")
    ] = 1.0 / 6.0
    separable: Annotated[
        bool,
        Field(
            description="adapt the variance of each gene and no covariances, so that it works in boxes of any "
            "dimension, such as those of weights"
        ),
    ] = False


class CovarianceAdaptation(Search):
    """CMA-ES (cmaes): a normal distribution that moves to the best points of each generation and takes their shape.

    It starts at the best point of the initial population. Samples outside the unit box are drawn again; with
    ``separable``, where one of thousands of genes is always outside, these genes are moved to its border.

    Source: Hansen, The CMA evolution strategy: a tutorial, arXiv 1604.00772; ``separable``: Ros and Hansen 2008, A
    simple modification in CMA-ES achieving linear time and space complexity (PPSN X). Departure from Optuna's sampler:
    that one starts in the middle of the box.
    """

    Options = CovarianceOptions
    options: CovarianceOptions
    smallest_population: ClassVar[int] = 4
    most_genes: ClassVar[int | None] = 1000  # chosen by hand: the covariance matrix is decomposed in every generation

    def _most_genes(self) -> int | None:
        return None if self.options.separable else self.most_genes

    @classmethod
    def require(cls, settings: SearchSettings) -> None:
        """Refuse sizes that are too small; see ``Search.require``."""
        super().require(settings)
        require_package("cmaes", "the search cmaes")

    def _run(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        package = require_package("cmaes", "the search cmaes")
        common = {
            "mean": points[np.argmax(fitness)],
            "sigma": self.options.step,
            "bounds": np.array([[0.0, 1.0]] * self.num_genes),
            "seed": derived_seeds(1, self.seed, "cmaes")[0],
            "population_size": self.settings.population,
        }
        # of thousands of genes some are always outside, so drawing again is in vain: they are moved to the border
        optimizer = package.SepCMA(**common, n_max_resampling=0) if self.options.separable else package.CMA(**common)
        for generation, count in self._generations():
            points = np.stack([optimizer.ask() for _ in range(count)])
            values = yield Batch(points.copy(), generation, "new")
            if count == self.settings.population:
                optimizer.tell(list(zip(points, -values, strict=True)))
