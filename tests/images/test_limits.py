"""What an image may cost: memory is measured in processes of their own, at a tenth of the true limit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.images.decoding import UnreadableImageError, decode
from biotune.images.limits import MAX_BYTES, MAX_PIXELS, MAX_SIDE, ORDINARY_COST, RefusalError, require_size
from image_files import content, encoded, exif, tiff
from image_zoo import ZOO

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured on Linux")

SCALE = 10
_PEAKS = """
import sys
from pathlib import Path
from biotune.images import limits
from biotune.images.decoding import UnreadableImageError, decode
limits.MAX_PIXELS //= int(sys.argv[1])

def bytes_of(field):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(field + ":")[1].split()[0])

for name in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")
    before = bytes_of("VmRSS")
    try:
        outcome = "used" if decode(Path(name)) else ""
    except UnreadableImageError:
        outcome = "refused"
    print(outcome, bytes_of("VmHWM") - before)
"""


def _peaks(scale: int, *files: Path) -> list[tuple[str, int]]:
    """What became of each file, and by how many bytes the process grew meanwhile."""
    ended = subprocess.run(
        [sys.executable, "-c", _PEAKS, str(scale), *map(str, files)], check=True, capture_output=True, text=True
    )
    return [(outcome, int(grown)) for outcome, grown in (line.split() for line in ended.stdout.splitlines())]


def test_bombs_cost_next_to_nothing(tmp_path: Path) -> None:
    bombs = [one for one in ZOO if one.reason and "more than" in one.kind]
    files = [tmp_path / f"{number}.jpg" for number in range(len(bombs))]
    for bomb, file in zip(bombs, files, strict=True):
        bomb.write(file)

    peaks = _peaks(1, *files)

    assert [outcome for outcome, _ in peaks] == ["refused"] * len(bombs)
    assert len(bombs) >= 12
    assert max(grown for _, grown in peaks) < 2**25


WORST = {
    "jpg": lambda size: encoded(Image.new("RGB", size), "JPEG"),
    "turned.jpg": lambda size: encoded(Image.new("RGB", size), "JPEG", exif=exif(6)),
    "progressive.jpg": lambda size: encoded(Image.new("RGB", size), "JPEG", progressive=True, subsampling=0),
    "cmyk.jpg": lambda size: encoded(Image.new("CMYK", size), "JPEG", progressive=True),
    "grey.png": lambda size: encoded(Image.new("L", size), "PNG", compress_level=1),
    "clear.png": lambda size: encoded(Image.new("RGBA", size), "PNG", compress_level=1),
    "clear palette.gif": lambda size: encoded(Image.new("P", size), "GIF", transparency=0),
    "deep.png": lambda size: encoded(Image.fromarray(np.ones(size[::-1], np.uint16)), "PNG", compress_level=1),
    "float.tif": lambda size: encoded(Image.fromarray(np.ones(size[::-1], np.float32)), "TIFF"),
    "one strip.tif": lambda size: tiff(*size, bytes(size[0] * size[1] * 8), t258=16, t262=2, t277=4, t338=2),
    "clear.webp": lambda size: encoded(Image.new("RGBA", size), "WEBP", lossless=True, quality=0, method=0),
}


@pytest.mark.parametrize("kind", WORST)
def test_no_image_takes_more_memory_than_the_limit(tmp_path: Path, kind: str) -> None:
    """Beside the largest image of a kind that is still used, one with a tenth more pixels is refused."""
    cost = {"clear.webp": 16, "progressive.jpg": 10, "cmyk.jpg": 12, "one strip.tif": 12}.get(kind, ORDINARY_COST)
    height = ORDINARY_COST * MAX_PIXELS // SCALE // cost // 2_000
    largest, larger = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    content(WORST[kind]((2_000, height)))(largest)
    content(WORST[kind]((2_000, height * 11 // 10)))(larger)

    (used, grown), (refused, wasted) = _peaks(SCALE, largest, larger)

    assert (used, refused) == ("used", "refused")
    assert grown < ORDINARY_COST * MAX_PIXELS // SCALE + 2**24
    assert wasted < 2**24


@pytest.mark.parametrize(
    ("width", "height", "cost"), [(8_000, 10_000, 8), (8_000, 10_000, 4), (8_000, 5_000, 16), (MAX_SIDE, 1, 8)]
)
def test_sizes_that_are_allowed(width: int, height: int, cost: int) -> None:
    require_size(width, height, cost)


@pytest.mark.parametrize(
    ("width", "height", "cost", "reason"),
    [
        (10_001, 8_000, 8, "10001 x 8000 pixels are more than 80,000,000"),
        (10_001, 8_000, 4, "10001 x 8000 pixels are more than 80,000,000"),
        (8_000, 5_001, 16, "8000 x 5001 pixels are more than 40,000,000"),
        (1, MAX_SIDE + 1, 8, "1 x 65536 pixels have a side of more than 65,535"),
    ],
)
def test_sizes_that_are_refused(width: int, height: int, cost: int, reason: str) -> None:
    with pytest.raises(RefusalError, match=f"^{reason}$"):
        require_size(width, height, cost)


def test_content_is_refused_by_its_length_too() -> None:
    with pytest.raises(UnreadableImageError, match="268,435,457 bytes are more than 268,435,456"):
        decode(bytes(MAX_BYTES + 1))
