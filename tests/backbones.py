"""Small networks of many families, for the contracts: by name where the library has a small one, else as modules."""

from collections.abc import Callable
from pathlib import Path

import timm.models
import torch
import torchvision
from torch import nn

from biotune.models import Backbone, LoadedModel, load_backbone, load_model

CLASSES = 3
NAMED = {
    "timm:test_resnet": 32,
    "timm:test_vit": 32,
    "timm:test_convnext": 32,
    "timm:test_efficientnet": 32,
    "timm:test_nfnet": 32,
    "timm:test_mambaout": 32,
    "timm:test_byobnet": 32,
    "timm:test_maxvit": 64,
    "timm:test_coatnet": 64,
    "timm:eva02_tiny_patch14_224": 28,
    "timm:deit_tiny_distilled_patch16_224": 32,
    "timm:levit_128s": 64,
    "timm:crossvit_9_240": 120,
    "timm:efficientvim_m1": 64,
    "timm:mobilenetv3_small_050": 32,
    "timm:regnetx_002": 32,
    "timm:ghostnet_050": 32,
    "timm:densenet121": 32,
    "timm:mobilevit_xxs": 64,
    "timm:edgenext_xx_small": 64,
    "timm:xcit_nano_12_p16_224": 32,
    "timm:hrnet_w18_small": 64,
    "torchvision:resnet18": 32,
    "torchvision:squeezenet1_1": 64,
    "torchvision:mobilenet_v2": 32,
    "torchvision:shufflenet_v2_x0_5": 32,
    "torchvision:googlenet": 32,
}
"""Canonical name -> side of the images."""


class Tied(nn.Module):
    """No chain: a residual sum, two convolutions with one weight, a shared buffer, a token, a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(8))
        self.register_buffer("scale", torch.ones(()))
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.late_norm = nn.BatchNorm2d(8)
        self.late_norm.running_mean = self.norm.running_mean
        self.one = nn.Conv2d(8, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.two.weight = self.one.weight
        self.head = nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu_(self.norm(self.stem(images * self.scale)))
        features = features + self.one(features)
        return self.head((self.late_norm(self.two(features)) + self.token.view(8, 1, 1)).mean((2, 3)))


def swin() -> nn.Module:
    return timm.models.SwinTransformer(
        img_size=32, patch_size=4, embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4, num_classes=5
    )


def mixer() -> nn.Module:
    return timm.models.MlpMixer(img_size=32, patch_size=8, num_blocks=4, embed_dim=32, num_classes=5)


def torchvision_vit() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 8, 4, 2, 16, 32, num_classes=5)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "swin": swin,
    "mixer": mixer,
    "torchvision vit": torchvision_vit,
    "tied": Tied,
}
FAMILIES = (*NAMED, *MODULES, "transformers vit")


def load(family: str, folder: Path) -> LoadedModel:
    """Return a network of three classes with random weights; ``folder`` is scratch space."""
    if family in NAMED:
        return load_model(family, CLASSES, weights="random", image_size=NAMED[family])
    torch.manual_seed(0)
    if family in MODULES:
        return load_backbone(Backbone(MODULES[family](), image_size=32), CLASSES)
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    return load_model(f"hf:{folder}", CLASSES)
