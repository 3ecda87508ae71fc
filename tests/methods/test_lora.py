"""LoRA: the same network at the start, an exact merge, and PEFT as the oracle of what is learned."""

import pytest
import torch
from torch import nn

from biotune.methods import Network, make_method
from biotune.methods.lora import LowRank, adaptable
from biotune.models import load_model
from biotune.partition import Block, make_partition
from biotune.training.stages import prepared
from biotune.trials.worker import network_of
from small_network import CONFIG, Case, changed, copies


class Odd(nn.Module):
    """Convolutions with stride, dilation, padding modes and non-square kernels, and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, (3, 5), stride=(2, 1), padding=(0, 2), padding_mode="reflect")
        self.second = nn.Conv2d(6, 8, 3, dilation=2, padding="same", bias=False)
        self.third = nn.Conv2d(8, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.hidden = nn.Linear(4, 7)
        self.classifier = nn.Linear(7, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.third(self.second(self.first(images).relu()).relu()))
        return self.classifier(self.hidden(maps.mean((2, 3))).relu())


LAYERS = ("first", "second", "third", "hidden")
FORGOTTEN = {"dilation", "padding_mode", "_reversed_padding_repeated_twice"}
"""What PEFT 0.21 does not hand on from a convolution to its adapter; its merge is wrong without."""


def odd_network(dtype: torch.dtype = torch.float32) -> tuple[Odd, Network]:
    torch.manual_seed(0)
    model = Odd().to(dtype)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    buffers = tuple(name for name, _ in model.named_buffers())
    partition = make_partition([Block("body", (*LAYERS, "norm")), Block("head", ("classifier",))], shapes, buffers)
    return model, Network(partition, ("classifier",), shapes, buffers, "odd")


def batches(count: int = 8) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(6, 3, 9, 9, generator=generator).double(), torch.randint(3, (6,), generator=generator))
        for _ in range(count)
    ]


def train(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Take some steps with frozen batch norms; return the logits of each."""
    history = []
    for images, labels in batches():
        logits = model(images)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        history.append(logits.detach())
    return history


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_it_learns_and_merges_what_peft_does(optimizer):
    """In double precision: the same start and steps give the same logits in every step, and the same merge."""
    peft = pytest.importorskip("peft")
    (ours, network), (theirs, _) = odd_network(torch.float64), odd_network(torch.float64)
    settings = peft.LoraConfig(r=2, lora_alpha=6, target_modules=list(LAYERS), modules_to_save=["classifier"])
    theirs = peft.get_peft_model(theirs, settings).eval()
    method = make_method("lora:r=2,alpha=6", network)
    with prepared(ours.eval(), method, CONFIG, 0) as scope:
        for name in LAYERS:
            layer = theirs.get_submodule(f"base_model.model.{name}")
            for attribute in FORGOTTEN & vars(layer.base_layer).keys():
                setattr(layer.lora_A["default"], attribute, getattr(layer.base_layer, attribute))
            adapter = ours.get_submodule(name).parametrizations.weight[0]
            with torch.no_grad():
                adapter.a.copy_(layer.lora_A["default"].weight.flatten(1))
                adapter.b.copy_(layer.lora_B["default"].weight.flatten(1))
        mine = [p for p in ours.parameters() if p.requires_grad]
        other = [p for p in theirs.parameters() if p.requires_grad]
        assert sum(p.numel() for p in mine) == sum(p.numel() for p in other) == scope.trainable
        learned, expected = train(ours, optimizer(mine, lr=0.02)), train(theirs, optimizer(other, lr=0.02))
        unmerged = ours(batches()[0][0])
    torch.testing.assert_close(learned, expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(learned[0], unmerged, atol=0.01)
    assert torch.equal(ours(batches()[0][0]), unmerged)
    merged = theirs.merge_and_unload().state_dict()
    torch.testing.assert_close(ours.state_dict(), merged, rtol=1e-9, atol=1e-9)


def of_the_zoo(name: str) -> tuple[nn.Module, Network]:
    loaded = load_model(f"timm:{name}", 3, weights="random", image_size=32)
    return loaded.model, network_of(loaded)


def with_attention_of_torch(_name: str) -> tuple[nn.Module, Network]:
    """A vision transformer of torchvision: its attention reads the weights of a layer without calling it."""
    models = pytest.importorskip("torchvision.models")
    model = models.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=3)
    nn.init.normal_(model.heads.head.weight)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    blocks = [Block("body", ("class_token", "conv_proj", "encoder")), Block("head", ("heads",))]
    return model, Network(make_partition(blocks, shapes), ("heads.head",), shapes)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("test_efficientnet", of_the_zoo),
        ("test_vit", of_the_zoo),
        ("test_convnext", of_the_zoo),
        ("test_nfnet", of_the_zoo),
        ("torchvision", with_attention_of_torch),
    ],
)
def test_at_the_start_and_after_the_merge_it_is_the_same_network(name, make):
    """B is zero, so before the first step nothing differs, bit for bit; then a changed B stays through the merge."""
    torch.manual_seed(0)
    model, network = make(name)
    model.eval()
    images = torch.randn(2, 3, 32, 32)
    before = copies(model)
    with torch.no_grad():
        plain = model(images)
        with prepared(model, make_method("lora:r=2", network), CONFIG, 0) as scope:
            assert torch.equal(model(images), plain)
            for parameter_name, parameter in model.named_parameters():
                if parameter_name.endswith("weight.0.b"):
                    nn.init.normal_(parameter, std=0.5)
            adapted = model(images)
        assert scope.partition.names[-2:] == ("adapters", network.partition.names[-1])
        assert (adapted - plain).abs().max() > 1e-4
        assert torch.equal(model(images), adapted)
    layers = set(adaptable(model, network))
    assert {name.removesuffix(".weight") for name in changed(before, model.state_dict())} == layers
    assert len(layers) > 3


