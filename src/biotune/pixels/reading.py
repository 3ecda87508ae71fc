"""The one loop that reads many images: in parallel, in order, with few of them in memory at once."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.images.decoding import ImageFacts, UnreadableImageError, decode_with_facts, quiet
from biotune.images.resizing import resize
from biotune.machine import num_cores
from biotune.records import Preprocessing

_PORTION = 8
"""Images that a thread takes at a time; handing out single small images would cost more than decoding them."""

_PORTIONS_AHEAD = 2
"""Portions for each thread that are done or under way before the first of them is asked for."""

_MAX_THREADS = 16

Made = TypeVar("Made")
Progress = Callable[[int, int], None]


def num_threads() -> int:
    """Return how many images are decoded at once: one for each core that this process may use, 16 at most.

    Pillow decodes and resizes outside Python's lock, but about a tenth of the work on a photo is Python: more threads
    would wait for each other.
    """
    return min(num_cores(), _MAX_THREADS)


def in_order(count: int, work: Callable[[int], Made]) -> Iterator[tuple[int, Made]]:
    """Do some work for every index below ``count`` in parallel and yield each with its result, in order.

    The work is called from several threads; the results of at most 16 indices per thread wait. Leaving early stops the
    threads.
    """

    def portion(start: int) -> list[Made]:
        return [work(index) for index in range(start, min(start + _PORTION, count))]

    threads = num_threads()
    starts = iter(range(0, count, _PORTION))
    index = 0
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        waiting = deque(pool.submit(portion, start) for start in islice(starts, threads * _PORTIONS_AHEAD))
        while waiting:
            made = waiting.popleft().result()
            if (start := next(starts, None)) is not None:
                waiting.append(pool.submit(portion, start))
            for item in made:
                yield index, item
                index += 1
    finally:
        pool.shutdown(cancel_futures=True)


def read_all(
    image_set: ImageSet, make: Callable[[Image.Image, ImageFacts], Made]
) -> Iterator[tuple[int, Made | UnreadableImageError]]:
    """Decode every image once and yield its index, in order, and what is made of it, or why it cannot be read.

    Threads decode, since Pillow leaves Python's lock while it decodes and resizes; each holds one decoded image. They
    call ``make``, which turns an upright RGB image and its facts into something small. Python's warnings are off until
    the iteration ends (see ``quiet``).
    """
    with quiet():
        yield from in_order(len(image_set), lambda index: _read(image_set, index, make))


@dataclass(frozen=True, slots=True)
class Row:
    """One image as the network sees it: uint8 (size, size, 3), black where it cannot be read, for the reason given.

    The digest is the SHA-256 of the pixels.
    """

    pixels: NDArray[np.uint8]
    digest: bytes
    facts: ImageFacts | None
    reason: str = ""


def read_rows(image_set: ImageSet, preprocessing: Preprocessing, progress: Progress | None = None) -> Iterator[Row]:
    """Decode and resize every image once, in parallel; yield one row per image, in order.

    ``progress`` is called with (images done, n) when the next row is asked for, from the thread that iterates.
    """
    size = preprocessing.image_size
    black = np.zeros((size, size, 3), dtype=np.uint8)
    black_digest = hashlib.sha256(black.data).digest()

    def make(image: Image.Image, facts: ImageFacts) -> Row:
        pixels = resize(image, preprocessing)
        return Row(pixels, hashlib.sha256(pixels.data).digest(), facts)

    for index, made in read_all(image_set, make):
        yield Row(black, black_digest, None, made.reason) if isinstance(made, UnreadableImageError) else made
        if progress is not None:
            progress(index + 1, len(image_set))


def _read(
    image_set: ImageSet, index: int, make: Callable[[Image.Image, ImageFacts], Made]
) -> Made | UnreadableImageError:
    try:
        image, facts = decode_with_facts(image_set.image(index))
    except UnreadableImageError as error:
        return error
    except OSError as error:  # of a reader: decoding has its own words for files
        return UnreadableImageError(image_set.ids[index], error.strerror or str(error))
    return make(image, facts)
