"""What is kept of recorded outputs: budgets hold, and what saves least per byte goes first."""

import pytest
import torch

from biotune.training.prefix.outputs import Recorded
from biotune.training.prefix.storage import WORTH_READING, ActivationStore, Scratch

FLOAT = 4


def outputs(images: int, values: int = 1) -> Recorded:
    return Recorded.of(torch.rand(images, values))


def filled(store: ActivationStore, sizes: dict[str, int], uses: dict[str, tuple[int, float]]) -> ActivationStore:
    """Put in outputs of so many images, and use each so often at so much work."""
    for name, images in sizes.items():
        assert store.make_room(images * FLOAT, True, ())
        store.add((name, False), outputs(images), in_memory=True)
    for name, (times, work) in uses.items():
        for _ in range(times):
            store.use([(name, False)], work)
    return store


def held(store: ActivationStore) -> str:
    return "".join(name for name in "abcd" if (name, False) in store)


@pytest.mark.parametrize(
    ("sizes", "uses", "left"),
    [
        ((10, 10, 10), ((1, 1), (1, 2), (1, 3)), "bc"),  # least work
        ((10, 10, 10), ((1, 3), (2, 1), (1, 4)), "ac"),  # work x uses
        ((10, 20, 5), ((1, 4), (1, 6), (1, 2)), "ac"),  # per byte: 0.4, 0.3, 0.4
        ((10, 10, 10), ((1, 1), (1, 1), (1, 1)), "bc"),  # alike: the oldest
    ],
)
def test_what_saves_least_per_byte_goes_first(sizes, uses, left):
    total = sum(sizes) * FLOAT
    store = filled(ActivationStore(total), dict(zip("abc", sizes, strict=True)), dict(zip("abc", uses, strict=True)))
    assert store.make_room(FLOAT, True, ())
    assert held(store) == left


def test_what_the_training_needs_stays():
    store = filled(ActivationStore(20 * FLOAT), {"a": 10, "b": 10}, {"a": (1, 1), "b": (1, 2)})
    assert store.make_room(FLOAT, True, [("a", False)])
    assert held(store) == "a"


@pytest.mark.parametrize(("images", "worth"), [(21, 9.0), (11, 0.15)], ids=["too large", "worth less"])
def test_nothing_is_dropped_in_vain(images, worth):
    store = filled(ActivationStore(20 * FLOAT), {"a": 10, "b": 10}, {"a": (1, 4.0), "b": (1, 8.0)})
    assert not store.make_room(images * FLOAT, True, (), worth)
    assert held(store) == "ab"


def test_outputs_that_were_used_much_but_long_ago_make_room_in_the_end():
    """'a' has the priority 5 / 40 bytes; those after it start at 1 / 40 above what was dropped before them."""
    store = filled(ActivationStore(20 * FLOAT), {"a": 10}, {"a": (5, 1)})
    survived = []
    for number in range(7):
        key = (str(number), False)
        assert store.make_room(10 * FLOAT, True, ())
        store.add(key, outputs(10), in_memory=True)
        store.use([key], 1)
        survived.append(held(store) == "a")
    assert survived == [True] * 5 + [False] * 2


@pytest.mark.parametrize("work", [0.9 * FLOAT * WORTH_READING, FLOAT * WORTH_READING])
def test_what_leaves_memory_moves_to_disk_if_it_is_worth_reading(tmp_path, work):
    store = ActivationStore(10 * FLOAT, Scratch(tmp_path, 10 * FLOAT))
    store = filled(store, {"a": 10}, {"a": (1, work)})
    before = store["a", False].values.clone()
    assert store.make_room(10 * FLOAT, True, ())
    assert store.used(in_memory=True) == 0
    if work < FLOAT * WORTH_READING:
        assert held(store) == ""
    else:
        assert store.used(in_memory=False) == 10 * FLOAT
        assert torch.equal(store["a", False].values, before)


def test_memory_and_disk_keep_their_budgets(tmp_path):
    work = FLOAT * WORTH_READING
    store = ActivationStore(20 * FLOAT, Scratch(tmp_path, 15 * FLOAT))
    filled(store, {"a": 10, "b": 10}, {"a": (1, work), "b": (1, 2 * work)})
    filled(store, {"c": 10}, {"c": (1, 3 * work)})
    assert (store.used(True), store.used(False)) == (20 * FLOAT, 10 * FLOAT)  # c and b in memory, a on disk
    filled(store, {"d": 10}, {"d": (1, 4 * work)})
    assert (store.used(True), store.used(False)) == (20 * FLOAT, 10 * FLOAT)  # b is worth more than a
    assert held(store) == "bcd"


def test_a_disk_that_cannot_be_written_is_said_and_not_tried_again(tmp_path):
    folder, said = tmp_path / "run", []
    folder.mkdir()
    store = ActivationStore(10 * FLOAT, Scratch(folder, 100 * FLOAT), said.append)
    filled(store, {"a": 10}, {"a": (1, FLOAT * WORTH_READING)})
    folder.rmdir()
    assert store.make_room(10 * FLOAT, True, ())
    assert held(store) == ""
    assert store.disk_bytes == 0
    assert len(said) == 1
    assert "No such file or directory" in said[0]


def test_the_disk_is_never_filled_beyond_half_of_what_is_free(tmp_path):
    assert 0 < Scratch(tmp_path, 2**60).capacity() < 2**59
    assert Scratch(tmp_path / "missing", 2**20).capacity() == 0
