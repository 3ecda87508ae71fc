"""What is exported: the networks of a finished run with all that belongs to them, and which formats can hold them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from torch import nn

from biotune.classifier import Classifier, load_run
from biotune.errors import InputError
from biotune.models import OWN, Backbone, Vote
from biotune.pixels.inputs import kind_of
from biotune.records import Preprocessing
from biotune.results import Summary
from biotune.runs import folder as files
from biotune.runs.status import finished_summary
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config

Format = Literal["timm", "onnx", "hub"]
FORMATS: tuple[Format, ...] = get_args(Format)
TIMM, ONNX, HUB = FORMATS


@dataclass(frozen=True)
class Subject:
    """A finished run that is exported.

    Args:
        classifier: what answers: the vote of several networks, or one.
        networks: those that answer, the exported one first.
        seeds: the final seed of each.
        name: canonical name of the network, such as ``timm:resnet18``.
        preprocessing: how an image becomes its input.
        summary: what the run found.
        config: its settings.
        fingerprint: of its images and their parts.
    """

    classifier: Classifier
    networks: tuple[nn.Module, ...]
    seeds: tuple[int, ...]
    name: str
    preprocessing: Preprocessing
    summary: Summary
    config: RunConfig
    fingerprint: str


def open_run(run: Path, format: Format, vote: bool | None, model: nn.Module | Backbone | None) -> Subject:  # noqa: A002
    """Open a finished run.

    Args:
        run: the run folder.
        format: in which it is to be exported.
        vote: as for ``load_run``.
        model: the module of one's own that was tuned.

    Returns:
        What is exported.

    Raises:
        InputError: the run is not finished, takes texts, or has a network that the format cannot hold.
        DamagedStateError: a file of the run is missing or not as the run left it.
    """
    config, facts = load_config(run / files.CONFIG) if (run / files.CONFIG).is_file() else (None, {})
    name = str(facts.get("model", ""))
    if name.startswith(f"{OWN}:") and model is None:
        raise InputError(
            f"'{run}' holds a run of {name}, a module of your own; only Python can export it: "
            f"biotune.export(folder, '{ONNX}', model=...)."
        )
    classifier = load_run(run, model, vote)
    if config is None or classifier.note:
        raise InputError(f"the run in '{run}' is not finished; run its command again to continue it, then export it.")
    if not isinstance(classifier.preprocessing, Preprocessing):
        raise InputError(
            f"'{run}' holds a run of {name}, which takes {kind_of(classifier.preprocessing)}s; only image classifiers "
            "can be exported."
        )
    if format != ONNX and not name.startswith("timm:"):
        raise InputError(f"timm cannot build {name}, so that only --format {ONNX} is possible for '{run}'.")
    summary, network = finished_summary(run), classifier.model
    networks = tuple(network.networks) if isinstance(network, Vote) else (network,)
    seeds = (summary.exported.seed, *summary.exported.members)[: len(networks)]
    return Subject(
        classifier, networks, seeds, name, classifier.preprocessing, summary, config, str(facts.get("data", ""))
    )
