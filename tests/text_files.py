"""Small sets of texts that the tests write."""

import csv
from pathlib import Path

import numpy as np

FILLERS = ("the", "a", "very", "quite", "film", "story", "with", "and", "of", "it")


def orders(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return texts and classes: what was said first, ``yes`` or ``no``; both words occur once in every text."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = generator.choice(FILLERS, generator.integers(2, 7)).tolist()
        first, second = ("yes", "no") if number % 2 else ("no", "yes")
        place = int(generator.integers(0, len(words)))
        words[place:place] = [first]
        words.insert(int(generator.integers(place + 1, len(words) + 1)), second)
        rows.append((" ".join(words), first))
    return rows


def write_csv(path: Path, rows, header=("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path
