"""The model card says what is known, and shows every name as it is: no markup, no link, no metadata of its own."""

import copy
import functools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml
from markdown_it import MarkdownIt
from subjects import subject

import tiny
from biotune.exports.card import card, markdown
from biotune.exports.parity import Parity
from biotune.results import Summary

PARITY = Parity(40, "validation images of the data set", 2.5e-7, 40)
NAMES = (
    "猫と犬 🦊",
    "[link](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example a@evil.example",
    "| cell | cell |",
    "`code` *bold* _it_ __dunder__ ~~gone~~ # title",
    "<https://evil.example>",
    "&lt;b&gt; &copy; &#65;",
    "back\\slash \\",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "--><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    r"$\frac{$",
    "[bold red]markup[/]",
)
"""Names that a reader must see as they are."""

HOSTILE = (
    *NAMES,
    "---\nlibrary_name: evil\n---",
    "\n\n# A title\n\n<b>bold</b>",
    "\u202egnp.exe",
    "null\x00byte\x1b[31m",
    "\ud800 lone surrogate",
    "x" * 10_000,
    "",
)


class Read(HTMLParser):
    """The tags, the addresses and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


def shown(text):
    """The card as a reader sees it, HTML inside it included."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    return Read(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body))


@functools.cache
def exported(networks):
    return subject("timm:test_resnet", networks=networks)


def card_of(content, form="timm", networks=2):
    summary = Summary(**copy.deepcopy(content))
    found = replace(exported(networks), name=summary.model.name, summary=summary)
    classifier = replace(found.classifier, class_names=summary.data.classes)
    return card(replace(found, classifier=classifier), form, PARITY)


def with_names(content, name):
    """A run in which everything that has a name has this one."""
    run = copy.deepcopy(content)
    run["model"].update(name=name, weights=name)
    run["data"].update(name=name, classes=[name] * 3)
    for row in [*run["exported"]["per_class"], *run["vote"]["per_class"]]:
        row["name"] = name
    for block in run["recipe"]["blocks"]:
        block["name"] = name
    run["recipe"]["values"] = {"augment": name}
    return run


def test_it_says_how_good_it_is_and_how_sure_that_is(finished):
    """Twelve test images; the vote and the exported network have scores of their own."""
    content = copy.deepcopy(finished.summary)
    content["vote"]["metrics"] = {"accuracy": 0.75, "macro": 0.5}
    content["exported"]["metrics"] = {"accuracy": 0.25, "macro": 0.125}

    vote, one = shown(card_of(content)).text, shown(card_of(content, networks=1)).text

    assert "on 12 test images" in vote
    assert re.search("accuracy\n75.0\u00a0% \\(95 % interval: 46.8\u00a0% to 91.1\u00a0%\\)", vote)
    assert re.search("accuracy\n25.0\u00a0% \\(95 % interval: 8.9\u00a0% to 53.2\u00a0%\\)", one)
    assert "50.0\u00a0%" in vote
    assert "12.5\u00a0%" in one
    assert "2 networks, trained with different seeds, answer together" in vote
    assert "answer together" not in one
    assert all(block["name"] in vote for block in content["recipe"]["blocks"])
    assert all(name in vote for name in tiny.CLASSES)
    assert PARITY.sentence in vote


def test_without_a_test_set_it_claims_nothing(finished):
    content = copy.deepcopy(finished.summary) | {"test": None, "vote": None}
    content["exported"] |= {"metrics": {}, "per_class": []}
    content["data"]["test"] = 0

    page = shown(card_of(content)).text
    assert "nothing is known about how good it is" in page
    assert "95 % interval" not in page
    assert all(name in page for name in tiny.CLASSES)


@pytest.mark.parametrize("form", ["onnx", "hub"])
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_do_nothing(name, form, finished):
    text = card_of(with_names(finished.summary, name), form)
    harmless = shown(card_of(with_names(finished.summary, "cat"), form))

    page = shown(text)
    assert page.tags <= harmless.tags
    assert page.addresses == harmless.addresses == []
    assert text.count("\n## ") == 7
    assert not re.search(r"https?:/|www\.|(?<!\\)@evil", text)  # what GitHub and the hub turn into links
    if form == "hub":
        assert yaml.safe_load(text.split("---\n")[1])["library_name"] == "timm"
    text.encode()


@pytest.mark.parametrize("name", NAMES)
def test_an_escaped_name_is_read_as_it_was(name):
    assert shown(f"{markdown(name)}\n").text.strip() == name
    assert shown(f"| head |\n|---|\n| {markdown(name)} |\n").text.split("head", 1)[1].strip() == name


def test_the_metadata_are_those_of_the_hub(finished):
    head = yaml.safe_load(card_of(finished.summary, form="hub").split("---\n")[1])

    assert head == {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "biotune"],
    }
    assert 'timm.create_model("hf-hub:OWNER/NAME", pretrained=True)' in card_of(finished.summary, form="hub")
    assert 'timm.create_model("local-dir:FOLDER", pretrained=True)' in card_of(finished.summary, form="timm")
    assert not card_of(finished.summary, form="timm").startswith("---")


def test_it_says_how_images_are_prepared_in_order(finished):
    steps = re.findall(r"^(\d)\. (\w+)", card_of(finished.summary), re.MULTILINE)
    assert steps == [("1", "Decode"), ("2", "Cut"), ("3", "Divide"), ("4", "Subtract")]
