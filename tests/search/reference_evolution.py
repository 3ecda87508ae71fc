"""The evolution once more, written from its description only: scalars, lists and dictionaries, costs to be minimised.

An oracle for ``biotune.search.Evolution``: nothing is shared with it but the named random streams. Slow and plain on
purpose; every number is computed one gene at a time.
"""

from collections.abc import Callable
from typing import Any

from biotune.randomness import Stream

Step = tuple[str, int, list[list[float]]]

DEFAULTS: dict[str, Any] = {
    "population": 10,
    "elites": 3,
    "generations": 10,
    "folds": 2,
    "reevaluate": "population",
    "rank_law": "bioik",
    "same_parents": True,
    "smallest_pool": 1,
    "exploit": "one_trained",
    "amplitude": 0.25,
    "momentum": True,
    "mutation": True,
    "adaptation": "per_gene",
    "survivors": "generational",
    "wipeout": "off",
    "infeasible": "penalise",
    "offspring": "sequential",
}


class ReferenceEvolution:
    """Runs a whole evolution on ``objective(genes, fold)`` (higher is better) and keeps what it asked."""

    def __init__(
        self, num_genes: int, seed: int, objective: Callable[[list[float], int], float], **options: Any
    ) -> None:
        self.n = num_genes
        self.seed = seed
        self.objective = objective
        self.o = {**DEFAULTS, **options}
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        size, elites = self.o["population"], self.o["elites"]
        people = self.make("new", 0, [self.random_feasible("start", 0, i) for i in range(size)])
        people = self.sort(people)
        quiet = 0
        for g in range(self.o["generations"]):
            people = self.move_to_fold(people, g)
            best_before = people[0]["cost"]
            exploited, successes = self.exploit(people[:elites], g)
            children = self.breed(people, g)
            if self.o["survivors"] == "generational":
                candidates = exploited + children
            else:
                candidates = exploited + children + [p for p in people if all(p is not e for e in exploited)]
            people = self.sort(candidates)[:size]
            self.set_extinction(people)
            quiet = quiet + 1 if abs(best_before - people[0]["cost"]) < 1e-5 else 0
            nothing_better = True not in successes and not people[0]["cost"] < best_before
            if (self.o["wipeout"] == "pivot" and quiet > 10) or (self.o["wipeout"] == "starke" and nothing_better):
                strangers = [self.random_feasible("wipeout", g, i) for i in range(size - 1)]
                people = self.sort([people[0], *self.make("new", g, strangers)])
                quiet = 0
        return self.steps

    def ask(self, kind: str, g: int, points: list[list[float]]) -> list[float]:
        self.steps.append((kind, g, [list(point) for point in points]))
        return [1.0 - self.objective(point, g % self.o["folds"]) for point in points]

    def make(
        self, kind: str, g: int, points: list[list[float]], momenta: list[list[float]] | None = None
    ) -> list[dict[str, Any]]:
        momenta = momenta or [[0.0] * self.n for _ in points]
        costs = self.ask(kind, g, points)
        fold = g % self.o["folds"]
        return [
            {"x": x, "m": m, "cost": cost, "known": {fold: cost}, "E": None}
            for x, m, cost in zip(points, momenta, costs, strict=True)
        ]

    def is_feasible(self, x: list[float]) -> bool:
        return any(gene > x[-1] for gene in x[:-1])

    def random_feasible(self, purpose: str, g: int, index: int) -> list[float]:
        draw = Stream(self.seed, purpose, g, index).uniform
        while True:
            x = [float(draw()) for _ in range(self.n)]
            if self.is_feasible(x):
                return x

    def sort(self, people: list[dict[str, Any]]) -> list[dict[str, Any]]:
        people = sorted(people, key=lambda person: person["cost"])
        self.set_extinction(people)
        return people

    @staticmethod
    def set_extinction(people: list[dict[str, Any]]) -> None:
        """Entries are written in place: parents that are still needed are never part of a later list with new costs."""
        low, high, last = people[0]["cost"], people[-1]["cost"], len(people) - 1
        for i, person in enumerate(people):
            if high in (0.0, low):
                person["E"] = i / last
            else:
                person["E"] = (person["cost"] + low * (i / last - 1.0)) / high

    def move_to_fold(self, people: list[dict[str, Any]], g: int) -> list[dict[str, Any]]:
        fold = g % self.o["folds"]
        if self.o["reevaluate"] == "none":
            return people
        entitled = people if self.o["reevaluate"] == "population" else people[: self.o["elites"]]
        without = [p for p in entitled if fold not in p["known"]]
        if without:
            for person, cost in zip(without, self.ask("reevaluate", g, [p["x"] for p in without]), strict=True):
                person["known"][fold] = cost
        for person in people:
            person["cost"] = person["known"].get(fold, person["cost"])
        return self.sort(people)

    def exploit(self, elites: list[dict[str, Any]], g: int) -> tuple[list[dict[str, Any]], list[bool]]:
        trials, moved = [], []
        for rank, elite in enumerate(elites):
            stream = Stream(self.seed, "exploit", g, rank)
            x = elite["x"]
            if self.o["exploit"] == "all":
                where = list(range(self.n))
            else:
                last = self.n if self.o["exploit"] == "one_any" else self.n - 1
                allowed = [i for i in range(last) if self.o["exploit"] == "one_any" or x[i] > x[-1]]
                where = [allowed[int(stream.uniform() * len(allowed))]] if allowed else []
            forth, back = list(x), list(x)
            for i in where:
                delta = self.o["amplitude"] * (2.0 * float(stream.uniform()) - 1.0)
                forth[i] = clip(x[i] + delta)
                back[i] = clip(x[i] - delta)
            trials += [forth, back]
            moved.append(where)
        costs = self.ask("probe", g, trials)
        result, successes = [], []
        for rank, elite in enumerate(elites):
            pick = 2 * rank if costs[2 * rank] <= costs[2 * rank + 1] else 2 * rank + 1
            if costs[pick] < elite["cost"]:
                stream = Stream(self.seed, "exploit_momentum", g, rank)
                shares = [float(stream.uniform()) for _ in range(self.n)]
                momentum = list(elite["m"])
                for i in moved[rank]:
                    step = trials[pick][i] - elite["x"][i]
                    if step != 0.0:
                        momentum[i] = shares[i] * elite["m"][i] + step
                known = {g % self.o["folds"]: costs[pick]}
                result.append({"x": trials[pick], "m": momentum, "cost": costs[pick], "known": known, "E": None})
            else:
                result.append(elite)
            successes.append(result[-1] is not elite)
        if self.o["wipeout"] == "starke":
            failed = [rank for rank in range(1, len(elites)) if not successes[rank]]
            if failed:
                fresh = self.make("new", g, [self.random_feasible("reroll", g, rank) for rank in failed])
                for rank, stranger in zip(failed, fresh, strict=True):
                    result[rank] = stranger
        return result, successes

    def breed(self, people: list[dict[str, Any]], g: int) -> list[dict[str, Any]]:
        pool = list(people)
        wanted = self.o["population"] - self.o["elites"]
        if self.o["offspring"] == "batch":
            born = [self.child(pool, g, index) for index in range(wanted)]
            return self.make("new", g, [b[0] for b in born], [b[1] for b in born])
        children = []
        for index in range(wanted):
            x, m, a, b = self.child(pool, g, index)
            child = self.make("new", g, [x], [m])[0]
            children.append(child)
            for parent in (a, b):
                if parent is not None and child["cost"] < parent["cost"]:
                    pool = [p for p in pool if p is not parent]
        return children

    def child(self, pool: list[dict[str, Any]], g: int, index: int) -> tuple[Any, Any, Any, Any]:
        if len(pool) < self.o["smallest_pool"]:
            return self.random_feasible("refill", g, index), [0.0] * self.n, None, None
        stream = Stream(self.seed, "child", g, index)
        genes = range(self.n)

        def many() -> list[float]:
            return [float(stream.uniform()) for _ in genes]

        weights = rank_weights(len(pool), self.o["rank_law"])
        first = wheel(weights, float(stream.uniform()))
        barred = list(weights)
        if not self.o["same_parents"] and len(pool) > 1:
            barred[first] = 0
        second = wheel(barred, float(stream.uniform()))
        a, b, q = pool[first], pool[second], pool[wheel(weights, float(stream.uniform()))]

        w, r1, r2 = many(), many(), many()
        push = [r1[i] * a["m"][i] + r2[i] * b["m"][i] if self.o["momentum"] else 0.0 for i in genes]
        x = [w[i] * a["x"][i] + (1.0 - w[i]) * b["x"][i] + push[i] for i in genes]
        stored = list(x)
        if self.o["mutation"]:
            extinction = (a["E"] + b["E"]) / 2.0
            chance = extinction * (1.0 - 1.0 / self.n) + 1.0 / self.n
            coins, steps = many(), many()
            x = [x[i] + extinction * (2.0 * steps[i] - 1.0) if coins[i] < chance else x[i] for i in genes]
        if self.o["adaptation"] != "off":
            if self.o["adaptation"] == "scalar":
                c, p1, p2 = ([float(stream.uniform())] * self.n for _ in range(3))
            else:
                c, p1, p2 = many(), many(), many()
            middle = [0.5 * (a["x"][i] + b["x"][i]) for i in genes]
            x = [x[i] + c[i] * p1[i] * (middle[i] - x[i]) + (1.0 - c[i]) * p2[i] * (q["x"][i] - x[i]) for i in genes]
        x = [clip(gene) for gene in x]
        if self.o["infeasible"] == "repair" and not self.is_feasible(x):
            x[-1] = float(Stream(self.seed, "repair", g, index).uniform()) * max(x[:-1])
        r = many()
        return x, [r[i] * push[i] + (x[i] - stored[i]) for i in genes], a, b


def clip(gene: float) -> float:
    return min(1.0, max(0.0, gene))


def rank_weights(size: int, law: str) -> list[int]:
    """Integer weights, best first: K, K-1, ..., 1, or K+2, K, K-1, ..., 3, 1."""
    if law == "bioik":
        return list(range(size, 0, -1))
    return [1] if size == 1 else [size + 2, *range(size, 2, -1), 1]


def wheel(weights: list[int], spin: float) -> int:
    """Return the slot in which a spin in [0, 1) ends."""
    left = spin * sum(weights)
    for slot, weight in enumerate(weights):
        if left < weight:
            return slot
        left -= weight
    raise AssertionError("a spin below 1 ends in a slot")
