"""What is tuned: a named network or the user's own module, its weights and its blocks."""

from biotune.models.backbone import Backbone, as_backbone, load_backbone, partition_of
from biotune.models.blocks import MAX_BLOCKS, PARTITIONS, partition_for
from biotune.models.feature_map import feature_side
from biotune.models.hugging_face_texts import tokenizer_inputs
from biotune.models.loaded_model import LoadedModel, forward_logits, reset_heads
from biotune.models.names import OWN, model_names, resolve_name, takes_texts
from biotune.models.packaged import PACKAGED
from biotune.models.text_networks import load_text_network
from biotune.models.vote import Vote
from biotune.models.zoo import has_fixed_size, load_model, native_size

__all__ = [
    "MAX_BLOCKS",
    "OWN",
    "PACKAGED",
    "PARTITIONS",
    "Backbone",
    "LoadedModel",
    "Vote",
    "as_backbone",
    "feature_side",
    "forward_logits",
    "has_fixed_size",
    "load_backbone",
    "load_model",
    "load_text_network",
    "model_names",
    "native_size",
    "partition_for",
    "partition_of",
    "reset_heads",
    "resolve_name",
    "takes_texts",
    "tokenizer_inputs",
]
