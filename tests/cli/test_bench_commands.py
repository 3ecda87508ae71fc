"""``biotune bench``: options, output and refusals."""

import json

import pytest


@pytest.mark.parametrize("name", ["throughput", "scale"])
def test_help_shows_examples(cli, name):
    done = cli("bench", name, "--help")

    assert done.code == 0
    assert f"biotune bench {name} --quick" in done.out


def test_the_group_lists_its_benchmarks(cli):
    done = cli("bench", "--help")

    assert "throughput" in done.out
    assert "scale" in done.out


def test_throughput_prints_json_and_writes_it(cli, tmp_path):
    file = tmp_path / "found.json"
    options = ("--models", "timm:test_resnet", "--image-sizes", 32, "--images", 16, "--batch-size", 8)
    done = cli("bench", "throughput", "--quick", *options, "--repeats", 1, "--threads", 1, "--out", file, "--json")

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
def test_wrong_use_is_one_sentence(cli, arguments, message, tmp_path):
    done = cli("bench", *arguments, "--quick", "--out", tmp_path / "found.json")

    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err
