"""From a file or its content to a text: every text has one outcome, read or refused with a reason."""

from pathlib import Path

from biotune.images.decoding import ImageSource, UnreadableImageError, read_bytes

MAX_BYTES = 4 * 2**20
"""Largest text, in bytes: the longest novels have as many. A file beyond it is hardly one text with one label."""


class UnreadableTextError(UnreadableImageError):
    """A text that cannot be used, with ``path`` (or what else it is called) and a short ``reason``."""

    what = "text"


def read_text(source: ImageSource) -> str:
    """Return a text in UTF-8, with or without a byte order mark.

    Args:
        source: a regular file, or the content of one.

    Returns:
        The text, which holds more than blanks.

    Raises:
        UnreadableTextError: not a regular file, larger than ``MAX_BYTES``, not in UTF-8, or without any word.
    """
    if not isinstance(source, Path | bytes):
        raise UnreadableTextError("a text in memory", "it is an array of pixels")
    name = source if isinstance(source, Path) else "a text in memory"
    try:
        content = read_bytes(source, MAX_BYTES)
        text = content.decode("utf-8-sig")
    except UnreadableImageError as error:
        raise UnreadableTextError(name, error.reason) from None
    except UnicodeDecodeError as error:
        raise UnreadableTextError(name, f"it is not in UTF-8 (byte {error.start + 1:,})") from None
    if not text.strip():
        raise UnreadableTextError(name, "it holds no word")
    return text
