"""Networks in folders from which timm builds them alone: ``timm.create_model("local-dir:FOLDER", pretrained=True)``."""

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from biotune.exports.script import steps_of
from biotune.exports.source import Subject
from biotune.models import has_fixed_size
from biotune.runs import folder as files
from biotune.runs.files import make_folder, write_atomic, write_json
from biotune.trials.weights import portable

_KEPT = ("first_conv", "classifier", "fixed_input_size")
"""What timm's own description says of the architecture, and its loader asks for."""

_CROP_MODES = {"crop": "center", "squash": "squash", "pad": "border"}
"""The words of ``Preprocessing.resize`` -> timm's ``crop_mode``."""


def write_timm(folder: Path, subject: Subject) -> None:
    """Write the networks of a run, the exported one into the folder itself, the others below ``members``.

    Raises InputError: the disk refuses.
    """
    write_json(folder / files.LABELS, subject.classifier.class_names)
    steps = {"steps": steps_of(subject.preprocessing)}
    write_json(folder / files.PREPROCESSING, {**subject.preprocessing.to_json(), **steps})
    for place, (seed, network) in enumerate(zip(subject.seeds, subject.networks, strict=True)):
        inside = folder
        if place:
            make_folder(folder / files.MEMBERS)
            inside = folder / files.MEMBERS / f"seed-{seed}"
            make_folder(inside)
        write_json(inside / "config.json", _config(subject, network))
        write_atomic(inside / files.MODEL, safetensors.torch.save(portable(network.state_dict()), {"format": "pt"}))


def _config(subject: Subject, network: nn.Module) -> dict[str, Any]:
    """Return what timm reads as ``config.json``."""
    own: Any = network
    inputs, names = subject.preprocessing, subject.classifier.class_names
    described = {
        **{key: own.pretrained_cfg[key] for key in _KEPT if own.pretrained_cfg.get(key) is not None},
        "input_size": inputs.sample_shape,
        "interpolation": inputs.interpolation,
        "crop_pct": inputs.crop_fraction,
        "crop_mode": _CROP_MODES[inputs.resize],
        "mean": inputs.mean,
        "std": inputs.std,
        "num_classes": len(names),
    }
    return {
        "architecture": own.pretrained_cfg["architecture"],
        "num_classes": len(names),
        "num_features": own.num_features,
        "label_names": names,
        "model_args": {"img_size": inputs.image_size} if has_fixed_size(subject.name) else {},
        "pretrained_cfg": described,
    }
