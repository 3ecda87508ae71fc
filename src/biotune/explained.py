"""What the networks of a run look at in images: Grad-CAM of their answers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from biotune.classifier import Classifier, Prediction
from biotune.datasets.image_set import IMAGE
from biotune.datasets.unlabelled import Named, listed, named
from biotune.images.decoding import UnreadableImageError, decode
from biotune.images.resizing import resize
from biotune.models.grad_cam import heat
from biotune.pixels.inputs import as_pixels
from biotune.report.overlays import Seen
from biotune.training.sources import batch_of

_SHOWN_SIDE = 320
"""Least side of the images that are drawn, in pixels: a network may see fewer, which would look coarse."""


@dataclass(frozen=True)
class Explained:
    """The answer for one image, with what spoke for it; None where the image cannot be read, as the answer says."""

    answer: Prediction
    seen: Seen | None


def explain(classifier: Classifier, images: Any) -> Iterator[Explained]:
    """Yield the answer for each image with its Grad-CAM, in order; of a vote, the mean over the networks.

    Args:
        classifier: the networks of a run, from ``load_run``.
        images: as for ``Classifier.predictions``.

    Yields:
        Explained: drawn is what the network sees of an image, in more pixels if it sees few.

    Raises:
        InputError: the network takes texts, or has no map of places.
    """
    own = as_pixels(classifier.preprocessing)
    shown = replace(own, image_size=max(own.image_size, _SHOWN_SIDE))
    for number, given in enumerate(listed(images, IMAGE)):
        one = named(number, given)
        try:
            image = decode(one.opened())
        except UnreadableImageError as error:
            yield Explained(Prediction(one.name, "", 0.0, {}, error.reason), None)
            continue
        (answer,) = classifier.predict([Named(one.name, np.asarray(image))])
        answered = [classifier.class_names.index(answer.label)]
        with classifier.lock:
            (places,) = heat(classifier.model, batch_of([resize(image, own)], own), answered)
        yield Explained(answer, Seen(resize(image, shown), places.numpy()))
