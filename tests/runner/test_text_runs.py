"""Runs on texts from start to end: what is learned, exported, continued, refined and refused."""

import csv
import functools
import io
import json
import re
import signal

import pytest

from biotune.classifier import load_run
from biotune.errors import InputError
from biotune.runner.refine import refine
from biotune.runs.folder import CONFIG
from biotune.scored import evaluate_run
from biotune.settings.resolve import load_config
from forked import die_at_write, without_report
from text_files import orders, write_csv
from tiny import BRIEF, run, tiny_config

LSTM = {
    "model": {"name": "text:lstm", "weights": "auto", "image_size": "auto"},
    "text": {"embedding": 16, "hidden": 16, "max_length": 12},
    "training": {"epochs": 12, "learning_rate": 0.02},
    "final": {"seeds": 1, "data": "training"},
}
FULL = {"method": {"name": "full"}}


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """Texts whose class is the order of two words; not to be changed."""
    return write_csv(tmp_path_factory.mktemp("texts") / "orders.csv", orders(240))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, texts):
    """A finished run on them; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "texts"
    return folder, run(tiny_config(texts, LSTM, FULL), folder, "biotune train")


def test_the_order_of_words_is_learned_by_the_network_that_sees_it(trained, texts, no_report, tmp_path):
    mean = run(tiny_config(texts, LSTM, FULL, {"model": {**LSTM["model"], "name": "text:mean"}}), tmp_path / "mean")

    assert trained[1]["test"]["accuracy"] > 0.95
    assert mean["test"]["accuracy"] < 0.75


def test_the_summary_says_that_these_are_texts(trained):
    folder, summary = trained
    inputs = json.loads((folder / "preprocessing.json").read_text())

    assert (summary["data"]["kind"], summary["model"]["image_size"]) == ("text", 0)
    assert (summary["model"]["vocabulary"], summary["model"]["max_length"]) == (12, 12)
    assert len(inputs["vocabulary"]) == 12
    assert not re.search(r"\b[Ii]mages?\b", without_data(folder / "report.html"))


def without_data(page) -> str:
    """Return the text of a page without figures, styles and settings."""
    return re.sub(r"<(svg|style|script|table|dl)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)


def test_the_vocabulary_is_that_of_the_training_part_alone(no_report, tmp_path):
    rows = [(text, label, "train") for text, label in orders(40)]
    rows += [("yes held no held", "yes", "val"), ("no held yes held", "no", "val")]
    rows += [("yes secret no secret", "yes", "test"), ("no secret yes secret", "no", "test")]
    source = write_csv(tmp_path / "texts.csv", rows, ("text", "label", "split"))
    run(tiny_config(source, LSTM, FULL, {"final": {"seeds": 1, "data": "all"}}), tmp_path / "run")
    words = json.loads((tmp_path / "run" / "preprocessing.json").read_text())["vocabulary"]

    assert {"yes", "no"} <= set(words)
    assert not {"held", "secret"} & set(words)


def test_answers_for_tables_files_folders_and_texts(trained, tmp_path, cli):
    folder, _ = trained
    table = write_csv(tmp_path / "new.csv", [["the yes and no"], [""], ["the no and yes"]], ["text"])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("quite yes a film no")
    (tmp_path / "new" / "b.txt").write_bytes(b"\xff\xfe")
    ended = cli("predict", folder, table, tmp_path / "new")
    rows = list(csv.DictReader(io.StringIO(ended.out)))

    assert [row["label"] for row in rows] == ["yes", "", "no", "yes", ""]
    assert [row["reason"] for row in rows] == ["", "it is empty", "", "", "it is not in UTF-8 (byte 1)"]
    assert rows[0]["path"] == f"{table}, row 1"
    assert f"cannot read the text '{table}, row 2': it is empty." in ended.err


def test_answers_in_python(trained):
    classifier = load_run(trained[0])
    answers = classifier.predict(["the yes and no", "no the yes", b"yes no", "nothing known"])

    assert [answer.label for answer in answers][:3] == ["yes", "no", "yes"]
    assert [answer.path for answer in answers] == ["text 0", "text 1", "text 2", "text 3"]
    assert sum(answers[3].probabilities.values()) == pytest.approx(1)
    assert [answer.label for answer in classifier.predict("the yes and no")] == ["yes"]
    with pytest.raises(InputError, match="a text is a int; give a text, or the path of its file"):
        classifier.predict([3])


def test_the_scores_are_those_of_the_exported_network(trained, texts):
    folder, summary = trained
    found = evaluate_run(folder, texts).results

    assert (found.own, found.images, found.split) == (True, 48, "test")
    assert found.metrics["accuracy"] == summary["exported"]["test"]
    assert {row.name for row in found.classes} == {"yes", "no"}
    assert all(row.recall and row.precision and row.f1 for row in found.classes)


def test_texts_that_the_run_knows_are_found_by_their_content(trained, tmp_path):
    other = write_csv(tmp_path / "other.csv", [*orders(6), ("yes or no", "yes"), ("no or yes", "no")])

    assert evaluate_run(trained[0], other).results.seen == sum(
        text in {row for row, _ in orders(240)} for text, _ in orders(6)
    ) - num_tested(trained[0], 6)


def num_tested(folder, count: int) -> int:
    """Return how many of the first texts are among those of the test, which a run does not learn from."""
    images = json.loads((folder / "answers.json").read_text())["images"]
    return sum(f"row/{number}" in images for number in range(1, count + 1))


def test_killed_at_chosen_writes_it_continues_bit_for_bit(texts, trained, fork, tmp_path):
    out, codes = tmp_path / "run", []
    settings = tmp_path / "settings.toml"
    settings.write_text(tiny_config(texts, LSTM, FULL).to_toml({}).partition("[resolved]")[0])
    for moment in (6, 14, 22, 10_000):
        prepare = functools.partial(die_at_write, moment, without_report)
        arguments = ("train", texts, "--config", settings, "--method", "full", "--out", out)
        codes.append(fork(*arguments, prepare=prepare).wait().code)

    assert (codes[0], codes[-1]) == (-signal.SIGKILL, 0)
    for name in ("model.safetensors", "preprocessing.json", "answers.json", "history.json"):
        assert (out / name).read_bytes() == (trained[0] / name).read_bytes(), name


def test_a_search_and_several_processes(texts, no_report, tmp_path):
    tuned = [
        run(tiny_config(texts, LSTM, BRIEF, {"training": {"epochs": 2}, **more}), tmp_path / name)
        for name, more in (("one", {}), ("two", {"compute": {"device": "cpu", "threads": 1, "workers": 2}}))
    ]

    assert [block["name"] for block in tuned[0]["recipe"]["blocks"]] == ["embedding", "encoder", "head"]
    assert tuned[0]["test"] == tuned[1]["test"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_values_that_only_images_have_are_not_searched(texts, no_report, tmp_path):
    changes = {"search": {"values": ("head_start", "statistics", "augment"), "law": "wide"}, "training": {"epochs": 1}}
    run(tiny_config(texts, LSTM, BRIEF, changes), tmp_path / "run")

    assert load_config(tmp_path / "run" / CONFIG)[0].search.values == ("head_start",)


def test_weights_of_an_earlier_run_come_with_their_vocabulary(trained, no_report, tmp_path):
    source = write_csv(tmp_path / "other.csv", [(f"{text} unheard", label) for text, label in orders(40, seed=5)])
    model = {**LSTM["model"], "weights": str(trained[0])}
    summary = run(
        tiny_config(source, LSTM, {"model": model, "text": {"hidden": 3}, "method": {"name": "probe"}}),
        tmp_path / "run",
    )

    assert summary["test"]["accuracy"] == 1.0
    assert summary["model"]["vocabulary"] == trained[1]["model"]["vocabulary"]
    assert summary["model"]["weights"] == f"file {trained[0].name}"


@pytest.mark.parametrize("layer", ["embedding", "encoder", "head"])
def test_each_layer_can_be_refined(layer, trained, texts, tmp_path):
    folder, summary = trained
    config = load_config(folder / CONFIG)[0]
    chosen = config.refine.model_copy(
        update={"layer": (layer,), "seeds": 1, "agents": 3, "iterations": 1, "bound": 0.05, "safeguards": False}
    )
    out = tmp_path / "refined"
    refined = refine(config.model_copy(update={"refine": chosen}), folder, out, "biotune refine")
    judged = refined.refinement.judged

    assert judged["refined"].searched.mean <= judged["trained"].searched.mean
    assert judged["refined"].searched.mean < judged["trained"].searched.mean or not refined.refinement.accepted
    assert refined.baselines["trained"].test.accuracy == summary["exported"]["test"]
    assert evaluate_run(out, texts).results.metrics["accuracy"] == refined.exported.test
    assert load_run(out).predict(["the yes and no"])[0].label in ("yes", "no")


def test_hostile_texts_are_left_out_with_their_reasons(no_report, tmp_path):
    root = tmp_path / "texts"
    for number, (text, label) in enumerate(orders(40)):
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{number:02}.txt").write_text(text)
    (root / "yes" / "empty.txt").write_text("")
    (root / "yes" / "blank.txt").write_text(" \n")
    (root / "no" / "latin.txt").write_bytes("gr\u00fcn".encode("latin-1"))
    (root / "no" / "giant.txt").write_bytes(b"yes " * 2**21)
    (root / "no" / "unknown.txt").write_text("zzz qqq")
    summary = run(tiny_config(root, LSTM, FULL, {"training": {"epochs": 1}}), tmp_path / "run")

    assert {item["path"]: item["reason"] for item in summary["data"]["quarantined"]} == {
        "no/giant.txt": "it has more than 4,194,304 bytes",
        "no/latin.txt": "it is not in UTF-8 (byte 3)",
        "yes/blank.txt": "it holds no word",
        "yes/empty.txt": "it is empty",
    }


def test_texts_that_cannot_be_read_are_refused_where_that_is_asked_for(tmp_path, cli):
    source = write_csv(tmp_path / "texts.csv", [*orders(40), ("", "yes")])
    ended = cli(
        *("train", source, "--model", "text:mean", "--method", "full", "--bad-images", "error"),
        "--out",
        tmp_path / "run",
    )

    assert ended.code == 2
    assert "one text cannot be read: row/41 (it is empty); fix or remove them" in ended.err


def test_equal_texts_in_several_parts_are_leaks(no_report, tmp_path):
    rows = [(text, label, "train") for text, label in orders(40)]
    rows += [(*orders(1)[0], "test"), ("no yes alone", "no", "test")]
    source = write_csv(tmp_path / "texts.csv", rows, ("text", "label", "split"))
    summary = run(tiny_config(source, LSTM, FULL, {"training": {"epochs": 1}}), tmp_path / "run")

    assert ("row/1", "row/41") in [tuple(leak["paths"]) for leak in summary["data"]["leaks"]]
    assert any("in several parts" in note and "check" not in note for note in summary["data"]["notes"])


class TestRefusals:
    """One clear sentence each, and exit code 2."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--augment", "light"), "texts are not augmented"),
            (("--image-size", 64), "texts have no size in pixels (--image-size); --max-length says"),
            (("--model", "resnet18"), "'orders.csv' holds texts, which resnet18 does not take; choose text:lstm"),
            (("--model", "text:gru"), "there is no network 'text:gru'; those of texts: text:lstm and text:mean"),
            (("--model", "text:lstm,text:mean"), "names several networks; of those of texts name one"),
            (("--weights", "some.safetensors"), "'some.safetensors' is no run folder of texts"),
            (("--max-length", 0), "--max-length"),
        ],
    )
    def test_what_makes_no_sense_for_texts(self, options, message, texts, tmp_path, cli):
        named = () if "--model" in options else ("--model", "text:lstm")
        ended = cli("train", texts, "--method", "full", *named, *options, "--out", tmp_path / "run")

        assert ended.code == 2
        assert message in " ".join(ended.err.split())
        assert not (tmp_path / "run").exists()

    def test_images_for_a_network_of_texts(self, images, trained, tmp_path, cli):
        begun = cli("train", images, "--method", "full", "--model", "text:lstm", "--out", tmp_path / "run")
        scored = cli("evaluate", trained[0], images)
        refined = cli("refine", trained[0], images, "--out", tmp_path / "out")

        assert (begun.code, scored.code, refined.code) == (2, 2, 2)
        assert "'colours' holds images, which text:lstm does not take; choose an image classifier" in begun.err
        assert f"'colours' holds images, but the network of '{trained[0]}' takes texts" in scored.err
        assert f"'colours' holds images, but the network of '{trained[0]}' takes texts" in refined.err

    def test_texts_for_a_network_of_images(self, finished, texts, cli):
        ended = cli("evaluate", finished.folder, texts)

        assert ended.code == 2
        assert f"'orders.csv' holds texts, but the network of '{finished.folder}' takes images" in ended.err

    def test_commands_for_images_alone(self, texts, cli):
        checked, blocks = cli("check", texts), cli("blocks", "text:lstm")

        assert (checked.code, blocks.code) == (2, 2)
        assert "'orders.csv' holds texts; biotune check looks at images alone" in checked.err
        assert "text:lstm takes texts and is built for the words of a run" in blocks.err
