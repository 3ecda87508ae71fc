"""The one loop that decodes many images: in parallel, in order, with few of them in memory at once."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.images.decoding import ImageFacts, UnreadableImageError, examine, quiet
from biotune.machine import num_cores

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
    """Do some work for every index in parallel and yield the results in order; leaving early stops the threads.

    Args:
        count: of the indices, which begin at 0.
        work: called from several threads; the results of at most 16 indices per thread wait.

    Yields:
        tuple[int, Made]: an index and the result of its work.
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
    """Decode every image once and yield what is made of it.

    Threads decode, since Pillow leaves Python's lock while it decodes and resizes; each holds one decoded image.
    Python's warnings are off until the iteration ends (see ``quiet``).

    Args:
        image_set: n images.
        make: turns an upright RGB image and its facts into something small; called from several threads.

    Yields:
        tuple[int, Made | UnreadableImageError]: the index of an image, in order, and what was made of it, or why it
        cannot be read.
    """
    with quiet():
        yield from in_order(len(image_set), lambda index: _read(image_set, index, make))


def examine_all(
    image_set: ImageSet, progress: Progress | None = None
) -> Iterator[tuple[int, ImageFacts | UnreadableImageError]]:
    """Decode every image once and yield its facts, in order; the pixels are let go.

    Args:
        image_set: n images.
        progress: called with (images done, n) after every image, from the thread that iterates.

    Yields:
        tuple[int, ImageFacts | UnreadableImageError]: the index of an image and its facts, or why it cannot be read.
    """
    for index, facts in read_all(image_set, lambda _, facts: facts):
        yield index, facts
        if progress is not None:
            progress(index + 1, len(image_set))


def _read(
    image_set: ImageSet, index: int, make: Callable[[Image.Image, ImageFacts], Made]
) -> Made | UnreadableImageError:
    try:
        image, facts = examine(image_set.image(index))
    except UnreadableImageError as error:
        return error
    except OSError as error:  # of a reader: decoding has its own words for files
        return UnreadableImageError(image_set.ids[index], error.strerror or str(error))
    return make(image, facts)
