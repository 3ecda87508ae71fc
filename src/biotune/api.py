"""The Python interface: ``biotune.tune``, ``biotune.refine``, and what they return."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from biotune.datasets.image_set import IMAGE, TEXT
from biotune.datasets.in_memory import describe, open_data
from biotune.errors import InputError
from biotune.finished import TuneResult
from biotune.models import Backbone, as_backbone, takes_texts
from biotune.notebook import shown
from biotune.runner import run
from biotune.runner.refine import refine as refine_weights
from biotune.runs.events import Observer, Progress
from biotune.runs.folder import CONFIG, is_begun
from biotune.settings.config import RunConfig
from biotune.settings.reading import merged
from biotune.settings.refining import refine_config
from biotune.settings.resolve import OPTIONS, changes_of, load_config, resolve
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
    folder = user_path(out, "path of the run folder (out)")
    sections = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    options = {name: value for name, value in settings.items() if name not in sections}
    backbone = as_backbone(model) if isinstance(model, nn.Module | Backbone) else None
    if backbone is not None and (own := {"image_size", "granularity"} & set(options)):
        raise InputError(f"a module of your own takes {min(own)} from Backbone(...); give it there.")
    chosen = {"model": _model_section(backbone or model)}
    kind = TEXT if takes_texts(str(chosen["model"].get("name", ""))) else IMAGE
    changes = merged(sections, chosen, changes_of(options), {"data": {"source": describe(data, kind)}})
    config = resolve(preset, changes, seed, {OPTIONS[name].key: name for name in options})
    with shown(observer) as events:
        images = None if isinstance(data, str | Path) else open_data(data, _reading(events), kind)
        summary = run(config, folder, "biotune.tune(...)", events, image_set=images, backbone=backbone)
    return TuneResult(folder, summary, backbone)


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
    own = None if run_folder is None else run_folder / CONFIG
    kind = TEXT if own is not None and takes_texts(load_config(own)[0].model.name) else IMAGE
    config = refine_config(
        given,
        own,
        "" if data is None else describe(data, kind),
        options,
        merged(sections, {"refine": {"seeds": seeds}}),
    )
    with shown(observer) as events:
        images = None if data is None or isinstance(data, str | Path) else open_data(data, _reading(events), kind)
        summary = refine_weights(config, run_folder, folder, "biotune.refine(...)", events, None, images)
    return TuneResult(folder, summary)


def _reading(observer: Observer) -> Callable[[int, int], None]:
    """Return what reports how much of a data set was read."""
    return lambda done, total: observer(Progress("reading the data set", done, total))


def _model_section(model: Any) -> dict[str, Any]:
    if isinstance(model, Backbone):
        size = model.preprocessing.image_size
        return {"name": model.name, "image_size": size, "granularity": model.granularity}
    return {"name": model} if isinstance(model, str) else dict(model)
