"""What is said of a comparison, situation by situation."""
# ruff: noqa: RUF001  (the signs that a reader sees)

import made_up_comparison as made
import pytest
from opened import opened_comparison

from biotune.report import comparison_sentences

TWO = ("biotune", "full")


def headline(comparison):
    return comparison_sentences.headline(opened_comparison(comparison))


def notes(comparison):
    return comparison_sentences.notes(opened_comparison(comparison))


def _told(comparison):
    return " ".join(notes(comparison)).replace("\N{NO-BREAK SPACE}", " ")


def _difference(comparison, key, low, high, part="tuned"):
    row = comparison["methods"][key]
    verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
    (row[part] if part else row)["difference"] = {
        "difference": (low + high) / 2, "low": low, "high": high, "verdict": verdict,
    }  # fmt: skip


@pytest.fixture
def three():
    """BioTune ahead of two methods that were not tuned."""
    comparison = made.comparison((*TWO, "lora"), tuned=False)
    _difference(comparison, "full", 0.01, 0.05, part=None)
    _difference(comparison, "lora", 0.004, 0.02, part=None)
    return comparison


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.004, 0.02, "better", "BioTune is better than both other results. The closest is LoRA: BioTune is ahead of "
         "it by 1.2 points, 95 % interval [+0.4, +2.0]."),
        (-0.022, -0.002, "worse", "BioTune is not the best here. LoRA is better by 1.2 points, 95 % interval [+0.2, "
         "+2.2]. BioTune is better than 1 of 2 other results."),
        (-0.03, 0.01, "tie", "BioTune is not clearly different from the best. LoRA has the higher mean, by 1.0 points, "
         "95 % interval [−1.0, +3.0]; that interval includes zero. BioTune is better than 1 of 2 other results."),
        (-0.01, 0.03, "tie", "BioTune has the highest mean, but not by enough to be sure. BioTune is better than 1 of "
         "2 other results. It is not clearly different from LoRA."),
    ],
)  # fmt: skip
def test_headline_says_plainly_who_is_best(three, low, high, verdict, words):
    _difference(three, "lora", low, high, part=None)
    found = headline(three)
    assert found.verdict == verdict
    assert f"{found.claim}. {found.reason}".replace("\N{NO-BREAK SPACE}", " ") == words


def test_headline_counts_defaults_and_tuned_versions():
    comparison = made.comparison((*TWO, "lora"))
    _difference(comparison, "full", 0.01, 0.05)
    _difference(comparison, "full", -0.04, -0.02, part=None)
    _difference(comparison, "lora", -0.022, -0.002)
    _difference(comparison, "lora", 0.004, 0.02, part=None)
    assert "Full fine-tuning (default) is better by 3.0 points" in headline(comparison).reason
    assert "So is LoRA (tuned)." in headline(comparison).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: made.diverge(c, "lora"), "1 result without a score is left out."),
        (lambda c: [c["methods"].pop(key) for key in ("full", "lora")], "There is no other method to compare with."),
    ],
)
def test_headline_says_what_it_cannot_use(three, change, words):
    change(three)
    assert words in headline(three).reason


def test_headline_without_a_test_set_gives_no_verdict():
    found = headline(made.comparison(TWO, has_test=False))
    assert (found.verdict, found.claim) == ("unknown", "No verdict")
    assert "validation scores were used for selection" in found.reason
    assert "on the validation images" in found.lead


def test_headline_of_a_reference_that_diverged(three):
    made.diverge(three, "biotune")
    for row in three["methods"].values():
        row["difference"] = None
    assert headline(three).lead == "All final trainings of BioTune diverged: it has no score."
    assert headline(three).reason == "All final trainings of BioTune diverged."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        # 2 / 2^n times the number of tests must be at most 0.05: 6 pairs for one test, 7 for two
        ({"seeds": 30, "tuned": False}, "No Wilcoxon signed-rank test: its unit is the data set, since the seeds of "
         "one are not independent, and with Holm's correction for 1 comparison 6 data sets are the least that can be "
         "significant. This one can carry intervals only."),
        ({"datasets": tuple("abcdef")}, "for 2 comparisons 7 data sets are the least that can be significant. These 6"),
        ({"datasets": tuple("abcdefgh"), "skill": {"full": 0.5}}, "Wilcoxon's signed-rank test on 8 data sets (means "
         "over seeds), at 5 % after Holm's correction for 2 comparisons: 2 of 2 results differ from BioTune (the "
         "largest p is 0.016)."),
        ({"seeds": 1}, "One seed: there is no standard error"),
        ({"seeds": 9}, "9 seeds say little"),
        ({}, "a difference is BioTune minus the method in test accuracy"),
        ({}, "paired bootstrap over seeds and test images"),
        ({}, "One data set says nothing about others: ranks over data sets need two"),
        ({}, "chosen on the validation set with as much work as the search of BioTune did"),
        ({"tuned": False}, "No method was tuned: all are at their defaults."),
        ({"datasets": ("a", "b")}, "Every data set counts the same"),
        ({"datasets": ("a", "b")}, "Mean ranks are of tuned methods (and searches) over 2 data sets. "
         "Friedman's test and Nemenyi's critical distance are left out: they need at least 6 data sets and 3 methods."),
        ({"has_test": False}, "There is no test set, so validation scores are shown. They were used for selection"),
        ({"has_test": False, "datasets": ("a", "b")}, "No mean ranks: they need a test score of every method"),
    ],
)  # fmt: skip
def test_notes_of_two_methods(arguments, words):
    assert words in _told(made.comparison(TWO, **arguments))


