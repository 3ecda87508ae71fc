"""Notes what the exported network makes of the images that it learned from, so that unlike ones can be told."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.datasets.image_set import IMAGE
from biotune.errors import InputError
from biotune.models import forward_logits
from biotune.models.familiarity import Familiarity, compared, layers_to_compare
from biotune.models.vote import voting
from biotune.pixels.learning_data import Pixels
from biotune.pixels.rows import ChosenImages, ImageRows
from biotune.recipe import Recipe
from biotune.runner.session import Session
from biotune.runs import folder as files
from biotune.runs.files import remove, write_atomic
from biotune.training.scoring import EVALUATION_BATCH
from biotune.trials.worker import placed, source_of

LEARNED, TESTED = 500, 1000
"""Images at most that a new one is compared with, and that calibrate it: 500 of 1,280 and some hundred channels are
2 MB."""


def write_familiarity(session: Session, test: Pixels | None) -> None:
    """Write ``familiarity.safetensors`` beside the exported network, whose file is there; nothing of texts.

    The test images calibrate it, since final trainings may have learned from all others, and no choice depends on it;
    without a test it is not written.
    """
    path, data = session.folder / files.FAMILIARITY, session.data
    if test is None or data.kind != IMAGE:
        remove(path)
        return
    try:
        content = _familiarity(session, test.images).to_bytes()
    except (InputError, RuntimeError):  # a network that cannot be looked into, such as a user's
        remove(path)
        return
    write_atomic(path, content)


def _familiarity(session: Session, test: ImageRows) -> Familiarity:
    """Return the familiarity of the exported network's images to those that it learned from."""
    loaded, compute, images = session.loaded, session.config.compute, session.data.selection.images
    exported = (session.folder / files.MODEL).read_bytes()
    network = placed(voting(copy.deepcopy(Recipe.release(session.worker.model)), exported, []), compute)
    layers = layers_to_compare(network, loaded.name, loaded.heads, loaded.preprocessing.sample_shape)
    learned = np.asarray(session.tasks.data.parts[session.tasks.final_fold][0])

    def seen(images: ImageRows, which: NDArray[np.intp]) -> dict[str, Tensor]:
        source, found = source_of(ChosenImages(images, which), loaded.preprocessing, compute), list[dict[str, Tensor]]()
        with torch.inference_mode(), compared(network, layers) as values:
            for start in range(0, len(which), EVALUATION_BATCH):
                session.stop.check()
                rows = torch.arange(start, min(start + EVALUATION_BATCH, len(which)))
                forward_logits(network, source.batch(rows))
                found.append({layer: values[layer].cpu() for layer in layers})
        return {layer: torch.cat([one[layer] for one in found]) for layer in layers}

    return Familiarity.calibrated(
        seen(images, learned[_some(len(learned), LEARNED)]), seen(test, _some(len(test), TESTED))
    )


def _some(count: int, most: int) -> NDArray[np.intp]:
    """Return indices of so many images at most, evenly spread: sources are often sorted by class."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)
