"""The demo over several root seeds: the figures of docs/demo.md.

Runs ``biotune demo`` once per seed (finished runs are kept), pools the answers on the test images, which are the same
in every run, and writes one JSON file: accuracies, the paired interval of BioTune against each method over all seeds
and images, and wall time.

    python -m benchmarks.demo --seeds 0 1 2 3 4 --out runs/demo-benchmark --json docs/results/demo.json
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from biotune.statistics import mean_and_standard_error, paired_interval


def run_demo(seed: int, folder: Path) -> dict[str, Any]:
    """Run the demo once and return its summary with the wall time of the whole command."""
    timing = folder.with_suffix(".seconds")
    if not (folder / "summary.json").exists():
        start = time.perf_counter()
        command = [sys.executable, "-m", "biotune", "demo", "--seed", str(seed), "--out", str(folder), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        timing.write_text(str(round(time.perf_counter() - start, 1)))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {**summary, "wall_seconds": float(timing.read_text()) if timing.exists() else None}


def pooled(folders: list[Path], summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return accuracy and vote of each method over all runs, and BioTune's paired difference to it.

    Differences are over the seeds that both have: where recipes of other kinds vote with BioTune's, it has fewer.
    """
    runs = [json.loads((folder / "answers.json").read_text(encoding="utf-8")) for folder in folders]
    truth = np.array(runs[0]["truth"])
    correct = {name: [np.array(run["predicted"][name]) == truth for run in runs] for name in runs[0]["predicted"]}
    rows: dict[str, Any] = {}
    for name, right in correct.items():
        mean, error = mean_and_standard_error(np.concatenate(right).mean(axis=1).tolist())
        entries = [one if name == "biotune" else one["baselines"][name] for one in summaries]
        vote, vote_error = mean_and_standard_error([one["vote"]["metrics"]["accuracy"] for one in entries])
        rows[name] = {"accuracy": mean, "standard_error": error, "trainings": len(np.concatenate(right))}
        rows[name]["vote"] = {"accuracy": vote, "standard_error": vote_error}
        if name != "biotune":
            pairs = [
                (own[: len(other)], other[: len(own)]) for own, other in zip(correct["biotune"], right, strict=True)
            ]
            ours, theirs = (np.concatenate(side) for side in zip(*pairs, strict=True))
            interval = paired_interval(ours, theirs)
            rows[name]["difference"] = {**interval.to_json(), "verdict": interval.verdict}
    return rows


def main() -> None:
    """Run the demo for every seed, pool the answers, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/demo-benchmark"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/demo.json"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    folders = [arguments.out / str(seed) for seed in arguments.seeds]
    summaries = [run_demo(seed, folder) for seed, folder in zip(arguments.seeds, folders, strict=True)]
    costs = [s["search"]["cost_in_full_finetunes"] + s["final"]["cost_in_full_finetunes"] for s in summaries]
    result = {
        "command": "python -m benchmarks.demo --seeds " + " ".join(map(str, arguments.seeds)),
        "versions": summaries[0]["versions"],
        "wall_seconds": [summary["wall_seconds"] for summary in summaries],
        "biotune_cost_in_full_finetunes": costs,
        "runs": [
            {name: row["test"]["per_seed"] for name, row in {"biotune": s, **s["baselines"]}.items()} for s in summaries
        ],
        "recipes": [[block["multiplier"] for block in s["recipe"]["blocks"]] for s in summaries],
        "pooled": pooled(folders, summaries),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result["pooled"], indent=2) + "\n")


if __name__ == "__main__":
    main()
