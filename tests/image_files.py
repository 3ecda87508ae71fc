"""Writers of image files: as Pillow writes them, and by hand where it cannot or would not."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
Write = Callable[[Path], None]

RED, WHITE, GREY = (255, 0, 0), (255, 255, 255), (90, 90, 90)
ENDINGS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def content(data: bytes) -> Write:
    return lambda path: (path.write_bytes(data), None)[1]


def saved(image: Image.Image, kind: str, **options: object) -> Write:
    return lambda path: image.save(path, kind, **options)


def plain(mode: str = "RGB", colour: Colour = RED, side: int = 16) -> Image.Image:
    return Image.new("RGB", (side, side), colour).convert(mode)


def noise() -> Image.Image:
    values = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    return Image.fromarray(values)


def deep(values: list[list[float]], dtype: str) -> Image.Image:
    return Image.fromarray(np.array(values, dtype=dtype))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, data: bytes, *more: bytes) -> bytes:
    """A PNG by hand: what Pillow cannot write, or would not."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(data)) + end


def tiff(width: int, height: int, pixels: bytes, **tags: int) -> bytes:
    """A little-endian TIFF of one strip or tile, 8-bit grey and deflated unless tags say otherwise."""
    entries = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    offsets = (324, 325) if 322 in entries else (273, 279)
    data = zlib.compress(pixels) if entries[259] == 8 else pixels
    entries |= {offsets[0]: 8 + 2 + 12 * (len(entries) + 2) + 4, offsets[1]: len(data)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0) + data


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def ycck() -> bytes:
    """A JPEG in YCCK: one in CMYK whose Adobe marker says otherwise."""
    data = encoded(Image.new("CMYK", (16, 16), (127, 127, 127, 0)), "JPEG", quality=95)
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\x02" + data[place + 1 :]


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(plain("L", side=64), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def jpeg_of(width: int, height: int, progressive: bool) -> bytes:
    """A JPEG whose header claims another size."""
    data = encoded(plain(), "JPEG", progressive=progressive)
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def webp_of(width: int, height: int) -> bytes:
    """A WebP with an extended header that claims a size, and a picture of that claim."""
    data = encoded(plain("RGBA"), "WEBP", lossless=True, exif=exif(1))
    bits = (width - 1) | (height - 1) << 14
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    data = data[:24] + canvas + data[30:]
    place = data.index(b"VP8L") + 9
    old = int.from_bytes(data[place : place + 4], "little")
    return data[:place] + (old >> 28 << 28 | bits).to_bytes(4, "little") + data[place + 4 :]


def gif_of(width: int, height: int) -> bytes:
    data = encoded(plain("P"), "GIF")
    frame = data.index(b",\0\0\0\0")
    sides = struct.pack("<HH", width, height)
    return data[:6] + sides + data[10 : frame + 5] + sides + data[frame + 9 :]


def bmp_of(width: int, height: int) -> bytes:
    data = encoded(plain(), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def link(target: str) -> Write:
    return lambda path: path.symlink_to(target or path.name)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 * 2**30)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name}")  # the path itself may be too long for a socket
        os.close(here)


def unreadable(path: Path) -> None:
    path.write_bytes(encoded(plain(), "PNG"))
    path.chmod(0)


def two_pages(image: Image.Image, kind: str) -> Write:
    return saved(image, kind, save_all=True, append_images=[plain(colour=WHITE)])


def cut(data: bytes, length: float) -> Write:
    """The first bytes: a share of them, or all but some."""
    return content(data[: int(len(data) * length) if isinstance(length, float) else length])


def palette(alpha: bytes | int) -> Write:
    image = Image.new("P", (16, 16))
    image.putpalette([*RED, 0, 0, 255])
    return saved(image, "PNG", transparency=alpha)
