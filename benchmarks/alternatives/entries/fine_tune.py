"""fastai as its documentation teaches it: ``lr_find``, then ``fine_tune``."""

import tempfile
from typing import Any

import torch

from benchmarks.alternatives.plain import BATCH, Network
from benchmarks.alternatives.task import IMAGES, Outcome, Task


def run(task: Task, seed: int, epochs: int = 10) -> Outcome:
    """Train the body that BioTune loads under fastai's own head, at the rate that ``lr_find`` suggests."""
    from fastai.vision import all as fastai  # noqa: PLC0415 - need not be installed
    from fastai.vision.learner import TimmBody, add_head, default_split  # noqa: PLC0415

    fastai.set_seed(seed, reproducible=True)
    loaders = _loaders(task)
    network = Network(task, seed)
    network.model.reset_classifier(0)
    body = TimmBody(network.model, pretrained=True)
    model = add_head(body, network.model.num_features, len(task.classes), pool=body.needs_pool)
    with tempfile.TemporaryDirectory() as folder:
        learner = fastai.Learner(loaders, model, splitter=default_split, metrics=fastai.accuracy, path=folder)
        learner.freeze()
        with learner.no_bar(), learner.no_logging():
            rate = float(learner.lr_find(show_plot=False).valley)
            learner.fine_tune(epochs, rate)
            files = [task.folder / IMAGES / file for file, _, _ in task.parts["test"]]
            probabilities, _ = learner.get_preds(dl=loaders.test_dl(files))
    classes = [int(name) for name in loaders.vocab]
    return Outcome(tuple(classes[index] for index in probabilities.argmax(1).tolist()), {"rate": rate})


def _loaders(task: Task) -> Any:
    """Return loaders with fastai's usual augmentation; at least four batches an epoch, the last part of one is lost."""
    from fastai.vision import all as fastai  # noqa: PLC0415

    rows = [
        (file, str(label), part == "validation")
        for part in ("train", "validation")
        for file, label, _ in task.parts[part]
    ]
    preprocessing = task.loaded().for_images
    return fastai.ImageDataLoaders.from_df(
        fastai.pd.DataFrame(rows, columns=["file", "label", "held out"]),
        task.folder / IMAGES,
        valid_col="held out",
        bs=max(2, min(BATCH, len(task.parts["train"]) // 4)),
        num_workers=0,
        device=torch.device("cpu"),
        item_tfms=fastai.Resize(task.image_size),
        batch_tfms=[*fastai.aug_transforms(), fastai.Normalize.from_stats(preprocessing.mean, preprocessing.std)],
    )
