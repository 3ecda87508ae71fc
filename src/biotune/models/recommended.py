"""Networks to begin with, by size and purpose: few of the more than a thousand that can be tuned."""

from typing import NamedTuple


class Recommended(NamedTuple):
    """A network to begin with.

    Args:
        name: as ``--model`` takes it.
        parameters: number of scalar parameters, without a head.
        purpose: what it is good for.
    """

    name: str
    parameters: int
    purpose: str


RECOMMENDED = (
    Recommended("tf_efficientnet_lite0", 3_371_008, "a first try, on a laptop's CPU; its weights are in a package"),
    Recommended("mobilenetv4_conv_small", 2_493_024, "the smallest and quickest: phones, cameras"),
    Recommended("resnet18", 11_176_512, "plain and quick on a small GPU"),
    Recommended("resnet50", 23_508_032, "the network of the papers, which most work compares with"),
    Recommended("convnext_tiny", 27_820_128, "a newer network of that size, learned from 12,000 classes; a GPU"),
    Recommended("vit_small_patch14_dinov2", 22_056_192, "learned without labels, from other images; a GPU"),
)
"""From the smallest effort on. The parameters are counted by a test."""
