"""What the report says of scores from few images."""

from dataclasses import replace

import pytest
from made_up_run import with_votes
from opened import opened, opened_history

from biotune.report import run_sentences as story
from biotune.report.run_page import draw_figures, render
from biotune.report.run_tables import comparison_table, metric_table, written_score
from biotune.results import Scores


def candidate(rate, fitness, finished=True):
    return {"multipliers": [rate], "fitness": fitness, "outcome": "ok", "finished": finished, "generation": 0,
            "sequence": 0, "kind": "new", "fold": 0, "genes": [0.5]}  # fmt: skip


def notes_of(summary, history):
    return " ".join(story.caveats(opened(summary), opened_history(history)))


def test_many_images_of_each_class_need_no_word_on_few(summary, history):
    assert "smallest class" not in notes_of(summary, history)


def test_the_vote_is_said_to_be_of_all_seeds(summary, history):
    assert "vote" not in notes_of(summary, history)
    text = notes_of(with_votes(summary), history).replace("\N{NO-BREAK SPACE}", " ")
    assert "The vote of 3 networks, the exported one and those of the other seeds, scores 91.1" in text
    assert "+2.2 points [+1.4, +3.1] against one of them, for 3 times the cost of a prediction" in text
    assert "compare a vote with votes only." in text


def test_few_images_of_a_class_show_how_many_recipes_tie(summary, history):
    """200 images, accuracy 0.9: Wilson's interval is 0.8506 to 0.9344, half of it 4.2; 0.86 ties, 0.85 does not."""
    summary["data"].update(smallest_class=4, train=150, validation=50)
    history["judged_on_folds"] = 5
    history["candidates"] = [
        candidate(1.0, 0.9), candidate(3.0, 0.86), candidate(0.3, 0.85), candidate(0.1, 0.89, finished=False),
        candidate(1.0, 0.9),
    ]  # fmt: skip
    text = notes_of(summary, history)
    assert "The smallest class has only 4 images to learn and to choose from: these are too few to say which" in text
    assert "Of the 3 recipes that were judged to the end, 2 (the best among them) lie within 4.2 points" in text


def test_recipes_that_differ_in_a_value_are_two(summary, history):
    summary["data"].update(smallest_class=4, train=150, validation=50)
    history["judged_on_folds"] = 5
    history["candidates"] = [candidate(1.0, 0.9), {**candidate(1.0, 0.89), "values": {"augment": "standard"}}]
    assert "Of the 2 recipes that were judged to the end, 2" in notes_of(summary, history)
    summary["protocol"]["fitness"] = "loss"  # which has no margin in points
    assert "judged to the end" not in notes_of(summary, history)
    summary["data"]["smallest_class"] = 40
    history["tied_recipes"], history["judged_images"] = 2, 50
    said = (
        "Of the 2 recipes that were judged to the end, 2 (the best among them) show no clear difference in log-loss on"
    )
    assert f"{said} the 50 images that judged them: read the recipe as one of these." in notes_of(summary, history)
    history["tied_recipes"] = 1
    assert "judged to the end" not in notes_of(summary, history)


def test_a_recipe_without_trained_blocks_has_a_title_of_its_own(summary):
    for block in summary["recipe"]["blocks"]:
        block["multiplier"] = 0.0
    assert "stay frozen, a classifier is fitted" in story.headline(opened(summary)).title


@pytest.mark.parametrize(("images", "words"), [(1, "only 1 image to learn"), (3, "only 3 images to learn")])
def test_without_candidates_there_is_nothing_to_tie(images, words, summary, history):
    summary["data"]["smallest_class"], history["candidates"] = images, []
    text = notes_of(summary, history)
    assert words in text
    assert "judged to the end" not in text


def test_out_of_fold_scores_are_said_to_rest_on_more_images(summary, history):
    """Accuracy 0.8 on 25 and on 100 images: half of Wilson's interval is 15.1 and 7.8 points."""
    summary["data"].update(train=75, validation=25)
    summary["validation"]["accuracy"] = 0.8
    history["judged_on_folds"] = 3
    history["judged_images"] = 100
    text = notes_of(summary, history)
    assert "With 25 validation images one score is uncertain by about ±15.1 points." in text
    assert "judged on 100 training and validation images, in 3 trainings that each left another part" in text
    assert "that leaves ±7.8 points" in text
    del history["judged_images"]  # a file of version 0.1, which judged on all of them
    history["judged_on_folds"] = 5
    assert "judged on 100 training and validation images, in 5 trainings" in notes_of(summary, history)


