"""Measures the networks of texts beside logistic regression on TF-IDF, on the same parts of the named sets of texts.

One thread. A network is trained by ``full`` with three seeds; the epoch that counts is chosen on the validation part.
The head of the exported ``text:lstm`` is refined with three seeds. The regression has words and pairs of words, and its
penalty is chosen on the validation part too. Prints one row per entry, and writes OUT. The archives of the sets have to
be in the data root, see ``biotune datasets``.

    python -m benchmarks.texts --out docs/results/texts.json
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from benchmarks.result_file import report, write_report
from biotune import runner
from biotune.datasets import ImageSet, make_splits, open_source
from biotune.runner.refine import refine
from biotune.settings.config import RunConfig
from biotune.settings.resolve import resolve
from biotune.texts import UnreadableTextError, read_text

SETS, NETWORKS, SEEDS = ("text_vader", "text_spam"), ("text:lstm", "text:mean"), 3
EPOCHS, PATIENCE, MAX_LENGTH = 6, 2, 100
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse penalties of the regression."""


WORDS = {
    "tf-idf": "TF-IDF, logistic regression",
    "text:lstm": "`text:lstm`",
    "text:lstm, trained": "the exported `text:lstm`, one seed",
    "text:lstm, refined": "its head refined by `pso`",
    "text:lstm, random": "its head refined at random",
    "text:lstm, refit": "its head fitted again, held-out labels too",
    "text:mean": "`text:mean`",
}
"""What the page calls each entry."""


def config_of(source: str, network: str) -> RunConfig:
    """Return the settings of one network on one set."""
    changes: dict[str, dict[str, Any]] = {
        "data": {"source": source},
        "model": {"name": network},
        "method": {"name": "full"},
        "training": {
            "epochs": EPOCHS,
            "patience": PATIENCE,
            "patience_steps": 0,
            "stopping": "early",
            "fitness": "score",
            "metric": "f1",
        },
        "final": {"seeds": SEEDS, "data": "training"},
        "refine": {"seeds": SEEDS},
        "text": {"max_length": MAX_LENGTH},
        "compute": {"device": "cpu", "threads": 1},
    }
    return resolve("standard", changes)


def measured_network(source: str, network: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Train a network, and refine the head of the one that matters; yield a row for each."""
    start, config = time.process_time(), config_of(source, network)
    found = runner.run(config, folder / network[5:])
    if found.test is None:
        raise RuntimeError(f"{source} gave no test set.")
    yield _row(source, network, found.test.metrics, found.test.per_seed, time.process_time() - start)
    if network == NETWORKS[0]:
        start = time.process_time()
        refined = refine(config, folder / network[5:], folder / "refined")
        for name, entry in refined.entries.items():
            if entry.test is not None:
                seconds = time.process_time() - start if name == "refined" else None
                yield _row(source, f"{network}, {name}", entry.test.metrics, entry.test.per_seed, seconds)


def _row(source: str, name: str, metrics: Any, per_seed: Any, seconds: float | None) -> dict[str, Any]:
    return {
        "set": source,
        "entry": name,
        "accuracy": round(float(np.mean(per_seed)), 4),
        "per_seed": [round(float(value), 4) for value in per_seed],
        "f1": None if "f1" not in metrics else round(float(metrics["f1"].mean), 4),
        "cpu_s": None if seconds is None else round(seconds, 1),
    }


def measured_regression(source: str) -> dict[str, Any]:
    """Fit a logistic regression on TF-IDF, and return its row."""
    start, found = time.process_time(), open_source(source)
    config = config_of(source, NETWORKS[0]).data
    splits = make_splits(found, config.validation_fraction, config.test_fraction, config.split_seed)
    train, validation, test = (_texts(found, rows) for rows in (splits.train, splits.validation, splits.test))
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    seen, held_out = features.fit_transform(train[0]), features.transform(validation[0])
    models = [LogisticRegression(C=c, max_iter=2000).fit(seen, train[1]) for c in STRENGTHS]
    best = int(np.argmax([f1_score(validation[1], model.predict(held_out), average="macro") for model in models]))
    predicted = models[best].predict(features.transform(test[0]))
    return {
        "set": source,
        "entry": "tf-idf",
        "accuracy": round(float((predicted == test[1]).mean()), 4),
        "per_seed": None,
        "f1": round(float(f1_score(test[1], predicted, average="macro")), 4),
        "cpu_s": round(time.process_time() - start, 1),
        "c": STRENGTHS[best],
        "tested": len(test[1]),
    }


def _texts(found: ImageSet, rows: Any) -> tuple[list[str], Any]:
    """Return the texts of a part that can be read, and their labels."""
    texts, labels = list[str](), list[int]()
    for row in rows.tolist():
        try:
            texts.append(read_text(found.image(row)))
        except UnreadableTextError:
            continue
        labels.append(int(found.labels[row]))
    return texts, np.array(labels)


def table_lines(content: dict[str, Any]) -> list[str]:
    """Return the table of docs/texts.md, line by line, from the content of the result file."""
    lines = ["| set | classifier | test accuracy, % | mean F1, % | CPU seconds |", "| --- | --- | --- | --- | --- |"]
    for row in content["results"]:
        seconds = "" if row["cpu_s"] is None else f"{row['cpu_s']:.0f}"
        scores = f"{100 * row['accuracy']:.1f} | {100 * row['f1']:.1f}"
        lines.append(f"| `{row['set']}` | {WORDS[row['entry']]} | {scores} | {seconds} |")
    return lines


def _rows() -> Iterator[dict[str, Any]]:
    for source in SETS:
        yield measured_regression(source)
        with TemporaryDirectory() as folder:
            for network in NETWORKS:
                yield from measured_network(source, network, Path(folder))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/texts.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = list[dict[str, Any]]()
    for row in _rows():
        results.append(row)
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
    settings = {
        "epochs": EPOCHS,
        "patience": PATIENCE,
        "seeds": SEEDS,
        "max_length": MAX_LENGTH,
        "strengths": STRENGTHS,
    }
    command = f"python -m benchmarks.texts --out {os.path.relpath(given.out)}"
    write_report(given.out, report("texts", command, "cpu", 1, {"settings": settings, "results": results}))


if __name__ == "__main__":
    main()
