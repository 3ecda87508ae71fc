import contextlib
import io
import os
import pickle
import struct
import warnings
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.errors import InputError
from biotune.images.decoding import (
    MAX_PIXELS,
    ImageFacts,
    UnreadableImageError,
    decode,
    decode_with_facts,
    difference_hash,
)

GREY = np.array([[0, 100], [200, 255]], dtype=np.uint8)
RED, WHITE, HALF_RED = (255, 0, 0), (255, 255, 255), (255, 127, 127)


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def _decoded(path: Path) -> np.ndarray:
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_lossless_formats_keep_grey_values(tmp_path: Path, suffix: str, mode: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", Image.fromarray(GREY).convert(mode))

    np.testing.assert_array_equal(_decoded(path), np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_keep_a_plain_colour(tmp_path: Path, suffix: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", Image.new("RGB", (32, 32), (200, 100, 50)), quality=95)

    assert np.abs(_decoded(path).astype(int) - [200, 100, 50]).max() <= 4


def test_one_bit_images_become_black_and_white(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(GREY).convert("1", dither=Image.Dither.NONE))

    np.testing.assert_array_equal(_decoded(path)[..., 0], [[0, 0], [255, 255]])


def test_the_content_counts_and_not_the_ending(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.jpg", Image.fromarray(GREY), format="PNG")

    np.testing.assert_array_equal(_decoded(path)[..., 0], GREY)


def _palette_with_transparency() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, 0, 0, 255])
    image.putdata([0, 1])
    return image


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (Image.new("RGBA", (1, 1), (*RED, 0)), {}, [WHITE]),
        (Image.new("RGBA", (1, 1), (*RED, 128)), {}, [HALF_RED]),
        (Image.new("RGBA", (1, 1), (*RED, 255)), {}, [RED]),
        (Image.new("LA", (1, 1), (0, 0)), {}, [WHITE]),
        (Image.new("RGB", (1, 1), RED), {"transparency": RED}, [WHITE]),
        (Image.new("L", (1, 1), 7), {"transparency": 7}, [WHITE]),
        (_palette_with_transparency(), {"transparency": 1}, [RED, WHITE]),
    ],
)
def test_transparent_pixels_lie_on_white(tmp_path: Path, image: Image.Image, options: dict, expected: list) -> None:
    pixels = _decoded(_save(tmp_path / "a.png", image, **options))

    assert [tuple(pixel) for pixel in pixels[0].tolist()] == expected


def test_transparency_of_gif_and_webp_lies_on_white(tmp_path: Path) -> None:
    gif = _save(tmp_path / "a.gif", _palette_with_transparency(), transparency=1)
    webp = _save(tmp_path / "a.webp", Image.new("RGBA", (4, 4), (*RED, 0)), lossless=True)

    assert _decoded(gif)[0].tolist() == [list(RED), list(WHITE)]
    assert (_decoded(webp) == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_converted(tmp_path: Path, suffix: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", Image.new("CMYK", (16, 16), (0, 255, 255, 0)))

    assert np.abs(_decoded(path).astype(int) - RED).max() <= 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100, 255]], dtype=np.uint16), [0, 100, 255]),
        (np.array([[0, 257, 65535]], dtype=np.uint16), [0, 1, 255]),
        (np.array([[0, 4095, 400]], dtype=np.uint16), [0, 16, 2]),  # 4095 / 257 = 15.9: the window is fixed
        (np.array([[0, 65535, 25700]], dtype=np.int32), [0, 255, 100]),
        (np.array([[-100, 2, 100]], dtype=np.int32), [0, 130, 255]),
        (np.array([[0, 65536, 131072]], dtype=np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], dtype=np.float32), [0, 128, 255]),
        (np.array([[-3.0, 7.0, 2.0]], dtype=np.float32), [0, 255, 128]),
        (np.array([[5.0, 5.0, 5.0]], dtype=np.float32), [0, 0, 0]),
        (np.array([[np.nan, 1.0, 3.0]], dtype=np.float32), [0, 0, 255]),
        (np.array([[np.inf, -np.inf, 3.0]], dtype=np.float32), [0, 0, 0]),
    ],
)
def test_deep_grey_is_scaled_and_never_clipped(tmp_path: Path, values: np.ndarray, expected: list[int]) -> None:
    pixels = _decoded(_save(tmp_path / "a.tif", Image.fromarray(values)))

    assert pixels[0, :, 0].tolist() == expected
    assert (pixels == pixels[..., :1]).all()


