"""What is tuned: networks by name, their weights and their blocks."""

from biotune.models.blocks import MAX_BLOCKS, PARTITIONS, partition_for
from biotune.models.names import model_names, resolve_name
from biotune.models.packaged import PACKAGED
from biotune.models.zoo import LoadedModel, forward_logits, load_model, reset_heads

__all__ = [
    "MAX_BLOCKS",
    "PACKAGED",
    "PARTITIONS",
    "LoadedModel",
    "forward_logits",
    "load_model",
    "model_names",
    "partition_for",
    "reset_heads",
    "resolve_name",
]
