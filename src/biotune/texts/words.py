"""Words of a text, the vocabulary of a set of texts, and rows of tokens."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.records import UNKNOWN, TextPreprocessing

Tokens = NDArray[np.int32]

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
"""A run of letters, digits and underscores, with apostrophes inside it; or any other visible character alone."""


def words_of(text: str, lower_case: bool = True) -> list[str]:
    """Return the words of a text, in order: ``Don't panic!`` gives ``don't``, ``panic`` and ``!``."""
    return _WORD.findall(text.lower() if lower_case else text)


def build_vocabulary(
    texts: Iterable[str], size: int, min_count: int, max_length: int, lower_case: bool = True
) -> TextPreprocessing:
    """Return the words that a network of texts knows.

    Args:
        texts: those that it is trained on, none that it is judged by.
        size: largest number of words; the most frequent ones are kept, of equally frequent ones the first in the order
            of their characters.
        min_count: occurrences in all texts from which a word is kept.
        max_length: words of a text that the network sees, at least 1; the others count here too.
        lower_case: whether capitals are ignored.

    Returns:
        How texts become inputs.

    Raises:
        InputError: no word is frequent enough.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words_of(text, lower_case))
    frequent = (word for word, count in counts.items() if count >= min_count)
    kept = sorted(frequent, key=lambda word: (-counts[word], word))
    if not kept:
        raise InputError(
            f"no word occurs {min_count} times in the training texts, so there is no vocabulary; lower text.min_count, "
            "or give more texts."
        )
    return TextPreprocessing(tuple(kept[:size]), max_length, lower_case)


class Encoder:
    """Turns texts into rows of tokens.

    Args:
        inputs: the vocabulary, and how texts are cut.
    """

    def __init__(self, inputs: TextPreprocessing) -> None:
        self._inputs = inputs
        self._tokens = {word: index + UNKNOWN + 1 for index, word in enumerate(inputs.vocabulary)}

    def row(self, text: str) -> Tokens:
        """Return the tokens of a text, shape (max_length,): those of its first words, then ``PADDING``."""
        row = np.zeros(self._inputs.max_length, dtype=np.int32)
        words = words_of(text, self._inputs.lower_case)[: self._inputs.max_length]
        row[: len(words)] = [self._tokens.get(word, UNKNOWN) for word in words]
        return row
