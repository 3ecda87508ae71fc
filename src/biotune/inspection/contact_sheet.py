"""One picture of a data set: rows of images with titles and captions, drawn with Pillow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from biotune import wording

INK, MUTED, LINE, PAPER, ALERT = "#1f2a37", "#6b7685", "#dfe4ea", "#ffffff", "#d55e00"
TILE = 112
COLUMNS = 8
_GAP, _EDGE = 10, 24
_TITLE, _BODY, _SMALL = 22, 15, 11
_CAPTION_LINES = 3


@dataclass(frozen=True)
class Tile:
    """One image of the sheet.

    Args:
        image: any size, mode RGB; shown whole.
        caption: below it, at most three lines; all lines but the last are cut rather than wrapped.
        alert: framed, as one of a pair that should not be there.
    """

    image: Image.Image
    caption: str
    alert: bool = False


@dataclass(frozen=True)
class Strip:
    """A titled row of images, broken into lines of ``COLUMNS``.

    Args:
        title: for example a class name.
        remark: in grey after the title.
        tiles: the images.
    """

    title: str
    remark: str
    tiles: tuple[Tile, ...]


def contact_sheet(title: str, remark: str, strips: Sequence[Strip]) -> Image.Image:
    """Draw strips below each other.

    Names may hold anything: what cannot be drawn is left out, what is too long is wrapped and cut.

    Args:
        title: above all.
        remark: in grey below the title.
        strips: in order, at least one tile each.

    Returns:
        An image of mode RGB, ``COLUMNS`` tiles wide and as high as needed.
    """
    width = 2 * _EDGE + COLUMNS * (TILE + _GAP) - _GAP
    fonts = _Fonts()
    heights = [_strip_height(strip) for strip in strips]
    head = _EDGE + _TITLE + _BODY + 26
    sheet = Image.new("RGB", (width, head + sum(heights) + _EDGE), PAPER)
    draw = ImageDraw.Draw(sheet)
    inner = width - 2 * _EDGE
    draw.text((_EDGE, _EDGE), _fitted(title, fonts.title, inner), font=fonts.title, fill=INK)
    draw.text((_EDGE, _EDGE + _TITLE + 10), _fitted(remark, fonts.body, inner), font=fonts.body, fill=MUTED)
    top = head
    for strip, height in zip(strips, heights, strict=True):
        _draw_strip(sheet, draw, strip, top, fonts)
        top += height
    return sheet


class _Fonts:
    def __init__(self) -> None:
        folder = Path(mpl.get_data_path(), "fonts", "ttf")
        self.title = ImageFont.truetype(folder / "DejaVuSans-Bold.ttf", _TITLE)
        self.strip = ImageFont.truetype(folder / "DejaVuSans-Bold.ttf", _BODY)
        self.body = ImageFont.truetype(folder / "DejaVuSans.ttf", _BODY)
        self.small = ImageFont.truetype(folder / "DejaVuSans.ttf", _SMALL)


_LINE_HEIGHT = TILE + 6 + _CAPTION_LINES * (_SMALL + 3) + _GAP
_STRIP_HEAD = _BODY + 26


def _strip_height(strip: Strip) -> int:
    lines = -(-len(strip.tiles) // COLUMNS)
    return _STRIP_HEAD + lines * _LINE_HEIGHT


def _draw_strip(sheet: Image.Image, draw: ImageDraw.ImageDraw, strip: Strip, top: int, fonts: _Fonts) -> None:
    right = sheet.width - _EDGE
    draw.line((_EDGE, top, right, top), fill=LINE)
    title = _fitted(strip.title, fonts.strip, (right - _EDGE) * 2 // 3)
    draw.text((_EDGE, top + 10), title, font=fonts.strip, fill=INK)
    start = _EDGE + int(fonts.strip.getlength(title)) + 12
    draw.text((start, top + 10), _fitted(strip.remark, fonts.body, right - start), font=fonts.body, fill=MUTED)
    for index, tile in enumerate(strip.tiles):
        row, column = divmod(index, COLUMNS)
        place = (_EDGE + column * (TILE + _GAP), top + _STRIP_HEAD + row * _LINE_HEIGHT)
        _draw_tile(sheet, draw, tile, place, fonts)


def _draw_tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, place: tuple[int, int], fonts: _Fonts
) -> None:
    left, top = place
    small = _whole(tile.image)
    draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), outline=LINE)
    sheet.paste(small, (left + (TILE - small.width) // 2, top + (TILE - small.height) // 2))
    if tile.alert:
        draw.rectangle((left - 2, top - 2, left + TILE + 1, top + TILE + 1), outline=ALERT, width=2)
    for number, line in enumerate(_wrapped(tile.caption, fonts.small, TILE)):
        draw.text((left, top + TILE + 5 + number * (_SMALL + 3)), line, font=fonts.small, fill=MUTED)


def _whole(image: Image.Image) -> Image.Image:
    """Return the whole image within a tile; small ones are enlarged in whole steps, so that their pixels show."""
    scale = TILE / max(image.size)
    if scale >= 1:
        return image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.NEAREST)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if max(image.size) > 8 * TILE else Image.Resampling.LANCZOS)


def _fitted(name: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return one line of text that is not wider than ``width`` pixels."""
    return next(_lines(name, font, width, 1), "")


def _wrapped(caption: str, font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    *heads, last = caption.split("\n")[-_CAPTION_LINES:]
    for head in heads:
        yield _fitted(head, font, width)
    yield from _lines(last, font, width, _CAPTION_LINES - len(heads))


def _lines(name: str, font: ImageFont.FreeTypeFont, width: int, most: int) -> Iterator[str]:
    """Yield at most so many lines, broken after any character; the last one tells by an ellipsis what is cut."""
    rest = " ".join(wording.printable(name, 400).split())
    for number in range(most):
        length = len(rest)
        while length > 1 and font.getlength(rest[:length]) > width:
            length -= 1
        if length < len(rest) and number == most - 1:
            while length > 0 and font.getlength(rest[:length] + "…") > width:
                length -= 1
            yield rest[:length] + "…"
            return
        if rest:
            yield rest[:length]
        rest = rest[length:].lstrip()
