"""What ``biotune refine`` works on: the network of a run or of a file of weights, and images that it did not learn."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from biotune.classifier import load_run
from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.inspection.groups import keep_together
from biotune.models import partition_for, resolve_name
from biotune.models.weights import digest, install, read_entry
from biotune.partition import BlockPartition
from biotune.pixels.inputs import require_kind
from biotune.pixels.learning_data import LearningData
from biotune.pixels.loading import load
from biotune.pixels.own_data import is_own_data
from biotune.recipe import Recipe
from biotune.records import Inputs
from biotune.refinement import Weights
from biotune.results import Summary
from biotune.runner.setup import facts_of, facts_of_versions, replace_fields
from biotune.runs import folder as files
from biotune.runs.events import Observer
from biotune.runs.status import finished_summary
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config
from biotune.trials.spec import load_network
from biotune.wording import listed, plural


@dataclass(frozen=True, eq=False)
class Subject:
    """What is refined, and on which images.

    Args:
        words: what it is, for people.
        model: the trained network, in evaluation mode, on the CPU.
        name: its canonical name.
        heads: dotted names of its classifier layers.
        preprocessing: how images, or texts, are prepared for it.
        recipe: how it was fine-tuned, as far as that is known; None for a file of weights.
        weights: where its pretrained weights came from.
        data: the images; those that validate are held out.
        facts: what makes it the same refinement when it is continued.
        notes: sentences for the user.
        summary: of the run that it comes from; None for a file of weights.
    """

    words: str
    model: nn.Module
    name: str
    heads: tuple[str, ...]
    preprocessing: Inputs
    recipe: Recipe | None
    weights: str
    data: LearningData
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()
    summary: Summary | None = None

    @property
    def voters(self) -> int:
        """How many networks answer together in that run; 1 for a file of weights."""
        return 1 if self.summary is None else 1 + len(self.summary.exported.members)

    def partition(self, granularity: str) -> BlockPartition:
        """Return the blocks of the network, or its layers."""
        return partition_for(self.model, self.name, self.heads, self.preprocessing.sample_shape, granularity)

    def recipe_of(self, weights: Weights) -> Recipe:
        """Return the recipe of the run; of weights from a file, which blocks the refined tensors belong to."""
        if self.recipe is not None:
            return self.recipe
        partition = self.partition("block")
        owners = {partition.enclosing(name) for name in weights.names}
        return Recipe(partition, tuple(float(index in owners) for index in range(len(partition))), model=self.name)


def subject_of(config: RunConfig, run: Path | None, observer: Observer, image_set: ImageSet | None = None) -> Subject:
    """Open the network and its images.

    Args:
        config: names the images and, without a run, the network and the file of its weights.
        run: the run whose network is refined; None for a network with a file of weights.
        observer: receives the progress of decoding.
        image_set: the images, where the configuration cannot name their source.

    Returns:
        What is refined.

    Raises:
        InputError: bad input, or held-out images that the network was trained on.
        DamagedStateError: a file of the run is damaged.
    """
    given = image_set or open_source(config.data.source, config.data.root)
    images = keep_together(given, config.data, observer)
    if run is None:
        return _of_weights(config, images, observer)
    return _of_run(config, images, run, observer, in_memory=image_set is not None)


def network_of_run(run: Path) -> tuple[nn.Module, tuple[str, ...], Inputs, tuple[str, ...]]:
    """Return the exported network of a finished run, its class names, preprocessing and classifier layers.

    Raises InputError: the run is not finished; DamagedStateError: a file is damaged.
    """
    classifier = load_run(run, vote=False)
    if classifier.note:
        raise InputError(f"{classifier.note} Finish it first, then refine it.")
    heads = tuple(load_config(run / files.CONFIG)[1]["heads"])
    return classifier.model, classifier.class_names, classifier.preprocessing, heads


def _of_run(config: RunConfig, images: ImageSet, run: Path, observer: Observer, *, in_memory: bool) -> Subject:
    """Return the exported network of a finished run; ``in_memory`` says that the images come from no source."""
    model, names, preprocessing, heads = network_of_run(run)
    summary, (own_config, facts) = finished_summary(run), load_config(run / files.CONFIG)
    require_kind(preprocessing, images, f"the network of '{run}'")
    image_set = _with_classes(images, names)
    data = load(image_set, config.data, preprocessing, config.cache, observer)
    if is_own_data(run, data.sides[0].images, data.fingerprints.splits, preprocessing):
        _require_held_out(run, summary)
        notes: tuple[str, ...] = ()
    else:
        if config.data == own_config.data and not in_memory:  # in memory, other images may be described alike
            raise InputError(
                f"the images of '{run}' are not those that it learned from any more: bring them back, or give others "
                "that it has not seen (biotune refine RUN DATA)."
            )
        notes = _unseen(run, data)
    found = {**facts, **facts_of_versions(), "data": data.fingerprints.splits, "pixels": data.fingerprints.pixels}
    return Subject(
        words=f"the run '{run}'",
        model=model,
        name=str(facts["model"]),
        heads=heads,
        preprocessing=preprocessing,
        recipe=Recipe.load(run),
        weights=summary.model.weights,
        data=data,
        facts={**found, "refined": digest(model, ())},
        notes=notes,
        summary=summary,
    )


def _require_held_out(run: Path, summary: Summary) -> None:
    """Refuse a run whose exported network was trained on its validation images."""
    if summary.validation is None:
        kind = summary.data.kind
        raise InputError(
            f"these are the own {kind}s of '{run}', and its network was trained on its validation {kind}s too, so they "
            f"cannot say which weights are better; give labelled {kind}s that it has not seen (biotune refine RUN "
            "DATA), or tune again with --final-data training."
        )


def _unseen(run: Path, data: LearningData) -> tuple[str, ...]:
    """Refuse held-out images that a run learned from, found by their content; say how many test images are known."""
    known = files.learned(run)
    if known is None:
        return (f"'{run}' does not say which images it learned from: make sure that none of these is among them.",)
    digests = [side.decoded.facts.digests[side.readable] for side in data.sides]
    seen = sum(known(row.tobytes()) for row in digests[0][data.validation])
    if seen:
        raise InputError(
            f"the run '{run}' learned from, or chose by, {seen:,} of the {len(data.validation):,} held-out images, so "
            "they cannot say which weights are better; give images that it has not seen."
        )
    tested = sum(known(row.tobytes()) for row in digests[1]) if data.test else 0
    many = f"The run learned from, or chose by, {plural(tested, 'of the test images', 'of the test images')}: "
    return (f"{many}the test scores are optimistic.",) if tested else ()


def _with_classes(image_set: ImageSet, names: tuple[str, ...]) -> ImageSet:
    """Return the images with labels in the order of a network's classes; refuse other classes."""
    if image_set.class_names == names:
        return image_set
    if set(image_set.class_names) != set(names):
        lacking, foreign = (
            sorted(set(names) - set(image_set.class_names)),
            sorted(set(image_set.class_names) - set(names)),
        )
        what = f"no image of the class '{lacking[0]}'" if lacking else f"the class '{foreign[0]}'"
        raise InputError(
            f"'{image_set.name}' has {what}, but the network knows {listed(names)}; give images of exactly these "
            "classes."
        )
    order = np.array([names.index(name) for name in image_set.class_names], dtype=np.int64)
    return replace(image_set, class_names=names, labels=order[image_set.labels])