def test_sixteen_bit_png_is_scaled(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16)))

    assert _decoded(path)[0, :, 0].tolist() == [0, 128, 255]


def test_big_endian_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    image = Image.frombytes("I;16B", (2, 1), np.array([[257, 65535]], dtype=">u2").tobytes())

    assert _decoded(_save(tmp_path / "a.tif", image))[0, :, 0].tolist() == [1, 255]


# The stored corners (top left, top right, bottom right, bottom left) as an upright viewer shows them, by EXIF's table.
@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, "ABCD"),
        (2, "BADC"),
        (3, "CDAB"),
        (4, "DCBA"),
        (5, "ADCB"),
        (6, "DABC"),
        (7, "CBAD"),
        (8, "BCDA"),
        (9, "ABCD"),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_the_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int, corners: str) -> None:
    grey = {"A": 0, "B": 80, "C": 160, "D": 240}
    stored = np.kron([[grey["A"], grey["B"]], [grey["D"], grey["C"]]], np.ones((16, 32))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = _decoded(_save(tmp_path / f"a.{suffix}", Image.fromarray(stored), exif=exif))[..., 0].astype(int)

    seen = [pixels[4, 4], pixels[4, -5], pixels[-5, -5], pixels[-5, 4]]
    assert np.abs(np.array(seen) - [grey[corner] for corner in corners]).max() <= 8
    assert pixels.shape == ((64, 32) if orientation in (5, 6, 7, 8) else (32, 64))


def test_damaged_exif_data_does_not_spoil_an_image(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.jpg", Image.new("L", (8, 8), 90), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12garbage")

    assert np.abs(_decoded(path).astype(int) - 90).max() <= 2


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_the_first_frame_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (40, 120, 200)]
    path = _save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])

    assert np.abs(_decoded(path).astype(int) - 40).max() <= 2


def _noise(mode: str = "RGB") -> Image.Image:
    values = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
def test_truncated_files_are_unreadable(tmp_path: Path, suffix: str, share: float) -> None:
    path = _save(tmp_path / f"a.{suffix}", _noise())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(UnreadableImageError):
        decode(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
@pytest.mark.parametrize("seed", range(5))
def test_flipped_bytes_end_in_an_image_or_the_one_error(tmp_path: Path, suffix: str, seed: int) -> None:
    path = _save(tmp_path / f"a.{suffix}", _noise())
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    places = np.random.Generator(np.random.PCG64(seed)).integers(0, min(len(content), 400), 8)
    content[places] ^= 0xFF
    path.write_bytes(content.tobytes())

    with contextlib.suppress(UnreadableImageError):
        assert decode(path).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\0" * 1000, "its content is none of JPEG, PNG, BMP, TIFF, WEBP, GIF, DICOM"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "its content is none of"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "its content is none of"),
        (b"%PDF-1.4\n", "its content is none of"),
        (b"P5 2 2 255\n\0\0\0\0", "its content is none of"),
        (b"SIMPLE  =                    T", "its content is none of"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
            r"its content is none of .*, but a pointer of Git LFS \('git lfs pull'",
        ),
        (
            b"../originals/1.png",
            r"its content .* but a path \('\.\./originals/1\.png'\): a link that was stored as a text",
        ),
        (b"\x89PNG\r\n\x1a\n", "its content is none of|damaged"),
    ],
)
def test_files_that_are_no_images_are_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    with pytest.raises(
        UnreadableImageError, match=rf"cannot read the image '.*a\.jpg': ({reason}).*; replace the file"
    ):
        decode(path)


def test_things_that_are_no_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    with pytest.raises(UnreadableImageError, match="it is not a regular file"):
        decode(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImageError, match="it is not a regular file"):
        decode(tmp_path)
    with pytest.raises(UnreadableImageError, match="No such file or directory"):
        decode(tmp_path / "missing.png")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("width", "height"),
    [(MAX_PIXELS + 1, 1), (9_500, 9_500), (12_000, 12_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)],
)
def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path, width: int, height: int) -> None:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0" * 1000)))

    with pytest.raises(UnreadableImageError, match=r"more than 80,000,000"):
        decode(path)


def test_warnings_of_pillow_do_not_leak(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=bytes([0, 128]))
    (tmp_path / "a.png").write_bytes(buffer.getvalue())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(tmp_path / "a.png")

    assert caught == []


