"""``PYTHONPATH=tests python -m release`` writes what the present version leaves, small, into ``tests/released``.

It is done for each release, and again only as long as that release is not out. Later versions open these folders, or
say in a sentence why not.
"""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import tiny
from biotune.comparison import ComparePlan, parse_entries
from biotune.version import __version__

FOLDER = Path(__file__).parent / "released"
SMALL = {"model": {"name": "mlp", "image_size": 8}, "final": {"baselines": ("probe",)}, "search": {"generations": 1}}
"""A network of 25,000 values, of which the files mostly consist."""


def write() -> None:
    """Do a run and a comparison in the current folder, and pack what they leave."""
    tiny.write_classes(Path("colours"))
    config = tiny.tiny_config("colours", SMALL)
    tiny.run(config, Path("run"), "biotune tune colours --config tiny.toml --out run")
    plan = ComparePlan(config, ("colours",), parse_entries("full,probe"), tuned=False)
    tiny.compare(plan, Path("comparison"), "biotune compare colours --methods full,probe --out comparison")
    for name in ("run", "comparison"):
        for drawings in Path(name).rglob("figures"):
            shutil.rmtree(drawings)  # no result is read from them, and they are most of the bytes
        with zipfile.ZipFile(
            FOLDER / f"{name}-{__version__}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as packed:
            for path in sorted(path for path in Path(name).rglob("*") if path.is_file()):
                packed.write(path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BIOTUNE_CACHE"] = str(Path(folder) / "cache")
        os.chdir(folder)
        write()
