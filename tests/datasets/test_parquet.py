"""Parquet files as tables of paths, with images inside, and as the shards of a data set."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.images.decoding import decode
from biotune.pixels.cache import Cache, decoded_images
from biotune.records import Preprocessing


def png(value: int) -> bytes:
    """Return a 4 x 4 image of one grey value."""
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, dtype=np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def value_of(images: ImageSet, row: int) -> int:
    return decode(images.image(row)).getpixel((0, 0))[0]


def write(path: Path, columns: Mapping[str, list], row_group_size: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def images_of(values: range) -> list[dict]:
    return [{"bytes": png(value), "path": f"{value}.png"} for value in values]


def test_a_table_of_paths(write_images) -> None:
    root = write_images("x/1.png", "x/2.png", "3.png", "4.png")
    path = write(
        root / "labels.parquet",
        {
            "label": [10, 2, 10, 2],
            "path": ["x/1.png", "./x/2.png", "3.png", "4.png"],
            "split": ["train", "train", "VAL", None],
            "group": ["p", "p", "q", None],
            "site": [1, 2, 3, 4],
        },
    )

    images = open_source(path)

    assert images.ids == ("x/1.png", "x/2.png", "3.png", "4.png")
    assert images.class_names == ("2", "10")
    assert images.labels.tolist() == [1, 0, 1, 0]
    assert images.splits == ("train", "train", "validation", "")
    assert images.groups == ("p", "p", "q", "only 4.png")
    assert images.image(1) == root / "x/2.png"
    assert images.notes == ("Ignored columns of 'labels.parquet': site.",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["1.png"], "label": ["a"]}, r"has the columns file, label; it needs a column of images \(bytes"),
        ({"path": ["8.png", "9.png"], "label": ["a", "b"]}, r"none of the 2 files that .* lists exists \(first: '8"),
        ({"path": ["1.png", "2.png"], "label": ["a", None]}, "row 2: the label is empty"),
        ({"path": ["1.png", "1.png"], "label": ["a", "b"]}, "row 2: the image '1.png' is listed a second time"),
        ({"path": ["1.png"], "label": ["a"], "split": ["dev"]}, "row 1: unknown split 'dev'"),
        (
            {"path": pa.array([], pa.string()), "label": pa.array([], pa.string())},
            r"labels\.parquet' is empty, damaged or not a Parquet file",
        ),
    ],
)
def test_a_bad_table_of_paths_is_refused(write_images, columns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(write(write_images("1.png", "2.png") / "labels.parquet", columns))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 100])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)

    with pytest.raises(InputError, match=r"x\.parquet' is empty, damaged or not a Parquet file \(.*\); write it again"):
        open_source(tmp_path / "x.parquet")


@pytest.mark.parametrize("size", [1, 7, 64, 100, 1000])
def test_images_inside_a_file_are_read_in_any_order(tmp_path: Path, size: int) -> None:
    """200 rows in row groups of several sizes, read forwards, backwards and at random."""
    labels = [["b", "a"][number % 2] for number in range(200)]
    images = open_source(write(tmp_path / "x.parquet", {"image": images_of(range(200)), "label": labels}, size))

    assert images.ids[17] == "row/17"
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [1, 0] * 100
    order = [*range(200), *range(199, -1, -1), *np.random.default_rng(0).permutation(200).tolist()]
    assert [value_of(images, row) for row in order] == order


def test_images_may_be_plain_bytes_or_names_of_files(write_images) -> None:
    root = write_images("5.png")
    plain = open_source(write(root / "plain.parquet", {"img": [png(7), png(8)], "label": [0, 1]}))
    named = open_source(
        write(root / "named.parquet", {"image": [{"bytes": None, "path": "5.png"}, *images_of([9])], "label": [0, 1]})
    )

    assert [value_of(plain, row) for row in range(2)] == [7, 8]
    assert named.image(0) == root / "5.png"
    assert value_of(named, 1) == 9


def test_files_that_cells_name_are_decoded_again_when_they_change(write_images) -> None:
    """The table stays as it is; what no cell names, and the file of a cell with content, may change."""
    root = write_images("5.png", "6.png", "other.png")
    cells = [*({"bytes": None, "path": name} for name in ("5.png", "6.png", None)), {**images_of([9])[0], "path": "6"}]
    path = write(root / "named.parquet", {"image": cells, "label": [0, 1, 0, 1]})
    cache = Cache(root / "cache")

    def first_value() -> int:
        return int(decoded_images(open_source(path), Preprocessing(8), cache).images[np.array([0])][0, 0, 0, 0])

    before, fingerprint = first_value(), open_source(path).reader.fingerprint
    for name in ("other.png", "6"):
        (root / name).write_bytes(png(200))
    assert open_source(path).reader.fingerprint == fingerprint
    Image.new("L", (16, 16), 77).save(root / "5.png")
    assert (before != 77, first_value()) == (True, 77)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_column_of_splits_beside_images_is_used(tmp_path: Path, as_bytes: bool) -> None:
    cells = [png(value) for value in range(4)] if as_bytes else images_of(range(4))
    columns = {"image": cells, "label": [0, 1, 0, 1], "split": ["train", "TRAIN", "val", None]}

    images = open_source(write(tmp_path / "x.parquet", columns))

    assert images.splits == ("train", "train", "validation", "")
    assert images.notes == ()


def test_a_split_without_meaning_beside_images_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": images_of(range(2)), "label": [0, 1], "split": ["train", "fold 2"]})

    with pytest.raises(
        InputError, match=r"'x\.parquet', row/1: unknown split 'fold 2'; use train, val, test or leave it"
    ):
        open_source(path)


def test_the_names_of_shards_win_over_a_column_of_splits(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images_of(range(2)), "label": [0, 1], "split": ["a", "b"]})

    images = open_source(tmp_path)

    assert images.splits == ("train", "train")
    assert images.notes == ("Ignored the column 'split': the parts name the splits.",)


def test_an_empty_cell_is_an_unreadable_image(tmp_path: Path) -> None:
    cells = [{"bytes": None, "path": None}, *images_of(range(3))]
    images = open_source(write(tmp_path / "x.parquet", {"image": cells, "label": [0, 1, 0, 1]}))

    decoded = decoded_images(images, Preprocessing(image_size=8), Cache(tmp_path / "cache"))

    assert [(item.id, item.reason) for item in decoded.quarantined] == [("row/0", "it is empty")]


def test_shards_are_one_data_set_with_its_splits(tmp_path: Path) -> None:
    """As the hub's client downloads it: the images of each split in the order of the shards, dev for validation."""
    root = tmp_path / "beans"
    for name, values in (
        ("data/train-00000-of-00002.parquet", range(4)),
        ("data/train-00001-of-00002.parquet", range(4, 8)),
        ("data/test-00000-of-00001.parquet", range(8, 10)),
        ("data/dev-00000-of-00001.parquet", range(10, 12)),
    ):
        write(root / name, {"image": images_of(values), "label": [value % 2 for value in values]})
    write(root / ".cache/old/train-0.parquet", {"image": images_of(range(2)), "label": [0, 1]})
    (root / "README.md").write_text("# Beans")

    images = open_source(root)

    values = [value_of(images, row) for row in range(len(images))]
    found = dict(zip(images.ids, zip(images.splits, values, images.labels.tolist(), strict=True), strict=True))
    assert images.name == "beans"
    assert found == {
        **{f"train/{value}": ("train", value, value % 2) for value in range(8)},
        **{f"test/{value}": ("test", 8 + value, value) for value in range(2)},
        **{f"dev/{value}": ("validation", 10 + value, value) for value in range(2)},
    }


