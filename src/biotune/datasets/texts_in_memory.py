"""Labelled texts that a Python program holds: a pair of lists, or a sequence of pairs."""

from collections.abc import Callable, Sequence
from typing import Any

from biotune.datasets.image_set import TEXT, ImageSet
from biotune.datasets.listing import Listing, class_list
from biotune.datasets.pandas_columns import LABEL, by_position, refuse_table
from biotune.datasets.text_tables import TextCells
from biotune.errors import InputError

ClassName = Callable[[Any, Sequence[str]], str]
"""From a label and the names of the classes, which may be none, to the name of its class."""


def open_texts(name: str, data: Any, class_name: ClassName) -> ImageSet:
    """Return the labelled texts of a pair (texts, labels), or of a sequence of pairs.

    Args:
        name: what the data are called.
        data: the attribute ``classes`` of a sequence of pairs names what its labels count.
        class_name: reads a label.

    Returns:
        The texts, all of them in memory.

    Raises:
        InputError: another number of labels than texts, or something that is not a text or a label.
    """
    texts, labels, classes = _columns(data)
    if len(texts) != len(labels):
        raise InputError(f"{len(texts)} texts and {len(labels)} labels were given; give one label per text.")
    listing = Listing(name)
    for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if not isinstance(text, str):
            raise InputError(f"text {index} is a {type(text).__name__}; give texts as str.")
        listing.add(f"text/{index}", class_name(label, classes))
    return listing.image_set(reader=TextCells(tuple(map(str, texts))), class_names=classes, kind=TEXT)


def _columns(data: Any) -> tuple[list[Any], list[Any], tuple[str, ...]]:
    """Return texts, labels and the names of the classes where they are known."""
    if isinstance(data, tuple) and len(data) == 2:
        return list(by_position(data[0], TEXT)), list(by_position(data[1], LABEL)), ()
    refuse_table(data, TEXT)
    data = by_position(data, TEXT)
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise InputError(
            f"data of the type {type(data).__name__} was given; give a path or name, a pair (texts, labels), a data "
            "set of (text, label) pairs, a datasets.Dataset, or a dictionary with the keys train, val, test of these."
        )
    items = [data[index] for index in range(len(data))]
    for index, item in enumerate(items):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InputError(f"item {index} of the data set is not a pair (text, label) but a {type(item).__name__}.")
    classes = class_list(map(str, getattr(data, "classes", ())))
    return [text for text, _ in items], [label for _, label in items], classes
