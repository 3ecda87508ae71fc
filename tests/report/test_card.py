"""A run in a notebook: short in text, inert as HTML."""

import copy

import made_up_run
import pytest
from made_up_run import HOSTILE, with_names, with_votes
from opened import opened
from test_html import Page

from biotune.finished import TuneResult
from biotune.report.card import card
from biotune.report.run_sentences import brief

ALLOWED = {"div", "p", "b", "bdi", "span", "a", "code"}


def test_a_result_is_one_line(tmp_path):
    result = TuneResult(tmp_path, opened(made_up_run.SUMMARY))
    assert len(repr(result)) < 300
    assert repr(result) == f"<TuneResult '{tmp_path}': {brief(result.summary)}>"


def test_the_score_in_a_few_words():
    summary = opened(made_up_run.SUMMARY)
    words = brief(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert words.startswith(f"{100 * summary.test.accuracy:.1f} % on the {summary.data.test} test images of ")
    assert "(95 % interval " in words
    assert "by the vote of" not in words
    voted = opened(with_votes(made_up_run.SUMMARY))
    assert f"by the vote of {len(voted.vote.seeds)} networks; one alone reaches" in brief(voted)


def test_without_a_test_set_it_is_said_where_the_score_is_from():
    summary = copy.deepcopy(made_up_run.SUMMARY)
    summary["test"], summary["data"]["test"] = None, 0
    assert "validation images of" in brief(opened(summary))
    assert "interval" not in brief(opened(summary))


def test_the_card_says_what_the_report_says(tmp_path):
    page = Page(card(opened(made_up_run.SUMMARY), tmp_path))
    assert "strongest of" in page.text
    assert [value for tag, name, value in page.attributes if (tag, name) == ("span", "title")] == [
        "stem: frozen", "layer1: frozen", "layer2: \N{MULTIPLICATION SIGN}0.37", "layer3.early: frozen",
        "layer3.late: \N{MULTIPLICATION SIGN}1.58", "layer4: \N{MULTIPLICATION SIGN}2.75",
        "head: \N{MULTIPLICATION SIGN}6.31",
    ]  # fmt: skip


def test_heights_follow_the_rate(tmp_path):
    """44 pixels stand for 100 times the base rate, half of them for the base rate, on a log scale; frozen is flat."""
    page = Page(card(opened(made_up_run.SUMMARY), tmp_path))
    heights = [value.split("height:")[1].split(";")[0] for tag, name, value in page.attributes
               if (tag, name) == ("span", "style")]  # fmt: skip
    assert heights == ["4px", "4px", "17px", "4px", "24px", "27px", "31px"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(name, tmp_path):
    page = Page(card(opened(with_names(made_up_run.SUMMARY, name)), tmp_path / "run"))
    assert {tag.lstrip("/") for tag in page.tags} <= ALLOWED
    assert not [value for _, attribute, value in page.attributes if attribute.startswith("on")]
    assert not [value for _, attribute, value in page.attributes if attribute == "href"]


def test_a_report_below_the_notebook_is_a_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = tmp_path / "runs" / 'a "b"', tmp_path.parent / "elsewhere"
    links = [
        [value for _, attribute, value in Page(card(opened(made_up_run.SUMMARY), folder)).attributes
         if attribute == "href"]
        for folder in (inside, outside)
    ]  # fmt: skip
    assert links == [["runs/a%20%22b%22/report.html"], []]
