"""What a run of texts needs beside one of images, and what makes no sense for it, all in one place."""

import json
from pathlib import Path

from biotune.datasets.image_set import IMAGE, ImageSet
from biotune.errors import DamagedStateError, InputError
from biotune.models import resolve_name, takes_texts, tokenizer_inputs
from biotune.pixels.loading import learning_rows
from biotune.records import Inputs, TextInputs, TextPreprocessing, inputs_from_json
from biotune.runs import folder as files
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config
from biotune.settings.setting import AUTO
from biotune.texts import UnreadableTextError, build_vocabulary, read_text


def with_texts(config: RunConfig, image_set: ImageSet) -> tuple[RunConfig, TextInputs | None]:
    """Make a run of texts possible where the source holds texts; change nothing where it holds images.

    Args:
        config: as asked for.
        image_set: the opened source.

    Returns:
        The configuration, without what only images have, and how texts become inputs: by the vocabulary of the training
        texts, or of the run whose weights are taken, or by the tokenizer in the network's folder. None for images.

    Raises:
        InputError: the network does not take what the source holds, or a setting is for images alone.
        DamagedStateError: the run whose weights are taken is damaged.
    """
    is_network = takes_texts(config.model.name)
    if image_set.kind == IMAGE and not is_network:
        return config, None
    if image_set.kind == IMAGE or not is_network:
        other = (
            "an image classifier"
            if is_network
            else "text:lstm, or hf:FOLDER with a classifier of transformers and its tokenizer.json,"
        )
        raise InputError(
            f"'{image_set.name}' holds {image_set.kind}s, which {config.model.name} does not take; choose {other} with "
            "--model ('biotune models' lists the networks)."
        )
    _require_for_texts(config)
    config = _without_images(config)
    name = resolve_name(config.model.name)
    if name.library == "hf":
        return config, tokenizer_inputs(name, config.text.max_length)
    run = _earlier_run(config)
    if run is None:
        return config, _vocabulary(config, image_set)
    return config.model_copy(update={"text": load_config(run / files.CONFIG)[0].text}), _inputs_of(run)


def _require_for_texts(config: RunConfig) -> None:
    """Refuse settings that are for images alone."""
    if config.training.augment != "none":
        raise InputError("texts are not augmented: augmentation (--augment) changes images; leave it out.")
    if config.model.image_size not in (0, AUTO):
        raise InputError("texts have no size in pixels (--image-size); --max-length says how many words are seen.")
    if "," in config.model.name:
        raise InputError(f"'{config.model.name}' names several networks; of those of texts name one (--model).")


def _without_images(config: RunConfig) -> RunConfig:
    """Return the configuration without the choices that there are for images alone."""
    values = tuple(name for name in config.search.values if name == "head_start")
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"image_size": 0}),
            "search": config.search.model_copy(update={"values": values}),
        }
    )


def _earlier_run(config: RunConfig) -> Path | None:
    """Return the run folder whose weights are taken; None for random ones."""
    weights = config.model.weights
    if weights in (AUTO, "random"):
        return None
    folder = Path(weights).expanduser()
    if not (folder / files.PREPROCESSING).is_file():
        raise InputError(
            f"'{weights}' is no run folder of texts; weights of a network of texts come with their vocabulary, so give "
            "the folder of a finished run (--weights RUN)."
        )
    return folder


def _inputs_of(run: Path) -> TextPreprocessing:
    try:
        inputs: Inputs = inputs_from_json(json.loads((run / files.PREPROCESSING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedStateError(f"'{run / files.PREPROCESSING}' is damaged ({error}).") from None
    if isinstance(inputs, TextPreprocessing):
        return inputs
    raise InputError(f"the run '{run}' has a network of images; give one of texts (--weights RUN).")


def _vocabulary(config: RunConfig, texts: ImageSet) -> TextPreprocessing:
    """Return the vocabulary of the training part alone: nothing of it is known of validation and test."""
    train, _ = learning_rows(texts, config.data)
    own = config.text
    found = (_read(texts, int(row)) for row in train)
    return build_vocabulary(found, own.vocabulary, own.min_count, own.max_length, own.lower_case)


def _read(texts: ImageSet, row: int) -> str:
    """Return a text; nothing of one that cannot be read, which is left out and named later."""
    try:
        return read_text(texts.image(row))
    except UnreadableTextError:
        return ""
