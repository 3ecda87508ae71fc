"""One text to tokens: reading, words, vocabulary; or pieces of words by a tokenizer that came with a network."""

from biotune.texts.reading import MAX_BYTES, UnreadableTextError, read_text
from biotune.texts.tokenizer import TokenizerEncoder, encoder_of
from biotune.texts.words import Encoder, build_vocabulary, words_of

__all__ = [
    "MAX_BYTES",
    "Encoder",
    "TokenizerEncoder",
    "UnreadableTextError",
    "build_vocabulary",
    "encoder_of",
    "read_text",
    "words_of",
]
