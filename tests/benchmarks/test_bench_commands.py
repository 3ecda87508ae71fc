"""``python -m benchmarks``: options, output and refusals."""

import json

import pytest

from benchmarks.datasets import BENCHMARK_DATASETS
from biotune.cli.app import command_line


@pytest.mark.parametrize("name", ["throughput", "scale"])
def test_help_shows_examples(bench, name):
    done = bench(name, "--help")

    assert done.code == 0
    assert f"python -m benchmarks {name} --quick" in done.out


def test_help_of_search_shows_its_data(bench):
    assert "python -m benchmarks search mnist5000 digits8 --repeats 10" in bench("search", "--help").out


def test_the_group_lists_its_benchmarks(bench):
    done = bench("--help")

    assert "throughput" in done.out
    assert "scale" in done.out
    assert "search" in done.out


def test_search_prints_tables_and_continues_as_json(bench, images, tmp_path):
    network = ("--model", "timm:test_efficientnet", "--weights", "random", "--image-size", 32, "--threads", 1)
    sizes = ("--epochs", 1, "--population", 3, "--generations", 0, "--seeds", 1, "--repeats", 1)
    arguments = ("search", images, "--searches", "random", *network, *sizes, "--out", tmp_path / "out")
    shown, again = bench(*arguments), bench(*arguments, "--json")

    assert shown.code == 0, shown.err
    assert "Random search" in shown.out
    assert "search and final phase: at most 7 full fine-tunes" in shown.out
    found = json.loads(again.out)
    assert found["repetitions"] == json.loads((tmp_path / "out" / "search.json").read_text())["repetitions"]
    assert found["settings"]["seeds"] == [0]


def test_throughput_prints_json_and_writes_it(bench, tmp_path):
    file = tmp_path / "found.json"
    options = ("--models", "timm:test_resnet", "--image-sizes", 32, "--images", 16, "--batch-size", 8)
    done = bench("throughput", "--quick", *options, "--repeats", 1, "--threads", 1, "--out", file, "--json")

    assert done.code == 0, done.err
    assert "measuring timm:test_resnet, 32 px" in done.err
    assert json.loads(done.out) == json.loads(file.read_text())
    assert json.loads(done.out)["settings"]["repeats"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("throughput", "--models", "nope"), "there is no network 'nope'"),
        (("throughput", "--image-sizes", "64,big"), "--image-sizes cannot be '64,big'; give whole numbers above 0"),
        (("throughput", "--device", "tpu9"), "the device 'tpu9' cannot be used here"),
        (("scale", "--images", "0"), "--images cannot be '0'; give whole numbers above 0"),
        (("scale", "--images", "7"), "7 images are too few"),
    ],
)
def test_wrong_use_is_one_sentence(bench, arguments, message, tmp_path):
    done = bench(*arguments, "--quick", "--out", tmp_path / "found.json")

    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


@pytest.mark.parametrize("what", ["throughput", "scale"])
def test_a_result_that_cannot_be_written_is_refused_before_anything_is_measured(what, bench, tmp_path, monkeypatch):
    monkeypatch.setattr(f"benchmarks.{what}.measure.measure_{what}", lambda *_: pytest.fail("measured"))
    done = bench(what, "--quick", "--out", tmp_path)

    assert done.code == 2
    assert f"cannot write '{tmp_path}'" in done.err.replace("\n", "")


def test_an_unknown_rival_is_wrong_use(bench, images, tmp_path):
    done = bench("search", images, "--searches", "luck", "--out", tmp_path)

    assert done.code == 2
    assert "--searches cannot name 'luck'; choose from random" in " ".join(done.err.split())


def test_the_command_line_of_biotune_knows_the_data_sets_of_the_benchmarks(bench, tmp_path):
    known = json.loads(bench("biotune", "datasets", "--json", "--data-root", tmp_path).out)

    assert command_line() == f"python -m benchmarks biotune datasets --json --data-root {tmp_path}"
    assert set(BENCHMARK_DATASETS) < {row["name"] for row in known}


def test_without_the_benchmarks_biotune_does_not_know_them(cli, tmp_path):
    known = json.loads(cli("datasets", "--json", "--data-root", tmp_path).out)

    assert set(BENCHMARK_DATASETS) & {row["name"] for row in known} == set()