def test_the_error_survives_a_process_border() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImageError(Path("a.png"), "it is empty")))

    assert isinstance(error, InputError)
    assert (error.path, error.reason, error.exit_code) == (Path("a.png"), "it is empty", 2)


def test_a_pipe_that_takes_the_place_of_a_file_cannot_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the file and its opening, which no test can time, so that the look is answered falsely."""
    regular = _save(tmp_path / "a.png", Image.fromarray(GREY)).stat()
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.setattr(Path, "stat", lambda self, **_: regular)

    with pytest.raises(UnreadableImageError, match="it is not a regular file"):
        decode(tmp_path / "pipe.png")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (Path("a.png"), "cannot read the image 'a.png': it is empty; replace the file or leave it out."),
        (Path("two\nlines\x1b.png"), r"cannot read the image 'two\nlines\x1b.png': it is empty; replace the file or"),
        (Path(os.fsdecode(b"\xff.png")), r"cannot read the image '\xff.png': it is empty; replace the file or leave"),
        ("an image in memory", "cannot read an image in memory: it is empty; replace it or leave it out."),
    ],
)
def test_the_error_is_one_line_that_can_be_printed(path: Path | str, sentence: str) -> None:
    message = str(UnreadableImageError(path, "it is empty"))

    assert message.startswith(sentence)
    assert message.isprintable()


def test_the_three_kinds_of_sources_give_the_same_image(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", _noise())
    content = path.read_bytes()

    from_file, from_bytes, from_array = (decode_with_facts(source) for source in (path, content, np.asarray(_noise())))

    assert from_file[0].tobytes() == from_bytes[0].tobytes() == from_array[0].tobytes() == _noise().tobytes()
    assert (
        from_file[1]
        == from_bytes[1]
        == ImageFacts(64, 64, "PNG", "RGB", sha256(content).digest(), difference_hash(_noise()))
    )
    assert (from_array[1].format, from_array[1].mode, from_array[1].difference_hash) == (
        "",
        "RGB",
        difference_hash(_noise()),
    )


def test_damaged_content_in_memory_is_named_so() -> None:
    with pytest.raises(UnreadableImageError, match=r"^cannot read an image in memory: damaged .*; replace it or leave"):
        decode(b"\xff\xd8\xff\xe0")


def test_the_look_is_the_difference_of_cells() -> None:
    """Columns of a ramp grow lighter, so each is darker than its right one; mirrored, none is."""
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 170).astype(np.uint8), (100, 1))).convert("RGB")

    assert difference_hash(ramp) == b"\xff" * 32
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == b"\0" * 32


PHOTOS = ("astronaut", "chelsea", "coffee")


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("change", ["smaller", "compressed", "brighter"])
def test_similar_pictures_look_alike(name: str, change: str) -> None:
    photos = pytest.importorskip("skimage.data")
    photo = Image.fromarray(getattr(photos, name)())
    compressed = io.BytesIO()
    photo.save(compressed, "JPEG", quality=40)
    changed = {
        "smaller": photo.resize((photo.width // 3, photo.height // 3), Image.Resampling.BICUBIC),
        "compressed": decode(compressed.getvalue()),
        "brighter": photo.point(lambda value: round(10 + value * 0.9)),
    }[change]

    others = [Image.fromarray(getattr(photos, other)()) for other in PHOTOS if other != name]
    assert _differing_bits(photo, changed) <= 12
    assert min(_differing_bits(photo, other) for other in others) > 60


def _differing_bits(one: Image.Image, other: Image.Image) -> int:
    return (int.from_bytes(difference_hash(one), "big") ^ int.from_bytes(difference_hash(other), "big")).bit_count()


def test_big_images_are_converted_in_blocks_that_fit(tmp_path: Path) -> None:
    """The same pixels as one by one: 700 x 900 pixels are more than two blocks."""
    values = np.random.Generator(np.random.PCG64(1)).integers(0, 65536, (900, 700), dtype=np.uint16)
    clear = Image.fromarray((values // 256).astype(np.uint8)).convert("RGBA")
    clear.putalpha(Image.fromarray((values % 256).astype(np.uint8)))
    grey, alpha = values // 256, values % 256

    deep = _decoded(_save(tmp_path / "deep.tif", Image.fromarray(values)))[..., 0]
    over_white = _decoded(_save(tmp_path / "clear.png", clear))[..., 0]

    np.testing.assert_array_equal(deep, np.round(values / 257))
    assert np.abs(over_white - (grey * (alpha / 255) + 255 * (1 - alpha / 255))).max() <= 1
