"""Classifiers of Hugging Face ``transformers``: of images, from a local folder or the hub; code in them never runs."""

import importlib
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
from safetensors import SafetensorError
from torch import nn

from biotune.errors import InputError
from biotune.models.blocks import partition_for
from biotune.models.loaded_model import LoadedModel, class_layers, finish_loading
from biotune.models.names import ModelName
from biotune.models.packaged import State
from biotune.models.weights import read_state, require_network, unavailable
from biotune.records import Preprocessing

_FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
_UNTRUSTED = ("*.bin", "*.bin.index.json")
_BILINEAR = 2
"""Pillow's number for bilinear interpolation, the unit of ``resample`` in ``preprocessor_config.json``."""

_SIZE = 224
"""Side in pixels where no file says one: that of nearly all ImageNet classifiers."""


def load_hugging_face(
    name: ModelName,
    num_classes: int,
    weights: str | Path,
    image_size: int | None,
    trust_checkpoint: bool,
    granularity: str,
) -> LoadedModel:
    """Build a classifier of ``transformers`` with its pretrained weights and a fresh head.

    Args:
        name: the classifier's folder with ``config.json`` and ``model.safetensors``, or its name on the hub.
        num_classes: at least 2.
        weights: ``auto`` (those of the folder), ``random``, or the path of a state dict.
        image_size: side of the input; by default that of ``preprocessor_config.json``, else of ``config.json``.
        trust_checkpoint: True to admit weights in ``.bin`` files, tensors only.
        granularity: how finely the network is cut, ``block`` or ``layer``.

    Returns:
        The network and what belongs to it.

    Raises:
        InputError: ``transformers`` is missing, the folder does not hold an image classifier that ``transformers``
            itself can build, or the weights are not available or do not fit.
    """
    with opened(name, "an image classifier", trust_checkpoint) as (transformers, folder, config):
        preprocessing = _preprocessing(folder, config, image_size)
        automatic = transformers.AutoModelForImageClassification
        model, heads = classifier_of(automatic, config, name, num_classes, weights, folder, trust_checkpoint)
    size = preprocessing.image_size
    partition = partition_for(model, str(name), heads, (3, size, size), granularity)
    return finish_loading(model, str(name), heads, partition, preprocessing, label_of(name, config, model, weights))


@contextmanager
def opened(name: ModelName, what: str, trust_checkpoint: bool) -> Iterator[tuple[Any, Path, Any]]:
    """Yield the library ``transformers``, the folder of a network and its configuration.

    While the context lasts, the library is quiet, and what it raises becomes one sentence that names ``what`` is
    wanted.
    """
    transformers = _library()
    folder = _folder(name, trust_checkpoint)
    with _quiet(transformers), _one_sentence(name, what):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        yield transformers, folder, config


