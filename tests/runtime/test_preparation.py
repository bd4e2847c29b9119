from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecap_runtime.errors import ImageError, OptionError
from edgecap_runtime.preparation import RESAMPLING, Preparation, open_photo, prepare

SQUARE = Preparation(32, 32)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "PNG", exif=exif)


# What each EXIF value means, by the standard: where row 0 and column 0 of the file belong.
ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("orientation", ORIENTED)
def test_exif_orientation_is_honoured(orientation: int, photograph: np.ndarray) -> None:
    source = with_orientation(Image.fromarray(photograph), orientation)
    np.testing.assert_array_equal(np.asarray(open_photo(source)), ORIENTED[orientation](photograph))


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_orientation_and_draft_together(orientation: int, fit: str, photograph: np.ndarray) -> None:
    large = Image.fromarray(photograph).resize((1600, 1200), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = encoded(large, "JPEG", exif=exif, quality=95)
    wanted = Preparation(48, 64, fit=fit)
    upright = Image.fromarray(ORIENTED[orientation](np.asarray(large)))
    difference = prepare(source, wanted).astype(int) - prepare(upright, wanted)
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_is_turned_once(orientation: int, photograph: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = encoded(Image.fromarray(photograph), "TIFF", exif=exif)
    np.testing.assert_array_equal(np.asarray(open_photo(source)), ORIENTED[orientation](photograph))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_leaves_the_picture(photograph: np.ndarray) -> None:
    source = encoded(Image.fromarray(photograph), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert open_photo(source).size == (80, 60)


def test_all_kinds_of_source_give_the_same(tmp_path: Path, photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph)
    path = tmp_path / "photo.png"
    image.save(path)
    expected = prepare(photograph, SQUARE)
    assert expected.shape == (32, 32, 3)
    assert expected.dtype == np.uint8
    content = path.read_bytes()
    for source in (path, str(path), content, bytearray(content), memoryview(content), image):
        np.testing.assert_array_equal(prepare(source, SQUARE), expected)


def test_a_pillow_image_is_left_as_it_was(photograph: np.ndarray) -> None:
    large = Image.fromarray(photograph).resize((1600, 1200))
    image = Image.open(io.BytesIO(encoded(large, "JPEG")))
    prepare(image, SQUARE)
    assert image.size == (1600, 1200)


def test_stretch_equals_pillows_resize(photograph: np.ndarray) -> None:
    for name, resampling in RESAMPLING.items():
        expected = Image.fromarray(photograph).resize((20, 30), resampling)
        wanted = Preparation(height=30, width=20, resampling=name)
        np.testing.assert_array_equal(prepare(photograph, wanted), np.asarray(expected))


def test_crop_keeps_the_centre_and_the_proportions() -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (10, 200, 30)
    cropped = prepare(wide, Preparation(20, 20, fit="crop", resampling="nearest"))
    np.testing.assert_array_equal(cropped, np.full((20, 20, 3), (10, 200, 30), np.uint8))


def test_cmyk_becomes_rgb(photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph)
    source = encoded(image.convert("CMYK"), "JPEG", quality=95)
    difference = np.asarray(open_photo(source)).astype(int) - photograph
    assert np.abs(difference).mean() < 3


def test_palette(photograph: np.ndarray) -> None:
    palette = Image.fromarray(photograph).quantize(16)
    np.testing.assert_array_equal(
        np.asarray(open_photo(encoded(palette, "PNG"))), np.asarray(palette.convert("RGB"))
    )


def rgba_square(alpha: int) -> np.ndarray:
    return np.broadcast_to(np.array([200, 100, 0, alpha], np.uint8), (4, 4, 4)).copy()


@pytest.mark.parametrize(
    ("alpha", "expected"), [(255, (200, 100, 0)), (0, (255, 255, 255)), (51, (244, 224, 204))]
)
def test_alpha_lies_over_white(alpha: int, expected: tuple[int, ...]) -> None:
    pixels = rgba_square(alpha)
    for source in (pixels, encoded(Image.fromarray(pixels), "PNG")):
        np.testing.assert_allclose(np.asarray(open_photo(source))[0, 0], expected, atol=1)


def test_transparency_by_key_lies_over_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    source = encoded(palette, "PNG", transparency=1)
    np.testing.assert_array_equal(np.asarray(open_photo(source))[0], [[255, 0, 0], [255] * 3])
    colour = encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    np.testing.assert_array_equal(np.asarray(open_photo(colour))[0, 0], [255, 255, 255])


def test_grey_with_alpha() -> None:
    image = Image.new("LA", (1, 1), (0, 0))
    np.testing.assert_array_equal(np.asarray(open_photo(encoded(image, "PNG")))[0, 0], [255] * 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_is_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 257, 1000, 32896, 65278, 65535]], np.uint16)
    grey = np.asarray(open_photo(encoded(Image.fromarray(deep), kind)))[0, :, 0]
    np.testing.assert_array_equal(grey, [0, 1, 4, 128, 254, 255])


def test_one_bit_and_grey() -> None:
    assert np.asarray(open_photo(encoded(Image.new("1", (1, 1), 1), "PNG"))).tolist() == [
        [[255] * 3]
    ]
    assert open_photo(np.full((5, 7), 9, np.uint8)).getpixel((0, 0)) == (9, 9, 9)


def test_the_first_frame_is_taken() -> None:
    red, blue = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    source = encoded(red, "GIF", save_all=True, append_images=[blue])
    assert open_photo(source).getpixel((0, 0)) == (255, 0, 0)


@pytest.fixture(scope="module")
def large() -> bytes:
    """A JPEG of 3000 x 2000: smooth shapes with a bit of noise, as cameras give."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (20, 30, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((3000, 2000), Image.Resampling.BICUBIC)).astype(int)
    noisy = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(noisy), "JPEG", quality=92)


class TestDraft:
    """A large JPEG is decoded smaller: how much smaller, and what that changes."""

    @pytest.mark.parametrize("resampling", ["bilinear", "bicubic", "lanczos", "hamming"])
    def test_the_change_is_bounded(self, large: bytes, resampling: str) -> None:
        wanted = Preparation(224, 224, resampling=resampling)
        drafted = prepare(large, wanted).astype(int)
        whole = Image.open(io.BytesIO(large))
        whole.load()
        difference = np.abs(drafted - prepare(whole, wanted))
        # Measured: at most 3, mean .26. Hard edges a few pixels wide change by up to 10.
        assert difference.max() <= 4
        assert difference.mean() <= 0.5

    def test_never_smaller_than_twice_the_size(self, large: bytes) -> None:
        for side in (32, 100, 224, 400, 700, 1400):
            for fit in ("stretch", "crop"):
                wanted = Preparation(side, side, fit=fit)
                size = open_photo(large, wanted).size
                covering = wanted.covering(3000, 2000)
                full = size == (3000, 2000)
                assert full or (size[0] >= 2 * covering[0] and size[1] >= 2 * covering[1])
        assert open_photo(large, Preparation(224, 224)).size == (750, 500)

    @pytest.mark.parametrize("resampling", ["nearest", "box"])
    def test_hard_edged_filters_are_never_drafted(self, large: bytes, resampling: str) -> None:
        wanted = Preparation(224, 224, resampling=resampling)
        assert open_photo(large, wanted).size == (3000, 2000)
        whole = Image.open(io.BytesIO(large)).convert("RGB")
        expected = whole.resize((224, 224), RESAMPLING[resampling])
        np.testing.assert_array_equal(prepare(large, wanted), np.asarray(expected))

    def test_without_a_preparation_the_size_is_whole(self, large: bytes) -> None:
        assert open_photo(large).size == (3000, 2000)


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 60000 x 60000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def test_a_bomb_is_refused() -> None:
    with pytest.raises(ImageError, match="pixels"):
        open_photo(bomb())


def test_a_bomb_is_refused_where_pillows_own_check_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="60000 x 60000 pixels"):
        open_photo(bomb())


def test_bad_photographs_are_named(tmp_path: Path, photograph: np.ndarray) -> None:
    empty, text, cut = tmp_path / "empty.jpg", tmp_path / "text.jpg", tmp_path / "cut.jpg"
    empty.write_bytes(b"")
    text.write_text("no picture")
    whole = encoded(Image.fromarray(photograph), "JPEG")
    cut.write_bytes(whole[: len(whole) // 2])
    for path, what in (
        (empty, r"empty \(0 bytes\)"),
        (text, "no image"),
        (cut, "broken"),
        (tmp_path / "none.jpg", "Unable to find"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(ImageError, match=what) as caught:
            prepare(path, SQUARE)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        b"",
        7,
        None,
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        Image.new("F", (2, 2)),
        "with\0null.jpg",
    ],
    ids=[
        "empty bytes",
        "number",
        "None",
        "float array",
        "two channels",
        "no rows",
        "one dimension",
        "float picture",
        "null in path",
    ],
)
def test_bad_sources(source: object) -> None:
    with pytest.raises(ImageError):
        prepare(source, SQUARE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "illegal",
    [
        {"height": 0},
        {"width": 1.5},
        {"height": True},
        {"fit": "pad"},
        {"resampling": "cubic"},
        {"channels": "BGR"},
        {"resampling": ["box"]},
    ],
    ids=str,
)
def test_illegal_preparations_name_the_value(illegal: dict[str, object]) -> None:
    values: dict[str, object] = {"height": 8, "width": 8, **illegal}
    with pytest.raises(OptionError) as caught:
        Preparation(**values)  # type: ignore[arg-type]
    assert repr(next(iter(illegal.values()))) in str(caught.value)
