"""Tiny text classifiers of transformers with random weights, saved as their users save them."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from text_files import FILLERS

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "yes", "no", *FILLERS)
LENGTH = 16
_SHAPE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
_SHARED = {
    "vocab_size": len(VOCABULARY),
    "max_position_embeddings": LENGTH,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
CONFIGS = {
    "bert": transformers.BertConfig(**_SHAPE, **_SHARED),
    "distilbert": transformers.DistilBertConfig(dim=16, n_layers=3, n_heads=2, hidden_dim=32, **_SHARED),
    "roberta": transformers.RobertaConfig(**_SHAPE, **{**_SHARED, "max_position_embeddings": LENGTH + 1}),
    "deberta": transformers.DebertaV2Config(**_SHAPE, **_SHARED),
}


def save_tokenizer(folder: Path, words=VOCABULARY) -> Path:
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=LENGTH
    )
    fast.save_pretrained(folder)
    return folder


def save_classifier(folder: Path, family: str = "bert", classes: int = 5) -> Path:
    config = CONFIGS[family]
    config.num_labels = classes
    torch.manual_seed(1)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return save_tokenizer(folder)
