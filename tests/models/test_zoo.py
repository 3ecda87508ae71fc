import copy

import pytest
import safetensors.torch
import torch

from biotune.errors import InputError
from biotune.models import forward_logits, has_fixed_size, load_model, native_size, reset_heads
from biotune.records import Preprocessing

TINY = "timm:mobilenetv3_small_050"


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("timm:resnet18", "fc"),
        ("torchvision:resnet18", "fc"),
        ("torchvision:squeezenet1_1", "classifier.1"),
        ("torchvision:mobilenet_v2", "classifier.1"),
        ("torchvision:alexnet", "classifier.6"),
        ("timm:convnext_atto", "head.fc"),
        ("timm:efficientvit_m0", "head.linear"),
        ("timm:vit_tiny_patch16_224", "head"),
        ("timm:deit_tiny_distilled_patch16_224", "head head_dist"),
        ("timm:levit_128s", "head.linear head_dist.linear"),
        ("timm:crossvit_tiny_240", "head.0 head.1"),
    ],
)
def test_the_network_ends_in_a_fresh_head(name, heads):
    loaded = load_model(name, 7, weights="random")
    size = loaded.preprocessing.image_size
    with torch.no_grad():
        logits = forward_logits(loaded.model, torch.zeros(2, 3, size, size))
    assert (loaded.name, loaded.heads, loaded.weights) == (name, tuple(heads.split()), "random")
    assert logits.shape == (2, 7)
    assert not any(module.training for module in loaded.model.modules())


def test_random_weights_are_always_the_same_and_leave_the_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two = (load_model(TINY, 4, weights="random") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.weights_sha256 == two.weights_sha256
    assert one.partition == two.partition
    states = one.model.state_dict(), two.model.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_copy_computes_the_same():
    model = load_model(TINY, 4, weights="random").model
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(forward_logits(copy.deepcopy(model), images), forward_logits(model, images))


def test_reset_heads_depends_on_the_seed_and_touches_nothing_else():
    model = load_model(TINY, 4, weights="random").model
    before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    heads = []
    for seed in (1, 2, 1):
        reset_heads(model, ("classifier",), seed)
        heads.append(model.classifier.weight.detach().clone())
    assert torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(torch.get_rng_state(), generator)
    after = model.state_dict()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert changed == ["classifier.weight", "classifier.bias"]


def test_reset_heads_keeps_the_parameters_in_place():
    model = load_model(TINY, 4, weights="random").model
    weight = model.classifier.weight.requires_grad_(False)
    reset_heads(model, ("classifier",), 5)
    assert model.classifier.weight is weight
    assert not weight.requires_grad


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "torchvision:resnet50",
            Preprocessing(224, crop_fraction=224 / 232, interpolation="bilinear"),
        ),
        ("timm:mobilenetv3_small_050", Preprocessing(224, crop_fraction=0.875, interpolation="bicubic")),
        (
            "torchvision:googlenet",
            Preprocessing(224, (0.5,) * 3, (0.5,) * 3, crop_fraction=0.875, interpolation="bilinear"),
        ),
        (
            "timm:vit_tiny_patch16_224",
            Preprocessing(224, (0.5,) * 3, (0.5,) * 3, crop_fraction=0.9, interpolation="bicubic"),
        ),
    ],
)
def test_the_preprocessing_is_the_librarys(name, expected):
    assert load_model(name, 3, weights="random").preprocessing == expected


@pytest.mark.parametrize(
    ("name", "size", "crop_fraction"),
    [
        (TINY, 96, 0.875),
        ("timm:vit_tiny_patch16_224", 96, 0.9),
        ("torchvision:vit_b_32", 96, 0.875),
        ("torchvision:maxvit_t", 448, 1.0),
    ],
)
def test_another_image_size_keeps_the_crop(name, size, crop_fraction):
    loaded = load_model(name, 3, weights="random", image_size=size)
    assert (loaded.preprocessing.image_size, loaded.preprocessing.crop_fraction) == (size, crop_fraction)
    with torch.no_grad():
        assert forward_logits(loaded.model, torch.zeros(1, 3, size, size)).shape == (1, 3)


