"""What the tests of sources share."""

from pathlib import Path

import datasets
import pytest


@pytest.fixture(autouse=True)
def own_cache_of_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the copies that the library ``datasets`` makes out of the user's cache; draw no bars."""
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf cache")
