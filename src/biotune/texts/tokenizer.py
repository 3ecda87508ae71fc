"""Rows of tokens by the tokenizer that a network came with, of the library ``tokenizers``."""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from biotune.errors import InputError
from biotune.records import PADDING, TextInputs, TokenizerPreprocessing
from biotune.texts.words import Encoder, Tokens


class TokenizerEncoder:
    """Turns texts into rows of tokens.

    Args:
        inputs: the tokenizer, and where texts are cut.

    Raises:
        InputError: the library is missing, or cannot read the tokenizer.
    """

    def __init__(self, inputs: TokenizerPreprocessing) -> None:
        try:
            library = import_module("tokenizers")
        except ImportError:
            raise InputError(
                "networks of Hugging Face need the extra 'hf'; install it: pip install 'biotune[hf]'."
            ) from None
        try:
            self._tokenizer: Any = library.Tokenizer.from_str(inputs.tokenizer)
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(inputs.max_length)
        except Exception as error:  # the library raises nothing more exact
            raise InputError(f"the tokenizer cannot be used ({str(error)[:200]}); save it again.") from None
        self._length = inputs.max_length

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def row(self, text: str) -> Tokens:
        """Return the tokens of a text, shape (max_length,): one more than those of the tokenizer, then ``PADDING``."""
        row = np.full(self._length, PADDING, dtype=np.int32)
        tokens = self._tokenizer.encode(text).ids
        row[: len(tokens)] = np.asarray(tokens, dtype=np.int32) + 1
        return row


@lru_cache(maxsize=1)
def encoder_of(inputs: TextInputs) -> Encoder | TokenizerEncoder:
    """Return what makes rows of tokens, made once as long as no other one is asked for."""
    return TokenizerEncoder(inputs) if isinstance(inputs, TokenizerPreprocessing) else Encoder(inputs)
