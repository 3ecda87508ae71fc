"""The report page: one file that opens offline, runs no script and loads nothing."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from biotune import wording
from biotune.report import figures as draw
from biotune.report import story
from biotune.report.classes import on_unequal_classes, unequal_classes
from biotune.report.pages import embedded, page_template
from biotune.report.rows import MethodRow, method_rows

_MAX_CLASSES = 60


def write_report(
    folder: Path, summary: Mapping[str, Any], history: Mapping[str, Any], samples: Mapping[str, Any] | None
) -> Path:
    """Write ``report.html`` and ``figures/*.png``; each file appears whole or not at all.

    Args:
        folder: an existing folder.
        summary: of a finished run, as in ``summary.json``.
        history: ``candidates`` of the search and ``curves`` of the final trainings.
        samples: ``images`` (uint8, shape (num_images, height, width, 3)), ``truth``, ``predicted`` and
            ``probability`` of some images, or None.

    Returns:
        The path of the page.
    """
    drawn = draw_figures(summary, history, samples)
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        _write(folder / "figures" / f"{name}.png", draw.to_png(figure))
    page = folder / "report.html"
    _write(page, render(summary, history, drawn).encode())
    return page


def draw_figures(
    summary: Mapping[str, Any], history: Mapping[str, Any], samples: Mapping[str, Any] | None
) -> dict[str, Figure]:
    """Draw every figure that the run has data for, by name; the arguments are those of ``write_report``."""
    drawn = {
        "comparison": draw.comparison(method_rows(summary)),
        "learning_rate_map": draw.learning_rate_map(summary["recipe"]["blocks"], _rivals(summary)),
    }
    if history["candidates"]:
        drawn["convergence"] = draw.convergence(history, _baseline(history))
    if history["curves"]:
        drawn["learning_curves"] = draw.learning_curves(history["curves"])
    if samples is not None and len(samples["images"]):
        drawn["sample_predictions"] = draw.sample_predictions(
            np.asarray(samples["images"]), samples["truth"], samples["predicted"], samples["probability"]
        )
    return drawn


def render(summary: Mapping[str, Any], history: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """Return the page as text.

    Every string of the run is escaped and freed of control characters; the figures are drawn into the page as SVG.

    Args:
        summary: of a finished run, as in ``summary.json``.
        history: ``candidates`` of the search.
        figures: those of ``draw_figures``, or some of them.

    Returns:
        A complete HTML document.
    """
    rows, unequal = method_rows(summary), unequal_classes(summary)
    return page_template("page.html").render(
        summary=summary,
        headline=story.headline(summary),
        marks=story.VERDICT_MARKS,
        rows=rows,
        blocks=_block_rows(summary),
        costs=_cost_rows(summary, rows),
        classes=summary["data"]["classes"][:_MAX_CLASSES],
        unequal=unequal[:_MAX_CLASSES],
        on_classes=on_unequal_classes(unequal, summary) if unequal else "",
        figures=embedded(figures),
        captions=story.captions(summary, history),
        caveats=story.caveats(summary, history),
        interval=wording.interval,
    )


def _rivals(summary: Mapping[str, Any]) -> list[tuple[str, list[float]]]:
    """The other recipes that reached the final phase, with their validation scores."""
    winner = [block["multiplier"] for block in summary["recipe"]["blocks"]]
    others = [entry for entry in summary["final"]["candidates"] if list(entry["multipliers"]) != winner]
    return [
        (f"Finalist {number}, {wording.percent(entry['validation'])}", entry["multipliers"])
        for number, entry in enumerate(others, start=2)
    ]


def _baseline(history: Mapping[str, Any]) -> float | None:
    """What full fine-tuning had reached where the search compared its candidates, mean over seeds."""
    if history["judged_on_folds"] > 1:  # its final trainings are judged on other images
        return None
    epochs = history["judged_after_epochs"]
    found = [max(row["validation_score"][:epochs]) for row in history["curves"] if row["method"] == "full"]
    return float(np.mean(found)) if found else None


def _block_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The recipe's blocks, each with the start and width (per cent) of its bar around the middle of a log scale."""
    recipe = summary["recipe"]
    exponents = [float(np.log10(block["multiplier"])) if block["multiplier"] else 0.0 for block in recipe["blocks"]]
    span = max([1.0, *map(abs, exponents)])
    total = sum(block["parameters"] for block in recipe["blocks"]) or 1
    return [
        {
            **block,
            "share": block["parameters"] / total,
            "rate": block["multiplier"] * recipe["base_learning_rate"],
            "start": 50 + min(0.0, 50 * exponent / span),
            "width": max(1.0, 50 * abs(exponent) / span),
            "slower": exponent < 0,
        }
        for block, exponent in zip(recipe["blocks"], exponents, strict=True)
    ]


def _cost_rows(summary: Mapping[str, Any], rows: list[MethodRow]) -> list[dict[str, Any]]:
    """What each part of the run cost, BioTune's sum included, with a bar in per cent of the dearest."""
    search = summary["search"]
    searched = [("Search", search["seconds"], search["cost_in_full_finetunes"], "part")] if search else []
    parts = [
        *searched,
        ("Final trainings", summary["final"]["seconds"], summary["final"]["cost_in_full_finetunes"], "part"),
        ("BioTune, together", rows[0].seconds, rows[0].cost, "sum"),
        *((row.name, row.seconds, row.cost, "other") for row in rows[1:]),
    ]
    dearest = max(seconds for _, seconds, _, _ in parts) or 1.0
    return [
        {"name": name, "seconds": seconds, "cost": cost, "kind": kind, "width": 100 * seconds / dearest}
        for name, seconds, cost, kind in parts
    ]


def _write(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
