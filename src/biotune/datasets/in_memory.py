"""Images or texts that a Python program holds: data sets of PyTorch or Hugging Face, arrays, lists, splits of them."""

import hashlib
import io
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from biotune.datasets import loaded
from biotune.datasets.columns import known_splits
from biotune.datasets.image_set import IMAGE, TEXT, ImageReader, ImageSet
from biotune.datasets.listing import Listing, class_list, group_of_one
from biotune.datasets.pandas_columns import LABEL, by_position, refuse_table
from biotune.datasets.sources import open_source
from biotune.datasets.texts_in_memory import open_texts
from biotune.errors import InputError
from biotune.images.decoding import ImageSource, UnreadableImageError, content_digest

Progress = Callable[[int, int], None]
_TAKEN = (
    "give a path or name, a data set of (image, label) pairs, a pair (images, labels), an ImageSet, or a dictionary "
    "with the keys train, val and test of these"
)
_PLAIN_MODES = ("L", "RGB")
_SAVED_AS = {"HSV": "RGB", "RGBa": "RGBA", "La": "LA", "PA": "RGBA", "I;16N": "I"}
"""Modes of Pillow that no file has, and those that hold the same image."""


def open_data(data: object, progress: Progress | None = None, kind: str = IMAGE) -> ImageSet:
    """Return the labelled images, or texts, of whatever a program gives as data.

    Args:
        data: a path or name as for ``open_source``; an ``ImageSet``; a ``datasets.Dataset`` or ``DatasetDict``; a
            map-style PyTorch data set of (image, label) pairs; a pair (images, labels), where the images are one uint8
            array (n, height, width[, channels]) or a sequence of paths or images, both in one order, columns of pandas
            too; or a mapping of ``train``, ``val`` and ``test`` to any of these. An image is a Pillow image, uint8
            values, or floating-point values in [0, 1], of shape (height, width), (height, width, 1 or 3) or (1 or 3,
            height, width). Labels are whole numbers or texts; the attribute ``classes`` of a data set names them.
        progress: called with (items read, items in all) while a data set is read once to hash it.
        kind: ``TEXT`` if what stands in the place of images is texts (``str``), as a network of texts takes them: a
            ``str`` alone may be either.

    Returns:
        The images. Those of a PyTorch data set are asked for again when they are needed, one at a time.

    Raises:
        InputError: none of the above, or an item that is not a labelled image.
    """
    if isinstance(data, ImageSet):
        return data
    if isinstance(data, str | Path):
        return open_source(data)
    if loaded.is_dataset(data) or (isinstance(data, Mapping) and data and all(map(loaded.is_dataset, data.values()))):
        return loaded.open_datasets(describe(data), data, {})
    if kind == TEXT and isinstance(data, Mapping):
        return _join({str(split): open_data(part, progress, kind) for split, part in data.items()})
    if kind == TEXT:
        return open_texts(describe(data, kind), data, _class_name)
    if isinstance(data, Mapping):
        return _join({str(split): _open_part(part, progress) for split, part in data.items()})
    return _open_part(data, progress)


def describe(data: object, kind: str = IMAGE) -> str:
    """Return a short text for the run's configuration; what was really given is known by its hash."""
    if isinstance(data, str | Path):
        return str(data)
    if isinstance(data, ImageSet):
        return data.name
    if isinstance(data, Mapping):
        return ", ".join(f"{split}: {describe(part, kind)}" for split, part in data.items())
    if _is_pair(data):
        return f"{len(data[0])} {kind}s in memory"  # type: ignore[index]
    return type(data).__name__


def _open_part(data: object, progress: Progress | None) -> ImageSet:
    if isinstance(data, ImageSet | str | Path) or loaded.is_dataset(data):
        return open_data(data, progress)
    if _is_pair(data):
        return _open_pair(by_position(data[0], IMAGE), by_position(data[1], LABEL))  # type: ignore[index]
    refuse_table(data, IMAGE)
    data = by_position(data, IMAGE)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _open_items(data, progress)
    raise InputError(f"data of the type {type(data).__name__} was given; {_TAKEN}.")


def to_source(image: Any) -> ImageSource:
    """Return an image of those of ``open_data`` as pixels of shape (height, width[, 1 or 3]), a path or encoded bytes.

    Pillow images in other modes than grey and RGB are encoded.

    Raises InputError: another type or shape, or values outside their range; UnreadableImageError: Pillow cannot load
    its image, which is closed, or that of a damaged file.
    """
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    channels_first = hasattr(image, "detach")  # a tensor
    pixels = np.asarray(image.detach().cpu()) if channels_first else np.asarray(image)
    return _with_channels_last(_eight_bits(pixels), channels_first)


