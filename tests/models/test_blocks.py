import pytest
import torch
from torch import nn

from biotune.errors import InputError
from biotune.models import MAX_BLOCKS, PARTITIONS, load_model, partition_for

CLASSES = 10
RESNET50 = [9_536, 215_808, 1_219_584, 7_098_368, 14_964_736, 2049 * CLASSES]
DENSENET121 = [9_536, 335_040, 33_280, 919_680, 132_096, 2_837_760, 526_336, 2_158_080 + 2_048, 1025 * CLASSES]
VGG19 = [38_720, 221_440, 2_065_408, 8_259_584, 9_439_232, 119_545_856 + 4097 * CLASSES]
INCEPTION_BODY = [172_672, 255_904, 277_472, 285_152, 1_153_280, 1_297_408, 1_691_008, 1_691_008, 2_141_952]
INCEPTION_TAIL = [1_698_304, 5_044_608, 6_076_800, 2049 * CLASSES]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("timm:resnet50", RESNET50),
        ("torchvision:resnet50", RESNET50),
        ("timm:densenet121", DENSENET121),
        ("torchvision:densenet121", DENSENET121),
        ("timm:vgg19", VGG19),
        ("torchvision:vgg19", VGG19),
        ("timm:inception_v3", INCEPTION_BODY + INCEPTION_TAIL),
        ("torchvision:inception_v3", INCEPTION_BODY + INCEPTION_TAIL),
    ],
)
def test_the_papers_blocks_hold_the_papers_counts(name, counts):
    partition = load_model(name, CLASSES, weights="random", image_size=80).partition
    assert [block.num_parameters for block in partition.blocks] == counts
    assert partition.names[-1] == "head"


def test_the_papers_inception_has_an_inert_block():
    partition = load_model("torchvision:inception_v3", CLASSES, weights="random", keep_auxiliary=True).partition
    auxiliary = 2_557_696 + 769 * CLASSES
    assert [block.num_parameters for block in partition.blocks] == [*INCEPTION_BODY, auxiliary, *INCEPTION_TAIL]
    assert [block.name for block in partition.blocks if block.inert] == ["AuxLogits"]


def test_a_tag_does_not_change_the_table():
    model = load_model("timm:resnet18", CLASSES, weights="random").model
    tagged = partition_for(model, "timm:resnet18.a1_in1k", ("fc",), (3, 64, 64))
    assert tagged.names == tuple(block.name for block in PARTITIONS["timm:resnet18"])


class Backwards(nn.Module):
    """Declared in another order than used; with a token, a buffer, a norm without affine and a tied convolution."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.register_buffer("scale", torch.ones(()))
        self.fc = nn.Linear(4, 3)
        self.late = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4, affine=False)
        self.early = nn.Conv2d(3, 4, 1)
        self.tied = nn.Conv2d(4, 4, 1)
        self.tied.weight = self.late.weight
        self.unused = nn.Linear(2, 2)

    def forward(self, images):
        features = self.early(images * self.scale) + self.token
        return self.fc(self.norm(self.tied(self.late(features))).mean((2, 3)))


def test_the_general_rule_on_a_small_network():
    model = Backwards().train()
    model.norm.eval()
    model.early.requires_grad_(False)
    partition = partition_for(model, "mine", ("fc",), (3, 8, 8))
    assert partition.names == ("early", "late", "unused", "head")
    assert [block.inert for block in partition.blocks] == [False, False, True, False]
    assert {partition.owner(key) for key in ("late.weight", "tied.weight")} == {1}
    assert partition.owner("norm.running_mean") is not None
    assert partition.owner("fc.weight") == 3
    assert sum(block.num_parameters for block in partition.blocks) == sum(p.numel() for p in model.parameters())
    assert model.training
    assert not model.norm.training
    assert not model.early.weight.requires_grad
    assert model.unused.weight.requires_grad
    assert not any(module._forward_pre_hooks for module in model.modules())


class Borrowed(nn.Module):
    """Uses weights in a list and those of a layer that it never calls, and never its last layer."""

    def __init__(self):
        super().__init__()
        self.listed = nn.ParameterList([torch.ones(4, 3)])
        self.lender = nn.Linear(4, 4)
        self.idle = nn.Linear(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, images):
        features = nn.functional.linear(images.mean((2, 3)), self.listed[0])
        return (self.fc(nn.functional.linear(features, self.lender.weight)), features)


def test_only_what_the_logits_do_not_depend_on_is_inert():
    partition = partition_for(Borrowed(), "mine", ("fc",), (3, 8, 8))
    assert {block.name for block in partition.blocks if block.inert} == {"idle"}


class Deep(nn.Module):
    """Twenty layers of equal size behind one another."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)) for _ in range(20)))
        self.out = nn.Linear(6, 3)

    def forward(self, images):
        return self.out(self.layers(images.mean(2)))


def test_neighbours_are_merged_down_to_the_limit():
    partition = partition_for(Deep(), "mine", ("out",), (3, 4, 6))
    assert len(partition) == MAX_BLOCKS
    assert partition.names[:2] == ("layers.0-1", "layers.2-3")
    assert partition.blocks[0].prefixes == ("layers.0", "layers.1")


def test_a_network_without_anything_before_the_norm():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))
    partition = partition_for(model, "mine", ("4",), (3, 2, 2))
    assert [block.prefixes for block in partition.blocks] == [("1", "2"), ("4",)]


def test_an_input_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"mine takes no images of 5 x 5 pixels \(.*\); choose another image size"):
        partition_for(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), "mine", ("1",), (3, 5, 5))
