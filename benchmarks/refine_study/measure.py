"""Runs the study cell by cell: a case with a seed. What is measured already is kept, so it can run in pieces."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.refine_study.cases import CASES, Case, Material
from benchmarks.refine_study.entries import Row, rows_of
from benchmarks.refine_study.networks import trained
from benchmarks.refine_study.special import topic_rows
from benchmarks.result_file import report
from biotune.errors import InputError
from biotune.runs.files import write_atomic
from biotune.wording import listed

VALUES = (
    *("validation_loss", "validation_accuracy", "test_loss", "test_accuracy", "validation", "test"),
    *("border", "seconds", "rounds", "step", "c", "signs"),
)
"""What each seed has a value of; everything else in a row says what it is a row of."""

KEPT_CURVES = 0.01
"""Bound of the searches whose progress is kept in the result."""

_DIGITS = 5


def chosen(names: Sequence[str]) -> list[str]:
    """Return the names of cases, all where none is named; raises InputError for an unknown one."""
    if unknown := [name for name in names if name not in CASES]:
        raise InputError(f"there is no case '{unknown[0]}'; choose of {listed(list(CASES), len(CASES))}.")
    return list(names) or list(CASES)


def measure_study(
    names: Sequence[str], seeds: Sequence[int], folder: Path, root: str, command: str, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Measure what is missing, and return the result of each case.

    Args:
        names: of cases.
        seeds: each is a training of its own, with other held-out examples.
        folder: holds the cells that are measured; further ones are added.
        root: folder of the data sets; empty for the usual one.
        command: as typed, for the results.
        say: told what is measured.

    Returns:
        The content of a result file for each case.
    """
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name in names:
            _measure_case(name, seeds, folder, root, say)
    return {name: _result(name, seeds, folder, command) for name in names}


def cell_file(folder: Path, name: str, seed: int) -> Path:
    """Return the file of a cell."""
    return folder / file_name(name) / f"{seed}.json"


def file_name(case: str) -> str:
    """Return the name of a case as part of a file's name."""
    return case.replace(", ", "_").replace(" ", "_")


def _measure_case(name: str, seeds: Sequence[int], folder: Path, root: str, say: Callable[[str], None]) -> None:
    """Measure the cells of a case that are missing, the first seed first: its refit says which penalty others use."""
    missing = [seed for seed in seeds if not cell_file(folder, name, seed).exists()]
    if not missing:
        return
    case, material = CASES[name], CASES[name].read(root)
    for seed in missing:
        say(f"{name}, seed {seed}")
        first = cell_file(folder, name, seeds[0])
        c = 0.0 if seed == seeds[0] else next(row["c"] for row in _read(first) if row["entry"] == "refit")
        rows = list(_cell(case, material, seed, c))
        path = cell_file(folder, name, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(rows))


def _cell(case: Case, material: Material, seed: int, c: float) -> Iterator[Row]:
    """Train the network of a cell, and yield its rows."""
    train, held_out = case.parts(material, seed)
    parts = {"train": train, "validation": held_out, "test": material.test}
    network = trained(case.network, parts, material.num_classes, case.epochs, case.more, seed)
    sizes = {f"{part}_examples": len(examples) for part, examples in parts.items()}
    yield {"entry": "sizes", **sizes, "features": int(network.weight.shape[1]), "classes": material.num_classes}
    yield from rows_of(network, seed, case.core, c)
    for topic in case.special:
        yield from topic_rows(topic, case, material, network, seed)


def _read(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _result(name: str, seeds: Sequence[int], folder: Path, command: str) -> dict[str, Any]:
    """Put the cells of a case together: one row for each entry, with a value for each seed."""
    cells = [_read(cell_file(folder, name, seed)) for seed in seeds]
    case, sizes = CASES[name], cells[0][0]
    rows = [_joined([cell[index] for cell in cells]) for index in range(1, len(cells[0]))]
    about = {"name": name, "data": case.data, "epochs": case.epochs, "more_epochs": case.more}
    about |= {key: value for key, value in sizes.items() if key != "entry"}
    return report("refine_study", command, "cpu", 1, {"case": about, "seeds": list(seeds), "rows": rows})


def _joined(rows: Sequence[Row]) -> Row:
    """Return one row for all seeds: what it is about once, and each value as a list; the mean of the curves."""
    first = {key: value for key, value in rows[0].items() if key not in (*VALUES, "curve", "changes")}
    if first.get("bound") == np.inf:
        del first["bound"]
    values = {key: [round(float(row[key]), _DIGITS) for row in rows] for key in VALUES if key in rows[0]}
    joined = {**first, **values}
    if "curve" in rows[0] and rows[0]["bound"] == KEPT_CURVES and rows[0]["layers"] == "head":
        joined["curve"] = np.mean([row["curve"] for row in rows], axis=0).round(_DIGITS).tolist()
    if rows[0].get("changes") is not None:
        joined["changes"] = rows[0]["changes"]
    return joined


def write_result(path: Path, content: dict[str, Any]) -> None:
    """Write the result of a case, one line for each row."""
    head = json.dumps({key: value for key, value in content.items() if key != "rows"}, indent=1, ensure_ascii=False)
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in content["rows"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f'{head[:-2]},\n "rows": [\n  {rows}\n ]\n}}\n')
