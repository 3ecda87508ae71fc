"""The table of settings: what is derived from the sections, and that it is whole."""

import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from biotune.metrics import METRICS
from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.presets import PRESETS
from biotune.settings.reading import merged
from biotune.settings.resolve import OPTIONS, changes_of, resolve
from biotune.settings.setting import OneOf, Option, Setting
from biotune.settings.table import rows_of
from biotune.settings.words import default_of
from docs.reference import allowed, settings_page

DOCS = Path(__file__).parent.parent.parent / "docs"


class Inner(BaseModel):
    """A section of two settings."""

    count: Annotated[int, Field(ge=1, le=9), Setting("How many", Option("Panel", name="how_many"))] = 3
    kind: Annotated[Literal["a", "b"], Setting("Which kind")] = "a"


class Outer(BaseModel):
    """A whole of one setting and a section."""

    colour: Annotated[str, OneOf(("red", "blue")), Setting("Which colour", is_limit=True)] = "red"
    inner: Inner = Inner()


def test_rows_are_read_from_the_fields():
    colour, count, kind = rows_of(Outer)
    assert (colour.key, colour.section, colour.field, colour.choices) == ("colour", "", "colour", ("red", "blue"))
    assert (count.key, count.section, count.field, count.default) == ("inner.count", "inner", "count", 3)
    assert (count.keyword, count.spelling, kind.keyword) == ("how_many", "--how-many", "")
    assert (colour.may_change, count.may_change, kind.choices) == (True, False, ("a", "b"))
    assert count.has_option("tune")
    assert not count.has_option("check")
    assert [row.value(Outer(inner=Inner(count=5))) for row in (colour, count)] == ["red", 5]


def test_a_field_that_says_nothing_is_a_fault_of_ours():
    class Silent(BaseModel):
        number: int = 3

    with pytest.raises(TypeError, match="the setting 'number' needs one Setting"):
        list(rows_of(Silent))


def test_a_name_of_a_registry_is_refused_like_a_literal():
    with pytest.raises(ValidationError, match="Input should be 'red' or 'blue'"):
        Outer(colour="green")


def test_every_keyword_names_one_setting():
    keywords = [row.keyword for row in SETTINGS.values() if row.keyword]
    assert len(keywords) == len(set(keywords)) == len(OPTIONS)


@pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda row: row.key)
def test_a_setting_is_explained_in_a_phrase(row):
    assert row.setting.help
    assert not row.setting.help.endswith(".")
    assert row.value(RunConfig()) == row.default


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_changes_only_what_there_is(preset):
    assert {f"{section}.{name}" for section, fields in PRESETS[preset].items() for name in fields} <= set(SETTINGS)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_chosen(metric):
    assert resolve("standard", {"training": {"metric": metric}}).training.metric == metric


def test_an_option_may_change_a_second_setting():
    assert changes_of({"batch_size": 7, "data_root": "there", "seed": 3}) == {
        "training": {"batch_size": 7, "limit_batch": False},
        "data": {"root": "there"},
    }


def test_later_layers_win_setting_by_setting():
    layers = {"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": {"z": 4}}
    assert merged(*layers) == {"a": {"x": 1, "y": 3}, "b": {"z": 4}}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("training.epochs", "20; quick: 12; reference, paper: 30"),
        ("training.batch_size", "32, at most a sixteenth of the images; paper: 96"),
        ("search.given_seeds", "none; paper: 684, 559, 629"),
        ("search.start_from", ""),
        ("final.baselines", "all"),
        ("cache.verify", "false"),
    ],
)
def test_defaults_in_words(key, words):
    assert default_of(SETTINGS[key]) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 4096}, "whole number from 0 to 4096"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0 below 1"),
        ({"type": "array", "items": {"type": "string"}}, "list, each text"),
        ({"anyOf": [{"enum": ["a", "b", "c"]}, {"type": "boolean"}]}, "`a`, `b` or `c` or true or false"),
    ],
)
def test_allowed_values_in_words(schema, words):
    assert allowed(schema) == words


def test_the_reference_page_is_made_from_the_settings():
    told = "the settings changed: python -m docs.reference"
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), told


def test_the_page_on_continuing_names_every_option_that_may_change():
    section = (DOCS / "resume.md").read_text(encoding="utf-8").split("## What may change\n")[1].split("\n## ")[0]
    changing = {row.spelling for row in SETTINGS.values() if row.may_change and row.keyword}
    assert set(re.findall(r"`(--[a-z-]+)`", section)) == changing | {"--json"}
