"""What a worker is built from: the configuration, the network by its name, the images by where they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.models import Backbone, LoadedModel, load_backbone, load_model, load_text_network, resolve_name
from biotune.pixels.learning_data import LearningData
from biotune.pixels.rows import ImageRows, by_reference, in_memory
from biotune.records import ALL_IMAGES, TextInputs
from biotune.runs.folder import CHECKPOINTS
from biotune.settings.config import RunConfig

Indices = NDArray[np.int64]

_CROPPED_LIKE_RESNET = ("torchvision:densenet", "torchvision:vgg")
"""Networks that the papers' code gives images of 232 pixels, cropped to 224, as its ResNet-50; torchvision's own
transformation for their weights resizes to 256."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """What trainings see of the data.

    Args:
        images: training and validation images, decoded, or texts, encoded.
        labels: class index of each, shape (n,).
        parts: fold -> indices of its training images and of the images that it is scored on; None stands for all
            training images and the validation set, ``ALL_IMAGES`` for both of these together, scored on none.
        judging: the folds whose mean fitness judges a recipe: None alone, or with further ones where there are few
            validation images.
        estimating: the folds that estimate, in the place of a test set, how good the choice is.
        groups: number of the group of each image, shape (n,), or None.
    """

    images: ImageRows
    labels: Indices
    parts: Mapping[int | None, tuple[Indices, Indices]]
    judging: tuple[int | None, ...] = (None,)
    estimating: tuple[int, ...] = ()
    groups: Indices | None = None


def trial_data(data: LearningData, config: RunConfig) -> TrialData:
    """Return what trainings see of the data of a run."""
    enough = config.search.out_of_fold_below if config.data.folds == 1 else 0
    further = data.further_parts(enough, config.data.split_seed)
    folds = further or data.folds(config.data)
    left_out = [] if data.test else data.out_of_fold(config.data.split_seed)
    everything = np.sort(np.concatenate([data.train, data.validation]))
    parts: dict[int | None, tuple[Indices, Indices]] = {
        None: (data.train, data.validation),
        ALL_IMAGES: (everything, everything[:0]),
    }
    parts.update(enumerate([*folds, *left_out]))
    return TrialData(
        data.selection.images,
        data.selection.labels,
        parts,
        judging=(None, *range(len(further))),
        estimating=tuple(range(len(folds), len(folds) + len(left_out))),
        groups=data.groups,
    )


@dataclass(frozen=True, eq=False)
class WorkerSpec:
    """Everything that the result of a task depends on besides the task, and where a worker keeps its files.

    Args:
        config: the run's configuration, with device, threads and precision resolved.
        num_classes: number of classes of the data.
        weights_sha256: digest of the pretrained weights; a worker that finds others refuses to work.
        data: what trainings see.
        folder: the run folder; weights that are kept go to ``checkpoints`` in it.
        backbone: the user's own module, where the configuration names one.
        texts: how texts become inputs, which a network of texts is built for; None for images.
    """

    config: RunConfig
    num_classes: int
    weights_sha256: str
    data: TrialData
    folder: Path
    backbone: Backbone | None = None
    texts: TextInputs | None = None

    @property
    def checkpoints(self) -> Path:
        """Folder of the weights that are kept."""
        return self.folder / CHECKPOINTS

    def by_reference(self) -> "WorkerSpec":
        """Return what can be sent to another process: a few indices and paths, and no pixels.

        Raises InputError: the network or the images are only in the memory of this process.
        """
        if self.backbone is not None:
            raise InputError(
                f"the network {self.backbone.name} is in the memory of this process, so that other processes cannot "
                "train it; name a network that biotune can load, or use one worker and one device."
            )
        return replace(self, data=replace(self.data, images=by_reference(self.data.images)))

    def with_images(self) -> "WorkerSpec":
        """Return the same for a machine that does not see the file of the decoded images: with their pixels."""
        return replace(self, data=replace(self.data, images=in_memory(self.data.images)))

    def load(self) -> LoadedModel:
        """Load the network, as the run did."""
        loaded = load_network(self.config, self.num_classes, self.backbone, self.texts)
        if loaded.weights_sha256 != self.weights_sha256:
            raise InputError(f"the weights of {loaded.name} have changed since the run began; restore the old ones.")
        return loaded


def load_network(
    config: RunConfig, num_classes: int, backbone: Backbone | None = None, texts: TextInputs | None = None
) -> LoadedModel:
    """Return the network that a configuration names, or the user's own module, with a fresh head.

    One of texts is built for how ``texts`` become inputs.
    """
    if texts is not None:
        model = config.model
        return load_text_network(
            resolve_name(model.name),
            num_classes,
            texts,
            config.text,
            weights=model.weights,
            granularity=model.granularity,
            trust_checkpoint=model.trust_checkpoint,
        )
    if backbone is not None:
        loaded = load_backbone(backbone, num_classes)
    else:
        name = _model_name(config)
        loaded = load_model(
            name,
            num_classes,
            weights=config.model.weights,
            image_size=config.model.side,
            trust_checkpoint=config.model.trust_checkpoint,
            keep_auxiliary=config.model.keep_auxiliary and name == "torchvision:inception_v3",
            granularity=config.model.granularity,
        )
    found = replace(loaded.for_images, resize=config.model.resize)
    if config.preset == "paper" and loaded.name.startswith(_CROPPED_LIKE_RESNET):
        found = replace(found, crop_fraction=224 / 232)
    return replace(loaded, preprocessing=found)


def _model_name(config: RunConfig) -> str:
    """Return the canonical name; the papers' preset prefers torchvision where both libraries have the network."""
    name = config.model.name
    if config.preset == "paper" and ":" not in name:
        try:
            return str(resolve_name(f"torchvision:{name}"))
        except InputError:
            pass
    return str(resolve_name(name))
