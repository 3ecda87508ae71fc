"""The configuration of a refinement: that of the run whose network is refined, with a file and options on top."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from biotune.errors import InputError
from biotune.settings.config import RunConfig
from biotune.settings.reading import merged
from biotune.settings.resolve import OPTIONS, Changes, changes_of, configured, load_config, resolve, stated
from biotune.settings.sections import DataConfig
from biotune.settings.table import Row


def refine_config(
    network: str,
    run: Path | None,
    source: str,
    options: Mapping[str, Any],
    sections: Changes,
    file: Path | None = None,
    spelling: Callable[[Row], str] = lambda row: row.keyword,
) -> RunConfig:
    """Return the configuration of a refinement.

    Args:
        network: the run folder or the name of a network, as it was given.
        run: ``config.toml`` of the run whose network is refined; None for a network with a file of weights.
        source: where the images come from; empty for those of the run.
        options: keyword -> value.
        sections: settings by section.
        file: a ``config.toml``: of a run it changes what it states itself, of a network it is where settings start.
        spelling: how an option is called in messages.

    Returns:
        The checked configuration.

    Raises:
        InputError: what the run decides was given, a network has no images, or values are refused.
    """
    for keyword in options:
        if keyword in OPTIONS and not OPTIONS[keyword].has_option("refine"):
            raise InputError(f"a refinement has no setting '{keyword}'; docs/refine.md says what it takes.")
    names = {OPTIONS[keyword].key: spelling(OPTIONS[keyword]) for keyword in options if keyword in OPTIONS}
    if run is None:
        if not source:
            raise InputError(f"'{network}' is not a run folder, and a network needs images: add DATA.")
        own = {"data": {"source": source}, "model": {"name": network}}
        return configured(options, merged(sections, changes_of(options), own), file, names)
    return _of_run(network, run, source, options, sections, file, names)


def _of_run(
    network: str,
    run: Path,
    source: str,
    options: Mapping[str, Any],
    sections: Changes,
    file: Path | None,
    names: Mapping[str, str],
) -> RunConfig:
    """Return the configuration of a run with changes on top; other images have settings of their own."""
    base = load_config(run)[0]
    given = {} if file is None else {name: value for name, value in stated(file).items() if name != "preset"}
    seed = options.get("seed", given.pop("seed", base.seed))
    changes = merged(given, sections, changes_of(options))
    other_images = bool(source) and source != base.data.source
    foreign = [key for key in names if key.startswith("model.") or (key.startswith("data.") and not other_images)]
    if foreign:
        raise InputError(f"the run '{network}' decides {names[foreign[0]]}; leave it out.")
    if other_images:
        changes["data"] = {**DataConfig().model_dump(), **changes.get("data", {}), "source": source}
    kept = {name: fields for name, fields in base.model_dump().items() if isinstance(fields, dict)}
    config = resolve(base.preset, merged(kept, changes), seed, names)
    if config.model != base.model:
        raise InputError(f"the run '{network}' decides the section 'model'; leave it out.")
    return config
