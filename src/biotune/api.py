"""The Python interface: a function for each command that works on data."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from biotune.classifier import Prediction, load_run
from biotune.comparison import UNLIMITED, ComparePlan, entries_of
from biotune.comparison import compare as run_comparison
from biotune.datasets.image_set import IMAGE, TEXT
from biotune.datasets.in_memory import describe, open_data
from biotune.errors import InputError
from biotune.finished import CompareResult, TuneResult
from biotune.inspection.conclusions import conclude
from biotune.inspection.findings import Findings
from biotune.inspection.inspection import inspect
from biotune.methods.choice import options_of_method, options_of_recipe, trained_by
from biotune.models import Backbone, as_backbone, takes_texts
from biotune.notebook import shown
from biotune.runner import run
from biotune.runner.refine import refine as refine_weights
from biotune.runs.events import Observer, Progress
from biotune.runs.folder import CONFIG, is_begun
from biotune.scored import ScoredRun, evaluate_run
from biotune.settings.config import RunConfig
from biotune.settings.reading import merged
from biotune.settings.refining import refine_config
from biotune.settings.resolve import OPTIONS, Changes, changes_of, load_config, resolve
from biotune.user_files import user_path

DEFAULTS = RunConfig()


def tune(
    data: object,
    /,
    *,
    out: str | Path,
    model: str | Mapping[str, Any] | nn.Module | Backbone = DEFAULTS.model.name,
    preset: str = DEFAULTS.preset,
    seed: int = DEFAULTS.seed,
    observer: Observer | None = None,
    **settings: Any,
) -> TuneResult:
    """Find a recipe, train it, test it and write a run folder; the same call again continues an unfinished run.

    Args:
        data: a path or name as on the command line; or a ``torch.utils.data.Dataset`` of (image, label) pairs, a pair
            ``(images, labels)``, a ``datasets.Dataset``, or a dictionary with the keys ``train``, ``val`` and ``test``
            of these; see docs/data.md. An item must be the same image each time it is asked for. For a network of
            texts, texts (``str``) stand in the place of images; see docs/texts.md.
        out: the run folder.
        model: name of a network, the model section (``{"name": "resnet50", "image_size": 96}``), or a module of one's
            own, alone or in a ``Backbone`` that says more of it.
        preset: ``quick``, ``standard``, ``reference`` or ``paper``.
        seed: root seed.
        observer: receives progress and messages; None shows them on standard error, or below the cell of a notebook,
            and turns warnings into Python's (``BioTuneWarning``); ``biotune.silent`` drops all of it.
        **settings: the options of ``biotune tune`` by name, ``epochs=10``, ``image_size=64``, ``search="pso"``; and any
            settings by section, as in ``config.toml``: ``training={"cosine_epochs": 100}``. Options win over sections.
            docs/settings.md lists all.

    Returns:
        The finished run.

    Raises:
        InputError: bad input; the message says what to do.
    """
    return _run("biotune.tune(...)", data, out, model, preset, seed, observer, settings)


def train(
    data: object,
    /,
    *,
    out: str | Path,
    method: str | None = None,
    recipe: str | Path | None = None,
    model: str | Mapping[str, Any] | nn.Module | Backbone | None = None,
    preset: str = DEFAULTS.preset,
    seed: int = DEFAULTS.seed,
    observer: Observer | None = None,
    **settings: Any,
) -> TuneResult:
    """Train by one fine-tuning method, or by a recipe, without a search; the same call again continues.

    Args:
        data: as for ``tune``.
        out: the run folder.
        method: ``"full"``, ``"l2_sp:alpha=0.1"``, ...; docs/methods.md describes all.
        recipe: in the place of a method: a ``recipe.yaml``, or a run folder that holds one. Its network, base rate and
            optimiser are taken, unless they are given.
        model: as for ``tune``; None for that of the recipe, or the default one.
        preset: as for ``tune``.
        seed: root seed.
        observer: as for ``tune``.
        **settings: the options of ``biotune train`` by name, and settings by section.

    Returns:
        The finished run.

    Raises:
        InputError: bad input; the message says what to do.
    """
    path = None if recipe is None else user_path(recipe, "path of the recipe")
    options = {} if path is None else options_of_recipe(path)
    network = options.pop("model", DEFAULTS.model.name)
    given = {**options, **settings}
    given["final"] = {**options_of_method(method), **given.get("final", {})}
    for section, fields in trained_by(method, path).items():
        given[section] = {**given.get(section, {}), **fields}
    return _run("biotune.train(...)", data, out, network if model is None else model, preset, seed, observer, given)


def compare(  # noqa: PLR0913 - the options of the command
    data: object,
    /,
    *,
    out: str | Path,
    methods: str | Iterable[str] | None = None,
    ablation: str | None = None,
    tuned: bool = True,
    model: str | Mapping[str, Any] = DEFAULTS.model.name,
    preset: str = DEFAULTS.preset,
    seed: int = DEFAULTS.seed,
    observer: Observer | None = None,
    **settings: Any,
) -> CompareResult:
    """Compare methods on the same data, splits, seeds, schedule and budget; the same call again continues.

    Args:
        data: one data set, as for ``tune``, or a list of paths and names.
        out: the folder of the comparison.
        methods: methods, searches, ``biotune`` or ``all``: a list, or one text with commas as on the command line; None
            for all.
        ablation: in the place of methods, variants of BioTune: ``"operators"``, ``"law"``, ``"values"``, ``"data"`` or
            ``"budget"``. Without ``max_work``, the searches then run to their own end.
        tuned: whether each method also gets a sweep, with as much work as the search; variants of BioTune never do.
        model: name of a network, or the model section.
        preset: as for ``tune``.
        seed: root seed.
        observer: as for ``tune``.
        **settings: the options of ``biotune compare`` by name, and settings by section.

    Returns:
        The finished comparison.

    Raises:
        InputError: bad input; the message says what to do.
    """
    folder = user_path(out, "path of the folder of the comparison (out)")
    if isinstance(model, nn.Module | Backbone):
        raise InputError("a comparison takes a network by its name; biotune.train takes a module of your own.")
    several = isinstance(data, list) and all(isinstance(source, str | Path) for source in data)
    given = list(data) if several else [data]  # type: ignore[call-overload]  # a list is iterable
    final = {"final": {"baselines": (), **settings.pop("final", {})}}
    unlimited = {} if ablation is None else UNLIMITED
    config = _configured(given[0], model, preset, seed, {**settings, **final}, unlimited)
    text = methods if isinstance(methods, str) or methods is None else ",".join(methods)
    entries = entries_of(text, ablation, config.search.rungs)
    sources = tuple(map(describe, given))
    with shown(observer) as events:
        held = {
            source: open_data(one, _reading(events))
            for source, one in zip(sources, given, strict=True)
            if not isinstance(one, str | Path)
        }
        plan = ComparePlan(config, sources, entries, tuned and ablation is None, held)
        comparison = run_comparison(plan, folder, "biotune.compare(...)", events)
    return CompareResult(folder, comparison)


def check(data: object, /, *, observer: Observer | None = None) -> Findings:
    """Read every image once: counts, sizes, copies, leaks between splits, files that cannot be read.

    Args:
        data: as for ``tune``.
        observer: as for ``tune``.

    Returns:
        What was found; ``conclusion`` and ``warnings`` say it in sentences.

    Raises:
        InputError: no such data, or texts.
    """
    with shown(observer) as events:
        images = open_data(data, _reading(events))
        return conclude(inspect(images, _reading(events, "reading images")))


def predict(
    run: str | Path,
    images: Any,
    /,
    *,
    vote: bool | None = None,
    model: nn.Module | Backbone | None = None,
) -> list[Prediction]:
    """Return what the network of a run answers on images; ``load_run`` keeps it in memory for further ones.

    Args:
        run: the run folder.
        images: a path, of a folder too, pixels, an image of Pillow, or several of these, as for
            ``Classifier.predictions``; of a network of texts, texts.
        vote: as for ``load_run``.
        model: for the run of a module of one's own, that module.

    Returns:
        One answer per image.

    Raises:
        InputError: no run, or an image that cannot be read.
    """
    return load_run(user_path(run), model, vote).predict(images)


def evaluate(
    run: str | Path,
    data: object,
    /,
    *,
    split: str = "",
    vote: bool | None = None,
    model: nn.Module | Backbone | None = None,
) -> ScoredRun:
    """Score the network of a run on labelled images or texts; classes are matched by name.

    Args:
        run: the run folder.
        data: as for ``tune``.
        split: ``train``, ``validation``, ``test`` or ``all``; empty for the test images if data has such a part, else
            all.
        vote: as for ``load_run``.
        model: for the run of a module of one's own, that module.

    Returns:
        The scores in ``results``; ``mistakes(20)`` lists the surest wrong answers, ``write(folder)`` writes every one.

    Raises:
        InputError: no run, or data that it does not know.
    """
    folder = user_path(run)
    source = data if isinstance(data, str | Path) else open_data(data, kind=_kind_of_run(folder))
    return evaluate_run(folder, source, split=split, vote=vote, model=model)


def refine(
    network: str | Path,
    data: object = None,
    /,
    *,
    out: str | Path,
    seeds: int = DEFAULTS.refine.seeds,
    observer: Observer | None = None,
    **settings: Any,
) -> TuneResult:
    """Refine the weights of a trained network by a search, as ``biotune refine`` does; the same call again continues.

    Args:
        network: a run folder; or the name of a network, with ``weights`` and data.
        data: other images than those of the run, as for ``tune``. A run whose images a program held needs them again.
        out: the folder of the result, a run folder too.
        seeds: repetitions of the search, each with a seed of its own.
        observer: receives progress and messages; None shows them on standard error, or below the cell of a notebook,
            and turns warnings into Python's (``BioTuneWarning``); ``biotune.silent`` drops all of it.
        **settings: the options of ``biotune refine`` by name, ``heuristic="de"``, ``bound=0.01``, ``layer="fc"``; and
            settings by section, as in ``config.toml``: ``refine={"folds": 3}``. Options win over sections.

    Returns:
        The finished refinement; ``summary.refinement`` says what it found, docs/refine.md what that is worth.

    Raises:
        InputError: bad input; the message says what to do.
    """
    folder, given = user_path(out, "path of the run folder (out)"), str(network)
    run_folder = user_path(given) if is_begun(user_path(given)) else None
    sections = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    options = {name: value for name, value in settings.items() if name not in sections}
    kind = IMAGE if run_folder is None else _kind_of_run(run_folder)
    config = refine_config(
        given,
        None if run_folder is None else run_folder / CONFIG,
        "" if data is None else describe(data, kind),
        options,
        merged(sections, {"refine": {"seeds": seeds}}),
    )
    with shown(observer) as events:
        images = None if data is None or isinstance(data, str | Path) else open_data(data, _reading(events), kind)
        summary = refine_weights(config, run_folder, folder, "biotune.refine(...)", events, None, images)
    return TuneResult(folder, summary)


def _run(
    call: str,
    data: object,
    out: str | Path,
    model: Any,
    preset: str,
    seed: int,
    observer: Observer | None,
    settings: Mapping[str, Any],
) -> TuneResult:
    """Do the run of ``tune`` or ``train``; ``call`` is what its results name as the command."""
    folder = user_path(out, "path of the run folder (out)")
    backbone = as_backbone(model) if isinstance(model, nn.Module | Backbone) else None
    if backbone is not None and (own := {"image_size", "granularity"} & set(settings)):
        raise InputError(f"a module of your own takes {min(own)} from Backbone(...); give it there.")
    config = _configured(data, backbone or model, preset, seed, settings)
    with shown(observer) as events:
        kind = _kind_of(config)
        images = None if isinstance(data, str | Path) else open_data(data, _reading(events), kind)
        summary = run(config, folder, call, events, image_set=images, backbone=backbone)
    return TuneResult(folder, summary, backbone)


def _configured(
    data: object,
    model: Any,
    preset: str,
    seed: int,
    settings: Mapping[str, Any],
    before: Changes = MappingProxyType({}),
) -> RunConfig:
    """Return the configuration of a call; ``settings``, by option and by section, win over ``before``."""
    sections = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    options = {name: value for name, value in settings.items() if name not in sections}
    chosen = {"model": _model_section(model)}
    kind = TEXT if takes_texts(str(chosen["model"].get("name", ""))) else IMAGE
    changes = merged(before, sections, chosen, changes_of(options), {"data": {"source": describe(data, kind)}})
    return resolve(preset, changes, seed, {OPTIONS[name].key: name for name in options})


def _kind_of(config: RunConfig) -> str:
    return TEXT if takes_texts(config.model.name) else IMAGE


def _kind_of_run(folder: Path) -> str:
    """Return what the network of a run takes; what has no run is refused by whoever opens it."""
    return _kind_of(load_config(folder / CONFIG)[0]) if is_begun(folder) else IMAGE


def _reading(observer: Observer, phase: str = "reading the data set") -> Callable[[int, int], None]:
    """Return what reports how much of a data set was read."""
    return lambda done, total: observer(Progress(phase, done, total))


def _model_section(model: Any) -> dict[str, Any]:
    if isinstance(model, Backbone):
        size = model.preprocessing.image_size
        return {"name": model.name, "image_size": size, "granularity": model.granularity}
    return {"name": model} if isinstance(model, str) else dict(model)
