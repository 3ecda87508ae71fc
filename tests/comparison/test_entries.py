"""What --methods and --ablation name."""

import pytest

from biotune.comparison import ABLATIONS, DEFAULT_METHODS, Entry, ablation, parse_entries
from biotune.comparison.grids import OWN, RATES, own_of, rates
from biotune.errors import InputError
from biotune.methods import METHODS, parse_method
from biotune.runner.baselines import rates_of
from biotune.runner.final import Choice
from biotune.settings.search import SearchConfig
from recipes import recipe


def test_biotune_comes_first_and_commas_inside_options_stay():
    found = parse_entries("full, l2_sp:alpha=0.1,beta=0.02 ,biotune,random")
    assert [(entry.key, entry.kind) for entry in found] == [
        ("biotune", "search"),
        ("full", "method"),
        ("l2_sp:alpha=0.1,beta=0.02", "method"),
        ("random", "search"),
    ]


def test_options_are_written_in_one_way():
    assert parse_entries("l2_sp:beta=0.02,alpha=0.10")[0].key == "l2_sp:alpha=0.1,beta=0.02"


def test_what_chooses_for_itself_is_not_tuned():
    entries = parse_entries("biotune,probe,probe:c=1,linear_probe,mask_one_rate,random")
    assert [entry.key for entry in entries if entry.is_tuned] == ["linear_probe", "mask_one_rate"]


def test_all_is_every_method_with_biotune_and_its_mask():
    assert [entry.key for entry in parse_entries("all")] == list(DEFAULT_METHODS)
    assert set(DEFAULT_METHODS) == {*METHODS} - {"given"} | {"biotune", "mask_one_rate"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "biotune,loar",
            r"'loar' is neither a method nor a search \(did you mean 'lora'\?\); choose from biotune, full",
        ),
        ("full,full", "'full' is named twice"),
        ("full,mask_one_rate", "add 'biotune' to --methods"),
        ("", "--methods is empty"),
        ("l2_sp:alfa=1", "no option 'alfa'"),
        ("given", "'given' is neither a method"),
        ("recipe", "'recipe' is neither a method"),
    ],
)
def test_what_cannot_be_compared_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_entries(text)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_variant_differs_from_biotune_and_is_valid(name):
    plain, *variants = ablation(name, (0.1, 0.25))
    assert plain == Entry("biotune", "search")
    for entry in variants:
        changed = SearchConfig().changed(**entry.search)
        assert changed != SearchConfig() or entry.folds > 1


def test_without_a_race_candidates_go_straight_to_the_last_rung():
    assert ablation("operators", (0.1, 0.25))[-1] == Entry("no race", "search", {"rungs": (0.25,)})


def test_rates_and_the_own_option_change_nothing_else():
    first = [rates().at(Choice("l2_sp:beta=0.02"), rate) for rate in RATES]
    assert [parse_method(choice.method)[1].rate for choice in first] == list(RATES)
    assert {parse_method(choice.method)[1].beta for choice in first} == {0.02}
    (own,) = own_of("l2_sp:beta=0.02")
    second = [own.at(Choice("l2_sp:rate=0.3,beta=0.02"), value) for value in own.values]
    assert [parse_method(choice.method)[1].alpha for choice in second] == list(OWN["l2_sp"][1])
    assert {parse_method(choice.method)[1].rate for choice in second} == {0.3}
    assert own_of("full") == []


@pytest.mark.parametrize("name", [*OWN])
def test_every_grid_is_of_options_that_the_method_takes_and_leaves_its_default_out(name):
    option, values = OWN[name]
    default = getattr(parse_method(name)[1], option)
    assert default not in values
    (axis,) = own_of(name)
    assert len({axis.at(Choice(name), value) for value in axis.values}) == len(values)


def test_a_mask_is_tried_at_every_rate():
    axis = rates_of(recipe(0.0, 1.0))
    tried = [axis.at(Choice("given"), rate) for rate in axis.values]
    assert [choice.recipe.multipliers for choice in tried] == [(0.0, rate) for rate in RATES]
