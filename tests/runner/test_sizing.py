"""Input size and network, where a run may choose them: what is tried, what is chosen, and that it is kept."""

import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

import biotune
from biotune.datasets import ImageSet, open_source
from biotune.errors import InputError
from biotune.methods.logistic import HeldOut
from biotune.models import load_model
from biotune.pixels.loading import learning_rows
from biotune.runner import sizing
from biotune.runner.estimate import estimate_run
from biotune.runner.setup import with_device
from biotune.runner.size_probe import Probed, possible_sizes, work_of
from biotune.runner.sizing import networks_of, smallest_as_good, with_network
from biotune.runs.events import Message, silent
from biotune.runs.store import RunStore
from biotune.settings.resolve import load_config
from tiny import BRIEF, NETWORK, run, tiny_config

AUTO = {"model": {"name": NETWORK, "weights": "random", "image_size": "auto"}, "training": {"epochs": 20}}
ONE_EPOCH = {"search": {**BRIEF["search"], "max_work": 9.0, "rungs": (1.0,)}, "training": {"epochs": 2}}


def auto_config(images, *changes):
    return with_device(tiny_config(images, BRIEF, AUTO, *changes), None)


def chosen(config, images, folder=None):
    """What was chosen, what was found, and what was said."""
    said = []
    config, found = with_network(config, folder, open_source(images), said.append)
    words = [event.text for event in said if isinstance(event, Message)]
    return SimpleNamespace(model=config.model, found=found, words=words)


def forbidden(*_args, **_options):
    raise AssertionError("the probe was asked")


@pytest.fixture(scope="module")
def loaded():
    return load_model(NETWORK, 3, weights="random")


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sized") / "run"
    return SimpleNamespace(folder=folder, summary=run(tiny_config(images, BRIEF, AUTO, ONE_EPOCH), folder))


class TestTheRule:
    def test_a_size_within_one_standard_error_of_the_best_is_as_good(self):
        """Differences of 0.1 +- 0.1: a standard error of 0.1 / sqrt(4) x 2 / sqrt(3) = 0.058; of 0.05 +- 0.1 less."""
        best = np.array([0.1, 0.2, 0.3, 0.4])
        spread = np.array([0.1, -0.1, 0.1, -0.1])
        assert smallest_as_good([best + 0.05 + spread, best + 0.01, best]) == 0
        assert smallest_as_good([best + 0.10 + spread, best, best + 0.2]) == 1
        assert smallest_as_good([best + 0.10 + spread, best + 0.1, best]) == 2

    def test_equals_and_what_is_not_finite(self):
        losses, bad = np.ones(3), np.full(3, np.inf)
        assert smallest_as_good([losses, losses]) == 0
        assert smallest_as_good([bad, losses]) == 1
        assert smallest_as_good([losses, bad]) == 0
        assert smallest_as_good([bad, bad]) == 0
        assert smallest_as_good([np.ones(1) * 2, np.ones(1)]) == 1


class TestWhatIsTried:
    @pytest.mark.parametrize(
        ("side", "expected"),
        [(8, (64, 96, 128)), (70, (64, 96, 128)), (90, (64, 96, 128, 160)), (0, (64, 96, 128, 160))],
    )
    def test_images_are_enlarged_to_128_or_twice_their_side(self, loaded, side, expected):
        assert possible_sizes(loaded, side) == expected

    def test_a_network_of_one_size_keeps_it(self):
        assert possible_sizes(load_model("timm:test_vit", 3, weights="random"), 500) == (160,)

    def test_sizes_that_a_network_does_not_take_are_left_out(self):
        assert possible_sizes(load_model("torchvision:inception_v3", 3, weights="random"), 30) == (128,)

    def test_work_grows_with_the_area(self, loaded):
        assert work_of(loaded, 128) == pytest.approx(4 * work_of(loaded, 64), rel=0.05)

    @pytest.mark.parametrize(
        ("text", "expected"), [("a", ("a",)), ("a,b,a", ("a", "b")), (" a , b,", ("a", "b")), ("hf:x/y", ("hf:x/y",))]
    )
    def test_networks_are_named_with_commas(self, text, expected):
        assert networks_of(text) == expected

    def test_a_folder_may_have_a_comma_in_its_name(self, tmp_path):
        (tmp_path / "a,b").mkdir()
        assert networks_of(f"hf:{tmp_path / 'a,b'}") == (f"hf:{tmp_path / 'a,b'}",)

    def test_no_network_is_refused(self):
        with pytest.raises(InputError, match="' , ' names no network"):
            networks_of(" , ")


