"""The presets: named sets of settings."""

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "training": {"epochs": 12, "stopping": "planned", "fitness": "loss"},
        "search": {"population": 8, "generations": 1, "rungs": (0.33, 0.66)},
        "final": {"data": "all", "candidates": 1, "companions": 2},
    },
    "standard": {
        "training": {"stopping": "planned", "fitness": "loss"},
        "search": {"rungs": (0.25, 0.6)},
        "final": {"data": "all", "candidates": 1, "companions": 2},
    },
    "reference": {
        "data": {"folds": 2},
        "training": {"epochs": 30},
        "search": {
            "population": 10,
            "elites": 3,
            "generations": 10,
            "seeds": 3,
            "options": {"evolution": {"offspring": "sequential"}},
            "law": "exponential",
            "values": (),
            "start": "random",
            "rungs": (1.0,),
            "max_work": 0.0,
        },
        "final": {"candidates": 5, "screening": "all_seeds"},
        "model": {"image_size": 0},
    },
    "paper": {
        "data": {"folds": 2, "fold_validation": True},
        "training": {
            "epochs": 30,
            "batch_size": 96,
            "limit_batch": False,
            "patience_steps": 0,
            "cosine_epochs": 100,
            "tie_break": False,
            "frozen_statistics": "train",
        },
        "search": {
            "population": 10,
            "elites": 3,
            "generations": 10,
            "seeds": 3,
            "given_seeds": (684, 559, 629),
            "options": {
                "evolution": {
                    "rank_law": "code",
                    "same_parents": False,
                    "smallest_pool": 3,
                    "offspring": "sequential",
                }
            },
            "reevaluate": "none",
            "law": "exponential",
            "values": (),
            "start": "random",
            "rungs": (1.0,),
            "max_work": 0.0,
        },
        "final": {"candidates": 5, "screening": "all_seeds", "test_all": True},
        "method": {"options": {"lora": {"form": "loralib", "r": 4, "alpha": 4.0}}},
        "model": {"keep_auxiliary": True, "image_size": 0},
        "compute": {"precision": "float32"},
    },
}
"""The settings that each preset changes from the defaults; ``paper`` follows the papers."""
