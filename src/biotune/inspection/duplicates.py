"""Which images are copies of one another: equal bytes, or nearly the same picture; no file is opened here."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from biotune.inspection.near_duplicates import COARSE_SIDE, Thumbnails, coarse, correlation, same_picture
from biotune.pixels.reading import num_threads
from biotune.randomness import words

Bytes = NDArray[np.uint8]
Pairs = NDArray[np.int64]
ThumbnailsOf = Callable[[NDArray[np.int64]], Thumbnails]

LARGEST_DISTANCE = 80
"""Bits of 256 in which the difference hashes of two candidates may differ; unrelated ones differ in 128 on average. At
60, 2 to 4 % of the copies are lost (docs/check.md has the table of all limits)."""

LARGEST_SHARE = 0.75
"""Share of the bits set in either hash in which they may differ: dark pictures have few bits set at all."""

_ORDERS, _NEIGHBOURS = 32, 4
"""How often the hashes are sorted, and with how many of the next ones each is compared: half of either finds the same
copies in the measured sets; this much finds 19 of 20 pairs at 40 bits among 20,000 hashes (see the tests)."""

_KEY_BITS = 64
"""Bits that the hashes are sorted by: one machine word."""

_MERGED_AT_ONCE = 32
"""Lists of pairs that are held before they are merged, which bounds the memory."""

_LEAST_COARSE_CORRELATION = 0.7
"""Of 16 x 16 grey pictures: 0.5 finds no more copies and compares more pairs, 0.85 loses 1 to 2 %."""

_CANDIDATES_EACH = 3
"""Likeliest candidates of each image: one finds as many copies, but fewer links that hold a group together."""

_CHUNK = 250
"""Pairs that a thread compares at once: some 25 MB of floating-point pictures."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows of images that are copies of one another, ascending, at least two.

    They are ``exact`` if all have the same bytes, else ``near``.
    """

    kind: str
    rows: tuple[int, ...]


def exact_copies(digests: Bytes) -> list[Duplicates]:
    """Group what has equal digests, shape (n, 32); the groups are ordered by their first row."""
    copy_of = np.unique(digests, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(copy_of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(copy_of[order])) + 1)
    copies = [Duplicates("exact", tuple(rows.tolist())) for rows in groups if len(rows) > 1]
    return sorted(copies, key=lambda group: group.rows)


def find_duplicates(digests: Bytes, hashes: Bytes, thumbnails: ThumbnailsOf) -> list[Duplicates]:
    """Group the images that are copies of one another; every image is in one group at most.

    The time grows as n log n. Memory: 0.2 KiB an image in a set of photos, at most 13 KiB where each image resembles
    hundreds of others (digits, say).

    Args:
        digests: digest of each file's bytes, shape (n, 32).
        hashes: difference hashes, shape (n, 32).
        thumbnails: returns those of the given rows, see ``near_duplicates.thumbnail``; asked for candidates alone, by
            several threads.

    Returns:
        The groups, ordered by their first image. Copies of copies are in one group.
    """
    _, firsts, copy_of = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    pairs = near_pairs(hashes[firsts], lambda rows: thumbnails(firsts[rows]))
    group_of = components(len(firsts), pairs)[copy_of.reshape(-1)]
    order = np.argsort(group_of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1)
    copies = [
        Duplicates("exact" if len(set(copy_of.reshape(-1)[rows].tolist())) == 1 else "near", tuple(rows.tolist()))
        for rows in groups
        if len(rows) > 1
    ]
    return sorted(copies, key=lambda group: group.rows)


def near_pairs(hashes: Bytes, thumbnails: ThumbnailsOf) -> Pairs:
    """Return pairs of rows that show the same picture, enough of them to connect each group of copies.

    Of the candidates that ``similar_hashes`` finds, those whose coarse grey pictures correlate by 0.7 or more are kept,
    at most the best three of each image, and then compared as ``near_duplicates.same_picture`` says. The arguments are
    those of ``find_duplicates``; the result has the shape (k, 2), the smaller row first.
    """
    pairs = _most_similar(similar_hashes(hashes), thumbnails)

    def compared(chunk: slice) -> NDArray[np.bool_]:
        rows, places = np.unique(pairs[chunk], return_inverse=True)
        pictures = thumbnails(rows)[places.reshape(-1, 2)]
        return same_picture(pictures[:, 0], pictures[:, 1])

    with ThreadPoolExecutor(num_threads()) as pool:
        same = list(pool.map(compared, _chunks(len(pairs))))
    return pairs[np.concatenate(same)] if same else pairs


def similar_hashes(hashes: Bytes) -> Pairs:
    """Return pairs of rows whose difference hashes differ in few bits: most such pairs, not all.

    They are sorted by 64 of their bits, chosen at random, and each is compared with the next four; this is done
    32 times. Similar ones are likely to begin with the same bits, so to be neighbours, in one of the orders.

    Args:
        hashes: difference hashes, shape (n, 32).

    Returns:
        Shape (k, 2), the smaller row first, ascending and unique.

    Source: Charikar, "Similarity estimation techniques from rounding algorithms" (2002), section 3, with sampled bits
    instead of permuted ones, and with neighbours on one side of a pass instead of a merge of both.
    """
    bits = np.unpackbits(hashes, axis=1)
    parts = np.ascontiguousarray(hashes).view(np.uint64)
    num_bits, count = bits.shape[1], len(hashes)
    pairs, fresh = np.zeros(0, dtype=np.int64), list[NDArray[np.int64]]()
    for order_index in range(_ORDERS):
        chosen = np.argsort(words(num_bits, 0, "looks", order_index), kind="stable")[:_KEY_BITS]
        keys = np.ascontiguousarray(np.packbits(bits[:, chosen], axis=1)).view(">u8")[:, 0]
        order = np.argsort(keys, kind="stable")
        fresh += [_near(parts, order[:-step], order[step:]) for step in range(1, min(_NEIGHBOURS, count - 1) + 1)]
        if len(fresh) >= _MERGED_AT_ONCE:
            pairs, fresh = np.unique(np.concatenate([pairs, *fresh])), []
    pairs = np.unique(np.concatenate([pairs, *fresh]))
    return np.stack(np.divmod(pairs, max(count, 1)), axis=1)


def _near(parts: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each pair of similar hashes as one number, the smaller row times n plus the larger one."""
    distances = np.bitwise_count(parts[left] ^ parts[right]).sum(axis=1, dtype=np.int64)
    in_either = np.bitwise_count(parts[left] | parts[right]).sum(axis=1, dtype=np.int64)
    close = (distances <= LARGEST_DISTANCE) & (distances <= LARGEST_SHARE * in_either)
    pairs: NDArray[np.int64] = (np.minimum(left, right) * len(parts) + np.maximum(left, right))[close]
    return pairs


