"""One picture of a data set: rows of images with titles and captions, drawn with matplotlib."""

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image, ImageOps

from biotune import wording

INK, MUTED, LINE, PAPER, ALERT = "#1f2a37", "#6b7685", "#dfe4ea", "#ffffff", "#d55e00"
TILE = 112
"""Side of the square that an image is shown in, in pixels, as all lengths here."""

COLUMNS = 8
_GAP, _EDGE, _FRAME = 10, 24, 2
_TITLE, _BODY, _SMALL = 22, 15, 11
_CAPTION_LINES, _CAPTION_LETTERS = 3, 19
_STRIP_HEAD = _BODY + 26
_LINE_HEIGHT = TILE + 6 + _CAPTION_LINES * (_SMALL + 3) + _GAP
_WIDTH = 2 * _EDGE + COLUMNS * (TILE + _GAP) - _GAP
_DPI = 100


@dataclass(frozen=True)
class Tile:
    """One image of the sheet, of mode RGB and any size, with at most three lines below it, all but the last cut.

    A tile with ``alert`` is framed, as one of a pair that should not be there.
    """

    image: Image.Image
    caption: str
    alert: bool = False


@dataclass(frozen=True)
class Strip:
    """A row of images, broken into lines of ``COLUMNS``, with a title and a remark in grey after it."""

    title: str
    remark: str
    tiles: tuple[Tile, ...]

    @property
    def height(self) -> int:
        """In pixels."""
        return _STRIP_HEAD + -(-len(self.tiles) // COLUMNS) * _LINE_HEIGHT


def contact_sheet(title: str, remark: str, strips: Sequence[Strip]) -> Image.Image:
    """Draw strips of at least one tile each below each other, a title and a remark above them.

    Names may hold anything: what cannot be drawn is left out, what is too long is wrapped and cut. The result is an
    image of mode RGB, ``COLUMNS`` tiles wide and as high as needed.
    """
    top = _EDGE + _TITLE + _BODY + 26
    sheet = _Sheet(top + sum(strip.height for strip in strips) + _EDGE)
    sheet.write(_EDGE, _EDGE, title, _TITLE, bold=True)
    sheet.write(_EDGE, _EDGE + _TITLE + 10, remark, _BODY, MUTED)
    for strip in strips:
        _draw_strip(sheet, strip, top)
        top += strip.height
    return sheet.image()


def _draw_strip(sheet: "_Sheet", strip: Strip, top: int) -> None:
    inner = _WIDTH - 2 * _EDGE
    sheet.paste(Image.new("RGB", (inner, 1), LINE), _EDGE, top)
    sheet.write(_EDGE, top + 10, strip.title, _BODY, bold=True, width=inner // 3 - _GAP)
    sheet.write(_EDGE + inner // 3, top + 10, strip.remark, _BODY, MUTED)
    for index, tile in enumerate(strip.tiles):
        row, column = divmod(index, COLUMNS)
        left, above = _EDGE + column * (TILE + _GAP), top + _STRIP_HEAD + row * _LINE_HEIGHT
        sheet.paste(_framed(tile), left - _FRAME, above - _FRAME)
        sheet.write(left, above + TILE + 5, "\n".join(_caption(tile.caption)), _SMALL, MUTED, width=TILE)


class _Sheet:
    """A figure on which things are placed by pixels from its upper left corner."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._figure = Figure((_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=PAPER)

    def write(
        self, left: int, top: int, text: str, size: int, color: str = INK, *, bold: bool = False, width: int = _WIDTH
    ) -> None:
        """Write lines of text; what goes beyond ``width``, or the right edge, is not drawn."""
        width = min(width, _WIDTH - _EDGE - left)
        self._figure.text(
            left / _WIDTH,
            1 - top / self._height,
            "\n".join(wording.printable(line, 400) for line in text.split("\n")),
            fontsize=size * 72 / _DPI,
            color=color,
            weight="bold" if bold else "normal",
            verticalalignment="top",
            parse_math=False,
            clip_on=True,
            clip_box=Bbox.from_bounds(left, 0, width, self._height),
        )

    def paste(self, image: Image.Image, left: int, top: int) -> None:
        """Draw an image, pixel by pixel."""
        self._figure.figimage(np.asarray(image), left, self._height - top - image.height, origin="upper")

    def image(self) -> Image.Image:
        """Return what was drawn."""
        canvas = FigureCanvasAgg(self._figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # an empty box is drawn instead
            canvas.draw()  # type: ignore[no-untyped-call]
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]


def _framed(tile: Tile) -> Image.Image:
    """Return the whole image on a square, framed; small ones are enlarged in whole steps, so that their pixels show."""
    image = tile.image
    scale = TILE / max(image.size)
    if scale >= 1:
        small = image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.NEAREST)
    else:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        # Lanczos looks best; of much larger images it would take long, and the mean over a box looks the same.
        small = image.resize(size, Image.Resampling.BOX if max(image.size) > 8 * TILE else Image.Resampling.LANCZOS)
    square = Image.new("RGB", (TILE, TILE), PAPER)
    square.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return ImageOps.expand(square, _FRAME, ALERT if tile.alert else LINE)


def _caption(text: str) -> list[str]:
    """Return at most three lines; the last one tells by an ellipsis what is cut."""
    *heads, last = (wording.printable(line, 400) for line in text.split("\n")[-_CAPTION_LINES:])
    lines = [wording.shorten(head, _CAPTION_LETTERS) for head in heads]
    room = _CAPTION_LINES - len(lines)
    rest = textwrap.wrap(last, _CAPTION_LETTERS)
    if len(rest) > room:
        rest = [*rest[: room - 1], wording.shorten("".join(rest[room - 1 :]), _CAPTION_LETTERS)]
    return [*lines, *rest]
