"""Which columns of a table hold images or texts, labels and groups; kinds are named as by Hugging Face."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from biotune.datasets.image_set import IMAGE, SPLITS, TEXT
from biotune.datasets.listing import SPLIT_NAMES, Listing
from biotune.datasets.tables import cell_text, split_of
from biotune.errors import InputError

ROLES = (IMAGE, TEXT, "label", "group")
"""What ``hf:NAME?image=COLUMN&label=COLUMN&group=COLUMN`` can choose; ``text`` in the place of ``image``."""

_SPLIT_KEYWORDS = {**SPLIT_NAMES, "dev": "validation", "eval": "test", "evaluation": "test"}
_TEXTS = ("string", "large_string")
_NUMBERS = ("int", "uint")
_NO_TEXTS = ("label", "group", "split")
"""Columns with these names hold no texts to learn from."""

Features = Mapping[str, Mapping[str, Any]]
"""Column -> {"_type": "Image" | "ClassLabel" | "Value" | ..., "names": of a ClassLabel, "dtype": of a Value}."""


@dataclass(frozen=True)
class Columns:
    """The chosen columns of a table.

    Args:
        content: column of the images or texts.
        label: column of the labels.
        group: column of the groups, or an empty text.
        split: column of the splits, or an empty text.
        class_names: by label, where the table names them.
        notes: what was chosen among several, as sentences for the user.
    """

    content: str
    label: str
    group: str
    split: str
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def read(self) -> list[str]:
        """Return the columns that listing needs: all but the images or texts."""
        return list(dict.fromkeys(name for name in (self.label, self.group, self.split) if name))

    def class_of(self, value: Any) -> str:
        """Return the class of a label; an empty text for none, which is -1 beside named classes.

        Of whole numbers without names, -1 is a class: many label by -1 and 1.
        """
        if not self.class_names or isinstance(value, str):
            return cell_text(value)
        known = value is not None and 0 <= value < len(self.class_names)
        return self.class_names[value] if known else ""


def choose_columns(source: str, features: Features, asked: Mapping[str, str], has_parts: bool = False) -> Columns:
    """Find the columns of a table of images, or of texts where there is no column of images.

    The image is the only column of images, the text the only one of texts; the label the only ClassLabel, or else the
    only column of texts or whole numbers. Where there are several, one that is called ``image``, ``text`` or ``label``
    is taken, with a note. Groups are in a column ``group``, splits in a column ``split`` of texts; where files or parts
    of the table name the splits (``has_parts``), it is ignored, with a note. ``asked`` holds the columns that the user
    chose, by role.

    Raises InputError: none or several fit; names all columns and says how to choose.
    """
    if wrong := [name for name in asked.values() if name not in features]:
        raise InputError(f"'{source}' has no column '{wrong[0]}'; it has {_described(features)}.")
    images = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    texts = [name for name, kind in features.items() if _is_plain(kind, _TEXTS) and name not in _NO_TEXTS]
    kind = kind_of(features, asked)
    fitting_content = images if kind == IMAGE else texts
    content = asked.get(kind) or _only(source, kind, fitting_content, features)
    group = asked.get("group") or ("group" if "group" in features else "")
    classes = [name for name, kind in features.items() if kind.get("_type") == "ClassLabel" and name != group]
    plain = [name for name, kind in features.items() if _is_plain(kind) and name not in (group, content, "split")]
    label = asked.get("label") or _only(source, "label", classes or plain, features)
    names = tuple(str(name) for name in features[label].get("names") or ())
    split = "split" if label != "split" and _is_plain(features.get("split", {}), _TEXTS) else ""
    ignored = ("Ignored the column 'split': the parts name the splits.",) if split and has_parts else ()
    chosen = tuple(
        f"The {role} is the column '{role}'; {', '.join(other for other in fitting if other != role)} would fit too "
        f"(choose with hf:NAME?{role}=COLUMN)."
        for role, fitting in ((kind, fitting_content), ("label", classes or plain))
        if len(fitting) > 1 and role not in asked
    )
    return Columns(content, label, group, "" if has_parts else split, names, (*chosen, *ignored))


def kind_of(features: Features, asked: Mapping[str, str]) -> str:
    """Return whether a table holds images or texts: texts if the user asks for them, or if it has no image."""
    if TEXT in asked or IMAGE in asked:
        return TEXT if TEXT in asked else IMAGE
    has_texts = any(_is_plain(kind, _TEXTS) and name not in _NO_TEXTS for name, kind in features.items())
    return TEXT if has_texts and all(kind.get("_type") != "Image" for kind in features.values()) else IMAGE


def _is_plain(kind: Mapping[str, Any], types: tuple[str, ...] = (*_TEXTS, *_NUMBERS)) -> bool:
    return kind.get("_type") == "Value" and str(kind.get("dtype")).startswith(types)


def _only(source: str, role: str, fitting: list[str], features: Features) -> str:
    if len(fitting) == 1 or role in fitting:
        return role if role in fitting else fitting[0]
    what = f"several columns that may hold the {role} ({', '.join(fitting)})" if fitting else f"no column of {role}s"
    raise InputError(
        f"'{source}' has {what}; its columns are {_described(features)}; choose one with "
        f"hf:NAME?{role}=COLUMN, where NAME is a data set of the hub, a file or a folder."
    )


def _described(features: Features) -> str:
    return ", ".join(f"{name} ({kind.get('dtype') or kind.get('_type')})" for name, kind in features.items())


def known_splits(names: Iterable[str]) -> dict[str, str]:
    """Return split name -> one of ``SPLITS``, for the names that say which one; ``{name: ""}`` for one that does not.

    A set whose only part is called otherwise (``full``, say) is all to be split.
    """
    every = list(names)
    known = {name: _SPLIT_KEYWORDS[name.lower()] for name in every if name.lower() in _SPLIT_KEYWORDS}
    return known or dict.fromkeys(every, SPLITS[-1])


def list_rows(
    listing: Listing, columns: Columns, split: str, prefix: str, cells: Mapping[str, list[Any]], first: int
) -> list[int]:
    """Add rows of a table to a listing, but for those without a label, and return the numbers of those that were added.

    ``split`` is that of all rows; an empty text leaves it to the column of splits, if there is one. An id is ``prefix``
    and the number of the row, which begins at ``first``. ``cells`` holds the values by column.

    Raises InputError: a cell of the column of splits names none.
    """
    kept: list[int] = []
    groups = cells[columns.group] if columns.group else None
    splits = cells[columns.split] if columns.split else None
    for offset, value in enumerate(cells[columns.label]):
        class_name = columns.class_of(value)
        if class_name:
            kept.append(first + offset)
            place = f"{prefix}{first + offset}"
            group = cell_text(groups[offset]) if groups else ""
            given = split_of(cell_text(splits[offset]), f"'{listing.name}', {place}") if splits else split
            listing.add(place, class_name, given, group)
    return kept
