"""Measures how fast images are loaded, compared with a plain Pillow loop, and opened again; and the memory.

    python -m benchmarks.loading --images 10000 --memory

The plain loop opens, converts and resizes every image and keeps nothing; it runs in one process per core at the same
time. Loading also hashes every file, inspects it, and writes the pixels. Both are measured in turn, one slice of the
images at a time, so that other work on the machine slows both. The CPU time per image, which waiting does not change,
is printed too. About 2 GB are written to ``--folder`` and removed again.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.pixels.cache import Cache, decoded_images
from biotune.pixels.reading import num_threads
from biotune.records import Preprocessing

WIDTH, HEIGHT, SIDE = 500, 375, 224
"""Pixels of the photos, a common size in ImageNet, and side of the network's input."""

DIFFERENT = 50
"""Photos with different content; the others are copies, since writing many photos takes long."""

CLASSES = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--memory", action="store_true", help="also load 10,000 and 100,000 small images")
    parser.add_argument("--measure-memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_memory_of:
        measure_memory(options.measure_memory_of)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options.images, options.rounds)
        if options.memory:
            for count in (10_000, 100_000):
                print(f"peak memory with {count:,} images: {peak_memory(Path(folder), count):,.0f} MB")


def compare(folder: Path, count: int, rounds: int) -> None:
    """Print the rates of the plain loop and of loading, and the seconds that opening takes."""
    images = open_source(write_photos(folder / "photos", count, (WIDTH, HEIGHT)))
    slices = [images.subset(part) for part in np.array_split(np.arange(count), rounds)]
    cores = num_threads()
    bare, loading = [], []
    with get_context("spawn").Pool(cores) as processes:
        processes.map(bare_loop, [images.subset([core]) for core in range(cores)])
        for number, part in enumerate(slices):
            bare.append(parallel_seconds(processes, part, cores))
            cache = Cache(folder / f"cache{number}")
            loading.append(seconds_per_image(partial(load_images, part, cache), len(part)))
            shutil.rmtree(cache.folder)
    (bare_wall, bare_work), (wall, work) = (
        map(statistics.median, zip(*times, strict=True)) for times in (bare, loading)
    )
    print(f"{count:,} JPEGs of {WIDTH}x{HEIGHT} to {SIDE} px on {cores} cores, median of {rounds} rounds")
    print(f"plain loop: {1 / bare_wall:.0f} images/s, {1e3 * bare_work:.2f} ms of CPU time per image")
    print(f"loading:    {1 / wall:.0f} images/s, {1e3 * work:.2f} ms of CPU time per image")
    print(f"ratio of the rates {bare_wall / wall:.2f}, of the CPU times {bare_work / work:.2f}")

    whole = Cache(folder / "whole")
    writing, _ = seconds_per_image(partial(load_images, images, whole), 1)
    print(f"all {count:,} images, flushed to the disk: {writing:.1f} s, {count / writing:.0f} images/s")
    opening, _ = seconds_per_image(partial(load_images, images, whole), 1)
    listing, _ = seconds_per_image(partial(open_source, folder / "photos"), 1)
    print(f"opened again in {opening:.3f} s, after listing the folder in {listing:.3f} s")
    shutil.rmtree(whole.folder)


def parallel_seconds(processes: Pool, images: ImageSet, cores: int) -> tuple[float, float]:
    """Return ``seconds_per_image`` of the plain loop, run in all processes at once."""
    parts = [images.subset(part) for part in np.array_split(np.arange(len(images)), cores)]
    begun = time.perf_counter()
    work = sum(processes.map(bare_loop, parts, chunksize=1))
    return (time.perf_counter() - begun) / len(images), work / len(images)


def seconds_per_image(work: Callable[[], object], count: int) -> tuple[float, float]:
    """Return wall seconds and CPU seconds per image."""
    wall, processors = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / count, (time.process_time() - processors) / count


def bare_loop(images: ImageSet) -> float:
    """Return the CPU seconds of the plain loop."""
    begun = time.process_time()
    for file in images.files or ():
        with Image.open(file) as image:
            image.convert("RGB").resize((SIDE, SIDE))
    return time.process_time() - begun


def load_images(images: ImageSet, cache: Cache) -> None:
    """Load images into a cache."""
    decoded_images(images, Preprocessing(image_size=SIDE, resize="squash"), cache)


def write_photos(root: Path, count: int, size: tuple[int, int]) -> Path:
    """Write JPEGs with the file sizes of photos, soft shapes with grain: few contents under many names."""
    rng = np.random.default_rng(0)
    width, height = size
    contents = []
    for number in range(DIFFERENT):
        shapes = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 6, (height, width, 1))
        pixels = np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)
        contents.append(root.parent / f"{root.name}-{number}.jpg")
        root.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(contents[-1], quality=90)
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)
    for number in range(count):
        shutil.copyfile(contents[number % DIFFERENT], root / f"class{number % CLASSES}" / f"{number:06}.jpg")
    return root


def peak_memory(folder: Path, count: int) -> float:
    """Return the peak resident memory, in MB, of a process that loads small images."""
    root = write_photos(folder / f"small{count}", count, (40, 30))
    command = [sys.executable, __file__, "--measure-memory-of", str(root)]
    environment = {**os.environ, "BIOTUNE_CACHE": str(folder / f"cache{count}")}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return float(json.loads(answer.stdout))


def measure_memory(root: Path) -> None:
    """Load a folder, from listing to learning data, and print the peak memory of this process in MB."""
    from biotune.pixels.loading import load  # noqa: PLC0415  # only here, since it loads more
    from biotune.settings.sections import DataConfig  # noqa: PLC0415

    data = load(open_source(root), DataConfig(), Preprocessing(image_size=32))
    assert data.test is not None
    # not ru_maxrss, which starts at the peak of the parent process
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(json.dumps(int(status["VmHWM"].split()[0]) / 1000))


if __name__ == "__main__":
    main()