def test_curves_of_the_search_are_explained_by_how_it_judged(summary, history):
    history["judged_on_folds"] = 5
    caption = story.captions(opened(summary), opened_history(history))["convergence"]
    assert "mean over 5 parts of the images, each held out of one training" in caption
    assert "dashed" not in caption


@pytest.mark.parametrize(("images", "points"), [(12, "12.1"), (100, "1.8")])
def test_a_perfect_score_of_few_images_is_not_certain(images, points, summary, history):
    """Half of z² / (n + z²), z = 1.96."""
    summary["data"]["validation"], summary["validation"]["accuracy"] = images, 1.0
    assert f"uncertain by about ±{points} points" in notes_of(summary, history)


def test_final_trainings_that_diverged_are_named(summary, history):
    summary["baselines"]["linear_probe"]["diverged"] = 1
    (said,) = [note for note in story.caveats(opened(summary), opened_history(history)) if "diverged" in note]
    assert said.startswith("1 final training diverged: Linear probing (1). They have no test score")


def test_final_trainings_that_ran_out_of_memory_did_not_diverge(summary, history):
    summary["baselines"]["full"]["out_of_memory"] = 2
    summary["final"]["out_of_memory"] = 1
    (said,) = [note for note in story.caveats(opened(summary), opened_history(history)) if "memory" in note]
    assert said.startswith(
        "3 final trainings did not fit into memory: BioTune (1) and Full fine-tuning (2). They have no test score"
    )
    assert "diverged" not in said


def with_recipe(summary, rates, **values):
    """Return a run whose recipe has these rates."""
    for block, rate in zip(summary["recipe"]["blocks"], rates, strict=True):
        block["multiplier"] = rate
    summary["recipe"]["values"] = values
    return opened(summary)


@pytest.mark.parametrize(
    ("rates", "values", "key"),
    [
        ([1.0] * 7, {}, "full"),
        ([1.0] * 7, {}, "full_tuned"),  # whose sweep found the base rate
        ([0.0, 1.0] + [0.0] * 4 + [1.0], {}, "mask_one_rate"),
        ([0.0, 1.0] + [0.0] * 4 + [1.0], {"augment": "standard"}, "mask_one_rate"),  # it has the values too
        ([0.0] * 6 + [1.0], {}, "linear_probe"),
        ([0.0] * 7, {"head_start": "fitted"}, "probe"),
    ],
)
def test_a_recipe_that_is_a_baseline_is_identical_to_it(rates, values, key, summary):
    summary["baselines"]["probe"] = summary["baselines"]["linear_probe"]
    found = with_recipe(summary, rates, **values)
    assert story.is_identical(found, key)
    assert not story.is_identical(found.model_copy(update={"method": "given"}), key)


@pytest.mark.parametrize(
    ("rates", "values"), [([0.5] + [1.0] * 6, {"augment": "standard"}), ([0.3] * 7, {}), ([0.0] * 6 + [2.0], {})]
)
def test_a_recipe_that_differs_from_every_baseline_is_identical_to_none(rates, values, summary):
    summary["baselines"]["probe"] = summary["baselines"]["linear_probe"]
    found = with_recipe(summary, rates, **values)
    assert not any(story.is_identical(found, key) for key in found.baselines)


def test_identical_trainings_are_not_called_a_tie(summary, history):
    summary["baselines"] = {"full": summary["baselines"]["full"]}
    summary["baselines"]["full"]["difference"] = {"difference": 0.0, "low": 0.0, "high": 0.0, "verdict": "tie"}
    found = with_recipe(summary, [1.0] * 7)
    said = story.headline(found)
    assert said.claim == "The same recipe as full fine-tuning"
    assert said.reason == (
        "The search chose what this baseline does: every block at the base rate. The final trainings are the same, so "
        "there is nothing to compare."
    )
    page = render(found, opened_history(history), {})
    assert '<td class="word tie">= identical</td>' in page
    assert "= tie" not in page
    assert any(str(cell) == "identical" for cell in comparison_table(found).columns[5].cells)


def test_an_interval_of_nothing_but_zero_is_not_shown_as_certainty(summary):
    summary["baselines"] = {"full": summary["baselines"]["full"]}
    summary["baselines"]["full"]["difference"] = {"difference": 0.0, "low": 0.0, "high": 0.0, "verdict": "tie"}
    said = story.headline(opened(summary)).reason
    assert "is right on the same test images: these cannot tell the two apart." in said
    assert "95 % interval" not in said


