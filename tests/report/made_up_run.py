"""A finished run as version 0.1 wrote it, which must still open: made up, but of the size and shape of a real one."""

import copy
import math
from typing import Any

import numpy as np

from biotune.report.answered import Answered

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert('x')",
    "{{ 7 * 7 }}{% raw %}",
    "--><svg onload=alert(1)>",
    "]]></style><style>*{display:none}",
    "\u202egnp.exe",
    "null\x00byte\x1b[31m",
    "[bold red]markup[/]",
    r"$\frac{$",
    "\ud800 lone surrogate",
    "猫と犬 🦊",
    "x" * 10_000,
    "",
)

BLOCKS = ("stem", "layer1", "layer2", "layer3.early", "layer3.late", "layer4", "head")
PARAMETERS = (9_536, 215_808, 1_219_584, 4_212_736, 2_885_888, 14_964_736, 14_343)
WINNER = (0.0, 0.0, 0.37, 0.0, 1.58, 2.75, 6.31)
CLASSES = ("actinic keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma", "nevus")


def _score(per_seed: list[float], macro: float) -> dict[str, Any]:
    mean = sum(per_seed) / len(per_seed)
    spread = math.sqrt(sum((value - mean) ** 2 for value in per_seed) / (len(per_seed) - 1) / len(per_seed))
    return {"accuracy": mean, "macro_accuracy": macro, "standard_error": spread, "per_seed": per_seed}


def _baseline(
    validation: list[float], test: list[float], seconds: float, trainable: float, difference: tuple[float, float, float]
) -> dict[str, Any]:
    verdict = "better" if difference[1] > 0 else "worse" if difference[2] < 0 else "tie"
    return {
        "validation": _score(validation, validation[0] - 0.012),
        "test": _score(test, test[0] - 0.015),
        "seconds": seconds,
        "cost_in_full_finetunes": seconds / 164.0,
        "trainable_fraction": trainable,
        "difference": dict(zip(("difference", "low", "high"), difference, strict=True)) | {"verdict": verdict},
        "learning_rate_multiplier": 1.0,
    }


SUMMARY: dict[str, Any] = {
    "schema_version": 1,
    "status": "finished",
    "command": "biotune tune images/skin --model timm:resnet50.a1_in1k --out runs/skin --preset standard --seed 0",
    "biotune_version": "0.1.0",
    "versions": {"python": "3.12.4", "torch": "2.15.0", "torchvision": "0.29.2", "timm": "1.0.31", "numpy": "2.4.6"},
    "created": "2026-11-21T09:41:07+00:00",
    "model": {
        "name": "timm:resnet50.a1_in1k",
        "parameters": sum(PARAMETERS),
        "num_blocks": len(BLOCKS),
        "weights": "resnet50.a1_in1k (ImageNet-1k)",
        "image_size": 96,
    },
    "data": {
        "name": "images/skin",
        "train": 1_840,
        "validation": 460,
        "test": 575,
        "classes": list(CLASSES),
        "smallest_class": 40,
        "fingerprint": "9f3a61c07be2d418",
        "part_fingerprints": {"train": "a", "validation": "b", "test": "c"},
        "leaks": [],
        "quarantined": [{"path": f"broken{n}.jpg", "reason": "truncated"} for n in range(3)],
        "notes": [
            "2 exact duplicates were kept in one split.",
            "No test fraction was given: 20 % of every class were held out.",
        ],
    },
    "search": {
        "name": "evolution",
        "preset": "standard",
        "seed": 0,
        "generations": 3,
        "evaluations": 34,
        "trainings": 31,
        "infeasible": 2,
        "diverged": 1,
        "stopped_by": "the allowance of 3.5 full fine-tunes of work (--max-work): 10 candidates took 3.4",
        "seconds": 583.4,
        "cost_in_full_finetunes": 3.56,
    },
    "final": {
        "seconds": 287.9,
        "cost_in_full_finetunes": 1.76,
        "candidates": [
            {"multipliers": list(WINNER), "validation": 0.902},
            {"multipliers": [0.0, 0.0, 0.0, 0.61, 1.12, 3.4, 5.02], "validation": 0.896},
            {"multipliers": [0.12, 0.0, 0.24, 0.8, 1.0, 1.9, 9.55], "validation": 0.893},
        ],
    },
    "preset": "standard",
    "budget": {"seconds": 0.0, "max_evaluations": 0, "max_cost": 0.0, "max_work": 3.5},
    "out_of_fold": None,
    "full_finetune_seconds": 164.0,
    "exported": {
        "seed": 1_204_418_233,
        "test": 0.894,
        "test_macro": 0.8374,
        "per_class": [
            {"name": name, "train": train, "test": test, "recall": recall}
            for name, train, test, recall in zip(
                CLASSES,
                (60, 200, 330, 45, 380, 825),
                (19, 62, 103, 0, 119, 272),
                (0.737, 0.839, 0.806, None, 0.849, 0.956),
                strict=True,
            )
        ],
    },
    "recipe": {
        "base_learning_rate": 0.001,
        "optimizer": "adamw",
        "blocks": [
            {"name": name, "multiplier": multiplier, "parameters": parameters}
            for name, multiplier, parameters in zip(BLOCKS, WINNER, PARAMETERS, strict=True)
        ],
        "trainable_fraction": 0.811,
    },
    "validation": _score([0.902, 0.898, 0.907], 0.884),
    "test": _score([0.894, 0.883, 0.89], 0.871),
    "baselines": {
        "full": _baseline([0.876, 0.889, 0.883], [0.870, 0.863, 0.877], 492.0, 1.0, (0.019, 0.004, 0.035)),
        "full_tuned": _baseline([0.891, 0.893, 0.887], [0.879, 0.886, 0.875], 1106.0, 1.0, (0.009, -0.006, 0.024)),
        "mask_one_rate": _baseline([0.887, 0.893, 0.889], [0.881, 0.873, 0.884], 401.0, 0.811, (0.0097, -0.003, 0.022)),
        "linear_probe": _baseline([0.802, 0.800, 0.798], [0.789, 0.791, 0.786], 88.0, 0.0006, (0.1, 0.077, 0.124)),
    },
    "protocol": {
        "epochs": 30,
        "patience": 5,
        "patience_steps": 50,
        "batch_size": 32,
        "learning_rate": 0.001,
        "scheduler": "cosine",
        "optimizer": "adamw",
        "metric": "accuracy",
        "augment": "none",
        "imbalance": "none",
        "seeds": [1_204_418_233, 77_310_992, 1_990_021_345],
        "device": "cpu",
        "threads": 2,
        "precision": "float32",
    },
}