def _of_weights(config: RunConfig, image_set: ImageSet, observer: Observer) -> Subject:
    """Return a named network with the weights of a file, its classifier included."""
    given = config.model.weights
    if given in ("auto", "random"):
        raise InputError(
            "a network is refined from its trained weights: give them with --weights FILE, or give a run folder of "
            "biotune in the place of the network."
        )
    require_learnable(image_set)
    plain = replace_fields(config, model=replace_fields(config.model, weights="random"))
    loaded = load_network(plain, len(image_set.class_names))
    state, _ = read_entry(Path(given), config.model.trust_checkpoint)
    install(loaded.model, resolve_name(loaded.name), state, ())
    data = load(image_set, config.data, loaded.preprocessing, config.cache, observer)
    return Subject(
        words=f"{loaded.name} with the weights '{given}'",
        model=loaded.model,
        name=loaded.name,
        heads=loaded.heads,
        preprocessing=loaded.preprocessing,
        recipe=None,
        weights=f"file {Path(given).name}",
        data=data,
        facts={**facts_of(loaded, data), "refined": digest(loaded.model, ())},
        notes=(
            f"Make sure that the weights '{given}' were not trained on any of the {len(data.validation):,} held-out "
            f"and {data.num_test:,} test images of {data.name}: a file of weights does not say it.",
        ),
    )
