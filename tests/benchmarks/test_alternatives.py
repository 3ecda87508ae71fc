"""What a user would try beside BioTune: every entry learns, what is stored is not measured again, costs are counted."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import tiny
from benchmarks.alternatives import measure
from benchmarks.alternatives.entries import (
    ENTRIES,
    entry_of,
    features,
    fine_tune,
    head_then_all,
    last_block,
    layer_decay,
    plain_loop,
    presets,
)
from benchmarks.alternatives.figure import draw_alternatives
from benchmarks.alternatives.plain import Network, best_rate, fit_head, put_head
from benchmarks.alternatives.process import measured
from benchmarks.alternatives.task import Labelled, Task, read_task, write_task
from biotune.datasets.sources import open_source
from biotune.errors import BioTuneError, InputError

FEW = {"data": {"train_images": 20, "validation_images": 6, "test_images": 9}}
NETWORK = ("--model", tiny.NETWORK, "--weights", "random", "--image-size", 32)


@pytest.fixture(scope="module")
def task(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Twenty images to train on, in files."""
    return write_task(tiny.tiny_config(images, FEW), tmp_path_factory.mktemp("task") / "colours")


def test_a_task_has_the_parts_of_biotune_and_is_read_again(task: Task, images: Path) -> None:
    assert {part: len(rows) for part, rows in task.parts.items()} == {"train": 20, "validation": 6, "test": 9}
    assert task.classes == tiny.CLASSES
    assert read_task(task.folder) == task
    assert write_task(tiny.tiny_config(images, FEW), task.folder) == task


def test_the_table_of_a_task_gives_biotune_the_same_images(task: Task) -> None:
    table = open_source(str(task.folder / "images.csv"))
    rows = {f"images/{file}": (label, part) for part, own in task.parts.items() for file, label, _ in own}

    assert len(table) == 35
    for image_id, label, split in zip(table.ids, table.labels.tolist(), table.splits, strict=True):
        assert rows[image_id] == (label, split)


def test_a_folder_of_another_task_is_refused(task: Task, images: Path) -> None:
    with pytest.raises(InputError, match="was made from other images or settings; choose a new folder with --out"):
        write_task(tiny.tiny_config(images, FEW, {"data": {"split_seed": 1}}), task.folder)


def test_a_network_that_is_not_of_timm_is_refused(images: Path, tmp_path: Path) -> None:
    config = tiny.tiny_config(images, FEW, {"model": {"name": "torchvision:squeezenet1_1"}})

    with pytest.raises(InputError, match="is not a network of timm"):
        write_task(config, tmp_path / "task")


@pytest.mark.parametrize("module", [features, last_block, head_then_all, plain_loop, layer_decay])
def test_an_entry_answers_on_every_test_image(module, task: Task) -> None:
    outcome = module.run(task, 0, epochs=1)

    assert len(outcome.predicted) == 9
    assert set(outcome.predicted) <= {0, 1, 2}
    assert outcome.chosen
    assert module.run(task, 0, epochs=1) == outcome


@pytest.mark.filterwarnings("default")  # of other packages
def test_fastai_answers_on_every_test_image(task: Task) -> None:
    pytest.importorskip("fastai")
    outcome = fine_tune.run(task, 0, epochs=1)

    assert len(outcome.predicted) == 9
    assert set(outcome.predicted) <= {0, 1, 2}
    assert outcome.chosen["rate"] > 0


def test_biotune_answers_by_its_vote(task: Task) -> None:
    outcome = presets._tune(task, 0, "quick", epochs=1)
    chosen = outcome.chosen

    assert len(outcome.predicted) == 9
    assert set(outcome.predicted) <= {0, 1, 2}
    assert len(chosen["final_trainings"]) + len(chosen["companions"]) == 3
    assert chosen["candidates"] >= 7
    assert all(work > 0 for work in chosen["work"])


def test_a_frozen_part_stays_as_it_was(task: Task) -> None:
    network = Network(task, 0)

    assert network.last_block
    assert any(name.startswith(network.last_block) for name, _ in network.model.named_parameters())
    assert not all(name.startswith(network.last_block) for name, _ in network.model.named_parameters())


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_that_starts_from_the_head_answers_as_it_does(task: Task, classes: int) -> None:
    everything = task.labelled("train", "validation")
    rows = everything.labels < classes
    data = Labelled(everything.images[rows], everything.labels[rows])
    network = Network(replace(task, classes=task.classes[:classes]), 0)
    pipeline, _ = fit_head(network, data, seed=0)
    put_head(network, pipeline)

    np.testing.assert_array_equal(network.predict(data.images), pipeline.predict(network.features(data.images)))
    with torch.inference_mode():
        logits = network.model(network.inputs(data.images)).softmax(1)
    np.testing.assert_allclose(logits, pipeline.predict_proba(network.features(data.images)), atol=1e-4)


def test_images_of_a_group_stay_in_one_fold(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    fit = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, x, y: (seen.append(len(x)), fit(self, x, y))[1])
    images, labels = task.labelled("train").images, torch.tensor([0, 0, 1, 1] * 5)
    network = Network(task, 0)
    fit_head(network, Labelled(images, labels, tuple(f"photo {row // 4}" for row in range(20))), seed=0)
    assert set(seen) == {16, 20}  # five folds, and all images at the end

    seen.clear()
    fit_head(network, Labelled(images, labels, tuple(f"photo {row // 10}" for row in range(20))), seed=0)
    assert set(seen) == {10, 20}  # there are only two photos


