"""Makes the tables of docs/performance.md from the result files of the benchmarks.

python -m benchmarks.performance            write the tables into the page, and draw its figures
python -m benchmarks.performance --check    exit code 1 if the page does not agree with the files
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alternatives.figure import draw_alternatives
from benchmarks.made_pages import with_table
from benchmarks.search.figure import draw_search
from benchmarks.tables import SEARCH_COLUMNS, goal_rows, machine_line, scale_rows, search_cells, throughput_cells
from biotune.report.comparison_rows import written_multipliers
from biotune.report.figures import to_png
from biotune.significance import ranking

FEW_SEEDS = 5
"""With fewer root seeds, the page says that a search benchmark decides nothing."""
ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs/performance.md", ROOT / "docs/results"


def results(file: str) -> dict[str, Any]:
    """Return the content of a file of results, or of all files of a folder by their names."""
    path = RESULTS / file
    if path.is_dir():
        return {each.stem: json.loads(each.read_text(encoding="utf-8")) for each in sorted(path.glob("*.json"))}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def lines_of(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def origin(content: dict[str, Any]) -> str:
    command = content["command"].replace("biotune bench", "python -m benchmarks")  # its earlier name
    command = command.replace("--rivals", "--searches")  # and the option's
    return f"`{command}` on {machine_line(content)}"


def trainer_part(content: dict[str, Any]) -> Iterator[str]:
    header = ["network", "pixels", "trainer / plain loop", "quartiles", "by CPU time", f"at least {goal(content)}"]
    rows = []
    for found in content["results"]:
        ratio = found["rows"][0]["of_bare"]
        reached = "yes" if ratio["median"] >= goal(content) else "no"
        cells = throughput_cells(found["rows"][0])[2:5]
        rows.append([f"`{found['model']}`", str(found["image_size"]), *cells, reached])
    yield from [origin(content), "", *lines_of(header, rows)]


def goal(content: dict[str, Any]) -> float:
    return float(content["goals"]["trainer"])


def cache_part(content: dict[str, Any]) -> Iterator[str]:
    header = [
        "frozen",
        "trained from",
        "tail / plain loop",
        "quartiles",
        "by CPU time",
        "gain",
        "bound",
        "gain / bound",
    ]
    for found in content["results"]:
        rows = [[*throughput_cells(row), f"{row['share_of_bound']:.2f}"] for row in found["rows"][1:]]
        yield from [f"`{found['model']}`, {found['image_size']} px:", "", *lines_of(header, rows), ""]


def scale_part(content: dict[str, Any]) -> Iterator[str]:
    header = ["against", "points", "what", "largest / smallest", "R²", "R² by CPU time", "growth per unit"]
    yield from [origin(content), "", *lines_of(header, list(scale_rows(content)))]


def search_part(content: dict[str, Any]) -> Iterator[str]:
    settings = content["settings"]
    sets = [f"{name} ({part['train']} images)" for name, part in settings["data_sets"].items()]
    seeds, network = len(settings["seeds"]), settings["model"]
    yield from [origin(content), ""]
    yield (
        f"Data sets: {', '.join(sets)}. Root seeds: {seeds}. Network: `{network['name']}`, "
        f"{network['parameters']:,} parameters, {network['image_size']} px."
    )
    if seeds < FEW_SEEDS:
        yield from ["", "**So few root seeds show how the figures are made; they decide nothing.**"]
    yield from ["", *lines_of(list(SEARCH_COLUMNS), list(search_cells(content["searches"]))), ""]
    if len(settings["data_sets"]) > 1:
        for name, part in content["data_sets"].items():
            yield from [f"{name}:", "", *lines_of(list(SEARCH_COLUMNS), list(search_cells(part["searches"]))), ""]
    yield from lines_of(["goal", "found", "reached"], list(goal_rows(content)))


def longer_part(content: dict[str, Any]) -> Iterator[str]:
    """Each search compared with itself at the usual work limit, on the same data sets with the same root seeds."""
    pairs = [
        (one["searches"], usual["searches"])
        for one, usual in zip(content["repetitions"], content["usual"], strict=True)
    ]
    rows = []
    for name, row in content["searches"].items():
        long, short = ([side[name] for side in sides] for sides in zip(*pairs, strict=True))
        works = [f"{np.mean([one['work'] for one in side]):.1f}" for side in (short, long)]
        tests = [np.array([np.mean(one["test"]) for one in side]) for side in (short, long)]
        gains = 100 * (tests[1] - tests[0])
        error = gains.std(ddof=1) / len(gains) ** 0.5
        gain = f"{gains.mean():+.2f} ±{error:.2f}"
        cells = next(search_cells({name: row}))
        found = [cells[SEARCH_COLUMNS.index(column)] for column in ("Difference", "Rank", "Tried", "Reached")]
        rows.append([cells[0], works[0], percent(tests[0].mean()), works[1], percent(tests[1].mean()), gain, *found])
    header = ["Search", "Work", "Test, %", "Work", "Test, %", "Gain", "Difference", "Rank", "Tried", "Reached"]
    yield from [origin(content), "", *lines_of(header, rows)]


def start_part(content: dict[str, Any]) -> Iterator[str]:
    for network, sets in content.items():
        seeds = next(iter(next(iter(sets.values())).values()))["seeds"]
        best = {name: max(one["test"] for one in found.values()) for name, found in sets.items()}
        rows = []
        for label in next(iter(sets.values())):
            cells = [
                f"{100 * sets[name][label]['test']:.1f} ±{100 * sets[name][label]['standard_error']:.1f}"
                for name in sets
            ]
            bold = [sets[name][label]["test"] == best[name] for name in sets]
            rows.append(
                [label, *(f"**{cell}**" if is_best else cell for cell, is_best in zip(cells, bold, strict=True))]
            )
        yield from [f"`{network}`, {seeds} seeds:", "", *lines_of(["recipe", *sets], rows), ""]


def rungs_part(content: dict[str, Any]) -> Iterator[str]:
    header = ["epochs of the rungs", "epochs trained", "test, earlier start, %", "epochs trained", "present start, %"]
    for found in content.values():
        what = f"{found['epochs']} epochs planned, {found['seeds']} seeds"
        yield from [f"`{found['model']}`, {what}; {', '.join(found['data'])}:", ""]
        rows = []
        for rungs in found["now"]:
            halves = [found[label][rungs] for label in ("before", "now")]
            rows.append(
                [rungs, *(cell for one in halves for cell in (f"{one['epochs']:.0f}", percent(one["test"], 2)))]
            )
        yield from [*lines_of(header, rows), ""]


def on_the_way_part(content: dict[str, Any]) -> Iterator[str]:
    for found in content.values():
        epochs = list(found["recipes"][0]["scores"])
        header = ["recipe", *(f"validation after {epoch}" for epoch in epochs), "test at the end"]
        rows = [
            [written_multipliers(one["multipliers"]), *map(percent, one["scores"].values()), percent(one["test"])]
            for one in found["recipes"]
        ]
        if found["preset"] == "quick":
            yield from [f"`{found['model']}`:", "", *lines_of(header, rows), ""]


def planned_part(content: dict[str, Any]) -> Iterator[str]:
    yield f"`{content['model']}`, 160 images, root seeds: {content['root_seeds']}:"
    header = [
        "data set",
        "30 epochs: test, %",
        "epochs trained",
        "recipe",
        "20 epochs: test, %",
        "epochs trained",
        "recipe",
    ]
    rows = []
    for name, plans in content["data"].items():
        rows.append([name])
        for plan in ("before", "now"):
            found = plans[plan]
            test = f"{percent(found['test'])} ±{percent(found['standard_error'])}"
            rows[-1] += [test, f"{found['epochs']:.0f}", "; ".join(found["chosen"])]
    yield from ["", *lines_of(header, rows)]


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def kernels_part(content: dict[str, Any]) -> Iterator[str]:
    header = ["network", "pixels", "bfloat16", "contiguous", "compiled", "compiling, in steps"]
    rows = [
        [f"`{name}`", str(found["image_size"])]
        + [f"{found[variant]:.2f}" for variant in ("bfloat16", "contiguous", "compiled")]
        + [f"{found['compile_over_step']:,.0f}"]
        for name, found in content["results"].items()
    ]
    yield from [f"On {content['machine']['cpu']}, one thread:", "", *lines_of(header, rows)]


def refine_part(content: dict[str, Any]) -> Iterator[str]:
    header = ["agents", "judged by", "a second", "one by one", "gain", "at least", "whole network", "of the product"]
    rows = []
    for found in content["results"]:
        agents, speed, ratios = str(found["agents"]), found["per_second"], found["ratios"]
        for metric in ("loss", "accuracy"):
            single = ratios[f"one_by_one_{metric}"]["cpu_median"]
            rows.append([
                agents, metric, f"{speed[metric]:,.0f}", f"{speed[f'one_by_one_{metric}']:,.0f}", f"{single:.1f}",
                f"{content['goals']['one_by_one'][agents]:g}",
                f"{ratios['network']['cpu_median']:,.0f}" if metric == "loss" else "",
                percent(ratios[f"product_{metric}"]["cpu_median"], 0) + " %",
            ])  # fmt: skip
    yield from [origin(content), "", *lines_of(header, rows)]


def heuristics_part(content: dict[str, Any]) -> Iterator[str]:
    found, product = content["seconds"], content["seconds"]["matrix product"]
    rows = [
        [f"`{name}`" if row is not product else name]
        + [
            f"{1000 * row[size]:.1f} ms" + (f" ({100 * row[size] / product[size]:.0f} %)" * (row is not product))
            for size in product
        ]
        for name, row in found.items()
    ]
    yield from [f"On {content['machine']['cpu']}, one thread:", "", *lines_of(["agents x weights", *product], rows)]


def values_part(content: dict[str, Any]) -> Iterator[str]:
    """A row for each variant of BioTune's search, two columns for each data set."""
    rows = []
    for name, row in next(iter(content.values()))["methods"].items():
        cells = []
        for found in content.values():
            own = found["methods"][name]
            score, gap = own["test"]["metrics"]["accuracy"], own["difference"]
            cells.append(
                f"{percent(score['mean'])} ±{percent(score['standard_error'])}; {own['cost_in_full_finetunes']:.1f}"
            )
            cells.append("" if gap is None else _in_points(gap))
        rows.append([name if row["difference"] else "BioTune", *cells])
    header = ["variant", *(cell for name in content for cell in (f"{name}: test, %; cost", "BioTune minus it"))]
    yield from lines_of(header, rows)