@pytest.mark.parametrize(
    ("form", "rank", "expected"),
    [
        ("peft", 4, 317_772), ("peft", 8, 635_544), ("peft", 16, 1_271_088),
        ("loralib", 4, 450_892), ("loralib", 8, 901_784), ("loralib", 16, 1_803_568),
    ],
)  # fmt: skip
def test_parameters_of_the_53_convolutions_of_a_resnet_50(form, rank, expected):
    """By hand, r (inputs k^2 + outputs) each, or r k^2 (inputs + outputs) in loralib's form."""
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        model = models.resnet50()
        layers = adaptable(model, Network(make_partition([], {}), ("fc",), {}))
        counts = [sum(p.numel() for p in LowRank(m.weight, rank, 8.0, form).parameters()) for m in layers.values()]
    assert (len(layers), sum(counts)) == (53, expected)


def test_the_update_by_hand():
    """Scale 6 / 2 = 3; PEFT: a 1 x 1 convolution after a kernel-sized one; loralib: B A read row by row."""
    peft = LowRank(torch.zeros(2, 1, 1, 2), 1, 3.0, "peft")
    lib = LowRank(torch.zeros(1, 1, 2, 2), 1, 3.0, "loralib")
    with torch.no_grad():
        peft.a.copy_(torch.tensor([[1.0, 2.0]]))
        peft.b.copy_(torch.tensor([[1.0], [-1.0]]))
        lib.a.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        lib.b.copy_(torch.tensor([[1.0, 0.0], [2.0, 1.0]]))
    assert peft(torch.ones(2, 1, 1, 2)).tolist() == [[[[4.0, 7.0]]], [[[-2.0, -5.0]]]]
    assert lib(torch.zeros(1, 1, 2, 2)).tolist() == [[[[3.0, 6.0], [15.0, 24.0]]]]


def test_grouped_convolutions_and_everything_else_are_frozen():
    case = Case()
    before = copies(case.model)
    case.fit("lora")
    moved = changed(before, case.model.state_dict())
    assert moved == {"stem.0.weight", "middle.1.weight", "hidden.weight", "classifier.weight", "classifier.bias"}


def test_a_weight_that_two_layers_share_is_frozen():
    case = Case()
    case.model.middle[1].weight = case.model.stem[0].weight
    assert set(adaptable(case.model, case.network)) == {"hidden"}


def test_in_loralibs_form_kernels_that_are_not_square_have_the_factors_of_peft():
    model, network = odd_network()
    with prepared(model, make_method("lora:form=loralib,r=2", network), CONFIG, 0):
        shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters() if name.endswith((".a", ".b"))}
    first, second = (f"{name}.parametrizations.weight.0" for name in ("first", "second"))
    assert (shapes[f"{first}.a"], shapes[f"{first}.b"]) == ((2, 3 * 15), (6, 2))
    assert (shapes[f"{second}.a"], shapes[f"{second}.b"]) == ((6, 18), (24, 6))


def test_without_a_layer_to_adapt_it_is_the_linear_probe():
    case, probe = Case(), Case()
    for toy in (case, probe):
        toy.model.stem, toy.model.middle, toy.model.hidden = (nn.Identity() for _ in range(3))
        toy.model.norm, toy.model.classifier = nn.BatchNorm2d(3), nn.Linear(3, 3)
        nn.init.zeros_(toy.model.classifier.weight)
        nn.init.zeros_(toy.model.classifier.bias)
        shapes = {name: tuple(parameter.shape) for name, parameter in toy.model.named_parameters()}
        buffers = tuple(name for name, _ in toy.model.named_buffers())
        blocks = [Block("norm", ("norm", "scale")), Block("head", ("classifier",))]
        toy.network = Network(make_partition(blocks, shapes, buffers), ("classifier",), shapes, buffers)
    assert case.fit("lora").curve == probe.fit("linear_probe").curve
