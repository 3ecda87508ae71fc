"""The block tables of the BioTune papers: for these networks they win over the general rule."""

from biotune.partition import Block


def _blocks(*rows: tuple[str, str]) -> tuple[Block, ...]:
    return tuple(Block(name, tuple(prefixes.split())) for name, prefixes in rows)


def _convolutions(*indices: int) -> str:
    return " ".join(f"features.{index}" for index in indices)


RESNET = _blocks(
    ("stem", "conv1 bn1"),
    ("layer1", "layer1"),
    ("layer2", "layer2"),
    ("layer3", "layer3"),
    ("layer4", "layer4"),
    ("head", "fc"),
)

DENSENET = _blocks(
    ("stem", "features.conv0 features.norm0"),
    ("denseblock1", "features.denseblock1"),
    ("transition1", "features.transition1"),
    ("denseblock2", "features.denseblock2"),
    ("transition2", "features.transition2"),
    ("denseblock3", "features.denseblock3"),
    ("transition3", "features.transition3"),
    ("denseblock4", "features.denseblock4 features.norm5"),
    ("head", "classifier"),
)


def _vgg19(head: str) -> tuple[Block, ...]:
    return _blocks(
        ("conv1-2", _convolutions(0, 2)),
        ("conv3-4", _convolutions(5, 7)),
        ("conv5-8", _convolutions(10, 12, 14, 16)),
        ("conv9-12", _convolutions(19, 21, 23, 25)),
        ("conv13-16", _convolutions(28, 30, 32, 34)),
        ("head", head),
    )


INCEPTION_V3 = (
    *_blocks(
        ("stem", "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3"),
        *((f"Mixed_{part}", f"Mixed_{part}") for part in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")),
    ),
    Block("AuxLogits", ("AuxLogits",), inert=True),
    *_blocks(("Mixed_7a", "Mixed_7a"), ("Mixed_7b", "Mixed_7b"), ("Mixed_7c", "Mixed_7c"), ("head", "fc")),
)

_BOTH_LIBRARIES = {
    **{f"resnet{depth}": RESNET for depth in (18, 34, 50, 101, 152)},
    **{f"densenet{depth}": DENSENET for depth in (121, 161, 169, 201)},
    "inception_v3": INCEPTION_V3,
}

PARTITIONS: dict[str, tuple[Block, ...]] = {
    **{f"timm:{name}": blocks for name, blocks in _BOTH_LIBRARIES.items()},
    **{f"torchvision:{name}": blocks for name, blocks in _BOTH_LIBRARIES.items()},
    "timm:vgg19": _vgg19("pre_logits head"),
    "torchvision:vgg19": _vgg19("classifier"),
}
"""Canonical network name (without a tag) -> its blocks; an inert block counts only where the network has it."""
