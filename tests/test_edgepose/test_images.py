"""Odd images become 8-bit RGB, and hostile ones become one line."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgepose.data import image_folder
from edgepose.data.images import MAX_PIXELS, decode_parallel, image_size, page_count, read_image
from edgepose.errors import BadImage

ORIENTATION = 0x0112


def gradient(height: int = 12, width: int = 20) -> np.ndarray:
    """(H, W, 3) uint8 with no symmetry at all."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (3 * x + 5 * y) % 256], axis=-1).astype(np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_rgb_is_read_as_stored(tmp_path: Path, suffix: str) -> None:
    path = save(
        tmp_path / f"a{suffix}", Image.fromarray(gradient()), **({"lossless": True} if "w" in suffix else {})
    )
    image = read_image(path)
    np.testing.assert_array_equal(image, gradient())
    assert image.flags.writeable and image.flags.c_contiguous and image.dtype == np.uint8
    assert image_size(path) == (12, 20)


def test_grey_palette_and_one_bit(tmp_path: Path) -> None:
    grey = gradient()[..., 2]
    read = read_image(save(tmp_path / "l.png", Image.fromarray(grey)))
    np.testing.assert_array_equal(read, np.repeat(grey[..., None], 3, axis=2))
    palette = Image.fromarray(gradient()).quantize(200)
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "p.png", palette)), np.asarray(palette.convert("RGB"))
    )
    bits = Image.fromarray(grey > 100)
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "b.png", bits))[..., 0], (grey > 100) * np.uint8(255)
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, suffix: str, order: str) -> None:
    values = np.array([[0, 128, 129, 257, 300, 32768, 65407, 65535]], dtype=np.uint16)
    mode = {"<u2": "I;16", ">u2": "I;16B"}[order]
    stored = Image.frombytes(mode, (8, 1), values.astype(order).tobytes())
    image = read_image(save(tmp_path / f"a{suffix}", stored))
    np.testing.assert_array_equal(image[0, :, 0], np.round(values[0] / 257).astype(np.uint8))
    assert image[0, :, 0].tolist() == [0, 0, 1, 1, 1, 128, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_a_sample_are_refused(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.tif", Image.new(mode, (4, 4)))
    with pytest.raises(BadImage, match=r"a\.tif has 32 bits a sample.*convert"):
        read_image(path)


def test_alpha_is_laid_over_black(tmp_path: Path) -> None:
    rgba = np.dstack([gradient(), np.full((12, 20), 255, np.uint8)])
    rgba[:, :10, 3] = 0
    rgba[0, 10:, 3] = 128
    image = read_image(save(tmp_path / "rgba.png", Image.fromarray(rgba)))
    assert image[:, :10].max() == 0
    np.testing.assert_array_equal(image[1:, 10:], gradient()[1:, 10:])
    np.testing.assert_allclose(image[0, 10:], gradient()[0, 10:] * (128 / 255), atol=1)
    grey_alpha = Image.merge("LA", [Image.new("L", (2, 1), 200), Image.frombytes("L", (2, 1), b"\x00\xff")])
    assert read_image(save(tmp_path / "la.png", grey_alpha))[0].tolist() == [[0, 0, 0], [200, 200, 200]]


def test_transparent_palette_entry_is_black(tmp_path: Path) -> None:
    palette = Image.frombytes("P", (2, 1), b"\x00\x01")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    image = read_image(save(tmp_path / "p.png", palette, transparency=0))
    assert image[0].tolist() == [[0, 0, 0], [0, 255, 0]]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    cmyk = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    image = read_image(save(tmp_path / "a.jpg", cmyk, quality=95))
    np.testing.assert_allclose(image, np.broadcast_to([200, 40, 90], image.shape), atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_rotation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(tmp_path / f"a{suffix}", Image.fromarray(gradient()), exif=exif)
    with Image.open(path) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    image = read_image(path)
    np.testing.assert_array_equal(image, upright)
    assert image_size(path) == image.shape[:2] == ((20, 12) if orientation >= 5 else (12, 20))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # pytest drops the filter set at import
def test_damaged_exif_does_not_hide_a_good_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(gradient()), exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(path).shape == (12, 20, 3)


def test_one_pixel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (1, 1), (1, 2, 3)))
    assert read_image(path).tolist() == [[[1, 2, 3]]]
    assert image_size(path) == (1, 1)


@pytest.mark.parametrize("reader", [read_image, image_size])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, reader: object) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20_000, 20_000))
    with pytest.raises(BadImage, match=r"bomb\.png has 20000 x 20000 pixels; shrink it to at most 100 mega"):
        reader(path)  # type: ignore[operator]


