"""Handling of classes of unequal size: weights in the loss, or balanced sampling."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from biotune.randomness import words

Indices = NDArray[np.int64]


def class_weights(labels: Indices) -> Tensor:
    """Return weights inverse to class frequency, w_c = n / (k n_c), whose mean over the n images is 1.

    The result is float32, shape (largest label + 1,); 0 for a class without an image.
    """
    counts = np.bincount(labels)
    weights = np.zeros(len(counts))
    weights[counts > 0] = len(labels) / ((counts > 0).sum() * counts[counts > 0])
    return torch.from_numpy(weights.astype(np.float32))


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of a batch, in nats, each image weighted by its class.

    The sum of the weighted losses is divided by the number of images, not by the sum of the batch's weights as torch
    does: so the contribution of an image does not depend on the others in its batch.

    Args:
        logits: shape (batch, classes).
        labels: class index, shape (batch,).
        weights: weight of each class, by class index; None for equal weights.

    Returns:
        A scalar.
    """
    if weights is None:
        return functional.cross_entropy(logits, labels)
    return (weights[labels] * functional.cross_entropy(logits, labels, reduction="none")).mean()


def shuffled(indices: Indices, seed: int, epoch: int) -> Indices:
    """Return all images in an order that depends only on (seed, epoch, image)."""
    keys = words(int(indices.max()) + 1, seed, "order", epoch)[indices]
    return indices[np.argsort(keys, kind="stable")]


def balanced(indices: Indices, labels: Indices, seed: int, epoch: int) -> Indices:
    """Return as many draws as there are images, equally many from every class.

    Every class gives n / k draws; if that is not a whole number, some classes, chosen by (seed, epoch), give one more.
    The images of a class come in shuffled order, which is repeated if the class has fewer images than draws.

    Args:
        indices: indices of the n training images, ascending.
        labels: class index of every image, by index; k classes occur.
        seed: seed of the training.
        epoch: number of the epoch, from 0.

    Returns:
        Indices in mixed order, shape (n,).
    """
    order = shuffled(indices, seed, epoch)
    classes = np.unique(labels[indices])
    quota, rest = divmod(len(indices), len(classes))
    quotas = np.full(len(classes), quota)
    quotas[np.argsort(words(len(classes), seed, "classes", epoch), kind="stable")[:rest]] += 1
    draws = [np.resize(order[labels[order] == name], count) for name, count in zip(classes, quotas, strict=True)]
    mixed = np.argsort(words(len(indices), seed, "draws", epoch), kind="stable")
    return np.concatenate(draws)[mixed]
