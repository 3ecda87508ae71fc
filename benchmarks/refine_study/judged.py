"""What the results of the study say: differences with intervals over seeds, tests over data sets, and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.refine_study.entries import BOUNDS, HEURISTICS, LARGER, OBJECTIVES, RANDOM, SEARCHES, SEPARABLE, USUAL
from biotune.significance import Ranking, SignedRank, ranking, signed_rank_tests
from biotune.wording import MINUS, method_name

Results = Mapping[str, Mapping[str, Any]]
"""Content of the result file of each case, by the name of the case."""
Values = NDArray[np.float64]
Lines = Iterator[str]

GRADIENT, OF_TRAINING = "L-BFGS", "refit, training examples"
NAMES = {
    **{name: method_name(name) for name in (*HEURISTICS, RANDOM)},
    SEPARABLE: "separable CMA-ES",
    "L-BFGS": "L-BFGS in the box",
    "refit": "refit on all labels",
    "averaged weights": "mean of last epochs",
}
ACCURACIES = ("validation_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its 95 % interval, from a t distribution over seeds.

    Args:
        mean: how much better ours is, mean over seeds.
        low: lower end; the mean itself for one seed.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Values, theirs: Values) -> "Difference":
        """Return the difference of two entries that have a value for each seed."""
        gains = np.asarray(ours) - np.asarray(theirs)
        mean, error = float(gains.mean()), float(stats.sem(gains)) if len(gains) > 1 else 0.0
        half = float(stats.t.ppf(0.975, len(gains) - 1)) * error if error else 0.0
        return cls(mean, mean - half, mean + half)

    def written(self, scale: float = 100, digits: int = 1) -> str:
        """Return it as text, by default in percentage points, a clear one in bold."""
        mean, low, high = (signed(scale * value, digits) for value in (self.mean, self.low, self.high))
        text = f"{mean} [{low}, {high}]"
        return f"**{text}**" if self.low > 0 or self.high < 0 else text


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign; zero has none."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def rows(case: Mapping[str, Any], **facts: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a case of which all of these are true, without those of special topics."""
    return [
        row for row in case["rows"] if "topic" not in row and all(row.get(key) == value for key, value in facts.items())
    ]


def values(case: Mapping[str, Any], key: str, **facts: Any) -> Values:
    """Return the value of each seed of the one row of which all facts are true."""
    (row,) = rows(case, **facts)
    return np.array(row[key])


def usual(entry: str, objective: str, bound: float) -> dict[str, Any]:
    """Return the facts of the row of a search of the usual size on the head; of L-BFGS, which has no size."""
    facts = {"entry": entry, "objective": objective, "bound": bound}
    return facts if entry == GRADIENT else {**facts, "agents": USUAL[0], "iterations": USUAL[1], "layers": "head"}


def searched(case: Mapping[str, Any], entry: str, objective: str, bound: float, key: str = "test_accuracy") -> Values:
    """Return a value of each seed for a search of the usual size on the head."""
    return values(case, key, **usual(entry, objective, bound))


def six(case: Mapping[str, Any], objective: str, bound: float, key: str = "test_accuracy") -> Values:
    """Return the mean over the six heuristics, for each seed."""
    return np.asarray(np.mean([searched(case, entry, objective, bound, key) for entry in HEURISTICS], axis=0))


def lines_of(header: Sequence[str], cells: Sequence[Sequence[str]]) -> Lines:
    """Yield a table in Markdown."""
    for line in (header, ["---"] * len(header), *cells):
        yield f"| {' | '.join(line)} |"


def best_search(case: Mapping[str, Any]) -> tuple[str, Values]:
    """Return the search, objective and bound of the highest mean on the test examples, which favours it, in words."""
    found = {
        f"{NAMES[entry]}, {objective}, {bound:g}": searched(case, entry, objective, bound)
        for entry, objective, bound in product(SEARCHES, OBJECTIVES, BOUNDS)
    }
    name = max(found, key=lambda one: float(found[one].mean()))
    return name, found[name]


def case_table(results: Results) -> Lines:
    """Yield what each case gains on the test set, at bound 0.01, minus the trained weights."""
    header = ["case", "trained, %", "six, loss", "six, accuracy", "random, loss", "L-BFGS", "more epochs"]
    header += ["mean weights", "refit"]
    cells = []
    for name, case in results.items():
        base = values(case, "test_accuracy", entry="trained")
        others = [
            six(case, "loss", 0.01),
            six(case, "accuracy", 0.01),
            searched(case, RANDOM, "loss", 0.01),
            values(case, "test_accuracy", **usual(GRADIENT, "loss", 0.01)),
            *(values(case, "test_accuracy", entry=one) for one in ("more epochs", "averaged weights", "refit")),
        ]
        cells.append([name, f"{100 * base.mean():.1f}", *(Difference.of(one, base).written() for one in others)])
    yield from lines_of(header, cells)


