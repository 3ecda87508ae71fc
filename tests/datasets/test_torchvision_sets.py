"""The papers' data sets, read from tiny files of the same layout; fetched from a server on this machine, or not."""

import socket
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torchvision.datasets as public

import layouts
from biotune.datasets.named import torchvision_sets
from biotune.datasets.named.torchvision_sets import TORCHVISION_SETS
from biotune.datasets.registry import DATASETS
from biotune.datasets.sources import open_source
from biotune.errors import InputError

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail as soon as anything asks for a connection."""

    def refuse(*_arguments: object, **_options: object) -> None:
        pytest.fail("reading a data set that is there must not open a connection")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request to a port where nobody listens."""
    through(monkeypatch, NOWHERE)


def through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use


@pytest.fixture
def packed_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four archives of a tiny MNIST, whose checksums torchvision expects."""
    folder = tmp_path / "packed"
    layouts.write_idx_set(folder, packed=True)
    resources = [(f"{file}.gz", layouts.md5(folder / f"{file}.gz")) for file in layouts.IDX_FILES]
    monkeypatch.setattr(public.MNIST, "resources", resources)
    return folder


@pytest.fixture
def served_mnist(packed_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server on this machine that has the archives."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=packed_mnist)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(urllib.request, "_opener", None)
        monkeypatch.setattr(public.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        yield
        server.shutdown()
        thread.join()


def test_every_downloaded_set_has_a_layout() -> None:
    by_hand = {"isic2016", "isic2020"}

    assert {*layouts.LAYOUTS, *by_hand} == {name for name, info in DATASETS.items() if info.source == "download"}
    assert set(TORCHVISION_SETS) == {name for name, info in DATASETS.items() if info.fetch is not None}


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_layout_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = layouts.LAYOUTS[name](tmp_path, monkeypatch)
    images = open_source(name, tmp_path)

    assert images.name == name
    assert images.class_names == expected.class_names
    assert tuple(images.labels.tolist()) == expected.labels
    assert images.splits == expected.splits
    assert (images.groups, images.notes) == (None, ())
    if expected.pixels is not None:
        assert images.arrays is not None
        assert images.arrays.dtype == np.uint8
        np.testing.assert_array_equal(images.arrays, expected.pixels)
        assert images.ids == tuple(f"{name}/{index}" for index in range(len(expected.pixels)))
    else:
        assert images.ids == expected.ids
        assert images.files == tuple(tmp_path / image_id for image_id in images.ids)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_without_a_network_it_says_which_files_belong_where(name: str, tmp_path: Path) -> None:
    known = TORCHVISION_SETS[name]
    began = time.monotonic()

    with pytest.raises(
        InputError, match=rf"'{name}' is not in '{tmp_path}' and could not be fetched \(.*refused"
    ) as told:
        known.fetch(tmp_path)

    assert time.monotonic() - began < 5
    assert f"put {known.archives} of {known.page} into '{tmp_path / known.folder}'" in str(told.value)
    assert "--data-root" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_silent_network_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_sets, "_PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        through(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(InputError, match=r"could not be fetched .*timed out"):
            open_source("usps", tmp_path)

    assert socket.getdefaulttimeout() is None


@pytest.mark.usefixtures("served_mnist")
def test_what_is_missing_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "new" / "root"
    first = open_source("mnist", root)
    through(monkeypatch, NOWHERE)
    second = open_source("mnist", root)

    assert (len(first), len(second)) == (5, 5)
    assert first.notes == (f"Fetched 'mnist' into '{root}'.",)
    assert second.notes == ()


@pytest.mark.usefixtures("offline")
def test_archives_that_are_there_are_only_unpacked(packed_mnist: Path, tmp_path: Path) -> None:
    packed_mnist.rename(tmp_path / "raw")
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "raw").rename(tmp_path / "MNIST" / "raw")

    assert len(open_source("mnist", tmp_path)) == 5


@pytest.mark.usefixtures("offline")
def test_a_data_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(InputError, match=rf"'usps' is not in '{tmp_path}/file/root' and could not be fetched"):
        open_source("usps", tmp_path / "file" / "root")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("mnist", "MNIST/raw/t10k-images-idx3-ubyte", b"\0\0\x08\x03\0\0\0\x02"),
        ("usps", "usps.t.bz2", b"no bzip2"),
        ("svhn", "test_32x32.mat", b"of another checksum"),
        ("aircraft", "fgvc-aircraft-2013b/data/variants.txt", b"F-16A/B\n"),
        ("dtd", "dtd/dtd/labels/test1.txt", b"no slash\n"),
    ],
)
def test_damaged_files_are_reported(
    name: str, file: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.LAYOUTS[name](tmp_path, monkeypatch)
    (tmp_path / file).write_bytes(content)

    with pytest.raises(InputError, match=rf"'{name}' in '{tmp_path}' are damaged or incomplete .* remove them"):
        open_source(name, tmp_path)


def test_images_that_are_listed_but_missing_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.flowers102(tmp_path, monkeypatch)
    (tmp_path / "flowers-102" / "jpg" / "image_00003.jpg").unlink()

    with pytest.raises(
        InputError, match=r"1 of the 6 images of the data set 'flowers102' .* \(for example image_00003"
    ):
        open_source("flowers102", tmp_path)


def test_a_folder_of_the_same_name_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar10").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=r"'cifar10' is a folder here, and .* write '\./cifar10' for the folder"):
        open_source("cifar10", tmp_path / "root")