def candidates() -> list[dict[str, Any]]:
    random = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    for sequence in range(34):
        generation = 0 if sequence < 10 else 1 + (sequence - 10) // 8
        kind = "reevaluate" if generation and (sequence - 10) % 8 < 2 else "probe" if sequence in {4, 17, 27} else "new"
        outcome = {7: "diverged", 13: "infeasible", 22: "infeasible"}.get(sequence, "ok")
        fitness = min(0.907, 0.80 + 0.024 * generation + 0.045 * random.standard_normal())
        rows.append(
            {
                "sequence": sequence,
                "generation": generation,
                "kind": kind,
                "fold": 0,
                "genes": [0.5],
                "fitness": fitness if outcome == "ok" else 0.0,
                "outcome": outcome,
                "multipliers": list(WINNER),
                "finished": sequence % 3 != 1,
            }
        )
    return rows


def curves() -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    rows = []
    for method, top, speed in (("biotune", 0.905, 2.2), ("full", 0.885, 3.6)):
        for index, seed in enumerate((1_204_418_233, 77_310_992, 1_990_021_345)):
            epochs = np.arange(16 + 3 * index)
            values = top - 0.55 * np.exp(-epochs / speed) + 0.006 * random.standard_normal(len(epochs))
            rows.append({"label": f"{method} {index}", "seed": seed, "method": method, "validation_score": values})
    rows = [{**row, "validation_score": [float(value) for value in row["validation_score"]]} for row in rows]
    return [{**row, "validation_accuracy": row["validation_score"]} for row in rows]


def answered() -> Answered:
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[0:96, 0:96] / 96
    images = []
    for _ in range(12):
        skin = np.array([224, 178, 150]) + random.integers(-18, 18, 3)
        centre, radius = random.uniform(0.35, 0.65, 2), random.uniform(0.15, 0.32)
        distance = np.hypot((rows - centre[0]) * random.uniform(0.8, 1.3), columns - centre[1])
        depth = 1 / (1 + np.exp((distance - radius) * 40))
        lesion = skin * random.uniform(0.3, 0.6)
        image = skin + depth[..., None] * (lesion - skin) + 6 * random.standard_normal((96, 96, 1))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    labels = np.arange(12) % len(CLASSES)
    predicted = np.where(np.isin(np.arange(12), (3, 8)), 5, labels)
    probabilities = np.full((12, len(CLASSES)), 0.03)
    probabilities[np.arange(12), predicted] = random.uniform(0.55, 0.85, 12)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Answered(
        classes=CLASSES,
        paths=tuple(f"{CLASSES[label]}/{number}.png" for number, label in enumerate(labels)),
        images=np.stack(images),
        labels=labels,
        predicted=predicted,
        probability=probabilities.max(axis=1),
        probabilities=probabilities,
    )


def with_names(value: Any, name: str) -> Any:
    """Return a copy of a run's data in which every name and text is the given one."""
    run = copy.deepcopy(value)
    run.update(command=name, biotune_version=name, versions={name: name}, created=name)
    run["model"].update(name=name, weights=name)
    run["data"].update(name=name, classes=[name] * 3, fingerprint=name, notes=[name])
    for row in run["exported"]["per_class"]:
        row["name"] = name
    run["search"].update(name=name, preset=name)
    run["recipe"]["optimizer"] = name
    for block in run["recipe"]["blocks"]:
        block["name"] = name
    run["baselines"][name] = run["baselines"].pop("linear_probe")
    run["protocol"].update(scheduler=name, optimizer=name, augment=name, device=name)
    return run


def with_votes(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a run as a later version writes it: every method has the vote of its three seeds, but linear probing."""
    run = copy.deepcopy(summary)

    def vote(accuracy: float, gain: float) -> dict[str, Any]:
        return {
            "metrics": {"accuracy": accuracy, "macro": accuracy - 0.02},
            "seeds": [1, 2, 3],
            "gain": {"difference": gain, "low": gain - 0.008, "high": gain + 0.009, "verdict": "tie"},
        }

    run["vote"] = vote(0.911, 0.022)
    for name, accuracy in (("full", 0.907), ("full_tuned", 0.9), ("mask_one_rate", 0.913)):
        difference = {"difference": 0.911 - accuracy, "low": -0.02, "high": 0.03, "verdict": "tie"}
        run["baselines"][name]["vote"] = vote(accuracy, 0.03) | {"difference": difference}
    return run


def with_cpu_time(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a run as a later version writes it: costs are counted, and CPU time is twice the wall time."""
    run = copy.deepcopy(summary)
    for part in (run["search"], run["final"], *run["baselines"].values()):
        part["cpu_seconds"] = 2 * part["seconds"]
    return run | {"full_finetune_cpu_seconds": 310.0}