class TestTheChoice:
    def test_the_same_images_give_the_same_size(self, images):
        first, second = (chosen(auto_config(images), images) for _ in range(2))
        assert first.model == second.model
        assert [row.log_loss for row in first.found.tried] == [row.log_loss for row in second.found.tried]
        assert [row.image_size for row in first.found.tried] == [64, 96, 128]
        assert first.found.images == 48
        assert min(row.accuracy for row in first.found.tried) > 0

    def test_it_is_told_in_a_small_table(self, images):
        (text,) = chosen(auto_config(images), images).words
        sentence, head, *rows = text.splitlines()
        assert sentence.endswith("pixels, chosen by the probe on 48 training and validation images.")
        assert head.split() == ["size", "accuracy", "log-loss", "one", "full", "fine-tune"]
        assert [row.replace("*", "").split()[0] for row in rows] == ["64", "96", "128"]
        assert [row[0] for row in rows].count("*") == 1
        assert max(map(len, [sentence, head, *rows])) <= 80

    def test_images_of_the_test_are_not_opened(self, images, monkeypatch):
        opened, plain = set(), ImageSet.image

        def noted(self, index):
            opened.add(self.ids[index])
            return plain(self, index)

        monkeypatch.setattr(ImageSet, "image", noted)
        config = auto_config(images)
        chosen(config, images)
        source = open_source(images)
        assert opened == {source.ids[row] for row in np.union1d(*learning_rows(source, config.data))}

    def test_of_many_images_some_of_each_class_are_looked_at(self, images, monkeypatch):
        monkeypatch.setattr(sizing, "MOST_IMAGES", 30)
        assert chosen(auto_config(images), images).found.images == 30

    def test_a_run_too_short_for_a_probe_takes_96_pixels(self, images, monkeypatch):
        monkeypatch.setattr(sizing, "probe", forbidden)
        config = auto_config(images, {"training": {"epochs": 1}, "method": {"name": "full"}})
        answer = chosen(config, images)
        assert (answer.model.image_size, answer.found) == (96, None)
        assert answer.words == ["Input size: 96 pixels, since the run is too short to try several."]

    def test_a_time_limit_ends_the_climb(self, images):
        answer = chosen(auto_config(images, {"budget": {"seconds": 0.001}}), images)
        assert [row.image_size for row in answer.found.tried] == [64]
        assert answer.model.image_size == 64

    def test_a_vision_transformer_keeps_its_size(self, images, monkeypatch):
        monkeypatch.setattr(sizing, "probe", forbidden)
        answer = chosen(auto_config(images, {"model": {"name": "timm:test_vit"}}), images)
        assert answer.model.image_size == 160
        assert answer.words == ["Input size: 160 pixels, the only one that suits timm:test_vit."]

    def test_given_sizes_are_taken_as_they_are(self, images, monkeypatch):
        monkeypatch.setattr(sizing, "probe", forbidden)
        for size in (0, 40):
            answer = chosen(auto_config(images, {"model": {"image_size": size}}), images)
            assert (answer.model.image_size, answer.found, answer.words) == (size, None, [])

    def test_images_of_which_none_can_be_held_out_get_96_pixels(self, images, monkeypatch):
        nothing = Probed(HeldOut(np.arange(0), np.zeros(0), np.zeros(0, dtype=bool)), 0.01)
        monkeypatch.setattr(sizing, "probe", lambda *_: nothing)
        answer = chosen(auto_config(images), images)
        assert (answer.model.image_size, answer.found.tried[0].log_loss) == (96, None)
        assert answer.words == ["Input size: 96 pixels; the images are too few for the probe to say anything."]


class TestSeveralNetworks:
    def test_the_one_of_least_log_loss_is_chosen(self, images):
        named = {"model": {"name": f"timm:test_vit,{NETWORK}", "image_size": "auto"}}
        answer = chosen(auto_config(images, named), images)
        sizes = [(row.model, row.image_size) for row in answer.found.tried]
        assert sizes == [("timm:test_vit", 160), (NETWORK, 64), (NETWORK, 96), (NETWORK, 128)]
        assert (answer.model.name, answer.model.image_size) == (answer.found.model, answer.found.image_size)
        vit, *others = answer.found.tried
        if answer.found.model == "timm:test_vit":
            assert vit.log_loss <= max(row.log_loss for row in others)
        assert "network" in answer.words[0].splitlines()[1]

    def test_a_given_size_holds_for_all(self, images):
        named = {"model": {"name": f"test_resnet,{NETWORK}", "image_size": 32}}
        answer = chosen(auto_config(images, named), images)
        assert {row.image_size for row in answer.found.tried} == {32}
        assert answer.model.name in ("test_resnet", NETWORK)

    def test_one_file_of_weights_is_refused(self, images):
        named = {"model": {"name": f"test_resnet,{NETWORK}", "weights": "one.safetensors"}}
        with pytest.raises(InputError, match=r"--weights 'one.safetensors' fits one network, but --model names 2"):
            chosen(auto_config(images, named), images)

    def test_an_unknown_name_is_refused(self, images):
        with pytest.raises(InputError, match="there is no network 'resnet5000'"):
            chosen(auto_config(images, {"model": {"name": f"{NETWORK},resnet5000"}}), images)


