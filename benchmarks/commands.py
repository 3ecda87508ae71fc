"""The commands ``throughput``, ``scale``, ``search``, ``alternatives``, ``refine_study`` and ``paper``."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import command_line, err, out, print_json, resumable
from biotune.errors import InputError
from biotune.progress import Display

app = typer.Typer(
    help="Measure speed, memory, scaling and searches; each benchmark writes a JSON file.",
    epilog="[bold]python -m benchmarks biotune ...[/bold] is the command line of BioTune with the data sets that only "
    "benchmarks use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SEARCH_OPTIONS = (
    *("model", "preset", "weights", "trust_checkpoint", "image_size", "resize", "data_root", "validation_fraction"),
    *("test_fraction", "split_seed", "train_images", "validation_images", "test_images", "epochs", "batch_size"),
    *("learning_rate", "population", "generations", "max_work", "seeds", "device", "threads"),
)

_ALTERNATIVES_OPTIONS = (
    *("model", "weights", "image_size", "resize", "data_root", "validation_fraction", "test_fraction", "split_seed"),
    *("train_images", "validation_images", "test_images", "threads"),
)

ResultFile = Annotated[Path, typer.Option("--out", "-o", help="JSON file of the result.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer and smaller measurements: rougher, in about a minute.")]


@app.command(
    epilog="[bold]Examples[/bold]\n\npython -m benchmarks throughput --quick\n\n"
    "python -m benchmarks throughput --models resnet18,timm:test_resnet --image-sizes 64,96 --threads 2\n\n"
    "python -m benchmarks throughput --threads 1 --json"
)
@opt.with_settings(("batch_size", "device", "threads"))
def throughput(
    given: opt.Given,
    models: Annotated[
        str | None, typer.Option(help=r"Networks, separated by commas \[default: three small ones].")
    ] = None,
    image_sizes: Annotated[
        str | None, typer.Option(help=r"Sides in pixels, separated by commas \[default: 64].")
    ] = None,
    images: Annotated[int | None, typer.Option(help=r"Training images \[default: 128].")] = None,
    repeats: Annotated[int | None, typer.Option(help=r"Rounds \[default: 5].")] = None,
    precision: Annotated[str | None, typer.Option(help=r"float32 or bfloat16 \[default: float32].")] = None,
    quick: Quick = False,
    out_file: ResultFile = Path("runs/bench/throughput.json"),
    json: opt.Json = False,
) -> None:
    """Compare the trainer with a plain PyTorch loop, and the speed-up by recorded activations with its bound."""
    from benchmarks.tables import throughput_tables
    from benchmarks.throughput.measure import QUICK, ThroughputPlan, measure_throughput

    own = {
        "models": None if models is None else tuple(_listed(models)),
        "image_sizes": None if image_sizes is None else _numbers(image_sizes, "--image-sizes"),
        "images": images,
        "repeats": repeats,
        "precision": precision,
    }
    chosen = {name: value for name, value in own.items() if value is not None}
    plan = ThroughputPlan(**{**(QUICK if quick else {}), **chosen, **given.options})
    _measure(lambda: measure_throughput(plan, command_line(), _say), out_file, json, lambda f: [*throughput_tables(f)])


@app.command(
    epilog="[bold]Examples[/bold]\n\npython -m benchmarks scale --quick\n\n"
    "python -m benchmarks scale --images 1000,10000,100000 --threads 1 --out runs/bench/many.json"
)
@opt.with_settings(("threads",))
def scale(
    given: opt.Given,
    images: Annotated[
        str | None, typer.Option(help=r"Numbers of images, separated by commas \[default: 1000 to 64000].")
    ] = None,
    quick: Quick = False,
    out_file: ResultFile = Path("runs/bench/scale.json"),
    json: opt.Json = False,
) -> None:
    """Measure time and peak memory against the number of images, of blocks, and the population."""
    from dataclasses import replace

    from benchmarks.scale.measure import QUICK, ScalePlan, measure_scale
    from benchmarks.tables import scale_table

    plan = QUICK if quick else ScalePlan()
    if images is not None:
        counts = _numbers(images, "--images")
        plan = replace(plan, images=counts, on_demand=counts)
    plan = replace(plan, threads=given.options.get("threads", 0))
    _measure(lambda: measure_scale(plan, command_line(), _say), out_file, json, lambda found: [scale_table(found)])


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "python -m benchmarks search mnist5000 digits8 --repeats 10 --out runs/bench/search\n\n"
    "python -m benchmarks search photos/ --searches random,tpe,paper --repeats 5 --threads 1 --json"
)
@opt.with_settings(_SEARCH_OPTIONS)
def search(
    given: opt.Given,
    data: Annotated[list[str], typer.Argument(help="One or more data sets with test images.")],
    searches: Annotated[
        str,
        typer.Option(
            help="Searches to compare with at equal work, and the presets paper and reference, separated by commas."
        ),
    ] = "random,tpe,cmaes,dehb,greedy",
    repeats: Annotated[int, typer.Option(min=1, help="Root seeds: independent searches of each kind.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The first root seed.")] = 0,
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of all runs; the same command again continues.")
    ] = Path("runs/bench/search"),
    json: opt.Json = False,
) -> None:
    """Measure accuracy against cost of BioTune's search and others, over data sets and root seeds."""
    from benchmarks.search.measure import SearchPlan, measure_search, parse_searches

    others, presets = parse_searches(searches)
    source = {"data": {"source": opt.source(data[0])}}
    unlimited = {keyword: value for keyword, value in given.options.items() if keyword != "max_work"}
    plan = SearchPlan(
        opt.to_config(given, source),
        tuple(map(opt.source, data)),
        tuple(range(seed, seed + repeats)),
        others,
        {name: opt.to_config(opt.Given({**unlimited, "preset": name}), source) for name in presets},
    )
    with resumable() as stop, Display(err) as display:
        found = measure_search(plan, out_folder, command_line(), display, stop)
    _show(found, out_folder / "search.json", json, _search_tables)


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "python -m benchmarks alternatives tuxpaint_stamps --image-size 96 --repeats 3 --out runs/bench/alternatives\n\n"
    "python -m benchmarks alternatives photos/ --entries features,features@224,plain_loop,biotune-quick --json"
)
@opt.with_settings(_ALTERNATIVES_OPTIONS)
def alternatives(
    given: opt.Given,
    data: Annotated[list[str], typer.Argument(help="One or more data sets with test images.")],
    entries: Annotated[
        str | None,
        typer.Option(help=r"What to measure, separated by commas; NAME@SIDE at another image size \[default: all]."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Seeds: independent repetitions of every entry.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of all results; what it holds is not measured again.")
    ] = Path("runs/bench/alternatives"),
    json: opt.Json = False,
) -> None:
    """Measure BioTune beside what else a user would try: accuracy and processor seconds of whole processes."""
    from benchmarks.alternatives.entries import DEFAULT
    from benchmarks.alternatives.measure import RESULT, AlternativesPlan, measure_alternatives
    from benchmarks.alternatives.tables import alternatives_tables

    names = DEFAULT if entries is None else tuple(_listed(entries))
    config = opt.to_config(given, {"data": {"source": opt.source(data[0])}})
    plan = AlternativesPlan(config, tuple(map(opt.source, data)), tuple(range(seed, seed + repeats)), names)
    found = measure_alternatives(plan, out_folder, command_line(), _say)
    _show(found, out_folder / RESULT, json, lambda content: [*alternatives_tables(content)])


@app.command(
    "refine_study",
    epilog="[bold]Examples[/bold]\n\npython -m benchmarks refine_study --results docs/results/refine_study\n\n"
    "python -m benchmarks refine_study 'usps mlp' --seeds 2",
)
@opt.with_settings(("data_root",))
def refine_study(
    given: opt.Given,
    cases: Annotated[list[str] | None, typer.Argument(help=r"Data sets with networks \[default: all].")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each case, with other held-out examples each.")] = 10,
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of what is measured; the same command again continues.")
    ] = Path("runs/bench/refine_study"),
    results: Annotated[
        Path | None, typer.Option(help=r"Folder of the result files, one a case \[default: results/ in that folder].")
    ] = None,
) -> None:
    """Measure what refining weights by searches is worth, beside what else the same labels are worth."""
    from benchmarks.refine_study.measure import chosen, file_name, measure_study, write_result

    config = opt.to_config(given)
    found = measure_study(chosen(cases or []), range(seeds), out_folder, config.data.root, command_line(), _say)
    for name, content in found.items():
        path = (results or out_folder / "results") / f"{file_name(name)}.json"
        write_result(path, content)
        out.print(f"Result:  {path}", highlight=False, soft_wrap=True)


@app.command(
    epilog="[bold]Examples[/bold]\n\npython -m benchmarks paper --dry-run\n\n"
    "python -m benchmarks paper table1 --scale full --device cuda --workers 2 --out runs/paper\n\n"
    "python -m benchmarks paper table1 --only methods-paper-lite0-mnist5000 --results docs/results/paper\n\n"
    "python -m benchmarks paper table1 --data photos/ --data digits8 --out runs/paper-photos\n\n"
    "python -m benchmarks paper --tables-only --results docs/results/paper",
)
@opt.with_settings(("data_root", "device", "threads", "workers"))
def paper(
    given: opt.Given,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...", help=r"table1, table2, table3, fig2, networks, ablations \[default: all]."
        ),
    ] = None,
    scale: Annotated[
        str, typer.Option(help="full: the papers' data and networks; offline: a reduced one, from packages.")
    ] = "offline",
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help=r"A data set, name or path, in the place of the scale's; may be repeated."),
    ] = None,
    only: Annotated[str, typer.Option(help="Only comparisons with this in their names, such as mnist5000.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print trainings, time and downloads; do nothing.")
    ] = False,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Write the tables of what is finished; train nothing.")
    ] = False,
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of all comparisons; the same command again continues.")
    ] = Path("runs/paper"),
    results: Annotated[
        Path | None,
        typer.Option(help=r"Folder of result files, tables and figure \[default: results/ in that folder]."),
    ] = None,
) -> None:
    """Reproduce the papers' tables and figure: methods, trained shares, data a generation, networks, ablations."""
    from benchmarks.paper import measure, plan
    from benchmarks.paper.tables import dry_run_table
    from benchmarks.paper.write import write
    from biotune.settings.resolve import changes_of

    wanted = plan.tables_named(names or [])
    sources = tuple(map(opt.source, data or []))
    chosen = plan.scale_named(scale).on(sources)
    every = list(dict.fromkeys(cell for name in wanted for cell in plan.cells_of(name, chosen)))
    cells = plan.only(every, only)
    changes = changes_of(given.options)
    if dry_run:
        expected = [measure.expected(cell, chosen, changes) for cell in cells]
        out.print(dry_run_table(expected))
        return
    machine = "".join(f" --{name} {given.options[name]}" for name in ("device", "threads") if name in given.options)
    others = "".join(f" --data {quote(source)}" for source in sources)
    again = f"python -m benchmarks paper --scale {scale}{others}{machine} --only"
    place = results or out_folder / "results"
    if not tables_only:
        with resumable() as stop, Display(err) as display:
            measure.measure(cells, chosen, changes, out_folder, lambda cell: f"{again} {cell.name}", display, stop)
    found = measure.collect(every, out_folder, place)
    for path in write(wanted, found, place):
        out.print(f"Result:  {path}", highlight=False, soft_wrap=True)
    if lacking := len(every) - len(found):
        err.print(f"{lacking} of {len(every)} comparisons are not finished; the tables show the others.")


