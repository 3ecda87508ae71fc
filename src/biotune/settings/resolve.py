"""Builds a checked configuration from a preset, a file and given values; decides which changes make another run."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from biotune.errors import InputError
from biotune.records import GIVEN, GIVEN_ONCE
from biotune.search import Evolution
from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.presets import PRESETS
from biotune.settings.reading import merged
from biotune.user_files import parse_toml, read_text
from biotune.wording import shorten

Changes = Mapping[str, Mapping[str, Any]]
"""Section -> field -> value."""

OPTIONS = {row.keyword: row for row in SETTINGS.values() if row.keyword}
"""Every setting that has an option, by its keyword."""


def resolve(preset: str, changes: Changes, seed: int = 0, names: Mapping[str, str] | None = None) -> RunConfig:
    """Return the configuration of a preset with changes on top.

    Args:
        preset: name in ``PRESETS``.
        changes: values that replace those of the preset.
        seed: root seed of the run.
        names: key of a setting -> the option that set it, for messages.

    Returns:
        The checked configuration.

    Raises:
        InputError: unknown preset, section or field, or values out of range; the message lists all problems.
    """
    if preset not in PRESETS:
        raise InputError(f"the preset '{preset}' is unknown; choose one of {', '.join(PRESETS)}.")
    return _validated({"preset": preset, "seed": seed, **merged(PRESETS[preset], changes)}, names or {})


def changes_of(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings that options change; ``--batch-size``, for example, also turns ``limit_batch`` off.

    Args:
        options: keyword -> value, or text that the option reads; the preset and the seed are ignored, since they are
            outside any section.

    Returns:
        Section -> field -> value.

    Raises:
        InputError: an unknown keyword, or a text that cannot be read.
    """
    changes: dict[str, dict[str, Any]] = {}
    for keyword, value in options.items():
        row = OPTIONS.get(keyword)
        if row is None or row.setting.option is None:
            raise InputError(_unknown(keyword, OPTIONS))
        if row.section:
            option = row.setting.option
            read = option.read(value) if option.read is not None and isinstance(value, str) else value
            changes = merged(changes, {row.section: {row.field: read, **option.sets}})
    return changes


def configured(
    options: Mapping[str, Any], changes: Changes, file: Path | None = None, names: Mapping[str, str] | None = None
) -> RunConfig:
    """Return the configuration of options: they win over a file, which wins over the preset.

    Args:
        options: keyword -> value, the preset and the seed among them.
        changes: win over everything.
        file: a ``config.toml`` to start from.
        names: key of a setting -> the option that set it, for messages.

    Returns:
        The checked configuration.

    Raises:
        InputError: both a file and a preset, or values that are refused; all of them in one message.
    """
    layers: list[Changes] = [changes_of(options), changes]
    preset, seed = options.get("preset"), options.get("seed")
    if file is not None:
        if preset is not None:
            raise InputError("give either --config or --preset: a config.toml holds every setting of its preset.")
        base = load_config(file)[0].model_dump()
        preset, seed = base.pop("preset"), base.pop("seed") if seed is None else seed
        layers.insert(0, {name: fields for name, fields in base.items() if isinstance(fields, dict)})
    return resolve(preset or "standard", merged(*layers), seed or 0, names)


