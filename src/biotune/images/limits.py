"""What an image may cost before it is refused: bytes on disk, pixels, and memory while it is decoded."""

MAX_BYTES = 2**28
"""Larger files (256 MiB) are refused before they are read; an uncompressed RGB image of ``MAX_PIXELS`` is smaller."""

MAX_PIXELS = 80_000_000
"""Larger images are refused before decoding; these are 320 MB as Pillow holds RGB, and below what it warns of."""

MAX_SIDE = 65_535
"""Longer sides are refused: no JPEG has them, and resizing one line of 80 million pixels takes gigabytes."""

ORDINARY_COST = 8
"""Bytes a pixel that decoding takes at its height: the image as stored in the file, and as RGB, at 4 bytes each."""


class RefusalError(Exception):
    """Why an image is not used, in a few words; the caller that knows its name raises ``UnreadableImageError``."""


def require_size(width: int, height: int, cost: int = ORDINARY_COST) -> None:
    """Refuse (RefusalError) an image with too many pixels, or too long a side, before its pixels are decoded.

    Formats whose decoders hold ``cost`` bytes a pixel at their height, more than ``ORDINARY_COST``, may have fewer
    pixels, so that no image takes more than ``ORDINARY_COST * MAX_PIXELS`` bytes (640 MB).
    """
    most = ORDINARY_COST * MAX_PIXELS // max(cost, ORDINARY_COST)
    if width * height > most:
        raise RefusalError(f"{width} x {height} pixels are more than {most:,}")
    if max(width, height) > MAX_SIDE:
        raise RefusalError(f"{width} x {height} pixels have a side of more than {MAX_SIDE:,}")