def _search_tables(found: dict[str, Any]) -> list[Any]:
    from benchmarks.tables import search_tables

    return list(search_tables(found))


def _measure(
    measure: Callable[[], dict[str, Any]], path: Path, as_json: bool, tables: Callable[[dict[str, Any]], list[Any]]
) -> None:
    """Measure, write the result, print it as JSON or as tables."""
    from benchmarks.result_file import require_writable, write_report

    require_writable(path)
    found = measure()
    write_report(path, found)
    _show(found, path, as_json, tables)


def _show(found: dict[str, Any], path: Path, as_json: bool, tables: Callable[[dict[str, Any]], list[Any]]) -> None:
    """Print a result as JSON or as tables."""
    from benchmarks.tables import machine_line

    if as_json:
        print_json(found)
        return
    for table in tables(found):
        out.print(table)
    out.print(machine_line(found), highlight=False)
    out.print(f"Result:  {path}", highlight=False, soft_wrap=True)


def _say(what: str) -> None:
    err.print(f"measuring {what}", highlight=False)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str, option: str) -> tuple[int, ...]:
    """Return whole numbers separated by commas."""
    parts = _listed(text)
    if not parts or not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"{option} cannot be '{text}'; give whole numbers above 0, separated by commas.")
    return tuple(map(int, parts))