def _in_points(gap: dict[str, Any]) -> str:
    """Write a difference with its interval, in points."""
    return f"{100 * gap['difference']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"


OWN, OWN_SIZE = "biotune-quick", "biotune-quick@auto"


def alternatives_part(content: dict[str, Any]) -> Iterator[str]:
    """A row for each data set, a column for each entry that all of them have, and that of the own size where it is."""
    rows = {name: found["data_sets"][name] for name, found in content.items()}
    others = [name for name in next(iter(rows.values())) if name not in (OWN, OWN_SIZE)]
    compared = [*others, OWN]
    lines = []
    for name, found in content.items():
        own = rows[name]
        best = max(own[entry]["accuracy"] for entry in compared)
        cells = [
            f"**{cell}**" if own[entry]["accuracy"] == best else cell
            for entry, cell in ((entry, _accuracy_and_time(own[entry])) for entry in compared)
        ]
        hardest = max(others, key=lambda entry: own[entry]["accuracy"])
        gain = _in_points(own[hardest]["difference"])
        sized = next((one for one in found["results"] if one["entry"] == OWN_SIZE), None)
        at = "" if sized is None else f"{_accuracy_and_time(own[OWN_SIZE])} at {sized['chosen']['image_size']} px"
        lines.append([f"{name}, {found['settings']['image_size']} px", *cells, gain, at])
    accuracy = {entry: [row[entry]["accuracy"] for row in rows.values()] for entry in compared}
    ranks = ranking(accuracy).mean_ranks
    lines.append(["mean", *(percent(float(np.mean(accuracy[entry]))) for entry in compared), "", ""])
    lines.append(["mean rank", *(f"{ranks[entry]:.1f}" for entry in compared), "", ""])
    header = ["data set", *(f"`{entry}`" for entry in compared), "difference to the best other", f"`{OWN_SIZE}`"]
    yield from lines_of(header, lines)