def best_table(results: Results) -> Lines:
    """Yield the refit beside the search that is best on the test examples, of all searches, objectives and bounds."""
    header = ["case", "best search on the test", "it minus trained", "refit minus it", "more epochs minus it"]
    cells = []
    for name, case in results.items():
        words, best = best_search(case)
        base, again, more = (values(case, "test_accuracy", entry=one) for one in ("trained", "refit", "more epochs"))
        differences = (Difference.of(*pair) for pair in ((best, base), (again, best), (more, best)))
        cells.append([name, words, *(one.written() for one in differences)])
    yield from lines_of(header, cells)
    yield ""
    yield f"On the training examples alone, the refit gains: {', '.join(_of_training(results))}."


def _of_training(results: Results) -> Lines:
    """Yield what a refit on the training examples alone gains over the trained weights, where it was measured."""
    for name, case in results.items():
        if rows(case, entry=OF_TRAINING):
            ours, base = (values(case, "test_accuracy", entry=one) for one in (OF_TRAINING, "trained"))
            yield f"{name} {Difference.of(ours, base).written()}"


def gain(results: Results, key: str, facts: Mapping[str, Any]) -> float:
    """Return by how much the one row of these facts beats the trained weights, mean over seeds and cases, in points."""
    every = [(values(case, key, **facts) - values(case, key, entry="trained")).mean() for case in results.values()]
    return float(100 * np.mean(every))


def bound_table(results: Results) -> Lines:
    """Yield what the searches gain on held-out and on test examples, by objective and bound, mean over cases."""
    header = ["search", *(f"{objective}, {bound:g}" for objective in OBJECTIVES for bound in BOUNDS)]
    cells = []
    for entry in (*SEARCHES, GRADIENT):
        row = [NAMES[entry]]
        for objective, bound in product(OBJECTIVES, BOUNDS):
            facts = usual(entry, objective, bound)
            gains = (
                (gain(results, key, facts) for key in ACCURACIES)
                if (entry, objective) != (GRADIENT, "accuracy")
                else ()
            )
            row.append(" / ".join(signed(one, 2) for one in gains))
        cells.append(row)
    yield from lines_of(header, cells)


def by_data_set(results: Results, facts: Mapping[str, Any]) -> list[float]:
    """Return the test accuracy of an entry, mean over seeds and networks, for each data set."""
    found: dict[str, list[float]] = {}
    for case in results.values():
        found.setdefault(case["case"]["data"], []).append(float(values(case, "test_accuracy", **facts).mean()))
    return [float(np.mean(means)) for means in found.values()]


def ranks(results: Results) -> Ranking:
    """Rank all entries over data sets by test accuracy, at bound 0.01 and on the loss."""
    facts = {name: usual(name, "loss", 0.01) for name in (*SEARCHES, GRADIENT)}
    facts |= {name: {"entry": name} for name in ("trained", "more epochs", "averaged weights", "refit")}
    return ranking({name: by_data_set(results, one) for name, one in facts.items()})


def tests(results: Results) -> dict[str, SignedRank] | None:
    """Test the particle swarm on the loss against others, over data sets; None with too few of them.

    More tests would need more data sets to find anything.
    """
    facts = {name: usual(name, "loss", 0.01) for name in ("pso", RANDOM)}
    facts |= {name: {"entry": name} for name in ("trained", "refit")}
    return signed_rank_tests({name: by_data_set(results, one) for name, one in facts.items()}, "pso")


def rank_table(results: Results) -> Lines:
    """Yield mean ranks over data sets, and the tests."""
    found, tested = ranks(results), tests(results)
    order = sorted(found.mean_ranks.items(), key=lambda item: item[1])
    yield from lines_of(["entry", "mean rank"], [[NAMES.get(name, name), f"{rank:.1f}"] for name, rank in order])
    yield ""
    p = "too few data sets for a test" if found.friedman_p is None else f"Friedman's test p = {found.friedman_p:.2g}"
    distance = found.nemenyi_critical_distance
    yield f"{found.num_blocks} data sets; {p}{f', Nemenyi distance {distance:.1f}' if distance else ''}."
    if tested:
        shown = (f"{NAMES.get(name, name)} p = {one.p_holm:.2g}" for name, one in tested.items())
        yield f"PSO on the loss against others, Wilcoxon's test with Holm's correction: {', '.join(shown)}."


