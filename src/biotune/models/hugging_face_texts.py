"""Text classifiers of Hugging Face ``transformers``, from a local folder with its tokenizer."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.blocks import partition_for
from biotune.models.hugging_face import classifier_of, label_of, opened
from biotune.models.loaded_model import LoadedModel, finish_loading
from biotune.models.names import TOKENIZER, ModelName
from biotune.models.texts import IsWord
from biotune.records import PADDING, TokenizerPreprocessing
from biotune.texts import TokenizerEncoder

_WHAT = "a text classifier"


def tokenizer_inputs(name: ModelName, max_length: int) -> TokenizerPreprocessing:
    """Return how texts become the input of a network of ``transformers``: by the tokenizer of its folder.

    Args:
        name: the folder with ``config.json`` and ``tokenizer.json``.
        max_length: tokens of a text that are used, special ones included; fewer if the network takes fewer.

    Returns:
        The tokenizer and the length of a row.

    Raises:
        InputError: ``transformers`` is missing, or the files of the folder do not fit each other.
    """
    with opened(name, _WHAT, trust_checkpoint=False) as (_, folder, config):
        told = folder / "tokenizer_config.json"
        own: dict[str, Any] = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
        limits = (max_length, own.get("model_max_length"), getattr(config, "max_position_embeddings", None))
        length = min(int(limit) for limit in limits if limit)
        content = (folder / TOKENIZER).read_text(encoding="utf-8")
        size = TokenizerEncoder(TokenizerPreprocessing(content, length, 0)).vocabulary_size
        if size > config.vocab_size:
            raise InputError(
                f"the tokenizer in '{folder}' has {size:,} tokens, but the network knows {config.vocab_size:,}; give "
                "the folder of a network with its own tokenizer."
            )
        return TokenizerPreprocessing(content, length, size)


def load_hugging_face_texts(
    name: ModelName,
    num_classes: int,
    inputs: TokenizerPreprocessing,
    weights: str | Path,
    trust_checkpoint: bool,
    granularity: str,
) -> LoadedModel:
    """Build a text classifier of ``transformers`` with its pretrained weights and a fresh head.

    The network takes rows of tokens, and keeps the names of ``transformers`` for its tensors.

    Args:
        name: its folder.
        num_classes: at least 2.
        inputs: made by ``tokenizer_inputs`` of the same folder.
        weights: ``auto`` (those of the folder), ``random``, or the path of a state dict.
        trust_checkpoint: True to admit weights in ``.bin`` files, tensors only.
        granularity: how finely the network is cut, ``block`` or ``layer``.

    Returns:
        The network and what belongs to it.

    Raises:
        InputError: ``transformers`` is missing, the folder does not hold a text classifier that ``transformers``
            itself can build, or the weights are not available or do not fit.
    """
    with opened(name, _WHAT, trust_checkpoint) as (transformers, folder, config):
        padding = getattr(config, "pad_token_id", None)
        if padding is None:
            raise InputError(
                f"{name} has no token for padding (pad_token_id in its config.json), so it takes no texts of different "
                "lengths; give another network."
            )
        automatic = transformers.AutoModelForSequenceClassification
        model, heads = classifier_of(automatic, config, name, num_classes, weights, folder, trust_checkpoint)
    model.add_module("is_word", IsWord())
    model.register_forward_pre_hook(_from_rows, with_kwargs=True)
    _require_length(model, name, inputs.max_length)
    partition = partition_for(model, str(name), heads, inputs.sample_shape, granularity)
    return finish_loading(model, str(name), heads, partition, inputs, label_of(name, config, model, weights))


def _require_length(model: nn.Module, name: ModelName, length: int) -> None:
    """Refuse longer texts than the network has positions for: some families use a few of them for padding."""
    config: Any = model.config
    token = 0 if config.pad_token_id else 1
    try:
        with torch.no_grad():
            model.eval()(torch.full((1, length), token + 1))
    except (IndexError, RuntimeError) as error:
        raise InputError(
            f"{name} takes no texts of {length} tokens ({error}); see fewer words of each (--max-length)."
        ) from None


def _from_rows(model: nn.Module, inputs: tuple[Tensor], _options: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Turn rows of tokens, shape (batch, length), into what networks of ``transformers`` take.

    Which tokens are words comes from a module, so that it is recorded beside the outputs of frozen blocks.
    """
    tokens = inputs[0].long()
    config: Any = model.config
    ids = torch.where(tokens == PADDING, config.pad_token_id, tokens - 1)
    mask = (model.get_submodule("is_word")(tokens) > 0).long()
    mask[:, 0] = 1  # a row of padding counts as one word: attention to nothing is undefined
    return (), {"input_ids": ids, "attention_mask": mask}