def _most_similar(pairs: Pairs, thumbnails: ThumbnailsOf) -> Pairs:
    """Return the pairs whose coarse pictures are alike and, for one of the two, among the most alike."""
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    pictures = np.zeros((len(rows), COARSE_SIDE, COARSE_SIDE), dtype=np.uint8)
    for chunk in _chunks(len(rows)):
        pictures[chunk] = coarse(thumbnails(rows[chunk]))
    similarity = np.zeros(len(pairs), dtype=np.float32)
    for chunk in _chunks(len(pairs)):
        similarity[chunk] = correlation(pictures[places[chunk, 0]], pictures[places[chunk, 1]])
    pairs, similarity = (
        pairs[similarity >= _LEAST_COARSE_CORRELATION],
        similarity[similarity >= _LEAST_COARSE_CORRELATION],
    )
    kept = _among_best(pairs[:, 0], similarity) | _among_best(pairs[:, 1], similarity)
    return pairs[kept]


def _among_best(rows: NDArray[np.int64], similarity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pairs are among the best of their row, shape (k,)."""
    order = np.lexsort((-similarity, rows))
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    best = np.zeros(len(rows), dtype=np.bool_)
    best[order[rank < _CANDIDATES_EACH]] = True
    return best


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Return the number of the group of each of ``count`` rows, shape (count,); pairs connect rows to groups."""
    links = csr_array((np.ones(len(pairs), dtype=np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups: NDArray[np.int64] = connected_components(links, directed=False)[1]
    return groups


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, start + _CHUNK)
