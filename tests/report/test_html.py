"""The page: honest in words, inert whatever the names are, whole on disk."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import made_up_run
import pytest
from made_up_run import HOSTILE, with_cpu_time, with_names, with_votes
from opened import opened, opened_history

from biotune.errors import InputError
from biotune.report.run_page import draw_figures, render, write_report

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LOADING = {"href", "xlink:href", "src", "action", "formaction", "data", "poster", "srcset", "background"}


class Page(HTMLParser):
    """Collects the tags outside drawings, all attributes and the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.text, self._depth = [], [], "", 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self._depth += tag == "svg"
        if not self._depth:
            self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag):
        if not self._depth:
            self.tags.append("/" + tag)
        self._depth -= tag == "svg"

    def handle_data(self, data):
        self.text += data.replace("\N{NO-BREAK SPACE}", " ")


def _page(summary, history):
    return render(opened(summary), opened_history(history), {})


def _words(summary, history):
    """The text of the page, with single spaces."""
    return re.sub(r"\s+", " ", Page(_page(summary, history)).text)


def _page_with_figures(summary, history, answered):
    found, done = opened(summary), opened_history(history)
    return render(found, done, draw_figures(found, done, answered))


def _set_difference(summary, difference, low, high):
    summary["baselines"]["full"]["difference"] = {"difference": difference, "low": low, "high": high, "verdict": "?"}


@pytest.fixture(scope="module")
def plain_tags():
    """The tags of the page of a run in which every name is a harmless word."""
    history = {
        "schema_version": 1,
        "judged_after_epochs": 6,
        "judged_on_folds": 1,
        "candidates": made_up_run.candidates(),
        "curves": made_up_run.curves(),
    }
    return Page(_page_with_figures(with_names(made_up_run.SUMMARY, "plain"), history, made_up_run.answered())).tags


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_inert(name, summary, history, answered, plain_tags):
    answered = replace(answered, classes=(name,) * 6, paths=(name,) * 12)
    source = _page_with_figures(with_names(summary, name), history, answered)
    page = Page(source)
    assert page.tags == plain_tags
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {tag for tag, _, _ in page.attributes}
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    loaded = [value for _, name, value in page.attributes if name in LOADING]
    assert [value for value in loaded if not value.startswith(("#", "data:image/png;base64,"))] == []
    assert set(re.findall(r"url\((.)", source)) <= {"#"}
    assert source.count("<style") == 1 + source.count("<svg ")  # one for the page, one for each drawing
    assert not set(source) & set("\x00\x1b\u202e")
    assert source.encode()


def test_policy_forbids_scripts_and_loading(summary, history):
    page = Page(_page(summary, history))
    assert ("meta", "content", POLICY) in page.attributes


def test_names_are_shown_as_written(summary, history):
    page = Page(_page(with_names(summary, "<b>nevus & co</b>"), history))
    assert page.text.count("<b>nevus & co</b>") > 10


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.004, 0.007, "Better than full fine-tuning, the strongest of 3 simple ways"),
        (-0.004, 0.005, "cannot tell the two apart"),
        (-0.035, -0.004, "On this data it is the better choice"),
    ],
)
def test_headline_is_honest(summary, history, low, high, words):
    _set_difference(summary, (low + high) / 2, low, high)
    assert words in _words(summary, history)


def test_headline_is_about_the_strongest_of_the_simple_ways(summary, history):
    """Full fine-tuning is 1.9 points behind, the same at a tuned rate 0.9 only, and BioTune's own blocks 0.97."""
    text = _words(summary, history)
    assert "A tie with full fine-tuning at a tuned rate, the strongest of 3 simple ways" in text
    assert "+0.9 points, 95 % interval [\N{MINUS SIGN}0.6, +2.4], which includes zero" in text


def test_headline_names_the_baseline_that_is_surely_ahead(summary, history):
    own = summary["baselines"]["mask_one_rate"]
    own["difference"] = {**own["difference"], "difference": -0.03, "low": -0.05, "high": -0.01, "verdict": "worse"}
    text = _words(summary, history)
    assert "Worse than its own blocks at the base rate." in text
    assert "Better than" not in text


