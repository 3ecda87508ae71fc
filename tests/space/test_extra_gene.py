"""A space with one gene more than blocks and threshold, in one class: nothing but the space has to know of it."""

import json
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pytest
import yaml

from biotune.recipe import Recipe
from biotune.runner import run
from biotune.runner import search as searching
from biotune.runs.store import RunStore
from biotune.search import SEARCHES, SearchSettings
from biotune.space import BlockSpace
from recipes import recipe
from tiny import BRIEF, tiny_config


@dataclass(frozen=True)
class DecaySpace:
    """Recipes with a weight decay of their own, from 1e-5 to 1e-1: the last gene."""

    blocks: BlockSpace

    @property
    def num_genes(self) -> int:
        return self.blocks.num_genes + 1

    @property
    def num_parts(self) -> int:
        return self.blocks.num_parts

    def is_feasible(self, genes) -> bool:
        return self.blocks.is_feasible(genes[:-1])

    def movable(self, genes):
        return np.append(self.blocks.movable(genes[:-1]), self.num_genes - 1)

    def repair(self, genes, stream):
        return np.append(self.blocks.repair(genes[:-1], stream), genes[-1])

    def select(self, parts: Collection[int]):
        return np.append(self.blocks.select(parts), 0.5)

    def decode(self, genes) -> Recipe:
        decay = round(float(10.0 ** (4.0 * np.asarray(genes)[-1] - 5.0)), 8)
        return self.blocks.decode(genes[:-1]).with_values({"weight_decay": decay})

    def encode(self, decoded: Recipe):
        decay = dict(decoded.values).get("weight_decay", 1e-3)
        return np.append(self.blocks.encode(decoded), (np.log10(decay) + 5.0) / 4.0)


SPACE = DecaySpace(BlockSpace(recipe(1.0, 1.0, 1.0)))


@pytest.mark.parametrize("name", ["evolution", "random", "ga", "pso", "de", "dehb", "greedy"])
def test_every_search_works_in_it(name: str) -> None:
    search = SEARCHES[name](SPACE.num_genes, 0, SearchSettings(population=4, elites=1, generations=2), SPACE)
    decays = set()
    while (batch := search.ask()) is not None:
        found = [SPACE.decode(point) for point in batch.points]
        decays |= {dict(one.values)["weight_decay"] for one in found}
        search.tell([1.0 / (1.0 + abs(np.log10(dict(one.values)["weight_decay"]) + 2.0)) for one in found])

    assert all(1e-5 <= decay <= 0.1 for decay in decays)
    assert len(decays) > 1 or name == "greedy"


@pytest.fixture
def with_decay(monkeypatch):
    def make_space(session):
        return DecaySpace(BlockSpace(session.full_recipe))

    monkeypatch.setattr(searching, "make_space", make_space)


def test_the_named_value_reaches_store_keys_and_recipe_yaml(with_decay, images, no_report, tmp_path) -> None:
    summary = run(tiny_config(images, BRIEF), tmp_path / "run")

    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        found = store.candidates(like=recipe(*(1.0,) * 7))
        tasks = [task for _, task, _ in store.trainings("search") if "values" in task]  # the unit of cost has none
        trained = {task["values"]["weight_decay"] for task in tasks}
    assert {len(candidate.genes) for candidate in found} == {7 + 1 + 1}
    assert trained == {dict(candidate.recipe.values)["weight_decay"] for candidate in found}
    written = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert written["biotune_recipe"] == 2
    assert written["values"]["weight_decay"] in trained
    assert dict(Recipe.load(tmp_path / "run").values) == written["values"]
    assert summary.status == "finished"


def test_a_cut_search_is_replayed_from_the_store(with_decay, images, no_report, tmp_path) -> None:
    histories = []
    for name, limits in (("whole", [0]), ("cut", [2, 3, 0])):
        for most in limits:
            run(tiny_config(images, BRIEF, {"budget": {"max_evaluations": most}}), tmp_path / name)
        histories.append(json.loads((tmp_path / name / "history.json").read_text())["candidates"])
    assert histories[0] == histories[1]