def load_config(path: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Read ``config.toml``: the configuration, and the facts that it was resolved with.

    Raises InputError: the file is not a readable configuration.
    """
    data, facts = _read(path)
    if not facts:  # a user's own file, which says what is other than in its preset
        data = merged(PRESETS.get(str(data.get("preset", "standard")), {}), data)
    try:
        return _validated(_as_now(data, is_run=bool(facts)), {}), facts
    except InputError as error:
        raise InputError(f"'{path}' cannot be used: {error}") from None


def stated(path: Path) -> dict[str, Any]:
    """Return what a ``config.toml`` says itself, without the preset and the defaults that complete it.

    Raises InputError: the file is not a readable configuration.
    """
    load_config(path)
    data, facts = _read(path)
    return _as_now(data, is_run=bool(facts))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of a ``config.toml``, and the facts that it was resolved with, none of a user's own file."""
    data = parse_toml(read_text(path, "the settings"), f"'{path}'")
    facts = data.pop("resolved", {})
    if not isinstance(facts, dict):
        raise InputError(f"'{path}' cannot be used: 'resolved' is not a table; restore a copy.")
    return data, facts


def differences(first: RunConfig, second: RunConfig) -> list[str]:
    """Return, in words, the settings that differ although a continued run must not change them."""
    one, two = first.model_dump(mode="json"), second.model_dump(mode="json")
    rows = [row for row in SETTINGS.values() if not row.may_change]
    values = [(row.key, _stored(one, row.key), _stored(two, row.key)) for row in rows]
    return [f"{key} (was {was!r}, now {now!r})" for key, was, now in values if was != now]


def result_hash(config: RunConfig, facts: dict[str, Any]) -> str:
    """Return the hash of everything, besides a task, that the result of a training depends on.

    Args:
        config: configuration of the run. Its sections model, data, training and compute count, without settings that
            may change and without later ones at their default.
        facts: versions, fingerprints of data and partition, hash of the weights; JSON-able.

    Returns:
        24 hexadecimal digits of a SHA-256.
    """
    sections = config.model_dump(mode="json", include={"model", "data", "training", "compute"})
    for row in SETTINGS.values():
        absent = row.may_change or (row.setting.later and row.value(config) == row.default)
        if absent and row.section in sections:
            del sections[row.section][row.field]
    text = json.dumps([sections, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _stored(dumped: Mapping[str, Any], key: str) -> Any:
    section, _, field = key.rpartition(".")
    return dumped[section][field] if section else dumped[field]


def _as_now(data: dict[str, Any], is_run: bool) -> dict[str, Any]:
    """Convert the content of a ``config.toml`` of any version, that of a run or a user's own, to the present format."""
    if not all(isinstance(data.get(name, {}), Mapping) for name in ("search", "method")):
        return data  # refused as no tables
    search = dict(data.get("search", {}))
    if is_run:  # runs of version 0.1 chose no values
        search.setdefault("values", [])
    own = {name: search.pop(name) for name in Evolution.Options.model_fields if name in search}
    if own:  # until version 0.1, they were among the other settings of the search
        search["options"] = {"evolution": own}
    method = dict(data.get("method", {}))
    if method.get("name") == GIVEN_ONCE:
        method["name"] = GIVEN
    return {**data, "search": search, "method": method}


def _validated(data: Mapping[str, Any], names: Mapping[str, str]) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        problems = [_problem(item, names) for item in error.errors()]
        raise InputError(" ".join(problems)) from None


def _problem(item: Any, names: Mapping[str, str]) -> str:
    if item["type"] == "value_error":  # an InputError of ours, with a complete message
        return str(item["ctx"]["error"])
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        inside = len(item["loc"]) > 1
        return _unknown(where, [row.field for row in SETTINGS.values()] if inside else RunConfig.model_fields)
    option = names.get(".".join(str(part) for part in item["loc"][:2]))
    name = f"The option {option}" if option else f"The setting '{where}'"
    return f"{name} cannot be {shorten(repr(item['input']), 100)}: {str(item['msg']).lower()}."


def _unknown(where: str, known: Iterable[str]) -> str:
    """Return the refusal of an unknown section, field or keyword, with the nearest name."""
    unknown = where.rpartition(".")[2]
    homes = [row.key for row in SETTINGS.values() if unknown in (row.field, row.key.replace(".", "_"))]
    near = homes or difflib.get_close_matches(unknown, list(known), 1)
    return f"The setting '{where}' is unknown" + (f"; did you mean '{near[0]}'?" if near else ".")
