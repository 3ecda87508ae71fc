"""Whether labelled images, or texts, are those that a run was made with."""

from collections.abc import Callable
from pathlib import Path

from biotune.datasets.image_set import ImageSet
from biotune.images.decoding import ImageSource, UnreadableImageError, content_digest
from biotune.pixels.inputs import read_row
from biotune.records import Inputs
from biotune.results import Summary
from biotune.runs import folder as files
from biotune.runs.unfinished import about_model
from biotune.settings.resolve import load_config


def name_of_data(run: Path) -> str:
    """Return the name of the data that a run was made with; raises DamagedStateError: the run does not say it."""
    about = about_model(run)
    return Summary.read(run / files.SUMMARY).data.name if about is None else about.data


def is_own_data(run: Path, images: ImageSet, parts: str, inputs: Inputs) -> bool:
    """Return whether images are those that a run was made with: the same name, ids, classes and parts, and content.

    Names and ids alone say little: many folders are called ``photos`` and hold ``001.png``, and of arrays an id is no
    more than a number. So the run must have learned from, or chosen by, each of these images that can be read.

    Args:
        run: the run folder.
        images: those of the source that train or validate, under its name.
        parts: the fingerprint of the source's parts, which is that of ids and classes too.
        inputs: how the network of the run takes them.

    Returns:
        Whether all of that holds; without the content for an older run, which does not record it.

    Raises:
        DamagedStateError: the run does not say what it was made with.
    """
    if (images.name, parts) != (name_of_data(run), load_config(run / files.CONFIG)[1].get("data")):
        return False
    known = files.learned(run)
    return known is None or all(_is_known(known, images.image(row), inputs) for row in range(len(images)))


def _is_known(known: Callable[[bytes], bool], image: ImageSource, inputs: Inputs) -> bool:
    """Return whether a run knows an image; one that cannot be read speaks against nothing."""
    try:
        if known(content_digest(image)):
            return True
        read_row(image, inputs)
    except UnreadableImageError:
        return True
    return False
