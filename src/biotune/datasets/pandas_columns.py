"""Columns of pandas, which count by their own index: as lists, in the order of their rows."""

from typing import Any

from biotune.datasets.image_set import IMAGE, TEXT
from biotune.errors import InputError

LABEL = "label"

_USUAL = {IMAGE: "path", TEXT: "text", LABEL: "label"}
"""What the column is called that holds the images, texts or labels of a table with several columns."""


def by_position(data: Any, what: str) -> Any:
    """Return a column of pandas as a list, so that item i is that of row i; other data as they are.

    Args:
        data: whatever a program gives. Of a table, the only column is taken, or else the one with the usual name.
        what: ``IMAGE``, ``TEXT`` or ``LABEL``, which the column holds.

    Returns:
        The data.

    Raises:
        InputError: a table that has several columns, and none with the usual name.
    """
    if not hasattr(data, "iloc"):
        return data
    if not _is_table(data):
        return list(data)
    names = list(data.columns)
    if len(names) > 1 and _USUAL[what] not in names:
        raise InputError(
            f"the table has the columns {', '.join(map(str, names))[:200]}; give the one that holds the {what}s, or "
            f"call it '{_USUAL[what]}'."
        )
    return list(data[names[0] if len(names) == 1 else _USUAL[what]])


def refuse_table(data: object, what: str) -> None:
    """Raise InputError for a table of pandas in the place of labelled data, whose columns nobody has named."""
    if _is_table(data):
        raise InputError(
            f"a table of pandas was given; give the columns of its {what}s and its labels as a pair, such as "
            f"(table['{_USUAL[what]}'], table['label'])."
        )


def _is_table(data: object) -> bool:
    return hasattr(data, "iloc") and hasattr(data, "columns")