def test_shards_may_lie_in_folders_of_splits(tmp_path: Path) -> None:
    write(tmp_path / "train/0000.parquet", {"image": images_of(range(2)), "label": ["a", "b"]})
    write(tmp_path / "test/0000.parquet", {"image": images_of(range(1)), "label": ["a"]})

    assert open_source(tmp_path).splits == ("test", "train", "train")


def test_several_configurations_are_refused(tmp_path: Path) -> None:
    for name in ("plain", "noisy"):
        write(tmp_path / name / "train-0.parquet", {"image": images_of(range(2)), "label": [0, 1]})

    with pytest.raises(InputError, match=r"holds several configurations \(noisy, plain\); give the folder of one"):
        open_source(tmp_path)
    assert len(open_source(tmp_path / "noisy")) == 2


def test_a_parquet_file_beside_class_folders_changes_nothing(write_images) -> None:
    root = write_images("a/1.png", "b/1.png")
    write(root / "embeddings.parquet", {"x": [1.0]})

    assert open_source(root).ids == ("a/1.png", "b/1.png")


def test_shards_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images_of(range(2)), "label": [0, 1]})
    write(tmp_path / "train-1.parquet", {"image": images_of(range(2)), "kind": [0, 1]})

    with pytest.raises(
        InputError, match=r"train-1\.parquet' has no column 'label', but the first part of the data set has"
    ):
        open_source(tmp_path)


def test_damage_inside_a_file_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": images_of(range(50)), "label": [0, 1] * 25})
    content = bytearray(path.read_bytes())
    content[10:60] = b"x" * 50
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"x\.parquet' is empty, damaged or not a Parquet file \(.*\); write it again"):
        open_source(path)


def test_the_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "labels.parquet", {"path": ["1.png"], "label": ["a"]})
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(
        InputError, match=r"^Parquet files need the package datasets; run: pip install 'biotune\[hf\]'$"
    ):
        open_source(path)


def test_a_large_row_group_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """24 MiB of images in one row group of small pages (pages are what Parquet reads at once)."""
    noise = np.random.default_rng(0)
    cells = [{"bytes": noise.bytes(2**14), "path": None} for _ in range(1536)]
    table, path = pa.table({"image": cells, "label": [0, 1] * 768}), tmp_path / "x.parquet"
    pq.write_table(table, path, row_group_size=10_000, use_dictionary=False, data_page_size=2**16, write_batch_size=4)
    del table
    before = pa.total_allocated_bytes()
    images = open_source(path)

    peak = max(pa.total_allocated_bytes() for row in range(len(images)) if images.image(row))

    assert peak - before < 4 * 2**20
