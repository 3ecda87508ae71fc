"""The one place where images and texts part: a source, file by file or as a whole, to rows of what a network takes."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import IMAGE, TEXT, ImageSet
from biotune.errors import InputError
from biotune.images import load_image
from biotune.images.decoding import ImageFacts, ImageSource, content_digest
from biotune.pixels.cache import Cache, Decoded, Say, decoded_images
from biotune.pixels.cache_entry import Quarantined
from biotune.pixels.facts_table import FactsCollector
from biotune.pixels.reading import Progress
from biotune.pixels.rows import TokenRows
from biotune.records import PADDING, Inputs, Preprocessing, TextInputs
from biotune.texts import UnreadableTextError, encoder_of, read_text

Row = NDArray[Any]
"""One input as it is kept: uint8 (size, size, 3), or int32 tokens (max_length,)."""


def kind_of(inputs: Inputs) -> str:
    """Return what a network takes, ``IMAGE`` or ``TEXT``."""
    return TEXT if isinstance(inputs, TextInputs) else IMAGE


def require_kind(inputs: Inputs, image_set: ImageSet, network: str) -> None:
    """Refuse texts for a network of images, and images for one of texts; ``network`` names it in the message."""
    kind = kind_of(inputs)
    if image_set.kind != kind:
        raise InputError(
            f"'{image_set.name}' holds {image_set.kind}s, but {network} takes {kind}s; give {kind}s of its classes."
        )


def rows_of(
    image_set: ImageSet,
    inputs: Inputs,
    cache: Cache,
    progress: Progress | None = None,
    say: Say = lambda _text, _warning: None,
) -> Decoded:
    """Return all images or texts of a set as rows, in the form that a network takes.

    Args:
        image_set: n images or texts.
        inputs: how they become inputs.
        cache: where decoded images are kept; texts are read again by every call, which takes seconds.
        progress: called with (rows done, n), from the calling thread.
        say: called with a sentence for the user, and whether it is a warning.

    Returns:
        The rows and what is known of them.

    Raises:
        InputError: the set is of another kind, or pixels are to be kept in a folder that cannot be written.
    """
    require_kind(inputs, image_set, "this network")
    if isinstance(inputs, TextInputs):
        return _encoded(image_set, inputs, progress)
    return decoded_images(image_set, as_pixels(inputs), cache, progress, say)


def read_row(source: ImageSource, inputs: Inputs) -> Row:
    """Return one image or text as a row; raises UnreadableImageError where it cannot be read."""
    if isinstance(inputs, TextInputs):
        return encoder_of(inputs).row(read_text(source))
    return load_image(source, as_pixels(inputs))


def as_pixels(inputs: Inputs) -> Preprocessing:
    """Return the preprocessing of images; raises InputError for that of texts."""
    if isinstance(inputs, Preprocessing):
        return inputs
    raise InputError("this works for image classifiers alone, and this network takes texts.")


def _encoded(texts: ImageSet, inputs: TextInputs, progress: Progress | None) -> Decoded:
    """Read and encode every text; their facts are the number of their bytes and a digest."""
    encoder, facts, count = encoder_of(inputs), FactsCollector(len(texts)), len(texts)
    rows = np.zeros((count, inputs.max_length), dtype=np.int32)
    left_out, content = list[Quarantined](), hashlib.sha256()
    for index in range(count):
        source = texts.image(index)
        try:
            text = read_text(source)
        except UnreadableTextError as error:
            left_out.append(Quarantined(texts.ids[index], error.reason))
            content.update(bytes(32))
        else:
            rows[index] = encoder.row(text)
            digest = content_digest(source)
            facts.put(index, ImageFacts(len(text), 1, "", "", digest, digest))
            content.update(digest)
        if progress is not None:
            progress(index + 1, count)
    longest = int((rows != PADDING).sum(1).max(initial=1))  # short texts need no padding that none of them has
    return Decoded(
        TokenRows(np.ascontiguousarray(rows[:, :longest])), facts.table(), tuple(left_out), content.hexdigest(), None
    )
