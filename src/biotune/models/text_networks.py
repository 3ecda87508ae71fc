"""Networks of texts, by name: BioTune's own, or one of Hugging Face ``transformers``."""

from pathlib import Path

import torch

from biotune.errors import InputError
from biotune.models.hugging_face_texts import load_hugging_face_texts
from biotune.models.loaded_model import LoadedModel
from biotune.models.names import ModelName
from biotune.models.own_generator import own_generator
from biotune.models.texts import load_own_network
from biotune.records import TextInputs, TokenizerPreprocessing
from biotune.settings.texts import TextConfig


def load_text_network(
    name: ModelName,
    num_classes: int,
    inputs: TextInputs,
    sizes: TextConfig,
    weights: str | Path = "random",
    granularity: str = "block",
    trust_checkpoint: bool = False,
) -> LoadedModel:
    """Build a network of texts with a fresh head; the caller's random state is not touched.

    Args:
        name: one of the library ``text``, or ``hf`` with a folder.
        num_classes: at least 2.
        inputs: how texts become rows of tokens.
        sizes: widths of the layers of BioTune's own networks.
        weights: ``auto``, ``random`` (always the same), or the path of a state dict whose head may have any class
            count. BioTune's own networks have random weights for ``auto`` too; a state dict for them has the same
            widths and vocabulary.
        granularity: ``block``, or ``layer`` for one unit per layer with a weight matrix.
        trust_checkpoint: True to admit weights of ``transformers`` that are not safetensors.

    Returns:
        The network and what belongs to it.

    Raises:
        InputError: fewer than two classes, the network cannot be built, or the weights do not fit.
    """
    if num_classes < 2:
        raise InputError(f"the number of classes is {num_classes}; a classifier needs at least 2.")
    with own_generator():
        torch.default_generator.manual_seed(0)
        if isinstance(inputs, TokenizerPreprocessing):
            return load_hugging_face_texts(name, num_classes, inputs, weights, trust_checkpoint, granularity)
        return load_own_network(name, num_classes, inputs, sizes, weights, granularity)