class TestRuns:
    def test_the_choice_is_stored_and_in_the_results(self, done):
        found = done.summary["sizing"]
        stored = tomllib.loads((done.folder / "config.toml").read_text())
        assert stored["model"]["image_size"] == found["image_size"] == done.summary["model"]["image_size"]
        with RunStore(done.folder / "run.sqlite", read_only=True) as store:
            assert store.fact("sizing") == found

    def test_the_page_shows_what_was_tried(self, done):
        page = (done.folder / "report.html").read_text()
        assert "Input size" in page
        assert "log-loss" in page

    def test_a_continued_run_does_not_ask_again(self, done, images, monkeypatch):
        monkeypatch.setattr(sizing, "probe", forbidden)
        (done.folder / "summary.json").unlink()
        again = run(tiny_config(images, BRIEF, AUTO, ONE_EPOCH), done.folder)
        assert {**again, "created": ""} == {**done.summary, "created": ""}

    def test_another_size_is_another_run(self, done, images):
        other = {"model": {"image_size": 40}}
        with pytest.raises(InputError, match=r"holds another run: model.image_size \(was \d+, now 40\)"):
            run(tiny_config(images, BRIEF, AUTO, ONE_EPOCH, other), done.folder)

    def test_another_network_is_another_run(self, done, images):
        other = {"model": {"name": "test_resnet,test_vit"}}
        with pytest.raises(InputError, match=r"model.name \(was 'timm:test_efficientnet', now 'test_resnet'\)"):
            run(tiny_config(images, BRIEF, AUTO, ONE_EPOCH, other), done.folder)

    def test_a_run_of_version_0_1_keeps_its_size(self, images, tmp_path, no_report):
        own = {"model": {"image_size": 0}, "training": {"epochs": 1}, "method": {"name": "probe"}}
        run(tiny_config(images, BRIEF, own), tmp_path / "run")
        (tmp_path / "run" / "summary.json").unlink()
        run(tiny_config(images, BRIEF, own, {"model": {"image_size": "auto"}}), tmp_path / "run")
        assert load_config(tmp_path / "run" / "config.toml")[0].model.image_size == 0

    def test_images_in_memory(self, tmp_path, no_report):
        random = np.random.default_rng(0)
        labels = np.arange(40) % 2
        pixels = random.integers(0, 150, (40, 20, 20, 3)).astype(np.uint8)
        pixels[labels == 1, :, :, 0] += 90
        found = biotune.tune(
            (pixels, labels),
            out=tmp_path / "run",
            model=NETWORK,
            weights="random",
            image_size="auto",
            epochs=4,
            seeds=1,
            threads=1,
            max_work=2.0,
            search={"population": 2, "elites": 1, "generations": 1},
            baselines=(),
        )
        assert found.summary.sizing is not None
        assert found.summary.model.image_size == found.summary.sizing.image_size

    def test_a_dry_run_says_what_will_be_tried(self, images, monkeypatch):
        monkeypatch.setattr(sizing, "probe", forbidden)
        estimate = estimate_run(tiny_config(images, BRIEF, AUTO), None, silent)
        assert estimate.to_json()["to_try"] == {NETWORK: (64, 96, 128)}
        assert estimate.sentence().endswith(
            "The probe chooses first from these input sizes: 64, 96 and 128 pixels; the times are for the costliest."
        )


def test_the_probe_of_real_weights_sees_more_in_larger_photos(images):
    config = auto_config(images, {"model": {"name": "tf_efficientnet_lite0", "weights": "auto"}})
    answer = chosen(config, images)
    assert [row.image_size for row in answer.found.tried] == [64, 96, 128]
    assert answer.found.tried[0].multiplications == 31343232
    assert max(row.accuracy for row in answer.found.tried) > 0.9
