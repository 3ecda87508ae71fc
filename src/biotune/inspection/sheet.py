"""Which images the contact sheet of a data set shows: some of each class, pairs of copies, and strange ones."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.images.decoding import ImageFacts, UnreadableImageError
from biotune.inspection.contact_sheet import COLUMNS, TILE, Strip, Tile, contact_sheet
from biotune.inspection.findings import UNASSIGNED, Copies, Findings
from biotune.inspection.inspection import Inspection
from biotune.pixels.reading import read_all
from biotune.wording import plural

_CLASSES = 24
_PAIRS = 2 * COLUMNS
_EXTREME_RATIO, _TINY_SIDE = 3.0, 16

Choice = list[tuple[int, str]]
"""Rows of the source, each with a caption."""


def inspection_sheet(inspection: Inspection, findings: Findings) -> Image.Image:
    """Draw the contact sheet, of mode RGB; the images that it shows are decoded again."""
    choices = [
        (title, remark, alert, choice) for title, remark, alert, choice in _choices(inspection, findings) if choice
    ]
    rows = sorted({row for _, _, _, choice in choices for row, _ in choice})
    shown = dict(zip(rows, pictures(inspection.image_set, rows), strict=True))
    strips = [
        Strip(title, remark, tuple(Tile(shown[row], caption, alert) for row, caption in choice))
        for title, remark, alert, choice in choices
    ]
    return contact_sheet(findings.name, f"{findings.images:,} images. {findings.conclusion}", strips)


def pictures(image_set: ImageSet, rows: list[int]) -> Iterator[Image.Image]:
    """Yield images of a set, decoded again and made small; a white pixel for one that cannot be read any more."""

    def small(image: Image.Image, _: ImageFacts) -> Image.Image:
        image.thumbnail((2 * TILE, 2 * TILE))
        return image

    for _, picture in read_all(image_set.subset(rows), small):
        yield Image.new("RGB", (1, 1), "white") if isinstance(picture, UnreadableImageError) else picture


def _choices(inspection: Inspection, findings: Findings) -> Iterator[tuple[str, str, bool, Choice]]:
    """Yield title, remark, whether to frame, and images of each strip."""
    names = inspection.image_set.class_names
    row_of = {image_id: row for row, image_id in enumerate(inspection.image_set.ids)}
    shown = ((findings.leaks, "In several splits"), (findings.label_conflicts, "In several classes"))
    for items, title in shown:
        yield title, _groups(items), True, _pairs(items, row_of)
    worse = {item.paths[0] for items, _ in shown for item in items}
    others = [item for item in findings.duplicates if item.paths[0] not in worse]
    yield "Other copies", _groups(others), True, _pairs(others, row_of)
    yield "Strange", "in shape or size, or changed while reading", False, _strange(inspection)
    labels = inspection.image_set.labels[inspection.readable]
    for label, name in enumerate(names[:_CLASSES]):
        rows = inspection.readable[labels == label]
        some = (
            rows[np.unique(np.linspace(0, len(rows) - 1, min(COLUMNS, len(rows))).astype(int))] if len(rows) else rows
        )
        more = (
            f"; {len(names) - _CLASSES:,} more classes are not shown" if label == _CLASSES - 1 < len(names) - 1 else ""
        )
        remark = f"{plural(len(rows), 'image')}{more}"
        yield name, remark, False, [(row, file_name(inspection.image_set.ids[row])) for row in some.tolist()]


def _groups(items: Sequence[Copies]) -> str:
    return f"{plural(len(items), 'group')} of copies"


def file_name(image_id: str) -> str:
    """Return the last part of a path, without line breaks: these separate the lines of a caption."""
    return image_id.rsplit("/", 1)[-1].replace("\n", " ")


def _pairs(items: Sequence[Copies], row_of: dict[str, int]) -> Choice:
    """Return two images of each group, from different splits or classes where there are, as pairs side by side."""
    choice: Choice = []
    for item in items[: _PAIRS // 2]:
        places = [
            f"{split}\n{name}" if split != UNASSIGNED else name
            for split, name in zip(item.splits, (file_name(name) for name in item.classes), strict=True)
        ]
        other = next((index for index, place in enumerate(places) if place != places[0]), 1)
        choice += [
            (row_of[item.paths[index]], f"{places[index]}\n{file_name(item.paths[index])}") for index in (0, other)
        ]
    return choice


def _strange(inspection: Inspection) -> Choice:
    """Return images with each note, then those of extreme shape or size; each image once."""
    captions: dict[int, str] = {}
    for note, rows in inspection.noted.items():
        captions.setdefault(rows[0], note)
    widths, heights = inspection.widths, inspection.heights
    ratios = np.maximum(widths / heights, heights / widths)
    for index in np.argsort(-ratios, kind="stable")[:COLUMNS]:
        if ratios[index] > _EXTREME_RATIO:
            captions.setdefault(int(inspection.readable[index]), f"{widths[index]} x {heights[index]}")
    for index in np.argsort(np.minimum(widths, heights), kind="stable")[:2]:
        if min(widths[index], heights[index]) < _TINY_SIDE:
            captions.setdefault(int(inspection.readable[index]), f"{widths[index]} x {heights[index]}")
    ids = inspection.image_set.ids
    return [(row, f"{caption}\n{file_name(ids[row])}") for row, caption in list(captions.items())[:COLUMNS]]