def _is_pair(data: object) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and all(hasattr(part, "__len__") for part in data)


def _open_pair(images: Any, labels: Any) -> ImageSet:
    names = [_class_name(label, ()) for label in labels]
    if len(images) != len(names):
        raise InputError(f"{len(images)} images and {len(names)} labels were given; give one label per image.")
    are_files = all(isinstance(image, str | Path) for image in images)
    ids = [str(image) for image in images] if are_files else [f"image/{index}" for index in range(len(names))]
    if len(set(ids)) < len(ids):
        twice = next(image_id for image_id, count in Counter(ids).items() if count > 1)
        raise InputError(f"the file '{twice}' is given a second time; give every file once.")
    listing = Listing(describe((images, labels)))
    for image_id, name in zip(ids, names, strict=True):
        listing.add(image_id, name)
    if are_files:
        return listing.image_set(files=tuple(Path(image) for image in images))
    if isinstance(images, np.ndarray) and images.dtype == np.uint8:
        arrays = images[..., None] if images.ndim == 3 else images
        if arrays.ndim == 4 and arrays.shape[-1] in (1, 3):
            return listing.image_set(arrays=arrays)
    digests = _digests(images, _as_in_a_stack, None)
    return listing.image_set(reader=_Items(images, _as_in_a_stack, digests))


def _as_in_a_stack(image: Any) -> ImageSource:
    """Return an image as one array of all images holds it: grey with an axis of channels, for one hash in either."""
    source = to_source(image)
    return source[..., None] if isinstance(source, np.ndarray) and source.ndim == 2 else source


def _open_items(data: Any, progress: Progress | None) -> ImageSet:
    """Read a data set of pairs once, for the labels and the hash."""
    listing = Listing(describe(data))
    classes = _classes(data)

    def listed(item: Any) -> Any:
        image, label = _pair(item, len(listing))
        listing.add(f"item/{len(listing)}", _class_name(label, classes))
        return image

    digests = _digests(data, listed, progress)
    reader = _Items(data, lambda item: item[0], digests)
    return listing.image_set(reader=reader, class_names=classes)


def _pair(item: Any, index: int) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InputError(f"item {index} of the data set is not a pair (image, label) but a {type(item).__name__}.")
    return item[0], item[1]


def _classes(data: Any) -> tuple[str, ...]:
    """Return the class names of a data set, or of the data set that it is a subset of."""
    while not hasattr(data, "classes") and hasattr(data, "dataset"):
        data = data.dataset
    return class_list(str(name) for name in getattr(data, "classes", ()))


def _class_name(label: Any, classes: Sequence[str]) -> str:
    try:
        value = label.item() if hasattr(label, "item") else label
    except (ValueError, RuntimeError):  # several numbers, NumPy and PyTorch raise different errors
        raise InputError(
            f"a label of shape {tuple(label.shape)} was given; give one class per image, for one-hot rows their argmax."
        ) from None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"the label {value!r} is neither a whole number nor a text; give one class per image.")
    if not classes:
        return str(value)
    if not 0 <= value < len(classes):
        raise InputError(
            f"the label {value} is none of the data set's {len(classes)} classes (0 to {len(classes) - 1})."
        )
    return classes[value]


def _digests(data: Any, image_of: Callable[[Any], Any], progress: Progress | None) -> bytes:
    """Return the SHA-256 of every image, 32 bytes each, with one image in memory at a time."""
    digests, count = bytearray(), len(data)
    for index in range(count):
        item = _item(data, index)
        try:
            source = to_source(image_of(item))
        except UnreadableImageError as error:
            raise InputError(f"item {index} of the data set cannot be read ({error.reason}).") from None
        digests += content_digest(source)
        if progress is not None:
            progress(index + 1, count)
    return bytes(digests)


def _item(data: Any, index: int) -> Any:
    try:
        return data[index]
    except Exception as error:  # the program's own code
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"item {index} of the data set cannot be read ({reason}).") from error


