"""What the labels of all held-out images are worth elsewhere: the classifier fitted again to them and to the others."""

import numpy as np
from numpy.typing import NDArray

from biotune.methods.logistic import fit_logistic
from biotune.refinement.layers import Vector
from biotune.refinement.outputs import Labels


def refit(
    features: NDArray[np.float32], labels: Labels, num_classes: int, groups: NDArray[np.int64] | None, seed: int
) -> Vector:
    """Return weight and bias, as one vector, of a logistic regression on what the classifier gets of each image.

    The method ``probe`` fits the classifier of a pretrained network in the same way; here the network is trained.

    Args:
        features: shape (n, num_features).
        labels: class index of each image, shape (n,).
        num_classes: number of outputs of the network.
        groups: number of the group of each image, or None.
        seed: deals the folds that choose the penalty.

    Returns:
        Shape (classes * num_features + classes,).
    """
    head = fit_logistic(features, labels, num_classes, groups=groups, seed=seed)
    return np.concatenate([head.weight.ravel(), head.bias])


def refitted_logits(features: NDArray[np.float32], vector: Vector, num_classes: int) -> NDArray[np.float64]:
    """Return the logits, shape (n, classes), that weight and bias of ``refit`` give to what the classifier gets."""
    weight, bias = np.split(vector, [num_classes * features.shape[1]])
    return np.asarray(features @ weight.reshape(num_classes, -1).T + bias)
