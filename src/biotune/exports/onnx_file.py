"""One ONNX file from the pixels of images to the probabilities of their classes."""

import contextlib
import importlib
import importlib.util
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.exports.source import TIMM, Subject
from biotune.models import forward_logits
from biotune.records import Preprocessing
from biotune.runs.files import guarded

_LARGEST = 2**31 - 2**20
"""Bytes of the weights that a file may have: protobuf ends at 2 GiB, and the graph needs room beside them."""


class _Answers(nn.Module):
    """From pixels, uint8 (batch, size, size, 3), to probabilities, float32 (batch, classes)."""

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.mean = nn.Buffer(torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.std = nn.Buffer(torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        images = (pixels.permute(0, 3, 1, 2).float() / 255.0 - self.mean) / self.std
        return torch.softmax(forward_logits(self.model, images).float(), dim=1)


def write_onnx(path: Path, subject: Subject) -> None:
    """Write the networks of a run as one graph; of several, it holds the mean of their probabilities.

    The input ``pixels`` is uint8 (batch, size, size, 3), cropped and resized; the output ``probabilities`` float32
    (batch, classes). The metadata entry ``classes`` holds the class names, as JSON.

    Raises InputError: the extra ``onnx`` is missing, the networks are too large for one file or cannot be translated,
    or the disk refuses.
    """
    require_onnx()
    passes: Any = importlib.import_module("onnx_ir.passes.common")
    answers, size = _Answers(subject.classifier.model, subject.preprocessing).eval(), subject.preprocessing.image_size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                answers,
                (example,),
                input_names=["pixels"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises errors of many kinds for what it cannot translate
        reason = str(error).strip().partition("\n")[0][:200]
        raise InputError(
            f"torch.onnx cannot translate {subject.name} ({type(error).__name__}: {reason}); choose --format {TIMM} "
            "where it is possible, or another network."
        ) from error
    passes.DeduplicateInitializersPass(size_limit=_LARGEST)(program.model)  # all networks of a vote share frozen blocks
    num_bytes = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    if num_bytes > _LARGEST:
        raise InputError(
            f"the weights have {num_bytes:,} bytes, and an ONNX file holds 2 GiB at most; export one network "
            f"(--single), or choose --format {TIMM}."
        )
    program.model.metadata_props["classes"] = json.dumps(subject.classifier.class_names)
    with guarded(f"write '{path}'"):
        program.save(path, external_data=False)


def require_onnx() -> None:
    """Raise InputError where the packages of the extra ``onnx`` are missing."""
    if any(importlib.util.find_spec(package) is None for package in ("onnxruntime", "onnxscript")):
        raise InputError("the format onnx needs the extra 'onnx'; install it: pip install 'biotune[onnx]'.")
