"""Groups of near-copies: which images are together, what they are called, and that no part of a run tears them."""

import numpy as np
import pytest

import tiny
from biotune.datasets import open_source
from biotune.datasets.image_set import ImageSet
from biotune.datasets.splits import make_splits
from biotune.errors import InputError
from biotune.inspection.duplicates import Duplicates
from biotune.inspection.groups import GroupCounts, count_groups, groups_of, keep_together
from biotune.settings.sections import DataConfig

TOGETHER = DataConfig(groups="near-copies")


def made(count: int, groups: tuple[str, ...] | None = None) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 40, 40, 3), dtype=np.uint8)
    names = tuple(f"{row}.png" for row in range(count))
    return ImageSet("made", names, np.arange(count) % 2, ("a", "b"), ("",) * count, groups, arrays=pixels)


def test_without_groups_they_are_called_by_their_first_image():
    pairs = [Duplicates("near", (1, 3)), Duplicates("exact", (3, 4))]
    assert groups_of(made(5), pairs) == ("0.png", "1.png", "2.png", "1.png", "1.png")
    assert groups_of(made(3)) == ("0.png", "1.png", "2.png")


def test_copies_join_the_groups_of_the_source():
    """Patients p and q share a picture; r is alone."""
    images = made(5, ("p", "q", "r", "q", "p"))
    assert groups_of(images, [Duplicates("near", (3, 4))]) == ("p", "p", "r", "p", "p")
    assert groups_of(images) == ("p", "q", "r", "q", "p")


def test_groups_are_counted():
    counts = count_groups(("a", "b", "a", "c", "c", "c"))
    assert counts == GroupCounts(3, 2, 3)
    assert counts.sentence(6) == "6 images in 3 groups, 2 of them with several, the largest with 3."
    assert count_groups(("a", "b")).sentence(2) == "2 images in 2 groups, one each."


@pytest.mark.parametrize("split_seed", range(5))
def test_near_copies_stay_in_one_part(split_seed):
    """Each image has a copy, a little brighter; a split of single images tears most pairs."""
    images = made(40)
    half = (images.arrays[:20] * 0.8).astype(np.uint8)
    images.arrays[:20], images.arrays[20:] = half, np.rint(half * 1.08).astype(np.uint8)
    together = keep_together(images, TOGETHER)
    assert together.groups == tuple(f"{row % 20}.png" for row in range(40))
    assert together.notes == (
        "Near-copies stay in one part: 40 images in 20 groups, 20 of them with several, the largest with 2.",
    )
    splits = make_splits(together, 0.2, 0.2, split_seed)
    for part in (splits.train, splits.validation, splits.test):
        assert all((row + 20) % 40 in part for row in part)
    torn = make_splits(images, 0.2, 0.2, split_seed)
    assert not all((row + 20) % 40 in torn.train for row in torn.train)


def test_by_default_nothing_is_looked_for():
    images = made(3)
    assert keep_together(images, DataConfig()) is images


def test_texts_are_refused(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("text,label\nhello,a\nworld,b\n")
    with pytest.raises(InputError, match=r"'t.csv' holds texts; near-copies are looked for among images"):
        keep_together(open_source(table), TOGETHER)


def test_a_run_and_its_evaluation_agree_on_the_parts(tmp_path, no_report):
    """Every image of the run has an exact copy; without groups the test would hold copies of training images."""
    from biotune.scored import evaluate_run

    images = tiny.write_classes(tmp_path / "colours", {"blue": 12, "green": 12})
    for path in sorted(images.glob("*/*.png")):
        (path.parent / f"copy-{path.name}").write_bytes(path.read_bytes())
    config = tiny.tiny_config(images, tiny.BRIEF, {"data": {"groups": "near-copies"}})
    summary = tiny.run(config, tmp_path / "run", "biotune tune")
    assert summary["data"]["leaks"] == []
    assert "Near-copies stay in one part: 48 images in 24 groups" in " ".join(summary["data"]["notes"])
    scored = evaluate_run(tmp_path / "run", images)
    assert (scored.results.own, scored.results.split, scored.results.seen) == (True, "test", 0)
    paths = set(scored.images.ids)
    partners = {path.replace("copy-", "") if "copy-" in path else path.replace("/", "/copy-") for path in paths}
    assert partners == paths