def test_what_a_recipe_has_beside_the_rates_of_a_baseline_is_said(summary):
    summary["baselines"] = {"full": summary["baselines"]["full"]}
    said = story.headline(with_recipe(summary, [1.0] * 7, augment="standard", head_start="fitted")).reason
    assert said.startswith("The recipe differs from it by augment = standard and head_start = fitted alone. Full fine")
    other = story.headline(with_recipe(summary, [0.5] + [1.0] * 6, augment="standard")).reason
    assert "differs from it" not in other


@pytest.mark.parametrize(("places", "is_said"), [(0, False), (2, True), (7, False)])
def test_a_coarse_map_is_said_to_be_one(places, is_said, summary, history, answered):
    found = replace(answered, places=places)
    caption = story.captions(opened(summary), opened_history(history), found)["explained"]
    assert ("The map has only 2 × 2 places" in caption) is is_said  # noqa: RUF001


@pytest.mark.parametrize("versions", [{"python": "3.12"}, {"biotune": "0.1.0", "python": "3.12"}])
def test_versions_name_biotune_once(versions, summary, history):
    summary["versions"] = versions
    page = " ".join(render(opened(summary), opened_history(history), {}).split())
    assert page.count("biotune</dt>") + page.count("biotune</bdi></dt>") == 1


@pytest.mark.parametrize(
    ("fitness", "said"), [("score", "validation score"), ("loss", "mean probability of the right")]
)
def test_the_figure_of_the_search_says_what_its_fitness_is(fitness, said, summary, history):
    summary["protocol"]["fitness"] = fitness
    caption = story.captions(opened(summary), opened_history(history))["convergence"]
    assert said in caption
    assert ("dashed" in caption) == (fitness == "score")
    assert ("geometric mean" in caption) == (fitness == "loss")


def _against(summary, costs, differences):
    """Baselines of given costs, in full fine-tunes, and of intervals around half a point."""
    for name, cost in costs.items():
        low, high = differences[name]
        summary["baselines"][name].update(
            cost_in_full_finetunes=cost, difference={"difference": (low + high) / 2, "low": low, "high": high}
        )
    summary["baselines"] = {name: summary["baselines"][name] for name in costs}
    return story.headline(opened(summary)).reason.replace("\N{NO-BREAK SPACE}", " ")


def test_a_simple_way_that_does_as_well_for_a_third_of_the_cost_is_recommended(summary):
    """BioTune took 3.56 + 1.76 = 5.32 full fine-tunes."""
    reason = _against(summary, {"linear_probe": 0.1}, {"linear_probe": (-0.01, 0.02)})
    assert "It costs 0.1 full fine-tunes where BioTune took 5.3: take that one, unless more test images" in reason


def test_the_cheapest_way_that_cannot_be_told_from_the_winner_is_named_beside_the_strongest(summary):
    costs = {"full": 3.0, "linear_probe": 0.1}
    ties = {"full": (-0.03, 0.01), "linear_probe": (-0.01, 0.05)}
    assert "There is no clear difference from linear probing either (78.9 %, difference +2.0 [" in _against(
        summary, costs, ties
    )
    surely = {"full": (-0.03, 0.01), "linear_probe": (0.01, 0.05)}
    assert "no clear difference from" not in _against(summary, costs, surely)
    dear = {"full": 5.0, "linear_probe": 3.0}
    assert "no clear difference from" not in _against(summary, dear, ties)


def test_a_fitted_classifier_has_neither_rates_nor_a_map(summary, history):
    summary.update(method="probe", search=None, baselines={})
    found = opened(summary)
    assert story.headline(found).title == "Logistic regression with timm:resnet50.a1_in1k"
    drawn = draw_figures(found, opened_history(history), None)
    assert not {"learning_rate_map", "comparison"} & set(drawn)
    page = render(found, opened_history(history), drawn)
    assert "no block was trained, so there are no rates" in page
    assert "BioTune minus it" not in page


@pytest.mark.parametrize(("fitness", "title"), [("score", "By AUROC, which chose the recipe"), ("loss", "By AUROC")])
def test_only_a_metric_that_selection_followed_is_said_to_have_chosen(fitness, title, summary):
    summary["protocol"].update(metric="auroc", fitness=fitness)
    assert metric_table(opened(summary)).title.plain == title


def test_equal_scores_of_all_seeds_have_no_standard_error():
    assert written_score(Scores.of({"accuracy": [0.8, 0.8, 0.8]})) == "80.0"
    assert written_score(Scores.of({"accuracy": [0.7, 0.8, 0.9]})) == "80.0 ±5.8"
