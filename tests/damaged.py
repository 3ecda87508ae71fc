"""Damages files as disks and editors do."""

import random
from pathlib import Path


def cut(path: Path, fraction: float) -> None:
    """Leave the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


def flip(path: Path, fraction: float) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    place = min(int(len(content) * fraction), len(content) - 1)
    content[place] ^= 1 << random.Random(place).randrange(8)
    path.write_bytes(content)


def blank(path: Path, fraction: float) -> None:
    """Fill 64 bytes with zeros, as after a power loss."""
    content = bytearray(path.read_bytes())
    place = int(len(content) * fraction)
    content[place : place + 64] = bytes(len(content[place : place + 64]))
    path.write_bytes(content)


def insert(path: Path, fraction: float) -> None:
    """Put some bytes between others."""
    content = path.read_bytes()
    place = int(len(content) * fraction)
    path.write_bytes(content[:place] + random.Random(place).randbytes(16) + content[place:])


DAMAGES = (cut, flip, blank, insert)