def merged(content: dict[str, Any]) -> dict[str, Any]:
    """Return the files of several data sets as one that ``draw_alternatives`` takes."""
    one = next(iter(content.values()))
    settings = [found["settings"] for found in content.values()]
    return {
        "machine": one["machine"],
        "settings": {
            "titles": {key: title for each in settings for key, title in each["titles"].items()},
            "data_sets": {name: part for each in settings for name, part in each["data_sets"].items()},
        },
        "data_sets": {name: rows for found in content.values() for name, rows in found["data_sets"].items()},
    }


def _accuracy_and_time(row: dict[str, Any]) -> str:
    return f"{percent(row['accuracy'])}; {row['cpu_s']:.0f} s"


PARTS = {
    "trainer": ("throughput.json", trainer_part),
    "cache": ("throughput.json", cache_part),
    "scale": ("scale.json", scale_part),
    "search": ("search.json", search_part),
    "search values": ("search_values.json", search_part),
    "paper": ("search_paper.json", search_part),
    "paper lite0": ("search_paper_lite0.json", search_part),
    "reference": ("search_reference.json", search_part),
    "longer": ("search_longer.json", longer_part),
    "start": ("start.json", start_part),
    "rungs": ("rungs.json", rungs_part),
    "on the way": ("rungs.json", on_the_way_part),
    "planned epochs": ("planned_epochs.json", planned_part),
    "kernels": ("kernels.json", kernels_part),
    "refine": ("refine_speed.json", refine_part),
    "heuristics": ("heuristics.json", heuristics_part),
    "alternatives": ("alternatives", alternatives_part),
    "values": ("values", values_part),
}


def filled(page: str) -> str:
    """Return the page with every table made again from the files."""
    for name, (file, part) in PARTS.items():
        page = with_table(page, name, "benchmarks/performance.py", part(results(file)))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if arguments.check:
        sys.exit(0 if after == before else "docs/performance.md is not made from docs/results; run this script.")
    PAGE.write_text(after, encoding="utf-8")
    (RESULTS / "search.png").write_bytes(to_png(draw_search(results("search.json"))))
    (RESULTS / "alternatives.png").write_bytes(to_png(draw_alternatives(merged(results("alternatives")))))


if __name__ == "__main__":
    main()