def test_the_limit_itself_is_allowed_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_header(MAX_PIXELS // 5000, 5000))
    assert image_size(path) == (5000, MAX_PIXELS // 5000)
    path.write_bytes(png_header(MAX_PIXELS // 5000 + 1, 5000))
    with pytest.raises(BadImage, match="shrink"):
        image_size(path)


def truncated_jpeg(path: Path) -> None:
    Image.fromarray(gradient(200, 300)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-2000])


def truncated_png(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:4000])


BAD = {
    "missing": (lambda p: None, "does not exist"),
    "empty": (lambda p: p.touch(), "is empty"),
    "folder": (lambda p: p.mkdir(), "is a folder"),
    "text": (lambda p: p.write_text("not an image"), "is not an image that we read"),
    "gif": (
        lambda p: Image.new("L", (4, 4)).save(p, format="GIF"),
        "convert it to JPEG, PNG, BMP, TIFF, WEBP, AVIF or HEIF",
    ),
    "truncated JPEG": (truncated_jpeg, "cannot be decoded"),
    "truncated PNG": (truncated_png, "cannot be decoded"),
    "PNG without pixels": (lambda p: p.write_bytes(png_header(8, 8)), "cannot be decoded"),
    "JPEG's first bytes": (lambda p: p.write_bytes(b"\xff\xd8\xff\xe0"), "cannot be decoded|is not an image"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_one_line_that_names_it(tmp_path: Path, case: str) -> None:
    make, text = BAD[case]
    path = tmp_path / "frame.jpg"
    make(path)  # type: ignore[no-untyped-call]
    with pytest.raises(BadImage, match=text) as caught:
        read_image(path)
    assert "frame.jpg" in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_parallel_decoding_keeps_order_and_goes_on_after_bad_files(tmp_path: Path) -> None:
    paths = []
    for i in range(30):
        path = tmp_path / f"{i}.png"
        if i % 7 == 3:
            path.write_text("bad")
        else:
            Image.new("RGB", (1 + (i * 13) % 40, 1), (i, 0, 0)).save(path)
        paths.append(path)
    results = list(decode_parallel(paths, workers=4))
    assert [path for path, _ in results] == paths
    for i, (_, image) in enumerate(results):
        if i % 7 == 3:
            assert isinstance(image, BadImage)
        else:
            assert isinstance(image, np.ndarray) and image[0, 0, 0] == i


def test_parallel_decoding_looks_only_so_far_ahead(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (2, 2)))
    taken = 0

    def paths() -> Iterator[Path]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield path

    before = threading.active_count()
    frames = decode_parallel(paths(), workers=2)
    next(frames)
    assert taken <= 6
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_parallel_decoding_of_nothing() -> None:
    assert list(decode_parallel([])) == []


# Photographs as phones and microscopes' kin store them.


def smooth_picture(height: int = 300, width: int = 500) -> np.ndarray:
    """(H, W, 3) uint8 with no symmetry, which lossy codecs keep."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("tile", [0, 128])
def test_a_heic_is_read_whole(tmp_path: Path, tile: int) -> None:
    """Phones store tiles of 512 px; the first one alone was read as a video of one frame."""
    path = save(tmp_path / "a.heic", Image.fromarray(smooth_picture()), quality=95, tile_size=tile)
    image = read_image(path)
    assert image_size(path) == image.shape[:2] == (300, 500)
    assert np.abs(image.astype(int) - smooth_picture()).mean() < 3
    assert image.flags.writeable and image.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_rotated_photographs_stand_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = Image.fromarray(smooth_picture(60, 100))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored.info["exif"] = exif.tobytes()
    path = save(tmp_path / f"a{suffix}", stored, quality=95, exif=exif.tobytes())
    upright = np.asarray(ImageOps.exif_transpose(stored))
    image = read_image(path)
    assert image_size(path) == image.shape[:2] == upright.shape[:2]
    assert np.abs(image.astype(int) - upright).mean() < 4


def test_a_heic_called_jpg_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.heic", Image.fromarray(smooth_picture()), tile_size=128)
    assert read_image(path.rename(tmp_path / "a.jpg")).shape == (300, 500, 3)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_photograph_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    """Its decoder would leave the missing tiles blank."""
    path = save(tmp_path / f"a{suffix}", Image.fromarray(smooth_picture()))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadImage, match=rf"a\{suffix}"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_16_are_scaled(tmp_path: Path, suffix: str, bits: int) -> None:
    white = 2**bits - 1
    values = np.array([[0, white // 4, white // 2, white]], dtype=np.uint16)
    path = save(tmp_path / f"a{suffix}", Image.frombytes("I;16", (4, 1), values.tobytes()))
    np.testing.assert_allclose(read_image(path)[0, :, 0], [0, 64, 127, 255], atol=1)


def test_a_tiff_says_what_white_is(tmp_path: Path) -> None:
    """A dark picture of 12 bits stays dark."""
    values = np.array([[0, 100, 900]], dtype=np.uint16)
    stored = Image.frombytes("I;16", (3, 1), values.tobytes())
    image = read_image(save(tmp_path / "a.tif", stored, tiffinfo={281: 4095}))
    np.testing.assert_allclose(image[0, :, 0], values[0] * (255 / 4095), atol=0.5)


def test_black_in_16_bits(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", Image.new("I;16", (2, 2)))).max() == 0


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png", ".heic", ".avif"])
def test_pages_are_counted_and_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    pages = [Image.fromarray(np.full((64, 64, 3), value, np.uint8)) for value in (40, 120, 200)]
    path = tmp_path / f"a{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert page_count(path) == 3 and abs(int(read_image(path)[0, 0, 0]) - 40) < 4
    found = image_folder.read(tmp_path)
    assert len(found.records) == 1
    ((left),) = found.left_out
    assert left.name == path.name and left.reason.startswith("pages 2 to 3 are not read")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".heic", ".avif"])
def test_one_page(tmp_path: Path, suffix: str) -> None:
    assert page_count(save(tmp_path / f"a{suffix}", Image.new("RGB", (64, 64)))) == 1