@pytest.mark.parametrize("keep", [False, True])
def test_the_auxiliary_head_of_inception(keep):
    loaded = load_model("torchvision:inception_v3", 5, weights="random", keep_auxiliary=keep)
    assert (loaded.model.AuxLogits is not None) is keep
    assert loaded.model.transform_input is False
    assert forward_logits(loaded.model.train(), torch.zeros(2, 3, 299, 299)).shape == (2, 5)


def test_weights_of_an_inception_without_its_auxiliary_head_fit_one_that_keeps_it(tmp_path):
    """Most presets train without it, `paper` with it; it may keep its own values, since no loss reaches it."""
    trained = load_model("torchvision:inception_v3", 5, weights="random", image_size=80).model.state_dict()
    safetensors.torch.save_file(trained, tmp_path / "model.safetensors")
    kept = load_model("torchvision:inception_v3", 5, weights=tmp_path / "model.safetensors", keep_auxiliary=True).model
    assert kept.AuxLogits is not None
    heads = ("fc.", "AuxLogits.")
    assert all(
        torch.equal(value, trained[key]) for key, value in kept.state_dict().items() if not key.startswith(heads)
    )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (TINY, {"num_classes": 1}, r"number of classes \(--classes\) is 1; a classifier needs at least 2"),
        (TINY, {"image_size": 0}, r"image size \(--image-size\) is 0; give one side of a square"),
        (TINY, {"image_size": 20000}, "20000; give .* from 1 to 4096"),
        (TINY, {"image_size": (32, 64)}, r"is \(32, 64\); give one side"),
        (
            "torchvision:inception_v3",
            {"keep_auxiliary": True, "image_size": 298},
            "auxiliary head of torchvision:inception_v3 takes no images of 298 pixels; give --image-size 299 or more",
        ),
        (TINY, {"keep_auxiliary": True}, "has no auxiliary head to keep; only torchvision:inception_v3"),
        (TINY, {"weights": "rand"}, "no weights file 'rand'; give a .safetensors file, 'auto' or 'random'"),
        ("torchvision:googlenet", {"image_size": 8}, r"takes no images of 8 x 8 pixels \(.*\); choose another"),
        ("torchvision:vit_b_32", {"image_size": 40}, "cannot be built with .*40.*choose another image size"),
    ],
)
def test_bad_arguments_are_refused(name, arguments, message):
    with pytest.raises(InputError, match=message):
        load_model(name, **{"num_classes": 3, "weights": "random", **arguments})


@pytest.mark.parametrize(
    ("name", "size", "sizes"), [("vit_tiny_patch16_224", 100, "96 or 112"), ("vit_tiny_patch16_224", 15, "16")]
)
def test_a_size_with_a_blind_edge_is_refused(name, size, sizes):
    with pytest.raises(
        InputError, match=rf"would not see the last \d+ columns and rows .*; give --image-size {sizes}\."
    ):
        load_model(f"timm:{name}", 3, weights="random", image_size=size)


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 96), ("efficientvit_m0", 200), ("resnet18", 101)])
def test_every_other_size_is_taken(name, size):
    assert load_model(f"timm:{name}", 3, weights="random", image_size=size).preprocessing.image_size == size


class TestMlp:
    """The multi-layer perceptron of the sources."""

    def test_it_has_the_sizes_of_the_sources(self):
        loaded = load_model("mlp", 10)

        assert (loaded.name, loaded.weights, loaded.heads) == ("image:mlp", "random", ("fc2",))
        assert [block.num_parameters for block in loaded.partition.blocks] == [3072 * 128 + 128, 1280 + 10]
        assert loaded.for_images == Preprocessing(32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

    def test_its_logits_by_hand(self):
        loaded = load_model("image:mlp", 3, image_size=4)
        images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        first, second = loaded.model.fc1, loaded.model.fc2
        hidden = (images.reshape(2, 48) @ first.weight.T + first.bias).clamp(min=0)

        torch.testing.assert_close(loaded.model(images), hidden @ second.weight.T + second.bias)

    def test_its_size_is_fixed_and_other_names_are_refused(self):
        assert (has_fixed_size("image:mlp"), native_size("image:mlp")) == (True, 32)
        with pytest.raises(InputError, match="no network 'image:cnn'; those of images: image:mlp"):
            load_model("image:cnn", 3)
