"""What every entry gets: the same images in the same parts, in files, the network, and the number of threads."""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.datasets import ImageSet, open_source
from biotune.errors import InputError
from biotune.images.decoding import decode
from biotune.images.resizing import load_image
from biotune.models import LoadedModel, load_model
from biotune.pixels.loading import load
from biotune.runs.files import write_atomic
from biotune.settings.config import RunConfig

TASK, TABLE, IMAGES = "task.json", "images.csv", "images"
PARTS = {"train": "train", "validation": "val", "test": "test"}
"""Part -> its name in the table."""


@dataclass(frozen=True)
class Labelled:
    """Images in memory.

    Args:
        images: uint8, shape (n, 3, side, side).
        labels: class indices, shape (n,).
        groups: one for each image, or empty.
    """

    images: Tensor
    labels: Tensor
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Outcome:
    """What an entry answered on the test set.

    Args:
        predicted: a class index for each test image.
        chosen: what it chose on the way, for readers of the result.
    """

    predicted: tuple[int, ...]
    chosen: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One data set with its parts, as files in a folder.

    Args:
        folder: holds the images and their table.
        network: name of a timm network.
        weights: as for ``load_model``.
        image_size: side in pixels that entries see.
        resize: how images that are not square are fitted.
        threads: that an entry may use.
        classes: their names, by label.
        parts: part -> rows of file, label and group.
        automatic: True if BioTune chooses the image size itself.
    """

    folder: Path
    network: str
    weights: str
    image_size: int
    resize: str
    threads: int
    classes: tuple[str, ...]
    parts: Mapping[str, tuple[tuple[str, int, str], ...]]
    automatic: bool = False

    def labelled(self, *parts: str) -> Labelled:
        """Read the images of some parts, as BioTune decodes and resizes them."""
        preprocessing = self.loaded().for_images
        rows = [row for part in parts for row in self.parts[part]]
        pixels = np.stack([load_image(self.folder / IMAGES / file, preprocessing) for file, _, _ in rows])
        groups = tuple(group for _, _, group in rows)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return Labelled(images, torch.tensor([label for _, label, _ in rows]), groups if any(groups) else ())

    def loaded(self) -> LoadedModel:
        """Return the pretrained network that BioTune would start from."""
        return _network(self.network, len(self.classes), self.weights, self.image_size, self.resize)

    def truth(self) -> NDArray[np.int64]:
        """Return the labels of the test images."""
        return np.array([label for _, label, _ in self.parts["test"]], dtype=np.int64)

    def tested(self, predict: Callable[[Tensor], NDArray[np.int64]], **chosen: Any) -> Outcome:
        """Read the test images, for the first time, and return what is answered on them."""
        return Outcome(tuple(predict(self.labelled("test").images).tolist()), chosen)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, the folder left out."""
        fields = asdict(self)
        del fields["folder"]
        parts = {part: [list(row) for row in rows] for part, rows in self.parts.items()}
        return {**fields, "classes": list(self.classes), "parts": parts}


def read_task(folder: Path) -> Task:
    """Return the task that a folder holds."""
    fields = json.loads((folder / TASK).read_text(encoding="utf-8"))
    fields["parts"] = {part: tuple((f, label, g) for f, label, g in rows) for part, rows in fields["parts"].items()}
    return Task(**{**fields, "folder": folder, "classes": tuple(fields["classes"])})


def write_task(config: RunConfig, folder: Path) -> Task:
    """Split a data set as BioTune does and write its images as files, or check what an earlier call wrote.

    Args:
        config: BioTune's configuration, with the data source and a number of threads; where it gives no image size, it
            is the network's own.
        folder: a new folder, or that of an earlier call.

    Returns:
        The task.

    Raises:
        InputError: anything wrong with the data or the network, no test images, or the folder holds another task.
    """
    images = open_source(config.data.source, config.data.root)
    model = config.model
    loaded = _network(model.name, len(images.class_names), model.weights, model.side, model.resize)
    data = load(images, config.data, loaded.preprocessing, config.cache)
    if data.test is None:
        raise InputError(f"the data set '{images.name}' has no test images; give --test-fraction above 0.")
    ids = {
        "train": [data.selection.ids[row] for row in data.train],
        "validation": [data.selection.ids[row] for row in data.validation],
        "test": list(data.sides[-1].pixels().ids),
    }
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    parts = {part: tuple(_row(images, row_of[image_id]) for image_id in own) for part, own in ids.items()}
    task = Task(
        folder, loaded.name, model.weights, loaded.for_images.image_size, model.resize, config.compute.threads,
        images.class_names, parts,
    )  # fmt: skip
    if (folder / TASK).exists():
        if read_task(folder) != task:
            raise InputError(f"'{folder}' was made from other images or settings; choose a new folder with --out.")
        return task
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    for image_id in (image_id for own in ids.values() for image_id in own):
        row = row_of[image_id]
        decode(images.image(row)).save(folder / IMAGES / _file(row), compress_level=1)
    _write_table(task)
    write_atomic(folder / TASK, json.dumps(task.to_json()) + "\n")
    return task


def _write_table(task: Task) -> None:
    """Write the table that BioTune reads, with class numbers as labels, so that their order stays."""
    with (task.folder / TABLE).open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "label", "split", "group"])
        for part, rows in task.parts.items():
            table.writerows([f"{IMAGES}/{file}", label, PARTS[part], group] for file, label, group in rows)


def _network(name: str, classes: int, weights: str, size: int | None, resize: str) -> LoadedModel:
    loaded = load_model(name, classes, weights=weights, image_size=size)
    if not loaded.name.startswith("timm:"):
        raise InputError(f"{loaded.name} is not a network of timm, which the entries need; choose one with --model.")
    return replace(loaded, preprocessing=replace(loaded.for_images, resize=resize))


def _row(images: ImageSet, row: int) -> tuple[str, int, str]:
    return _file(row), int(images.labels[row]), images.groups[row] if images.groups else ""


def _file(row: int) -> str:
    return f"{row:06d}.png"
