"""Words, vocabulary and rows of tokens, against values by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biotune.errors import InputError
from biotune.records import PADDING, UNKNOWN, TextPreprocessing, inputs_from_json
from biotune.texts import Encoder, build_vocabulary, words_of

TEXTS = ("The cat saw the dog.", "A dog, a cat; the end", "dog")
# the 3, dog 3, a 2, cat 2, and one each of . , ; end saw


def test_words_by_hand():
    assert words_of("Don't panic! It\u2019s 42 o'clock...") == [
        *("don't", "panic", "!", "it\u2019s", "42", "o'clock", ".", ".", "."),
    ]
    assert words_of("The Cat", lower_case=False) == ["The", "Cat"]
    assert words_of(" \n") == []


def test_the_vocabulary_by_hand():
    assert build_vocabulary(TEXTS, 100, 2, 5).vocabulary == ("dog", "the", "a", "cat")
    assert build_vocabulary(TEXTS, 3, 2, 5).vocabulary == ("dog", "the", "a")
    assert build_vocabulary(TEXTS, 100, 1, 5).vocabulary == ("dog", "the", "a", "cat", ",", ".", ";", "end", "saw")
    assert build_vocabulary(TEXTS, 100, 2, 5, lower_case=False).vocabulary == ("dog", "cat", "the")


def test_a_vocabulary_without_words_is_refused():
    with pytest.raises(InputError, match=r"no word occurs 4 times in the training texts.*text\.min_count"):
        build_vocabulary(TEXTS, 100, 4, 5)


def test_rows_by_hand():
    encoder = Encoder(TextPreprocessing(("dog", "the", "a"), 4))

    assert encoder.row("The dog bit a cat").tolist() == [3, 2, UNKNOWN, 4]
    assert encoder.row("a DOG").tolist() == [4, 2, PADDING, PADDING]
    assert encoder.row("nothing known here").tolist() == [UNKNOWN] * 3 + [PADDING]
    assert Encoder(TextPreprocessing(("DOG",), 2, lower_case=False)).row("dog DOG").tolist() == [UNKNOWN, 2]


@given(st.text(max_size=200), st.integers(1, 20))
def test_any_text_gives_a_row_of_known_tokens(text, length):
    inputs = TextPreprocessing(("dog", "the"), length)
    row = Encoder(inputs).row(text)

    assert row.shape == inputs.sample_shape == (length,)
    assert row.dtype == np.int32
    assert ((row >= 0) & (row < inputs.num_tokens)).all()
    words = int((row != PADDING).sum())
    assert (row[words:] == PADDING).all()
    assert words == min(length, len(words_of(text)))


def test_preprocessing_goes_through_json_and_has_a_short_fingerprint():
    inputs = TextPreprocessing(("dog", "the"), 7, lower_case=False)

    assert inputs_from_json(inputs.to_json()) == inputs
    assert len(inputs.fingerprint) == 64
    assert inputs.fingerprint != TextPreprocessing(("the", "dog"), 7, lower_case=False).fingerprint
