"""One text to tokens: reading, words, vocabulary."""

from biotune.texts.reading import MAX_BYTES, UnreadableTextError, read_text
from biotune.texts.words import Encoder, build_vocabulary, words_of

__all__ = ["MAX_BYTES", "Encoder", "UnreadableTextError", "build_vocabulary", "read_text", "words_of"]
