"""Files of every kind that folders of images hold, each with the one outcome that docs/data.md promises."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from image_files import (
    ENDINGS,
    GREY,
    RED,
    WHITE,
    Colour,
    Write,
    bmp_of,
    chunk,
    content,
    cut,
    deep,
    encoded,
    exif,
    gif_of,
    jpeg_of,
    link,
    many_scans,
    noise,
    palette,
    plain,
    png,
    saved,
    sparse,
    tiff,
    two_pages,
    unix_socket,
    unreadable,
    webp_of,
    ycck,
)


@dataclass(frozen=True)
class Specimen:
    """One file.

    Args:
        kind: the row of the table of docs/data.md, its first column.
        name: of the file.
        write: makes it at a path.
        notes: of a file that is used, all of them.
        corner: RGB of the top left pixel, within 4 steps; None where it does not matter.
        size: (width, height), or None where it does not matter.
        reason: of a file that is left out, as far as it is always the same; empty for one that is used.
    """

    kind: str
    name: str
    write: Write
    notes: tuple[str, ...] = ()
    corner: Colour | None = None
    size: tuple[int, int] | None = None
    reason: str = ""


ORDINARY, NAMES = "8-bit RGB, grey, palette, black and white", "name or ending that does not fit the content, odd names"
CUT, HEADER = "cut short elsewhere, a JPEG even by its end mark", "header that cannot be read"
CLEAR, FRAMES = "transparency: channel, colour or palette entry", "several frames or pages"
KEPT = "whole numbers of more than 8 bits, none over 255"
DARK = "whole numbers of more than 8 bits, none over 8,191 (12-bit data, say): nearly black"
DIVIDED = "whole numbers of more than 8 bits, up to 65,535"
STRETCHED = "larger or negative whole numbers, floating-point numbers"
OTHER = "HTML, PDF, SVG, EPS, PSD, ICO, AVIF, JPEG 2000, text, anything else"
MANY, SPECIAL = "more than 80 million pixels", "folder, pipe, socket, device"
NO_FORMAT = "its content is none of JPEG, PNG, BMP, TIFF, WEBP, GIF, DICOM"
OVER_WHITE, KEPT_NOTE = ("transparency over white",), ("wide values up to 255 kept",)
DIVIDED_NOTE, STRETCHED_NOTE = ("16-bit values divided by 257",), ("values stretched to 0..255",)
DARK_NOTE = ("16-bit values divided by 257, none above an eighth of the range",)
HIGH_BYTE, FIRST, TURNED = ("16-bit colour, high byte",), ("first of several frames",), ("turned upright",)
GREY_16 = deep([[32896, 65535, 0]], "uint16")
ALMOST_CLEAR = Image.new("RGBA", (16, 16), (255, 0, 0, 128))


def _used() -> list[Specimen]:
    return [
        *(Specimen(ORDINARY, f"plain.{end}", saved(plain(), kind), (), RED) for kind, end in ENDINGS.items()),
        Specimen(ORDINARY, "grey.png", saved(plain("L", GREY), "PNG"), (), GREY, (16, 16)),
        Specimen(ORDINARY, "palette.gif", saved(plain("P"), "GIF"), (), RED),
        Specimen(ORDINARY, "palette.png", saved(plain("P"), "PNG"), (), RED),
        Specimen(ORDINARY, "one bit.png", saved(plain("1", WHITE), "PNG"), (), WHITE),
        Specimen(ORDINARY, "one bit.tif", saved(plain("1", WHITE), "TIFF", compression="group4"), (), WHITE),
        Specimen(ORDINARY, "progressive.jpg", saved(plain(), "JPEG", progressive=True), (), RED),
        Specimen(ORDINARY, "opaque.png", saved(plain("RGBA"), "PNG"), (), RED),
        Specimen(NAMES, "a png.jpg", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, "a jpeg.tif", saved(plain(), "JPEG"), (), RED),
        Specimen(NAMES, "no ending", saved(plain(), "WEBP"), (), RED),
        Specimen(NAMES, "Größe 图像 🙂.png", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, "two\nlines.png", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, "'quo\"tes'.png", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, "-dash.png", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, "[red]$HOME;*.png", saved(plain(), "PNG"), (), RED),
        Specimen(NAMES, os.fsdecode(b"not utf-8 \xff\xfe.png"), saved(plain(), "PNG"), (), RED),
        Specimen("bytes after the end of the image", "tail.jpg", content(encoded(plain(), "JPEG") + b"x" * 9999)),
        Specimen("bytes after the end of the image", "tail.png", content(encoded(plain(), "PNG") + b"x" * 9999)),
        Specimen("PNG or GIF without its end mark", "end.png", cut(encoded(noise(), "PNG"), -12), (), (95, 130, 194)),
        Specimen("PNG or GIF without its end mark", "end.gif", cut(encoded(plain("P"), "GIF"), -1), (), RED),
        Specimen("1 pixel wide or high", "dot.png", saved(plain(side=1), "PNG"), (), RED, (1, 1)),
        Specimen(
            "1 pixel wide or high", "line.png", saved(Image.new("RGB", (20_000, 1)), "PNG"), (), None, (20_000, 1)
        ),
        Specimen(
            "1 pixel wide or high", "line.jpg", saved(Image.new("RGB", (1, 20_000)), "JPEG"), (), None, (1, 20_000)
        ),
        Specimen(CLEAR, "rgba.png", saved(ALMOST_CLEAR, "PNG"), OVER_WHITE, (255, 127, 127)),
        Specimen(CLEAR, "rgba.webp", saved(ALMOST_CLEAR, "WEBP", lossless=True), OVER_WHITE, (255, 127, 127)),
        Specimen(CLEAR, "rgba.tif", saved(ALMOST_CLEAR, "TIFF"), OVER_WHITE, (255, 127, 127)),
        Specimen(CLEAR, "la.png", saved(Image.new("LA", (2, 2), (0, 0)), "PNG"), OVER_WHITE, WHITE),
        Specimen(CLEAR, "premultiplied.tif", content(tiff(2, 1, bytes(4), t277=2, t338=1)), OVER_WHITE, WHITE),
        Specimen(CLEAR, "pa.tif", saved(ALMOST_CLEAR.convert("PA"), "TIFF"), OVER_WHITE, (255, 127, 127)),
        Specimen(CLEAR, "palette alpha.png", palette(bytes([128, 255])), OVER_WHITE, (255, 127, 127)),
        Specimen(CLEAR, "palette index.png", palette(0), OVER_WHITE, WHITE),
        Specimen(
            CLEAR, "clear.gif", saved(plain("P"), "GIF", transparency=plain("P").getpixel((0, 0))), OVER_WHITE, WHITE
        ),
        Specimen(CLEAR, "colour.png", saved(plain(), "PNG", transparency=RED), OVER_WHITE, WHITE),
        Specimen(
            CLEAR, "four bits.png", content(png(2, 1, 4, 0, b"\0\x3f", chunk(b"tRNS", b"\0\3"))), OVER_WHITE, WHITE
        ),
        Specimen(
            CLEAR,
            "deep colour.png",
            content(png(1, 1, 16, 2, b"\0\x12\x34\xab\xcd\0\0", chunk(b"tRNS", b"\x12\x34\xab\xcd\0\0"))),
            HIGH_BYTE + OVER_WHITE,
            WHITE,
        ),
        Specimen(
            CLEAR,
            "deep grey.png",
            content(png(2, 1, 16, 0, b"\0\1\2\xff\xff", chunk(b"tRNS", b"\1\2"))),
            DIVIDED_NOTE + OVER_WHITE,
            WHITE,
        ),
        Specimen(
            "CMYK or YCCK",
            "cmyk.jpg",
            saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"),
            ("CMYK converted",),
            RED,
        ),
        Specimen("CMYK or YCCK", "cmyk.tif", saved(plain("CMYK"), "TIFF"), ("CMYK converted",), RED),
        Specimen("CMYK or YCCK", "ycck.jpg", content(ycck()), ("CMYK converted",)),
        Specimen("LAB", "lab.tif", saved(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"), ("LAB converted",), WHITE),
        Specimen("YCbCr, not compressed", "ycbcr.tif", saved(plain("YCbCr", GREY), "TIFF"), ("YCbCr converted",), GREY),
        Specimen(KEPT, "dark.png", saved(deep([[200, 0, 255]], "uint16"), "PNG"), KEPT_NOTE, (200, 200, 200)),
        Specimen(KEPT, "dark.tif", saved(deep([[200, 0, 255]], "int32"), "TIFF"), KEPT_NOTE, (200, 200, 200)),
        Specimen(DIVIDED, "full.png", saved(GREY_16, "PNG"), DIVIDED_NOTE, (128, 128, 128)),
        Specimen(DIVIDED, "full.tif", saved(GREY_16, "TIFF"), DIVIDED_NOTE, (128, 128, 128)),
        Specimen(DIVIDED, "lzw.tif", saved(GREY_16, "TIFF", compression="tiff_lzw"), DIVIDED_NOTE, (128, 128, 128)),
        Specimen(
            DIVIDED,
            "big-endian.tif",
            saved(Image.frombytes("I;16B", (2, 1), b"\x80\x80\xff\xff"), "TIFF"),
            DIVIDED_NOTE,
            (128, 128, 128),
        ),
        Specimen(DARK, "12-bit.png", saved(deep([[4095, 0]], "uint16"), "PNG"), DARK_NOTE, (16, 16, 16)),
        Specimen(DARK, "13-bit.tif", saved(deep([[8191, 0]], "uint16"), "TIFF"), DARK_NOTE, (32, 32, 32)),
        Specimen(DIVIDED, "14-bit.png", saved(deep([[8192, 0]], "uint16"), "PNG"), DIVIDED_NOTE, (32, 32, 32)),
        Specimen(STRETCHED, "wide.tif", saved(deep([[-100, 2, 100]], "int32"), "TIFF"), STRETCHED_NOTE, (0, 0, 0)),
        Specimen(STRETCHED, "float.tif", saved(deep([[1, 0.5, 0]], "float32"), "TIFF"), STRETCHED_NOTE, WHITE),
        Specimen(STRETCHED, "nan.tif", saved(deep([[np.nan, 1, 3]], "float32"), "TIFF"), STRETCHED_NOTE, (0, 0, 0)),
        Specimen(STRETCHED, "inf.tif", saved(deep([[np.inf, 1, 3]], "float32"), "TIFF"), STRETCHED_NOTE, (0, 0, 0)),
        Specimen(
            "such grey, stored as a negative",
            "negative.tif",
            content(tiff(2, 1, b"\0\0\xff\xff", t258=16, t262=0)),
            (*DIVIDED_NOTE, "white is zero, inverted"),
            WHITE,
        ),
        Specimen("16-bit colour", "rgb.png", content(png(1, 1, 16, 2, b"\0\xff\1\0\1\0\0")), HIGH_BYTE, RED),
        Specimen(
            "16-bit colour",
            "rgba.png",
            content(png(1, 1, 16, 6, b"\0" + b"\xff\xff\0\0" * 2)),
            HIGH_BYTE + OVER_WHITE,
            WHITE,
        ),
        *(
            Specimen(
                "EXIF orientation other than upright",
                f"{way}.jpg",
                saved(plain().resize((24, 16)), "JPEG", exif=exif(way)),
                TURNED,
                RED,
                (24, 16) if way < 5 else (16, 24),
            )
            for way in range(2, 9)
        ),
        Specimen(
            "EXIF orientation other than upright",
            "6.tif",
            saved(plain().resize((24, 16)), "TIFF", exif=exif(6)),
            TURNED,
            RED,
            (16, 24),
        ),
        Specimen(ORDINARY, "upright.jpg", saved(plain(), "JPEG", exif=exif(1)), (), RED),
        Specimen(ORDINARY, "unknown orientation.jpg", saved(plain(), "JPEG", exif=exif(9)), (), RED),
        Specimen(
            "EXIF data that cannot be read (taken for upright)",
            "exif.jpg",
            saved(plain(), "JPEG", exif=b"Exif\0\0garbage that is no TIFF header"),
            (),
            RED,
        ),
        *(
            Specimen(FRAMES, f"two.{end}", two_pages(plain(), kind), FIRST, RED)
            for kind, end in [*list(ENDINGS.items())[1:5], ("MPO", "jpg")]
        ),
    ]


def _left_out() -> list[Specimen]:
    truncated = [
        Specimen(CUT, f"{share}.{end}", cut(encoded(noise(), kind), share), reason="damaged")
        for kind, end in ENDINGS.items()
        for share in (0.5, 0.9)
    ]
    others = {
        "page.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "paper.jpg": b"%PDF-1.4\n%\xe2\xe3\n",
        "print.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        "archive.jpg": b"PK\3\4" + bytes(100),
        "words.gif": b"no picture\n",
        "zeros.jpg": bytes(1000),
        "photoshop.jpg": b"8BPS\0\1" + bytes(100),
        "portable.jpg": b"P5 2 2 255\n\0\0\0\0",
        "star.jpg": b"SIMPLE  =                    T",
        "icon.png": encoded(plain(side=32), "ICO"),
        "next.jpg": encoded(plain(), "JPEG2000"),
        "modern.jpg": encoded(plain(), "AVIF"),
    }
    bombs = {
        "bomb.png": png(50_000, 50_000, 8, 0, bytes(1000)),
        "largest.png": png(2**31 - 1, 2**31 - 1, 8, 0, bytes(1000)),
        "near.png": png(9_000, 9_000, 8, 2, bytes(1000)),
        "bomb.gif": gif_of(65_535, 65_535),
        "bomb.tif": tiff(60_000, 60_000, bytes(1000)),
        "tile.tif": tiff(16, 16, bytes(10**6), t322=40_000, t323=40_000),
        "bomb.jpg": jpeg_of(65_000, 65_000, progressive=False),
        "bomb.bmp": bmp_of(40_000, 40_000),
        "bomb.webp": webp_of(16_383, 16_383),
    }
    return [
        Specimen("empty", "empty.jpg", content(b""), reason="it is empty"),
        *truncated,
        Specimen(CUT, "end.jpg", cut(encoded(noise(), "JPEG"), -2), reason="damaged"),
        Specimen(CUT, "tail.png", cut(encoded(noise(), "PNG"), -30), reason="damaged"),
        Specimen(HEADER, "head.png", cut(encoded(plain(), "PNG"), 20), reason="damaged"),
        Specimen(HEADER, "head.jpg", cut(encoded(plain(), "JPEG"), 15), reason="damaged"),
        Specimen(HEADER, "head.gif", cut(encoded(plain("P"), "GIF"), 8), reason="damaged"),
        *(Specimen(OTHER, name, content(data), reason=NO_FORMAT) for name, data in others.items()),
        *(
            Specimen(MANY, name, content(data), reason="more than 80,000,000")
            for name, data in bombs.items()
            if name != "bomb.webp"
        ),
        Specimen(
            "a side of more than 65,535 pixels",
            "thin.png",
            content(png(65_536, 1, 8, 0, bytes(1000))),
            reason="a side of more than 65,535",
        ),
        Specimen(
            "WebP of more than 40 million pixels",
            "large.webp",
            content(webp_of(8_000, 5_001)),
            reason="more than 40,000,000",
        ),
        Specimen(
            "progressive JPEG in RGB of more than 64 million pixels",
            "large.jpg",
            content(jpeg_of(8_000, 8_001, progressive=True)),
            reason="more than 64,000,000",
        ),
        Specimen("JPEG with more than 100 scans", "scans.jpg", content(many_scans(100)), reason="more than 100 scans"),
        Specimen("more than 256 MiB", "sparse.jpg", sparse, reason="3,221,225,472 bytes are more than 268,435,456"),
        Specimen(SPECIAL, "folder.jpg", Path.mkdir, reason="it is not a regular file"),
        Specimen(SPECIAL, "pipe.jpg", os.mkfifo, reason="it is not a regular file"),
        Specimen(SPECIAL, "socket.jpg", unix_socket, reason="it is not a regular file"),
        Specimen(SPECIAL, "device.jpg", link("/dev/zero"), reason="it is not a regular file"),
        Specimen("loop of links", "loop.jpg", link(""), reason="Too many levels of symbolic links"),
        Specimen("broken link", "broken.jpg", link("nowhere.jpg"), reason="No such file or directory"),
        Specimen("no permission", "locked.png", unreadable, reason="Permission denied"),
    ]


ZOO = (*_used(), *_left_out())
