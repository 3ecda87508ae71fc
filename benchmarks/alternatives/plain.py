"""Plain PyTorch, timm and scikit-learn, as one would write it by hand: what several entries share."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.alternatives.task import Labelled, Task

BATCH = 32
FOLDS = 5
PENALTIES = np.logspace(-4, 2, 7)
"""Values of C that cross-validation chooses from."""

_SMALLEST_CROP = 0.6
"""Share of the image that a crop keeps at least."""


class Network:
    """A pretrained timm network with a fresh classifier.

    Args:
        task: names the network.
        seed: of the classifier's first weights, and of all that follows.
    """

    def __init__(self, task: Task, seed: int) -> None:
        loaded = task.loaded()
        torch.manual_seed(seed)
        self.model = cast(Any, loaded.model)
        self.model.reset_classifier(len(task.classes))
        self.last_block = tuple(f"{prefix}." for block in loaded.partition.blocks[-2:] for prefix in block.prefixes)
        self._mean = torch.tensor(loaded.for_images.mean).view(3, 1, 1)
        self._std = torch.tensor(loaded.for_images.std).view(3, 1, 1)

    def inputs(self, images: Tensor) -> Tensor:
        """Return uint8 images as the network expects them."""
        return (images.float() / 255 - self._mean) / self._std

    @torch.inference_mode()
    def features(self, images: Tensor) -> NDArray[np.float32]:
        """Return the pooled features before the classifier, shape (n, features)."""
        self.model.eval()
        parts = [self.model.forward_features(self.inputs(part)) for part in torch.split(images, BATCH)]
        pooled = torch.cat([self.model.forward_head(part, pre_logits=True) for part in parts])
        return cast(NDArray[np.float32], pooled.numpy())

    @torch.inference_mode()
    def predict(self, images: Tensor) -> NDArray[np.int64]:
        """Return the class of each image."""
        self.model.eval()
        return torch.cat([self.model(self.inputs(part)).argmax(1) for part in torch.split(images, BATCH)]).numpy()

    def accuracy(self, data: Labelled) -> float:
        """Return the share of images whose class it predicts."""
        return float((self.predict(data.images) == data.labels.numpy()).mean())


def train(
    network: Network,
    data: Labelled,
    epochs: int,
    groups: Sequence[dict[str, Any]],
    augment: bool = True,
    kept: bool = False,
) -> None:
    """Train with AdamW, batches of 32 and a cosine schedule.

    Args:
        network: trained in place.
        data: what it learns from.
        epochs: number of passes.
        groups: parameters with their rates, as PyTorch takes them.
        augment: flips and crops.
        kept: True to leave batch norms and dropout in evaluation mode.
    """
    optimizer = torch.optim.AdamW(groups)
    steps = epochs * math.ceil(len(data) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    side = data.images.shape[-1]
    crop = v2.RandomResizedCrop(side, scale=(_SMALLEST_CROP, 1.0), antialias=True)
    change = v2.Compose([crop, v2.RandomHorizontalFlip()])
    network.model.train(not kept)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(data)), BATCH):
            images = data.images[rows]
            if augment:
                images = torch.stack([change(image) for image in images])
            if len(rows) > 1 or kept:  # a batch norm cannot learn from a single image
                loss = nn.functional.cross_entropy(network.model(network.inputs(images)), data.labels[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()


def every_parameter(network: Network, rate: float) -> list[dict[str, Any]]:
    """Return all parameters with one rate."""
    return [{"params": list(network.model.parameters()), "lr": rate}]


def best_rate(rates: Iterable[float], score: Callable[[float], float]) -> tuple[float, dict[str, float]]:
    """Return the rate with the best score, the smallest of the best, and the scores by rate."""
    scores = {rate: score(rate) for rate in sorted(rates)}
    return max(scores, key=lambda rate: scores[rate]), {f"{rate:g}": found for rate, found in scores.items()}


def fit_head(network: Network, data: Labelled, seed: int) -> tuple[Pipeline, float]:
    """Fit a logistic regression on standardised features by L-BFGS; five-fold cross-validation chooses C.

    Args:
        network: gives the pooled features.
        data: what it learns from; images of one group stay in one fold.
        seed: decides which images are in which fold.

    Returns:
        The fitted pipeline, and C.
    """
    labels = data.labels.numpy()
    units = len(set(data.groups)) if data.groups else int(np.bincount(labels).max())
    folds = max(2, min(FOLDS, units))
    kind = StratifiedGroupKFold if data.groups else StratifiedKFold
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(
        pipeline,
        {"logisticregression__C": PENALTIES},
        scoring="accuracy",
        cv=kind(folds, shuffle=True, random_state=seed),
    )
    search.fit(network.features(data.images), labels, groups=data.groups or None)
    return search.best_estimator_, float(search.best_params_["logisticregression__C"])


@torch.no_grad()
def put_head(network: Network, head: Pipeline) -> None:
    """Write a fitted logistic regression into the classifier, so that the network answers as it does."""
    scaler, regression = (step for _, step in head.steps)
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1:  # two classes have one row: the logit of the second
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    weight = weight / scaler.scale_
    layer = network.model.get_classifier()
    layer.weight[regression.classes_] = torch.from_numpy(weight).float()
    layer.bias[regression.classes_] = torch.from_numpy(bias - weight @ scaler.mean_).float()