def gap_table(results: Results) -> Lines:
    """Yield accuracy on held-out minus test examples, as trained and refined, and the border of the box."""
    header = ["case", "gap as trained", "gap, loss", "gap, accuracy", "at the border, PSO", "GA", "DE", "random"]
    cells = []
    for name, case in results.items():
        gaps = [
            values(case, "validation_accuracy", entry="trained") - values(case, "test_accuracy", entry="trained"),
            *(six(case, one, 0.01, "validation_accuracy") - six(case, one, 0.01) for one in OBJECTIVES),
        ]
        border = [searched(case, entry, "loss", 0.01, "border").mean() for entry in ("pso", "ga", "de", RANDOM)]
        shown = (signed(100 * gap.mean(), 2) for gap in gaps)
        cells.append([name, *shown, *(f"{100 * share:.0f} %" for share in border)])
    yield from lines_of(header, cells)


def source_table(results: Results) -> Lines:
    """Yield the source's way: its library, accuracy as the objective, bound 0.01, the trained weights left out."""
    header = ["case", *(NAMES[entry] for entry in HEURISTICS)]
    cells = []
    for name, case in results.items():
        base = values(case, "test_accuracy", entry="trained")
        found = (values(case, "test_accuracy", entry=f"{entry}:engine=opytimizer") for entry in HEURISTICS)
        cells.append([name, *(Difference.of(one, base).written() for one in found)])
    yield from lines_of(header, cells)


def safeguard_table(results: Results) -> Lines:
    """Yield what safeguards and early stopping do to a particle swarm: test gain, and rounds that are needed."""
    stopped = ("pso, stopped after 3", "pso, stopped after 5")
    entries = ("pso", "pso, two thirds", "pso, safeguards", *stopped)
    header = ["objective, bound", "all images", *(entry.removeprefix("pso, ") for entry in entries[1:]), "rounds"]
    cells = []
    for objective, bound in product(OBJECTIVES, BOUNDS):
        facts = [usual(entry, objective, bound) for entry in entries]
        gains = (signed(gain(results, "test_accuracy", one), 2) for one in facts)
        rounds = (np.mean([values(case, "rounds", **one).mean() for case in results.values()]) for one in facts[3:])
        text = ", ".join(f"{number:.1f}" for number in rounds)
        cells.append([f"{objective}, {bound:g}", *gains, f"{text} of {USUAL[1] + 1}"])
    yield from lines_of(header, cells)


def size_table(results: Results) -> Lines:
    """Yield what sizes of a search and other layers give: points gained on held-out and on test examples."""
    header = ["case", "objective", "search", "layers", "bound", "evaluations", "held out", "test"]
    cells = []
    for (name, case), objective in product(results.items(), OBJECTIVES):
        if not rows(case, agents=LARGER[0], iterations=LARGER[1]):
            continue
        for row in rows(case, objective=objective):
            is_size = row["entry"] == "pso" and row["bound"] == 0.01
            is_larger = row.get("iterations") == LARGER[1] and row["entry"] in ("pso", "ga", RANDOM, SEPARABLE)
            if is_size or is_larger:
                base = (values(case, key, entry="trained") for key in ACCURACIES)
                gains = (100 * (np.array(row[key]) - one).mean() for key, one in zip(ACCURACIES, base, strict=True))
                layers = row["layers"].replace("body.1", "hidden")
                size = f"{row['evaluations']} ({row['agents']} x {row['iterations']})"
                about = [name, objective, NAMES[row["entry"]], layers, f"{row['bound']:g}", size]
                cells.append([*about, *(signed(one, 2) for one in gains)])
    yield from lines_of(header, cells)


def special_table(results: Results, topic: str, digits: int = 3) -> Lines:
    """Yield the rows of a topic: the metric on held-out and on test examples, and the difference to the first row."""
    header = ["case", "metric", "entry", "bound", "held out", "test", "minus the first row"]
    cells = []
    for name, case in results.items():
        first: dict[str, Values] = {}
        for row in (row for row in case["rows"] if str(row.get("topic", "")).startswith(topic)):
            ours = np.array(row["test"])
            difference = Difference.of(ours, first.setdefault(row["metric"], ours))
            what = row["metric"] if row["topic"] == topic else row["topic"].removeprefix("rounding to ")
            bound = f"{row['bound']:g}" if row["bound"] else ""
            means = (f"{np.mean(row[key]):.{digits}f}" for key in ("validation", "test"))
            cells.append([name, what, row["entry"], bound, *means, difference.written(1, digits)])
    yield from lines_of(header, cells)


def agreement_table(results: Results) -> Lines:
    """Yield how much two repetitions agree on which way to change a weight."""
    found = {name: values(case, "signs", entry="agreement") for name, case in results.items()}
    cells = [[name, f"{100 * shares.mean():.1f} %"] for name, shares in found.items()]
    yield from lines_of(["case", "weights changed in the same direction"], cells)
