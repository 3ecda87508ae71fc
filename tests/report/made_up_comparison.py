"""Comparisons as version 0.1 wrote them, which must still open: made up, with statistics of made-up answers."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from biotune.significance import ranking, signed_rank_tests
from biotune.statistics import mean_and_standard_error, paired_interval, pooled_interval

SKILL = {  # method -> mean accuracy, share of trained parameters, cost in full fine-tunes
    "biotune": (0.905, 0.62, 9.8),
    "full": (0.872, 1.0, 3.0),
    "linear_probe": (0.745, 0.0006, 0.7),
    "lora": (0.889, 0.021, 2.6),
    "l2_sp:alpha=0.1": (0.874, 1.0, 3.3),
    "l1_sp": (0.880, 1.0, 3.4),
    "auto_rgn": (0.869, 1.0, 4.1),
    "gradual_last_first": (0.861, 1.0, 2.4),
    "gradual_first_last": (0.853, 1.0, 2.9),
    "lp_ft": (0.884, 1.0, 3.6),
    "llrd": (0.886, 1.0, 3.0),
    "mask_one_rate": (0.893, 0.62, 2.2),
    "tpe": (0.901, 0.71, 9.9),
    "random": (0.897, 0.55, 9.7),
    "cmaes": (0.898, 0.66, 9.6),
    "ga": (0.9, 0.6, 9.9),
    "pso": (0.896, 0.58, 9.5),
    "de": (0.9, 0.6, 9.9),
    "dehb": (0.9, 0.65, 9.8),
    "gp": (0.9, 0.74, 9.8),
    "nsga2": (0.899, 0.31, 9.9),
    "greedy": (0.895, 0.43, 9.4),
    "llrd:decay=0.5": (0.871, 1.0, 3.0),
    "lora:r=16": (0.887, 0.04, 2.7),
    "l1_sp:alpha=0.01": (0.866, 1.0, 3.4),
    "full:rate=0.1": (0.879, 1.0, 3.1),
}
SEARCHES = ("biotune", "tpe", "random", "cmaes", "ga", "pso", "de", "dehb", "gp", "nsga2", "greedy")
Answers = dict[str, np.ndarray]


def comparison(
    methods: Sequence[str] = ("biotune", "full", "linear_probe", "lora", "llrd", "mask_one_rate"),
    datasets: Sequence[str] = ("skin",),
    seeds: int = 3,
    tuned: bool = True,
    has_test: bool = True,
    skill: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return a comparison; the first method is the reference.

    Args:
        methods: keys; unknown ones are of middling skill.
        datasets: names.
        seeds: final seeds.
        tuned: True for a tuned row of every method that is no search.
        has_test: False for data without a test set.
        skill: mean accuracies that differ from ``SKILL``.

    Returns:
        What ``comparison.json`` holds.
    """
    random = np.random.default_rng(11)
    entries, answers = [], []
    for index, name in enumerate(datasets):
        entry, answered = _data_set(random, name, index, methods, seeds, tuned, has_test, skill or {})
        entries.append(entry)
        answers.append(answered)
    add_statistics(entries, answers, methods[0])
    pooled = entries[0]["methods"] if len(datasets) == 1 else _pooled(entries, answers, methods[0])
    return {
        "schema_version": 1,
        "status": "finished",
        "command": f"biotune compare {' '.join(datasets)} --out runs/comparison",
        "biotune_version": "0.1.0",
        "versions": {"python": "3.12.4", "torch": "2.15.0"},
        "created": "2026-11-21T09:41:07+0000",
        "model": {
            "name": "timm:resnet50.a1_in1k",
            "parameters": 23_500_000,
            "num_blocks": 7,
            "weights": "resnet50.a1_in1k",
            "image_size": 96,
        },
        "reference": methods[0],
        "methods": pooled,
        "datasets": entries,
        "ranking": {"default": _ranking(entries, tuned=False), "tuned": _ranking(entries, tuned=True)},
    }


def _data_set(
    random: np.random.Generator,
    name: str,
    index: int,
    methods: Sequence[str],
    seeds: int,
    tuned: bool,
    has_test: bool,
    skill: Mapping[str, float],
) -> tuple[dict[str, Any], Answers]:
    images = 200 + 20 * index
    hard = random.uniform(size=images)
    table, answered = {}, {}
    for key in methods:
        accuracy, share, cost = SKILL.get(key, (0.87, 0.5, 3.0))
        accuracy = skill.get(key, accuracy) - 0.02 * index + 0.006 * random.standard_normal()
        answered[key] = _answers(random, hard, accuracy, seeds)
        table[key] = _row(answered[key], has_test, key, share, cost * (1 + 0.05 * random.uniform()))
        if tuned and key not in SEARCHES:
            name_of_tuned = f"{key} (tuned)"
            gain = 0.3 * (0.9 - accuracy) * random.uniform()
            answered[name_of_tuned] = _answers(random, hard, accuracy + gain, seeds)
            table[key]["tuned"] = _row(
                answered[name_of_tuned], has_test, f"{key}{',' if ':' in key else ':'}rate=0.3", share, cost + 6.5
            )
    entry = {
        "name": name,
        "data": {
            "name": name, "train": 1840, "validation": 460, "test": images if has_test else 0,
            "classes": ["melanoma", "nevus"], "fingerprint": "9f3a61c07be2d418",
            "part_fingerprints": {"train": "a", "validation": "b", "test": "c"}, "quarantined": [], "notes": [],
            "smallest_class": 300, "leaks": [],
        },
        "full_finetune_seconds": 164.0,
        "protocol": {
            "epochs": 30, "patience": 5, "patience_steps": 50, "batch_size": 32, "learning_rate": 0.001,
            "scheduler": "cosine", "optimizer": "adam", "metric": "macro", "augment": "none", "imbalance": "none",
            "seeds": list(range(100, 100 + seeds)), "device": "cpu", "threads": 2, "precision": "float32",
        },
        "methods": table,
    }  # fmt: skip
    return entry, answered if has_test else {}


