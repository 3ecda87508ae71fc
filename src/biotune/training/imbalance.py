"""What a training does about classes of unequal size: weights in the loss, or balanced sampling."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from biotune.randomness import words

Indices = NDArray[np.int64]


def class_weights(labels: Indices) -> Tensor:
    """Return weights inverse to class frequency, w_c = n / (k n_c), whose mean over the images is 1.

    Args:
        labels: of the n training images, k classes among them.

    Returns:
        float32, shape (largest label + 1,); 0 for a class without an image.
    """
    counts = np.bincount(labels)
    weights = np.zeros(len(counts))
    weights[counts > 0] = len(labels) / ((counts > 0).sum() * counts[counts > 0])
    return torch.from_numpy(weights.astype(np.float32))


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of a batch, in nats, each image weighted by its class.

    The sum of the weighted losses is divided by the number of images, not by the sum of the batch's weights as torch
    does: so what an image contributes does not depend on which others share its batch.

    Args:
        logits: shape (batch, classes).
        labels: class index, shape (batch,).
        weights: by class index; None for equal ones.

    Returns:
        A scalar.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels)
    return (weights[labels] * functional.cross_entropy(logits, labels, reduction="none")).mean()


def shuffled(indices: Indices, seed: int, epoch: int) -> Indices:
    """Return all images in an order that depends on (seed, epoch, image) only."""
    keys = words(int(indices.max()) + 1, seed, "order", epoch)[indices]
    return indices[np.argsort(keys, kind="stable")]


def balanced(indices: Indices, labels: Indices, seed: int, epoch: int) -> Indices:
    """Return as many draws as there are images, equally many of every class.

    A class gives n / k draws; where that is no whole number, classes drawn by (seed, epoch) give one more. Its images
    come in shuffled order, again from the first where they are fewer than its draws.

    Args:
        indices: of the n training images, ascending.
        labels: class index of every image that an index may name; k classes occur.
        seed: of the training.
        epoch: from 0.

    Returns:
        Shape (n,), in mixed order.
    """
    order = shuffled(indices, seed, epoch)
    classes = np.unique(labels[indices])
    quota, rest = divmod(len(indices), len(classes))
    quotas = np.full(len(classes), quota)
    quotas[np.argsort(words(len(classes), seed, "classes", epoch), kind="stable")[:rest]] += 1
    draws = [np.resize(order[labels[order] == name], count) for name, count in zip(classes, quotas, strict=True)]
    mixed = np.argsort(words(len(indices), seed, "draws", epoch), kind="stable")
    return np.concatenate(draws)[mixed]