def classifier_of(
    automatic: Any,
    config: Any,
    name: ModelName,
    num_classes: int,
    weights: str | Path,
    folder: Path,
    trust_checkpoint: bool,
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a classifier with its pretrained weights, and the layers that depend on the number of classes.

    ``automatic`` is one of the library's classes that choose the network by its configuration; other arguments as for
    ``load_hugging_face``.
    """
    config.num_labels = num_classes

    def build(number: int) -> nn.Module:
        config.num_labels = number
        built: nn.Module = automatic.from_config(config, trust_remote_code=False)
        return built.float()

    model = build(num_classes)
    heads = class_layers(model, str(name), num_classes, build)
    config.num_labels = num_classes
    if weights == "random":
        return model, heads
    source = folder if weights == "auto" else read_state(Path(weights), trust_checkpoint)
    return _pretrained(type(model), source, config, name, heads, trust_checkpoint), heads


def label_of(name: ModelName, config: Any, model: nn.Module, weights: str | Path) -> str:
    """Return where weights came from, as shown to the user."""
    saved, built = (config.architectures or [""])[0], type(model).__name__
    other = f", saved as {saved}, its own head left out" if saved not in ("", built) else ""
    labels = {"auto": f"transformers {name.architecture}{other}", "random": "random"}
    return labels.get(str(weights), f"file {Path(weights).name}")


def _library() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise InputError(
            "networks of Hugging Face need the extra 'hf'; install it: pip install 'biotune[hf]'."
        ) from None


def _folder(name: ModelName, trust_checkpoint: bool) -> Path:
    """The folder with the files: the given one, the one in the hub's cache, or a fresh download."""
    folder = Path(name.architecture)
    if folder.is_absolute():
        if not (folder / "config.json").is_file():
            raise InputError(f"'{folder}' holds no config.json; give the folder that save_pretrained wrote.")
        return folder
    cached = huggingface_hub.try_to_load_from_cache(name.architecture, "config.json")
    if isinstance(cached, str):
        return Path(cached).parent
    require_network(name, huggingface_hub.constants.ENDPOINT)
    patterns = [*_FILES, *(_UNTRUSTED if trust_checkpoint else ())]
    try:
        return Path(huggingface_hub.snapshot_download(name.architecture, allow_patterns=patterns))
    except Exception as error:  # the client raises many kinds of errors
        raise unavailable(name, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error


def _pretrained(
    kind: Any, source: Path | State, config: Any, name: ModelName, heads: tuple[str, ...], trust_checkpoint: bool
) -> nn.Module:
    """The network with the weights of a folder or of a state; only those of the head may be missing or differ."""
    if isinstance(source, Path) and not any(source.glob("*.safetensors")) and not any(source.glob("*.bin")):
        raise InputError(f"{name} holds no weights; give the folder with its model.safetensors, or --weights random.")
    if isinstance(source, Path) and not trust_checkpoint and not any(source.glob("*.safetensors")):
        raise InputError(
            f"{name} has no .safetensors file; convert its weights, or add --trust-checkpoint if you know who made "
            "them."
        )
    model, report = kind.from_pretrained(
        source if isinstance(source, Path) else None,
        state_dict=None if isinstance(source, Path) else source,
        config=config,
        ignore_mismatched_sizes=True,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=None if trust_checkpoint else True,
        output_loading_info=True,
    )
    inside = tuple(f"{head}." for head in heads)
    kinds = {"missing": report["missing_keys"], "of another shape": {key for key, *_ in report["mismatched_keys"]}}
    faults = {kind: sorted(key for key in keys if not key.startswith(inside)) for kind, keys in kinds.items()}
    words = [
        f"{len(keys)} tensor{'s' * (len(keys) > 1)} {kind} ('{keys[0]}' first)" for kind, keys in faults.items() if keys
    ]
    if words:
        raise InputError(f"these weights do not fit {name}: {'; '.join(words)}. Give weights of exactly this network.")
    loaded: nn.Module = model.float()
    return loaded


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's reports of a replaced head and its progress bars off the terminal."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


@contextmanager
def _one_sentence(name: ModelName, what: str) -> Iterator[None]:
    """Turn what the library raises for files that it cannot use into one sentence."""
    try:
        yield
    except InputError:
        raise
    except (SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(
            f"a weights file of {name} is damaged or holds objects other than tensors (nothing in it was run); save or "
            "download it again."
        ) from error
    except Exception as error:  # every family of networks raises its own errors for a bad configuration
        reason = str(error).partition("\n")[0][:200].rstrip(" .;:")
        raise InputError(
            f"{name} is not {what} that transformers itself can load ({type(error).__name__}: {reason}); "
            "code in a folder is never run."
        ) from error


def _preprocessing(folder: Path, config: Any, image_size: int | None) -> Preprocessing:
    """What ``preprocessor_config.json`` says; else ImageNet's mean and std, and the size of the configuration."""
    path = folder / "preprocessor_config.json"
    saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    resized = _side(saved.get("size")) or _side(getattr(config, "image_size", None)) or _SIZE
    cropped = _side(saved.get("crop_size")) if saved.get("do_center_crop") else None
    default = Preprocessing(_SIZE)
    fraction = cropped / resized if cropped else float(saved.get("crop_pct") or 1.0)
    plain = saved.get("do_normalize") is False
    return Preprocessing(
        image_size=image_size or cropped or resized,
        mean=(0.0, 0.0, 0.0) if plain else _channels(saved.get("image_mean"), default.mean),
        std=(1.0, 1.0, 1.0) if plain else _channels(saved.get("image_std"), default.std),
        crop_fraction=min(1.0, fraction),
        interpolation="bilinear" if saved.get("resample") == _BILINEAR else "bicubic",
    )


def _side(size: Any) -> int | None:
    """One side in pixels of ``224``, ``[224, 224]``, ``{"height": 224, ...}`` or ``{"shortest_edge": 224}``."""
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    if isinstance(size, list | tuple):
        size = size[0] if size else None
    return int(size) if size else None


def _channels(values: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if values is None:
        return default
    red, green, blue = map(float, values)
    return red, green, blue