def _answers(random: np.random.Generator, hard: np.ndarray, accuracy: float, seeds: int) -> np.ndarray:
    """Right answers, shape (seeds, images): what is hard is hard for all methods and seeds."""
    noise = 0.04 * random.standard_normal((seeds, len(hard))) + 0.008 * random.standard_normal((seeds, 1))
    return np.asarray(hard + noise < accuracy)


def _scores(per_seed: list[float], shift: float = 0.0) -> dict[str, Any]:
    mean, error = mean_and_standard_error([value + shift for value in per_seed])
    return {
        "accuracy": mean,
        "macro_accuracy": mean - 0.013,
        "standard_error": error,
        "per_seed": [value + shift for value in per_seed],
    }


def _row(correct: np.ndarray, has_test: bool, method: str, share: float, cost: float) -> dict[str, Any]:
    per_seed = correct.mean(axis=1).tolist()
    return {
        "method": method,
        "multipliers": [0.0, 1.0, 2.5] if method in SEARCHES else [],
        "test": _scores(per_seed) if has_test else None,
        "validation": _scores(per_seed, 0.01),
        "diverged": 0,
        "seconds": 164.0 * cost,
        "selection_seconds": 82.0 * cost,
        "cost_in_full_finetunes": cost,
        "trainable_fraction": share,
        "step_bytes": int(1.2e9 * (0.3 + share)),
        "evaluations": 34 if method in SEARCHES else None,
        "best_on_test_optimistic": None,
        "sweep": None,
        "difference": None,
        "signed_rank": None,
        "tuned": None,
    }


def add_statistics(entries: Sequence[dict[str, Any]], answers: Sequence[Answers], reference: str) -> None:
    """Fill in the differences and tests of every data set."""
    for entry, answered in zip(entries, answers, strict=True):
        _compare(entry["methods"], [answered], reference)


def _compare(methods: dict[str, Any], answers: Sequence[Answers], reference: str) -> None:
    rows = methods | {f"{key} (tuned)": row["tuned"] for key, row in methods.items() if row["tuned"]}
    if not all(answers):
        return
    scores = {key: [float(part[key].mean()) for part in answers] for key in rows}
    tests = signed_rank_tests(scores, reference) or {}
    for key, row in rows.items():
        if key != reference:
            pairs = [(part[reference], part[key]) for part in answers]
            found = pooled_interval(pairs, 40) if len(pairs) > 1 else paired_interval(*pairs[0], 40)
            row["difference"] = found.to_json()
            row["signed_rank"] = vars(tests[key]).copy() if key in tests else None


def _pooled(entries: Sequence[dict[str, Any]], answers: Sequence[Answers], reference: str) -> dict[str, Any]:
    tables = [entry["methods"] for entry in entries]
    methods = {}
    for key in tables[0]:
        methods[key] = _mean([table[key] for table in tables])
        tuned = [table[key]["tuned"] for table in tables]
        methods[key]["tuned"] = _mean(tuned) if all(tuned) else None
    _compare(methods, answers, reference)
    return methods


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    mean = copy.deepcopy(rows[0]) | {"difference": None, "signed_rank": None, "multipliers": None}
    for part in ("test", "validation"):
        if mean[part]:
            errors = [row[part]["standard_error"] for row in rows]
            known = None not in errors
            mean[part] |= {
                "accuracy": float(np.mean([row[part]["accuracy"] for row in rows])),
                "macro_accuracy": float(np.mean([row[part]["macro_accuracy"] for row in rows])),
                "standard_error": float(np.sqrt(np.sum(np.square(errors))) / len(errors)) if known else None,
            }
    return mean


def _ranking(entries: Sequence[dict[str, Any]], tuned: bool) -> dict[str, Any] | None:
    tables = [
        {key: ((row["tuned"] if tuned else None) or row)["test"] for key, row in entry["methods"].items()}
        for entry in entries
    ]
    if any(score is None for table in tables for score in table.values()):
        return None
    return vars(ranking({key: [table[key]["accuracy"] for table in tables] for key in tables[0]})).copy()


def diverge(comparison: dict[str, Any], key: str, seeds: int | None = None) -> None:
    """Make some final trainings of a method (all by default) diverge, on one data set."""
    row = comparison["datasets"][0]["methods"][key]
    total = len(row["validation"]["per_seed"])
    row["diverged"] = total if seeds is None else seeds
    if seeds is None:
        row |= {"test": None, "difference": None, "signed_rank": None}
        comparison["ranking"] = {"default": None, "tuned": None}


@cache
def _plain(datasets: int) -> dict[str, Any]:
    return comparison(("biotune", "full", "odd"), [f"set {index}" for index in range(datasets)])


def with_names(name: str, datasets: int = 2) -> dict[str, Any]:
    """Return a comparison in which every text that is not a key of the schema is the given one."""
    made = copy.deepcopy(_plain(datasets))
    made.update(command=name, biotune_version=name, versions={name: name}, created=name)
    made["model"].update(name=name, weights=name)
    for entry in made["datasets"]:
        entry["name"] = name
        entry["data"].update(name=name, classes=[name], fingerprint=name, notes=[name])
        entry["protocol"].update(scheduler=name, optimizer=name, augment=name, device=name)
        entry["methods"][name] = entry["methods"].pop("odd")
        entry["methods"][name]["method"] = name
    if datasets > 1:
        made["methods"][name] = made["methods"].pop("odd")
    for table in made["ranking"].values():
        table["mean_ranks"][name] = table["mean_ranks"].pop("odd")
    return made
