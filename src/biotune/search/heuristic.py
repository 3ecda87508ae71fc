"""What the six nature-inspired heuristics have in common: the textbook form, or that of opytimizer 2.1.4."""

from abc import abstractmethod
from collections.abc import Generator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from biotune.errors import InputError
from biotune.options import Options
from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search, SearchSettings
from biotune.search.opytimizer import Quirks
from biotune.space.base import Boxed


class HeuristicOptions(Options):
    """Options of every heuristic."""

    engine: Annotated[
        Literal["textbook", "opytimizer"],
        Field(description="the textbook form, or opytimizer 2.1.4 with its faults, in a box of weights only"),
    ] = "textbook"


class Heuristic(Search):
    """A search with two engines: the textbook form, and what opytimizer 2.1.4 computes, see ``search/opytimizer.py``.

    The second is for comparison with results made by that library. It makes as many iterations as the search has
    generations, with the library's own constants and numbers of evaluations, and takes no start.
    """

    Options = HeuristicOptions
    options: HeuristicOptions
    quirks: ClassVar[type[Quirks]]
    """The heuristic as opytimizer 2.1.4 computes it."""

    @classmethod
    def num_evaluations(cls, settings: SearchSettings, options: Any) -> int:
        """Return the planned number, or that of opytimizer 2.1.4 for as many iterations as there are generations."""
        if not cls.needs_box(options):
            return settings.planned
        return cls.quirks.num_evaluations(settings.population, settings.generations)

    @classmethod
    def needs_box(cls, options: Any) -> bool:
        """Return whether faults that depend on the size of a weight are asked for."""
        return bool(options.engine == "opytimizer")

    def _require_space(self) -> None:
        super()._require_space()
        if not self.needs_box(self.options):
            return
        others = sorted(self.options.model_dump(exclude_defaults=True).keys() - {"engine"})
        if others:
            raise InputError(
                f"engine=opytimizer has constants of its own, so it cannot be combined with {', '.join(others)}; "
                "leave these options out, or choose engine=textbook."
            )
        if not isinstance(self.space, Boxed):
            raise InputError(
                f"engine=opytimizer moves weights in a box around trained ones, not a {type(self.space).__name__}; "
                "choose engine=textbook."
            )

    def _run(self) -> Generator[Batch, Points, None]:
        if self.options.engine == "textbook" or not isinstance(self.space, Boxed):
            return self._textbook()
        size, box = self.settings.population, self.space
        points = np.stack([Stream(self.seed, "start", 0, index).uniform(self.num_genes) for index in range(size)])
        return self.quirks(box, points, self.settings.generations, self.seed).run()

    @abstractmethod
    def _textbook(self) -> Generator[Batch, Points, None]:
        """Yield batches, receive the fitness of each, and return at the end: see ``Search._run``."""
