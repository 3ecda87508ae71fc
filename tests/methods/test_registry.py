"""Methods as text: names, options, ranges, one spelling."""

import re
from pathlib import Path

import pytest

from biotune.errors import InputError
from biotune.methods import METHODS, canonical, configured, parse_method
from biotune.options import described
from biotune.settings.resolve import resolve


@pytest.mark.parametrize("name", METHODS)
def test_a_bare_name_is_its_own_spelling(name):
    assert canonical(name) == name
    assert parse_method(name) == (name, METHODS[name].Options())


@pytest.mark.parametrize("name", METHODS)
def test_every_option_is_described_and_its_default_is_allowed(name):
    rows = list(described(METHODS[name].Options))
    assert (rows[0][0] == "rate") is not METHODS[name].is_solved
    assert all(allowed and meaning for _, _, allowed, meaning in rows)
    defaults = ",".join(f"{option}={default}" for option, default, _, _ in rows)
    assert canonical(f"{name}:{defaults}") == name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_where_it_is_from_and_how_it_departs(name):
    text = METHODS[name].__doc__
    assert "Source: " in text
    assert "Departure" in text
    assert len(text.splitlines()[0]) < 110


PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METHODS)
def test_the_documents_describe_every_method_with_its_options_and_defaults(name):
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", section, re.MULTILINE))
    expected = {option: default for option, default, _, _ in described(METHODS[name].Options) if option != "rate"}
    assert {option: default.strip("`") for option, default in documented.items()} == {
        option: f"{float(default):g}" if default[0].isdigit() else default for option, default in expected.items()
    }
    assert f"| [`{name}`](#{name}) |" in PAGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full:", "full"),
        ("full:rate=1.0", "full"),
        ("llrd: smallest=0.10 , decay = 5e-1", "llrd:decay=0.5,smallest=0.1"),
        ("llrd:rate=0.30000000000000004", "llrd:rate=0.30000000000000004"),
    ],
)
def test_one_method_has_one_spelling(text, expected):
    assert canonical(text) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("fulll", r"the method 'fulll' is unknown \(did you mean 'full'\?\); choose one of full, linear_probe, "),
        ("", "the method '' is unknown; choose one of full"),
        ("full:rate", "'rate' in the method 'full:rate' cannot be read; write full:option=value,option=value."),
        ("full:rate=1,rate=2", "'rate=2' in the method 'full:rate=1,rate=2' cannot be read"),
        ("full:rate=0", "the option 'rate' of the method 'full' cannot be '0'; give a number above 0 to 1000."),
        ("full:rate=nan", "the option 'rate' of the method 'full' cannot be 'nan'; give a number above 0 to 1000."),
        ("full:rate=inf", "the option 'rate' of the method 'full' cannot be 'inf'"),
        ("full:rate=fast", "the option 'rate' of the method 'full' cannot be 'fast'"),
        ("llrd:decey=1", r"the method 'llrd' has no option 'decey' \(did you mean 'decay'\?\); it takes rate, decay, "),
        ("probe:rate=1", "the method 'probe' has no option 'rate'; it takes c."),
        ("llrd:x=1", "the method 'llrd' has no option 'x'; it takes rate, decay, smallest."),
        ("llrd:decay=1.5", "the option 'decay' of the method 'llrd' cannot be '1.5'; give a number above 0 to 1."),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(text, refused):
    with pytest.raises(InputError, match=refused) as raised:
        parse_method(text)
    assert "\n" not in str(raised.value)


def test_options_of_a_preset_hold_where_the_text_gives_none():
    defaults = {"lora": {"form": "loralib", "r": 4, "alpha": 4.0}}
    assert configured("lora", defaults) == canonical("lora:form=loralib,r=4,alpha=4")
    assert configured("lora:r=8", defaults) == canonical("lora:form=loralib,alpha=4")
    assert configured("full", defaults) == "full"
    with pytest.raises(InputError, match="no option 'rank'"):
        configured("full", {"lora": {"rank": 4}})


def test_the_papers_lora_is_that_of_loralib_with_rank_four():
    """Of a public LoRA for ResNet-50, which the specification names."""
    assert resolve("paper", {}).method.options == {"lora": {"form": "loralib", "r": 4, "alpha": 4.0}}
    assert resolve("reference", {}).method.options == {}
