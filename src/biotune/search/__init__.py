"""Search algorithms over points of the unit box (NumPy only; some need the extra ``optuna``)."""

from biotune.search.base import Batch, Search, SearchSettings
from biotune.search.bat import BatAlgorithm
from biotune.search.cma_es import CovarianceAdaptation
from biotune.search.dehb import EvolutionaryHyperband
from biotune.search.evolution import Evolution
from biotune.search.firefly import FireflyAlgorithm
from biotune.search.genetic import DifferentialEvolution, GeneticAlgorithm
from biotune.search.greedy import GreedySelection
from biotune.search.optuna_search import GaussianProcess, NondominatedSorting, ParzenEstimator
from biotune.search.random_search import RandomSearch
from biotune.search.swarm import ParticleSwarm, RelativisticSwarm

SEARCHES: dict[str, type[Search]] = {
    "evolution": Evolution,
    "random": RandomSearch,
    "ga": GeneticAlgorithm,
    "pso": ParticleSwarm,
    "rpso": RelativisticSwarm,
    "bat": BatAlgorithm,
    "firefly": FireflyAlgorithm,
    "de": DifferentialEvolution,
    "dehb": EvolutionaryHyperband,
    "cmaes": CovarianceAdaptation,
    "tpe": ParzenEstimator,
    "gp": GaussianProcess,
    "nsga2": NondominatedSorting,
    "greedy": GreedySelection,
}

__all__ = ["SEARCHES", "Batch", "Evolution", "RandomSearch", "Search", "SearchSettings"]
