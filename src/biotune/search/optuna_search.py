"""Searches that are samplers of Optuna; the only file that uses Optuna."""

from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from biotune.randomness import derived_seeds
from biotune.search.base import Batch, Points, Search, SearchSettings
from biotune.search.extra import require_package
from biotune.space.base import category, middle


def _optuna() -> Any:
    return require_package("optuna", "an Optuna search")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing to the terminal; its setting is restored, since it belongs to the whole process."""
    logging = _optuna().logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


class OptunaSearch(Search):
    """A sampler with Optuna's defaults, driven through an in-memory study.

    It gets the same initial population as every search and is told every value, so its model uses all of them; an
    infeasible point has the worst fitness. Optuna draws from NumPy's generators, so the same versions give the same
    points.
    """

    most_genes: ClassVar[int | None] = 1000  # chosen by hand: each gene is a parameter of Optuna
    by_generation: ClassVar[bool] = False
    """Whether a generation is asked at once; otherwise points are asked one by one after the initial population."""

    @classmethod
    def require(cls, settings: SearchSettings) -> None:
        """Refuse sizes that are too small; see ``Search.require``."""
        super().require(settings)
        _optuna()

    @abstractmethod
    def _sampler(self, samplers: Any, seed: int) -> Any:
        """Return the sampler, one of ``optuna.samplers``."""

    def _run(self) -> Generator[Batch, Points, None]:
        study, names = self._study(), [f"gene_{index}" for index in range(self.num_genes)]
        space = dict(zip(names, map(self._distribution, range(self.num_genes)), strict=True))
        start = self._initial_points()
        for point in start:
            study.enqueue_trial(dict(zip(names, self._parameters(point), strict=True)))
        for generation, count in [(0, len(start)), *self._batches()]:
            with _quiet():
                trials = [study.ask(space) for _ in range(count)]
            points = np.array([self._point([trial.params[name] for name in names]) for trial in trials])
            values = yield Batch(points, generation, "new")
            for trial, value in zip(trials, values, strict=True):
                study.tell(trial, float(value))

    def _distribution(self, index: int) -> Any:
        """Return what Optuna draws for a gene: a number, or one of its categories, which have no order for Optuna."""
        distributions = _optuna().distributions
        if index in self.categories:
            return distributions.CategoricalDistribution(range(self.categories[index]))
        return distributions.FloatDistribution(0.0, 1.0)

    def _parameters(self, point: Points) -> list[float | int]:
        """Return what Optuna calls a point."""
        genes = enumerate(map(float, point))
        return [category(gene, self.categories[i]) if i in self.categories else gene for i, gene in genes]

    def _point(self, parameters: Sequence[float]) -> list[float]:
        """Return the point of Optuna's parameters, each category in the middle of its cell."""
        values = enumerate(parameters)
        return [middle(int(v), self.categories[i]) if i in self.categories else v for i, v in values]

    def _batches(self) -> list[tuple[int, int]]:
        """Return generation and size of every batch after the initial population."""
        if self.by_generation:
            return list(self._generations())
        return [(generation, 1) for generation, count in self._generations() for _ in range(count)]

    def _study(self) -> Any:
        """Return a study in memory."""
        optuna = _optuna()
        sampler = self._sampler(optuna.samplers, derived_seeds(1, self.seed, "optuna")[0])
        with _quiet():
            return optuna.create_study(direction="maximize", sampler=sampler)


class ParzenEstimator(OptunaSearch):
    """TPE (Optuna): samples where good points are dense and bad ones rare, according to two density estimates.

    Source: Bergstra, Bardenet, Bengio, Kegl, NeurIPS 2011; Watanabe, arXiv 2304.11127.
    """

    def _sampler(self, samplers: Any, seed: int) -> Any:
        return samplers.TPESampler(seed=seed, n_startup_trials=self.settings.population)


class GaussianProcess(OptunaSearch):
    """Bayesian optimisation (Optuna): a Gaussian process and the expected improvement that it predicts.

    Matern kernel (nu = 2.5) with a length scale per gene, log expected improvement. Source: Ament et al., NeurIPS 2023,
    arXiv 2310.20708. It needs PyTorch and a fraction of a second per point.
    """

    def _sampler(self, samplers: Any, seed: int) -> Any:
        return samplers.GPSampler(seed=seed, n_startup_trials=self.settings.population)


class NondominatedSorting(OptunaSearch):
    """NSGA-II (Optuna): an elitist genetic algorithm, here with one objective, the fitness.

    Source: Deb, Pratap, Agarwal, Meyarivan, IEEE TEVC 6 (2002), 182-197. With one objective, non-dominated sorting is
    sorting by fitness.
    """

    smallest_population: ClassVar[int] = 2
    by_generation: ClassVar[bool] = True

    def _sampler(self, samplers: Any, seed: int) -> Any:
        return samplers.NSGAIISampler(seed=seed, population_size=self.settings.population)
