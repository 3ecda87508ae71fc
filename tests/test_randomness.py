"""Random numbers are a function of their name, the same for every NumPy."""

import hashlib

import numpy as np
import pytest

from biotune.randomness import Stream, derived_seeds, uniform_of, words

MASK = 2**64 - 1


def philox_words(count: int, text: str) -> list[int]:
    """Philox4x64-10 (Salmon et al. 2011) in whole numbers, keyed by the SHA-256 of a text; the counter starts at 1."""
    digest = hashlib.sha256(text.encode()).digest()
    result: list[int] = []
    for block in range(1, count // 4 + 2):
        keys = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")]
        counter = [block, 0, 0, 0]
        for _ in range(10):
            first, second = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
            counter = [
                (second >> 64) ^ counter[1] ^ keys[0],
                second & MASK,
                (first >> 64) ^ counter[3] ^ keys[1],
                first & MASK,
            ]
            keys = [(keys[0] + 0x9E3779B97F4A7C15) & MASK, (keys[1] + 0xBB67AE8584CAA73B) & MASK]
        result += counter
    return result[:count]


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize(
    ("seed", "purpose", "where", "text"),
    [(0, "start", (), "0/start"), (7, "child", (3, 1), "7/child/3/1"), (2**40, "é", (12,), "1099511627776/é/12")],
)
def test_words_are_philox_keyed_by_the_name(
    seed: int, purpose: str, where: tuple[int, ...], text: str, count: int
) -> None:
    assert words(count, seed, purpose, *where).tolist() == philox_words(count, text)


def test_uniform_is_the_upper_53_bits_of_a_word() -> None:
    expected = [(word >> 11) / 2**53 for word in philox_words(6, "5/x/1")]

    assert Stream(5, "x", 1).uniform(6).tolist() == expected


def test_draws_one_by_one_and_at_once_are_the_same() -> None:
    stream = Stream(1, "x")
    one_by_one = [float(stream.uniform()), *stream.uniform(2).tolist(), *[float(stream.uniform()) for _ in range(4)]]

    assert one_by_one == Stream(1, "x").uniform(7).tolist()


def test_signed_is_uniform_stretched() -> None:
    assert Stream(1, "x").signed(5).tolist() == [2 * u - 1 for u in Stream(1, "x").uniform(5)]


@pytest.mark.parametrize("other", [(1, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0), (0, "a", 0, 0, 0)])
def test_streams_of_other_names_share_nothing(other: tuple[int, str]) -> None:
    assert not set(words(64, 0, "a", 0, 0).tolist()) & set(words(64, *other).tolist())


def test_numpys_global_state_plays_no_part() -> None:
    np.random.seed(0)  # noqa: NPY002
    first = Stream(3, "x").uniform(4).tolist()
    np.random.seed(1)  # noqa: NPY002

    assert Stream(3, "x").uniform(4).tolist() == first


def test_uniform_covers_the_unit_interval_evenly() -> None:
    values = Stream(0, "x").uniform(100_000)
    counts, _ = np.histogram(values, bins=20, range=(0, 1))

    assert 0.0 <= values.min() < values.max() < 1.0
    assert ((counts - 5000.0) ** 2 / 5000.0).sum() < 52.4  # chi-square, 19 degrees of freedom, 1 - 6e-5


def test_integers_cover_their_range_evenly() -> None:
    stream = Stream(0, "x")
    counts = np.bincount([stream.integer(5) for _ in range(10_000)], minlength=5)

    assert len(counts) == 5
    assert ((counts - 2000.0) ** 2 / 2000.0).sum() < 23.5  # chi-square, 4 degrees of freedom, 1 - 1e-4


def test_the_only_integer_below_one_is_zero() -> None:
    assert Stream(0, "x").integer(1) == 0


def test_derived_seeds_are_the_upper_31_bits_of_words() -> None:
    assert derived_seeds(3, 4, "final") == tuple(word >> 33 for word in philox_words(3, "4/final"))


def test_more_derived_seeds_begin_with_the_same_ones() -> None:
    many = derived_seeds(1000, 0, "final")

    assert derived_seeds(3, 0, "final") == many[:3]
    assert len(set(many)) == 1000
    assert min(many) >= 0
    assert max(many) < 2**31


def test_numbers_of_a_word_are_those_of_splitmix64():
    """The first outputs of its reference implementation for the seed 0; the top 53 bits of each."""
    outputs = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    seeds = np.array([5, 0], dtype=np.uint64)
    assert uniform_of(seeds, 3)[1].tolist() == [(output >> 11) / 2**53 for output in outputs]
    assert uniform_of(seeds, 2)[0].tolist() == uniform_of(seeds[:1], 9)[0, :2].tolist()