@pytest.mark.parametrize(
    ("rates", "tuned", "title", "claim"),
    [
        (
            [0.3] * 7,
            0.3,
            "All 7 blocks of timm:resnet50.a1_in1k are trained, all at 0.3 times the base rate",
            "The same",
        ),
        ([1.0] * 7, 0.3, "are trained, all at the base rate", "A tie with full fine-tuning at a tuned rate"),
        (
            [0.0, 0.1, *[0.3] * 5],
            0.3,
            "1 of 7 blocks of timm:resnet50.a1_in1k stays frozen, the others learn at",
            "A tie",
        ),
        ([0.0, *[0.3] * 6], 0.3, "frozen, the others learn at 0.3 times the base rate", "A tie"),
    ],
)
def test_headline_says_what_is_trained_and_whether_a_baseline_is_the_same(rates, tuned, title, claim, summary, history):
    for block, rate in zip(summary["recipe"]["blocks"], rates, strict=True):
        block["multiplier"] = rate
    summary["baselines"]["full_tuned"]["learning_rate_multiplier"] = tuned
    text = _words(summary, history)
    assert title in text
    assert claim in text
    assert ("The search chose what this baseline does: every block at 0.3 times" in text) is (claim == "The same")


@pytest.mark.parametrize(
    "words",
    [
        "3 of 7 blocks of timm:resnet50.a1_in1k stay frozen",
        "BioTune reaches 88.9 % ± 0.3 % (standard error over 3 seeds) on the 575 test images",
        "+1.9 [+0.4, +3.5]",
        "used for selection",
        "With 460 validation images one score is uncertain by about ±2.7 points",  # Wilson's interval, 0.902 of 460
        "3 seeds say little",
        "biotune tune images/skin",
        "9f3a61c07be2d418",
        "3 files could not be used",
        "BioTune's mask, one rate",
        "2 min 44 s",
        "macro 87.1 %",
        "it scores 89.4 % on the test set (macro 83.7 %)",
        "The classes are unequal: the largest has 825 training images, the smallest 45.",
        "were chosen by plain accuracy, in which the large classes count most (--metric macro counts all alike).",
        "Training did not balance them (--imbalance weights or sampling does).",
        "dermatofibroma no test image \N{EN DASH} \N{EN DASH} 0 45",
        "actinic keratosis 73.7 % 51 to 88 \N{EN DASH} \N{EN DASH} 19 60",
    ],
)
def test_page_tells(summary, history, words):
    assert words in _words(summary, history)


def test_run_without_test_set_and_baselines(summary, history):
    summary |= {
        "test": None,
        "baselines": {},
        "exported": {"seed": 1, "test": None, "test_macro": None, "per_class": []},
    }
    summary["data"]["test"] = 0
    text = Page(_page_with_figures(summary, history | {"candidates": [], "curves": []}, None)).text
    assert "Not compared with anything. No baseline was part of this run." in text
    assert "There is no test set in this run" in text
    assert "Validation accuracy" in text


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("metric", "macro", "were chosen by macro accuracy, which counts every class alike. Training did not"),
        (
            "fitness",
            "loss",
            "were chosen by the log-loss at the best temperature, which counts every class alike. Training",
        ),
        ("metric", "auroc", "were chosen by the mean of the classes' areas under the ROC curve, which counts"),
        ("imbalance", "weights", "alike). In training, images of small classes weighed more in the loss."),
        ("imbalance", "sampling", "alike). In training, every class was drawn equally often."),
    ],
)
def test_unequal_classes_are_explained(setting, value, words, summary, history):
    summary["protocol"][setting] = value
    assert words in Page(_page(summary, history)).text


def test_the_smallest_class_comes_first(summary, history):
    text = Page(_page(summary, history)).text.split("What it gets wrong")[1]
    names = sorted(made_up_run.CLASSES, key=text.index)
    assert [names[0], names[1], names[-1]] == ["dermatofibroma", "actinic keratosis", "nevus"]


@pytest.mark.parametrize(("smallest", "shown"), [(274, True), (275, False)])
def test_classes_are_called_unequal_where_the_largest_has_more_than_three_times_the_smallest(
    smallest, shown, summary, history
):
    """The largest has 825, three times 275."""
    for row in summary["exported"]["per_class"]:
        row["train"] = max(row["train"], smallest)
    assert ("The classes are unequal" in Page(_page(summary, history)).text) is shown


def test_many_unequal_classes_are_cut(summary, history):
    rows = [{"name": f"kind {index}", "train": index + 1, "test": 1, "recall": 1.0} for index in range(70)]
    summary["data"]["classes"] = [row["name"] for row in rows]
    summary["exported"]["per_class"] = rows
    text = Page(_page(summary, history)).text
    assert "The 60 smallest of 70 classes; all are in summary.json." in text
    assert "kind 59" in text.split("What it gets wrong")[1]
    assert "kind 60" not in text


