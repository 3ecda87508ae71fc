"""Where the images come from: split folders, CSV files, broken files, limits; and when the test set is opened."""

import csv
import functools
import json

import pytest

from biotune.errors import InputError
from biotune.runs.events import Message
from forked import watch_files
from tiny import BRIEF, CLASSES, run, tiny_config, write_classes


@pytest.fixture
def split_images(tmp_path):
    """Folders train, val and test; the test part has its classes in another order of sizes."""
    root = tmp_path / "split"
    write_classes(root / "train", dict.fromkeys(CLASSES, 12))
    write_classes(root / "val", dict.fromkeys(CLASSES, 5), 100)
    write_classes(root / "test", {"green": 3, "red": 4, "blue": 2}, 200)
    return root


def test_given_splits_are_kept(split_images, no_report, tmp_path):
    data = run(tiny_config(split_images, BRIEF), tmp_path / "run")["data"]
    assert [data[part] for part in ("train", "validation", "test")] == [36, 15, 9]
    assert data["classes"] == list(CLASSES)


def test_a_csv_gives_paths_labels_and_splits(split_images, no_report, tmp_path):
    with (tmp_path / "images.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "split"])
        for path in sorted(split_images.glob("*/*/*.png")):
            rows.writerow([path.relative_to(tmp_path), path.parent.name, path.parent.parent.name])
    data = run(tiny_config(tmp_path / "images.csv", BRIEF), tmp_path / "run")["data"]
    assert [data[part] for part in ("train", "validation", "test")] == [36, 15, 9]


def test_images_can_be_limited(images, no_report, tmp_path):
    limits = {"data": {"train_images": 20, "validation_images": 6, "test_images": 9}}
    data = run(tiny_config(images, BRIEF, limits), tmp_path / "run")["data"]
    assert [data[part] for part in ("train", "validation", "test")] == [20, 6, 9]


def test_broken_images_are_left_out_and_reported(no_report, tmp_path):
    images, heard = write_classes(tmp_path / "images"), []
    (images / "red" / "000.png").write_bytes(b"no image")
    (images / "green" / "zero.png").touch()
    summary = run(tiny_config(images, BRIEF), tmp_path / "run", observer=heard.append)
    assert {item["path"] for item in summary["data"]["quarantined"]} == {"red/000.png", "green/zero.png"}
    assert sum(summary["data"][part] for part in ("train", "validation", "test")) == 59
    warnings = [event.text for event in heard if isinstance(event, Message) and event.warning]
    assert sum(warning.startswith("Left out, since it cannot be read: ") for warning in warnings) == 1


def test_a_class_of_broken_images_is_refused(tmp_path):
    images = write_classes(tmp_path / "images")
    for path in (images / "red").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="the class 'red' has no readable training image; fix its files or remove"):
        run(tiny_config(images, BRIEF), tmp_path / "run")


def test_the_test_set_stays_closed_until_the_recipe_is_chosen(split_images, fork, tiny_toml, tmp_path, monkeypatch):
    """From the first training to the choice, the process opens no test image and no file of decoded images."""
    cache, log = tmp_path / "cache", tmp_path / "log"
    monkeypatch.setenv("BIOTUNE_CACHE", str(cache))
    watch = functools.partial(watch_files, log)
    command = (
        "tune",
        split_images,
        "--config",
        tiny_toml,
        "--out",
        tmp_path / "run",
        "--max-evaluations",
        5,
        "--baselines",
        "none",
    )
    assert fork(*command, prepare=watch).wait().code == 0

    lines = log.read_text().splitlines()
    begun = next(number for number, line in enumerate(lines) if line.startswith("train "))
    chosen = lines.index("say The recipe is chosen; the test set is opened now.")
    test_side = (f"open {split_images}", f"open {cache}")
    assert [line for line in lines[:begun] if line.startswith(test_side)], "the watch sees nothing"
    assert not [line for line in lines[begun:chosen] if line.startswith(test_side)]
    assert len([line for line in lines[begun:chosen] if line.startswith("train ")]) >= 5
    assert [line for line in lines[chosen:] if line.startswith(f"open {cache}")]


def test_every_final_training_looks_at_the_test_set_once(images, no_report, tmp_path, monkeypatch):
    from biotune.trials.worker import Worker

    looks, look = [], Worker.logits

    def counted(worker, task, test):
        looks.append(task.key)
        return look(worker, task, test)

    monkeypatch.setattr(Worker, "logits", counted)
    summary = run(tiny_config(images), tmp_path / "run")
    finals = 2 * (1 + len(summary["baselines"]))
    assert len(looks) == len(set(looks)) <= finals
    (tmp_path / "run" / "summary.json").unlink()
    run(tiny_config(images), tmp_path / "run")
    assert len(looks) == len(set(looks))


def test_the_papers_figure_is_marked(images, no_report, tmp_path):
    changes = {"final": {"test_all": True, "screening": "all_seeds", "baselines": ()}, "search": {"generations": 0}}
    final = run(tiny_config(images, changes), tmp_path / "run")["final"]
    scores = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    assert final["best_on_test_optimistic"] >= scores["accuracy"] - 1e-12