class _Items:
    """Reads the images of a data set or a sequence, one at a time: other people's code may not be thread-safe."""

    def __init__(self, data: Any, image_of: Callable[[Any], Any], digests: bytes) -> None:
        self._data = data
        self._image_of = image_of
        self._digests = digests
        self.fingerprint = hashlib.sha256(digests).hexdigest()
        self._lock = threading.Lock()

    def read(self, row: int) -> ImageSource:
        """Return one image; raises InputError if it is not the one that was hashed."""
        with self._lock:
            source = to_source(self._image_of(_item(self._data, row)))
        if content_digest(source) != self._digests[32 * row : 32 * row + 32]:
            raise InputError(
                f"item {row} of the data is no longer the image that was first read; an item must be the same image "
                "each time: leave out random augmentation, which BioTune does itself (--augment)."
            )
        return source


class _Joined:
    """Reads the images of several sets, one after the other."""

    def __init__(self, parts: Sequence[ImageSet]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def fingerprint(self) -> str:
        """Hash of the parts: of readers by their own, else of every image."""
        keys = (
            part.reader.fingerprint.encode()
            if part.reader is not None
            else b"".join(content_digest(part.image(index)) for index in range(len(part)))
            for part in self._parts
        )
        return hashlib.sha256(b" ".join(keys)).hexdigest()

    def read(self, row: int) -> ImageSource:
        """Return one image."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._parts[part].image(int(row - self._starts[part]))


def _join(parts: Mapping[str, ImageSet]) -> ImageSet:
    """Return one image set of several splits; classes are matched by name."""
    if not parts:
        raise InputError(f"an empty dictionary was given; {_TAKEN}.")
    splits = known_splits(parts)
    if unknown := [split for split in parts if not splits.get(split)]:
        raise InputError(f"'{unknown[0]}' is not a split; use the keys train, val and test.")
    listing = Listing(describe(parts), grouped=any(part.groups is not None for part in parts.values()))
    for split, part in parts.items():
        for index, image_id in enumerate(part.ids):
            class_name = part.class_names[part.labels[index]]
            group = part.groups[index] if part.groups else ""
            shared = "" if group == group_of_one(image_id) else group  # another part may have an image of this id
            listing.add(f"{split}/{image_id}", class_name, splits[split], shared)
    sets = list(parts.values())
    kind = sets[0].kind
    if any(part.kind != kind for part in sets):
        raise InputError("some splits hold images and others texts; give splits of one kind.")
    notes = tuple(note for part in sets for note in part.notes)
    first = sets[0].class_names
    known = first if all(set(part.class_names) <= set(first) for part in sets) else ()
    if all(part.files is not None for part in sets):
        files = tuple(file for part in sets for file in part.files or ())
        return listing.image_set(files=files, class_names=known, notes=notes, kind=kind)
    reader: ImageReader = _Joined(sets)
    return listing.image_set(reader=reader, class_names=known, notes=notes, kind=kind)


def _from_pillow(image: Image.Image) -> ImageSource:
    try:
        upright = ImageOps.exif_transpose(image)  # loads it
    except Exception as error:  # decoders meet damaged bytes with errors of almost any kind
        raise UnreadableImageError(
            "an image in memory", f"Pillow cannot load it ({loaded.first_line(error)})"
        ) from None
    if upright.mode in _SAVED_AS:
        upright = upright.convert(_SAVED_AS[upright.mode])
    if upright.mode in _PLAIN_MODES and not upright.has_transparency_data:
        return np.asarray(upright)
    stream = io.BytesIO()  # other modes have one way to RGB: that of files
    upright.save(stream, format="PNG" if upright.mode in ("P", "PA", "LA", "RGBA", "1") else "TIFF")
    return stream.getvalue()


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * 255
    if pixels.dtype.kind != "f" or pixels.size == 0:
        raise InputError(f"an image of type {pixels.dtype} was given; use uint8, or floating point in [0, 1].")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise InputError(
            f"an image holds values from {low:.3g} to {high:.3g}, but floating-point values must lie in [0, 1]; leave "
            "out the normalisation: BioTune applies it, and it is part of the exported model."
        )
    return np.round(pixels.astype(np.float64) * 255).clip(0, 255).astype(np.uint8)


def _with_channels_last(pixels: NDArray[np.uint8], channels_first: bool) -> NDArray[np.uint8]:
    """Return (height, width) or (height, width, 1 or 3); where both readings fit, tensors have their channels first."""
    first = pixels.ndim == 3 and pixels.shape[0] in (1, 3)
    last = pixels.ndim == 3 and pixels.shape[2] in (1, 3)
    if pixels.ndim == 2 or (last and not (first and channels_first)):
        return pixels
    if first:
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))
    raise InputError(
        f"an image of shape {pixels.shape} was given; use (height, width), (height, width, 1 or 3) or "
        "(1 or 3, height, width)."
    )