def test_baseline_without_test_set_gives_no_verdict(summary, history):
    summary["test"] = None
    for baseline in summary["baselines"].values():
        baseline |= {"test": None, "difference": None}
    assert "No verdict. There is no test set to decide on" in _words(summary, history)


def test_many_classes_are_cut(summary, history):
    summary["data"]["classes"] = [f"class {index}" for index in range(1000)]
    page = Page(_page(summary, history))
    assert "and 940 more" in page.text
    assert "class 60" not in page.text


def test_one_seed_has_no_standard_error(summary, history):
    summary["test"] |= {"standard_error": None, "per_seed": [0.89]}
    summary["validation"] |= {"standard_error": None, "per_seed": [0.9]}
    text = Page(_page(summary, history)).text
    assert "One seed says little" in text
    assert "None" not in text


def test_report_is_written_whole_and_again(tmp_path, summary, history, answered):
    first = write_report(tmp_path, opened(summary), opened_history(history), answered).read_bytes()
    assert write_report(tmp_path, opened(summary), opened_history(history), answered).read_bytes() == first
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "figures/comparison.png",
        "figures/convergence.png",
        "figures/learning_curves.png",
        "figures/learning_rate_map.png",
        "figures/mistakes.png",
        "figures/reliability.png",
        "figures/sample_predictions.png",
        "report.html",
    ]


def test_failed_write_leaves_the_old_page(tmp_path, summary, history, monkeypatch):
    page = write_report(tmp_path, opened(summary), opened_history(history), None)
    before = page.read_bytes()

    def no_space(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", no_space)
    with pytest.raises(InputError, match="No space left"):
        write_report(tmp_path, opened(summary), opened_history(history), None)
    assert page.read_bytes() == before
    assert not list(tmp_path.rglob(".*"))


def test_a_run_whose_final_trainings_had_all_images_has_a_page_without_validation_scores(summary, history, answered):
    summary["validation"] = None
    summary["protocol"]["stopping"] = "planned"
    for entry in summary["baselines"].values():
        entry["validation"] = None
    for finalist in summary["final"]["candidates"]:
        finalist["validation"] = None
    losses = {"train_loss": [1.0, 0.5, 0.1], "validation_score": [], "validation_accuracy": []}
    history["curves"] = [{**curve, **losses} for curve in history["curves"]]
    text = Page(_page_with_figures(summary, history, answered)).text
    assert "Training loss over the epochs" in text
    assert "every method was trained again on these too" in text
    assert "that of the winner's first seed" in text
    assert "used for selection" not in text
    assert "validation score at epoch 6." in text  # full fine-tuning has none to compare with
    assert not re.search(r"\bnan\b", text)


def test_the_page_has_a_column_of_votes(summary, history):
    assert "VoteBioTune's minus it" not in Page(_page(summary, history)).text
    source = _page(with_votes(summary), history)
    page = Page(source)
    rows = [re.sub(r"<[^>]+>", " ", row) for row in re.findall("<tr.*?</tr>", source, flags=re.DOTALL)]
    full, probing = (
        next(row for row in rows if name in row).replace("\N{NO-BREAK SPACE}", " ").split()
        for name in ("Full fine-tuning", "Linear probing")
    )
    assert "VoteBioTune's minus it, 95 % interval" in page.text
    assert " ".join(full).count("90.7 % +0.4 [−2.0, +3.0]") == 1  # noqa: RUF001
    assert "91.1 %" in page.text
    assert len(full) > len(probing)


@pytest.mark.parametrize(("device", "one", "time"), [("cpu", "310 CPU s", "CPU time"), ("cuda", "2 min 44 s", "Time")])
def test_costs_are_counted_and_stand_beside_cpu_time_but_beside_wall_time_on_a_gpu(device, one, time, summary, history):
    counted = with_cpu_time(summary)
    counted["protocol"]["device"] = device
    page = _page(counted, history)
    assert f"every parameter trained on all training images, about {one} on this machine." in page
    assert "counted in multiplications" in page
    assert page.count(f'<th class="number">{time}</th>') == 2
    assert f"<dt>{time}</dt>" in page


def test_costs_by_the_clock_of_older_files_are_not_said_to_be_counted(summary, history):
    page = _page(summary, history)
    assert "multiplications" not in page
    assert "CPU" not in Page(page).text