def test_ten_seeds_need_no_warning():
    assert "seeds say little" not in _told(made.comparison(TWO, seeds=10))


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.004, "Friedman's p = 0.004. By Nemenyi's test, mean ranks differ where they are further apart than 1.35 "
         "(5 %)."),
        (0.2, "Friedman's p = 0.200. The test finds no difference, so the ranks only describe; Nemenyi's critical "
         "distance would be 1.35 (5 %)."),
    ],
)  # fmt: skip
def test_notes_on_ranks(p, words):
    comparison = made.comparison((*TWO, "lora"), [f"set{index}" for index in range(6)])
    assert comparison["ranking"]["tuned"]["nemenyi_critical_distance"] == pytest.approx(
        2.343 * (12 / 36) ** 0.5, abs=1e-3
    )
    comparison["ranking"]["tuned"]["friedman_p"] = p
    assert words in _told(comparison)


@pytest.mark.parametrize(
    ("p_values", "words"),
    [
        ((0.2, 0.3), "no result differs from BioTune (the smallest p is 0.200)"),
        ((0.01, 0.3), "1 of 2 results differs from BioTune, namely Full fine-tuning, p = 0.010"),
        ((0.0004, 0.01), "2 of 2 results differ from BioTune (the largest p is 0.010)"),
    ],
)
def test_notes_on_significance(three, p_values, words):
    for key, p in zip(("full", "lora"), p_values, strict=True):
        three["methods"][key]["signed_rank"] = {"p": p / 2, "p_holm": p, "num_pairs": 12}
    assert words in _told(three)


def test_what_did_not_differ_is_named_where_it_is_less():
    keys = ("full", "lora", "llrd", "l1_sp")
    comparison = made.comparison(("biotune", *keys), tuned=False)
    for key, p in zip(keys, (0.01, 0.01, 0.01, 0.4), strict=True):
        comparison["methods"][key]["signed_rank"] = {"p": p, "p_holm": p, "num_pairs": 12}
    assert "3 of 4 results differ from BioTune, all but L1-SP, p = 0.400." in _told(comparison)


def test_divergence_is_counted(three):
    made.diverge(three, "lora", seeds=2)
    made.diverge(three, "full")
    told = _told(three)
    assert "5 final trainings diverged: LoRA (2) and Full fine-tuning (3). They have no test score" in told
    assert "No Wilcoxon signed-rank test: it needs a score of BioTune and of another method for every seed." in told


def test_lack_of_memory_is_counted(three):
    made.diverge(three, "lora", seeds=2)
    three["methods"]["full"]["out_of_memory"] = 3
    told = _told(three)
    assert (
        "2 final trainings diverged: LoRA (2). 3 final trainings did not fit into memory: Full fine-tuning (3)." in told
    )


def test_a_method_that_lacks_a_seed_is_not_tested():
    comparison = made.comparison((*TWO, "lora"), tuple("abcdefg"), tuned=False)
    comparison["methods"]["lora"] |= {"diverged": 1, "signed_rank": None}
    assert "for 1 comparison" in _told(comparison)
    assert "1 result without a score for every seed cannot be tested." in _told(comparison)


def test_the_papers_figure_stands_next_to_the_honest_one(three):
    row = three["datasets"][0]["methods"]["biotune"]
    row["best_on_test_optimistic"] = 0.95
    honest = f"{100 * row['test']['accuracy']:.1f} %"
    assert (
        "BioTune on skin: the papers' figure, the best of all finalists on the test set (optimistic), is 95.0 %; the "
        f"honest figure, of the finalist that validation chose, is {honest}."
    ) in _told(three)


def test_a_data_set_without_test_is_named():
    comparison = made.comparison(TWO, ("a", "b"))
    comparison["datasets"][1]["data"]["test"] = 0
    assert "b has no test set, so validation scores are shown." in _told(comparison)
