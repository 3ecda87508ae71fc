"""Exporting a run: everything is written beside the target, compared with the run, and only then put into place."""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from biotune.errors import InputError
from biotune.exports.card import card
from biotune.exports.hub import push as push_to_hub
from biotune.exports.hub import require_repository
from biotune.exports.onnx_file import require_onnx, write_onnx
from biotune.exports.parity import Parity, compared
from biotune.exports.script import program
from biotune.exports.source import FORMATS, HUB, ONNX, Format, open_run
from biotune.exports.timm_folder import write_timm
from biotune.models import Backbone
from biotune.runs.events import Message, Observer, silent
from biotune.runs.files import guarded, write_atomic
from biotune.user_files import user_path
from biotune.wording import listed

EXPORTS = "exports"
"""The folder within a run folder that holds its exports, unless another one is given."""


@dataclass(frozen=True)
class Export:
    """What was exported.

    Args:
        folder: where it lies.
        format: ``timm``, ``onnx`` or ``hub``.
        networks: how many networks answer together.
        parity: how closely they answer as the run does.
        address: of the repository that it was uploaded to; empty where it was not.
    """

    folder: Path
    format: Format
    networks: int
    parity: Parity
    address: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON-able values."""
        return {**asdict(self), "folder": str(self.folder)}


def export(
    run: str | Path,
    format: Format,  # noqa: A002 - the option's name
    *,
    out: str | Path | None = None,
    vote: bool | None = None,
    model: nn.Module | Backbone | None = None,
    push: str = "",
    observer: Observer = silent,
) -> Export:
    """Export the model of a finished run into a new folder, for use without BioTune.

    The folder holds the networks, class names, how images are prepared, a model card (``README.md``), and
    ``predict.py``, which gives the probabilities that ``biotune predict`` gives. Before it is put into place,
    ``predict.py`` is run on images of the run and compared.

    Args:
        run: the run folder.
        format: ``timm`` (a folder that timm alone loads), ``onnx`` (one file), or ``hub`` (as ``timm``, laid out for
            the Hugging Face hub). Networks that timm does not know can be exported as ``onnx`` only.
        out: the new folder; None for ``exports/FORMAT`` in the run folder.
        vote: as for ``load_run``: False exports one network where several vote.
        model: for the run of a module of one's own, that module again.
        push: ``OWNER/NAME`` of a repository of the hub to upload it to, private where it is new; for ``hub`` alone.
        observer: receives the progress.

    Returns:
        Where it lies and how closely it answers as the run does.

    Raises:
        InputError: bad input, or an export that does not answer as the run does; the message says what to do.
        DamagedStateError: a file of the run is missing or not as the run left it.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format '{format}'; use {listed(FORMATS, conjunction='or')}.")
    if push:
        if format != HUB:
            raise InputError(f"only the format {HUB} can be uploaded; add --format {HUB}, or leave --push out.")
        require_repository(push)
    run = user_path(run, "path of the run folder")
    folder = run / EXPORTS / format if out is None else user_path(out, "path of the new folder (--out)")
    _require_new(folder)
    if format == ONNX:
        require_onnx()
    subject = open_run(run, format, vote, model)
    observer(Message(f"Writing {subject.name} as {format}."))
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        with guarded(f"make the folder '{unfinished}'"):
            unfinished.mkdir(parents=True)
        if format == ONNX:
            write_onnx(unfinished / "model.onnx", subject)
        else:
            write_timm(unfinished, subject)
        write_atomic(unfinished / "predict.py", program(format, subject.preprocessing))
        parity = compared(unfinished, subject, observer)
        write_atomic(unfinished / "README.md", card(subject, format, parity))
        with guarded(f"write '{folder}'"):
            unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Export(folder, format, len(subject.networks), parity, push_to_hub(folder, push) if push else "")


def _require_new(folder: Path) -> None:
    """Refuse a file, or a folder that holds something."""
    with guarded(f"look into '{folder}'"):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"'{folder}' is a file; choose a new folder with --out.")
        held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if held:
        raise InputError(f"'{folder}' is not empty (it holds '{held[0]}'); choose a new folder with --out.")
