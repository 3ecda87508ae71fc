"""Copies are found, whatever was done to them within limits; different pictures are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from biotune.datasets.registry import DATASETS
from biotune.images.decoding import difference_hash
from biotune.inspection.duplicates import LARGEST_DISTANCE, Duplicates, find_duplicates, similar_hashes
from biotune.inspection.near_duplicates import SIDE, same_picture, thumbnail

Change = Callable[[Image.Image], Image.Image]


def noise(seed: int, size: int = 160) -> Image.Image:
    """A smooth random picture with details, as a photo has: noise of several scales."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 60 / step, (size // 10 * step // 2 + 2,) * 2 + (3,)) for step in (1, 2, 4)]
    scaled = [
        np.stack([np.asarray(Image.fromarray(layer[..., c]).resize((size, size))) for c in range(3)], -1)
        for layer in layers
    ]
    return Image.fromarray(np.clip(128 + sum(scaled), 0, 255).astype(np.uint8))


def recoded(image: Image.Image, quality: int = 50) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def hashes_and_thumbnails(images: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    hashes = np.stack([np.frombuffer(difference_hash(image), dtype=np.uint8) for image in images])
    return hashes, np.stack([thumbnail(image) for image in images])


def groups(images: list[Image.Image], names: str) -> list[Duplicates]:
    """Search among images; equal letters in ``names`` stand for equal bytes."""
    digests = np.array([[ord(name)] * 32 for name in names], dtype=np.uint8)
    hashes, thumbnails = hashes_and_thumbnails(images)
    return find_duplicates(digests, hashes, thumbnails.__getitem__)


def painted(image: Image.Image) -> Image.Image:
    changed = image.copy()
    changed.paste(noise(99).crop((0, 0, 50, 50)), (60, 60))
    return changed


CHANGES: dict[str, Change] = {
    "encoded again": recoded,
    "half the size": lambda image: image.resize((80, 80)),
    "another shape": lambda image: image.resize((200, 150)),
    "brighter": lambda image: image.point(lambda value: min(255, round(1.1 * value))),
    "darker": lambda image: image.point(lambda value: round(0.9 * value)),
    "cut all around": lambda image: image.crop((2, 2, 158, 158)),
    "cut at a corner": lambda image: image.crop((4, 4, 160, 160)),
    "all of it": lambda image: recoded(image.crop((3, 2, 158, 158)).resize((90, 90)), 80),
}
OTHERS: dict[str, Change] = {
    "flipped": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "the middle": lambda image: image.crop((40, 40, 120, 120)),
    "another colour": lambda image: Image.merge("RGB", [image.getchannel(name) for name in "BRG"]),
    "a negative": lambda image: image.point(lambda value: 255 - value),
    "a part painted over": painted,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(change: str) -> None:
    images = [noise(seed) for seed in range(12)]

    assert groups([*images, CHANGES[change](images[5])], "abcdefghijklm") == [Duplicates("near", (5, 12))]


@pytest.mark.parametrize("change", OTHERS)
def test_another_picture_is_no_copy(change: str) -> None:
    images = [noise(seed) for seed in range(12)]

    assert groups([*images, OTHERS[change](images[5])], "abcdefghijklm") == []


def test_equal_bytes_are_exact_and_with_a_changed_copy_near() -> None:
    images = [noise(0), noise(1), noise(1), noise(0), recoded(noise(0)), noise(2)]

    assert groups(images, "abbacd") == [Duplicates("near", (0, 3, 4)), Duplicates("exact", (1, 2))]


def test_copies_of_copies_are_one_group() -> None:
    image = noise(0)
    chain = [image, image.crop((3, 3, 160, 160)), image.crop((6, 6, 160, 160)), image.crop((9, 9, 160, 160))]

    assert groups([noise(1), *chain], "abcde") == [Duplicates("near", (1, 2, 3, 4))]


@pytest.mark.parametrize("value", [0, 9, 128, 255])
def test_plain_pictures_are_duplicates_only_if_their_bytes_are(value: int) -> None:
    plain = [Image.new("RGB", (40, 40), (value, value, value))] * 3
    shade = [Image.linear_gradient("L").convert("RGB"), Image.linear_gradient("L").resize((99, 99)).convert("RGB")]

    assert groups([*plain, *shade], "aabcd") == [Duplicates("exact", (0, 1))]


def test_digits_of_one_class_are_not_copies_of_each_other() -> None:
    digits = DATASETS["digits8"].load()
    eights = digits.arrays[digits.labels == 8][:150, ..., 0]
    images = [Image.fromarray(pixels).convert("RGB") for pixels in eights]
    hashes, thumbnails = hashes_and_thumbnails(images)
    digests = np.array([[number] * 32 for number in range(len(images))], dtype=np.uint8)

    assert len(find_duplicates(digests, hashes, thumbnails.__getitem__)) <= 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images(count: int) -> None:
    found = (
        groups([noise(0)] * count, "aa"[:count])
        if count
        else find_duplicates(
            np.zeros((0, 32), np.uint8),
            np.zeros((0, 32), np.uint8),
            lambda rows: np.zeros((0, SIDE, SIDE, 3), np.uint8),
        )
    )

    assert found == ([Duplicates("exact", (0, 1))] if count == 2 else [])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(0, 40))
def test_pairs_of_similar_hashes_are_in_order_and_close(seed: int, count: int, flipped: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    changed = np.unpackbits(hashes[0]) ^ (rng.permutation(256) < flipped).astype(np.uint8)
    hashes[-1] = np.packbits(changed)
    pairs = similar_hashes(hashes)
    distance = np.unpackbits(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]], axis=1).sum(axis=1)

    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (distance <= LARGEST_DISTANCE).all()
    assert np.array_equal(np.unique(pairs, axis=0), pairs)
    assert [0, count - 1] in pairs.tolist()


def test_planted_copies_among_many_random_looks() -> None:
    """20,000 random hashes, and 200 copies with 40 of 256 bits flipped: nearly all are found, and nothing else."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (20_000, 32), dtype=np.uint8)
    flips = np.packbits(rng.permuted(np.tile(np.arange(256) < 40, (200, 1)), axis=1), axis=1)
    pairs = similar_hashes(np.concatenate([hashes, hashes[:200] ^ flips]))

    assert {(low, high - 20_000) for low, high in pairs.tolist()} <= {(row, row) for row in range(200)}
    assert len(pairs) >= 190


def test_equal_looks_of_all_images_cost_no_square() -> None:
    """Of 20,000 equal hashes each is compared with its neighbours only: 4 pairs an image, not 10,000."""
    assert len(similar_hashes(np.full((20_000, 32), 7, dtype=np.uint8))) == 4 * 20_000 - (1 + 2 + 3 + 4)


def test_the_verdict_is_symmetric() -> None:
    images = [noise(seed) for seed in range(4)]
    first = np.stack([thumbnail(image) for image in images])
    second = np.stack([thumbnail(image.crop((5, 5, 160, 160))) for image in [*images[:2], images[3], images[2]]])

    assert same_picture(first, second).tolist() == [True, True, False, False]
    assert same_picture(second, first).tolist() == [True, True, False, False]
