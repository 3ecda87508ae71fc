"""The test images with what a run answers on them and, of a few, what speaks for the answer: for page and table."""

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from biotune.datasets.image_set import IMAGE
from biotune.errors import InputError
from biotune.models.grad_cam import heat, places
from biotune.models.vote import voting
from biotune.pixels.learning_data import Pixels
from biotune.recipe import Recipe
from biotune.report.answered import Answered
from biotune.report.overlays import Seen
from biotune.runner.answers import Answers
from biotune.runner.final import TrainedEntry
from biotune.runner.members import members
from biotune.runner.session import Session
from biotune.runner.testing import used_answers
from biotune.runs import folder as files
from biotune.training.sources import batch_of

_EXPLAINED = 12
"""Images that the page explains."""
_LARGEST_SIDE = 128
"""Side of an explained image, in pixels, at most: so the page grows by less than a megabyte."""


def answered_images(
    session: Session, winner: TrainedEntry, answers: Answers | None, test: Pixels | None
) -> Answered | None:
    """Return the test images with what ``biotune predict`` answers; None without any.

    The exported network of the winner, and those that vote with it, must be in the run folder.
    """
    if answers is None or test is None:
        return None
    used = used_answers(winner, answers)
    answered = Answered(
        classes=tuple(session.data.class_names),
        paths=tuple(test.ids),
        images=test.images if session.data.kind == IMAGE else None,
        labels=used.labels,
        predicted=used.predicted[0],
        probability=used.probability[0],
        probabilities=None if used.probabilities is None else used.probabilities[0].astype(np.float64),
        groups=test.groups,
    )
    return answered if answered.images is None else _explained(session, winner, answered)


def _explained(session: Session, winner: TrainedEntry, answered: Answered) -> Answered:
    """Return the answers with a few images beside what speaks for them; none where networks cannot be explained so."""
    rows = answered.to_explain(_EXPLAINED)
    shown, own = answered.shown(rows), session.setup.loaded.for_images
    try:
        networks, images = _networks(session, winner), batch_of([one.image for one in shown], own)
        maps, side = heat(networks, images, answered.predicted[rows].tolist()), places(networks, images[:1])
    except (InputError, RuntimeError):  # it has no map of places; or it is a user's, and has no derivatives
        return answered
    seen = (Seen(_small(one.image), values.numpy()) for one, values in zip(shown, maps, strict=True))
    pairs = tuple(one._replace(image=each.pair) for one, each in zip(shown, seen, strict=True))
    return replace(answered, explained=pairs, places=side)


def _networks(session: Session, winner: TrainedEntry) -> nn.Module:
    """Return the networks that the run folder holds, on the CPU."""
    folder = session.folder
    network = copy.deepcopy(Recipe.release(session.worker.model)).cpu()
    paths = [files.member_path(folder, task.seed) for task in members(winner)]
    return voting(network, (folder / files.MODEL).read_bytes(), paths)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(image)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    return np.asarray(picture)
