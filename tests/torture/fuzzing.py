"""What users hand over, changed at random: read, or refused in one sentence."""

import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from biotune.datasets import open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import BioTuneError
from biotune.images import load_image
from biotune.models.weights import read_state
from biotune.recipe import Recipe
from biotune.records import Preprocessing
from biotune.results import Summary
from biotune.settings.resolve import load_config
from torture.promise import Case, Promise, Scene

CHUNK = 500
"""Files that one series of hypothesis makes; each series begins anew."""

TABLES = {
    "images.csv": b'path,label,split,group\na.png,red,train,1\n"b,c.png",blue,test,2\n',
    "texts.csv": 'text,label\n"a good, long one",yes\nb\u00e4d,no\n'.encode(),
}


def _edits(valid: bytes) -> st.SearchStrategy[bytes]:
    """Return texts that a few changes make of a valid one: other bytes, lines twice, parts left out or repeated."""
    place = st.integers(0, len(valid))
    piece = st.one_of(
        st.binary(max_size=8),
        st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from(
            [b"[", b"{", b"\0", b"'", b'"', b": ", b"\n", b"- ", b"nan", b"1e999", b"!!int x", b"&a *a", b"-1"]
        ),
    )
    edit = st.tuples(place, place, piece, st.integers(1, 40))

    def edited(edits: list[tuple[int, int, bytes, int]]) -> bytes:
        content = valid
        for start, end, new, times in edits:
            content = content[: min(start, end)] + new * times + content[max(start, end) :]
        return content

    near = st.tuples(place, st.integers(0, 3), piece, st.just(1)).map(lambda e: (e[0], e[0] + e[1], e[2], e[3]))
    return st.one_of(
        st.lists(near, min_size=1, max_size=4).map(edited),
        st.lists(edit, max_size=2).map(edited),
        st.binary(max_size=200),
    )


def valid(scene: Scene, name: str) -> bytes:
    """Return a file of this name as it should be."""
    if name.startswith("image."):
        stream = io.BytesIO()
        pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, format=FORMATS[name])
        return stream.getvalue()
    return TABLES.get(name) or (scene.trained / name).read_bytes()


def fuzzed(name: str, read: Callable[[Path], object], scene: Scene, count: int) -> Iterator[Case]:
    """Read ``count`` changed files."""
    path = scene.fresh(name)
    path.parent.mkdir(parents=True)
    known = valid(scene, name)
    for first in range(0, count, CHUNK):
        tried, fault = _read_changed(read, path, known, min(CHUNK, count - first), first)
        yield Case(name, fault, tried)


def _read_changed(
    read: Callable[[Path], object], path: Path, valid: bytes, count: int, seed_number: int
) -> tuple[int, str]:
    """Return how many changed files were read or refused, and what went wrong with the last of them."""
    tried = 0

    @seed(seed_number)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_edits(valid))
    def reads_or_refuses(content: bytes) -> None:
        nonlocal tried
        tried += 1
        path.write_bytes(content)
        try:
            read(path)
        except BioTuneError as error:
            if "\n" in str(error):
                raise ValueError(f"several lines: {error}") from None

    try:
        reads_or_refuses()
    except Exception as error:  # hypothesis found content for which the reader fails
        return tried, f"{type(error).__name__}: {str(error)[:200]} on {path.read_bytes()[:200]!r}"
    return tried, ""


FORMATS = {f"image.{name.lower()}": name for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")}
READERS: dict[str, Callable[[Path], object]] = {
    "recipe.yaml": Recipe.load,
    "config.toml": load_config,
    "summary.json": Summary.read,
    "images.csv": lambda path: require_learnable(open_source(path)),
    "texts.csv": lambda path: require_learnable(open_source(path)),
    "model.safetensors": read_state,
    **dict.fromkeys(FORMATS, lambda path: load_image(path, Preprocessing(16))),
}

PROMISES = tuple(
    Promise(
        f"{name} with anything in it: read, or refused in a sentence", functools.partial(fuzzed, name, read), "inputs"
    )
    for name, read in READERS.items()
)
