from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImages = Callable[..., Path]


@pytest.fixture
def write_images(tmp_path: Path) -> WriteImages:
    """Write small grey PNG files at paths relative to ``tmp_path / "images"``; return that folder."""

    def write(*paths: str) -> Path:
        root = tmp_path / "images"
        for number, path in enumerate(paths):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), number % 256, dtype=np.uint8)).save(file, format="PNG")
        return root

    return write