def test_the_smallest_of_equally_good_rates_is_chosen() -> None:
    rate, scores = best_rate((3e-4, 1e-4, 1e-3), lambda rate: float(rate < 1e-3))

    assert rate == 1e-4
    assert scores == {"0.0001": 1.0, "0.0003": 1.0, "0.001": 0.0}


def test_an_entry_is_measured_in_a_process_of_its_own(task: Task) -> None:
    found = measured(task, "features@48", seed=3)

    assert (found["entry"], found["seed"]) == ("features@48", 3)
    assert found["cpu_s"] > 0.1
    assert found["wall_s"] > 0.1
    assert found["accuracy"] == (task.truth() == found["predicted"]).mean()
    assert 0.0 <= found["macro"] <= 1.0


def test_a_process_that_fails_is_one_sentence(task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = replace(task, folder=tmp_path / "nothing")

    with pytest.raises(BioTuneError, match=r"the entry 'features' failed on 'nothing': FileNotFoundError"):
        measured(broken, "features", seed=0)


@pytest.mark.parametrize("name", ["biotune-quick", "biotune-quick@48", "biotune-quick@auto"])
def test_biotune_is_given_a_size_or_chooses_it(task: Task, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(presets, "tune", lambda *_, model, **__: given.append(model["image_size"]))
    monkeypatch.setattr(presets, "_outcome", lambda *_: None)
    entry_of(name).run(task, 0)

    assert given == [{"biotune-quick": 32, "biotune-quick@48": 48, "biotune-quick@auto": "auto"}[name]]


@pytest.mark.parametrize("name", ["nope", "features@auto", "features@8", "features@", "features@big", "features@2000"])
def test_an_unknown_entry_is_wrong_use(name: str) -> None:
    with pytest.raises(InputError, match=f"--entries cannot name '{name}'"):
        entry_of(name)


def test_the_command_shows_tables_and_does_not_repeat_what_is_stored(bench, images, tmp_path, monkeypatch) -> None:
    lacking = replace(ENTRIES["fastai"], package="no_such_package")
    monkeypatch.setitem(ENTRIES, "fastai", lacking)
    sizes = ("--train-images", 20, "--validation-images", 6, "--test-images", 9)
    arguments = ("alternatives", images, *NETWORK, *sizes, "--out", tmp_path / "out", "--entries")
    shown = bench(*arguments, "features,fastai")
    assert shown.code == 0, shown.err
    assert "Logistic regression" in shown.out
    assert "'fastai' is left out: the package no_such_package is not installed." in " ".join(shown.out.split())

    monkeypatch.setattr(measure, "measured", lambda *_: pytest.fail("measured again"))
    again = json.loads(bench(*arguments, "features", "--json").out)

    stored = json.loads((tmp_path / "out" / "alternatives.json").read_text())
    assert again == stored
    (row,) = again["data_sets"]["colours"].values()
    assert row["low"] <= row["accuracy"] <= row["high"]
    assert row["cpu_s"] > 0
    assert again["settings"]["data_sets"]["colours"]["train"] == 20
    assert "predicted" not in again["results"][0]
    assert (tmp_path / "out" / "alternatives.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("entries", "message"),
    [("luck", "--entries cannot name 'luck'"), (",", "--entries names nothing"), ("features,features", "named twice")],
)
def test_wrong_entries_are_refused(bench, images, tmp_path, entries, message) -> None:
    done = bench("alternatives", images, *NETWORK, "--entries", entries, "--out", tmp_path / "out")

    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_entries_of_which_none_can_run_are_wrong_use(bench, images, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(ENTRIES, "fastai", replace(ENTRIES["fastai"], package="no_such_package"))
    done = bench("alternatives", images, *NETWORK, "--entries", "fastai", "--out", tmp_path / "out")

    assert done.code == 2
    assert "'fastai' is left out: the package no_such_package is not installed." in " ".join(done.err.split())


def test_rows_compare_every_entry_with_biotune(task: Task) -> None:
    truth = task.truth()
    wrong = (truth + 1) % 3
    found = [
        {"entry": name, "seed": seed, "predicted": answers.tolist(), "macro": 0.5, "cpu_s": cost, "wall_s": 1.0}
        for seed, cost in ((0, 2.0), (1, 4.0))
        for name, answers in (("features", wrong), ("biotune-quick", truth))
    ]
    rows = measure.rows_of(task, found)

    assert rows["biotune-quick"]["difference"] is None
    assert rows["features"]["difference"] == {"difference": 1.0, "low": 1.0, "high": 1.0, "verdict": "better"}
    assert rows["features"]["cpu_s"] == 3.0
    assert rows["features"]["standard_error"] == 0.0


def test_the_figure_has_a_panel_for_each_data_set_and_a_label_for_each_entry() -> None:
    row = {"accuracy": 0.7, "low": 0.6, "high": 0.8, "cpu_s": 10.0}
    rows = {"features": row, "features@128": {**row, "cpu_s": 25.0}, "biotune-quick": {**row, "accuracy": 0.75}}
    counts = {"classes": 3, "train": 20, "validation": 6, "test": 9}
    titles = {name: entry_of(name).title for name in rows}
    content = {
        "settings": {"titles": titles, "data_sets": dict.fromkeys(("one", "two", "three"), counts)},
        "machine": {"threads": 1},
        "data_sets": dict.fromkeys(("one", "two", "three"), rows),
    }
    figure = draw_alternatives(content)
    shown = [axes for axes in figure.axes if axes.axison]

    assert len(shown) == 3
    assert {text.get_text() for text in shown[0].texts} == set(titles.values())
