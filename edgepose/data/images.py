"""Image files to RGB arrays: the only place that decodes images, hostile or merely odd ones included."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, UnidentifiedImageError

from edgepose.errors import BadImage

# Phones give 50 megapixels and 8K video 33. A decoded image of this size takes 300 MB.
MAX_PIXELS = 100_000_000
# A short list keeps Pillow's rarely used parsers away from hostile files.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "AVIF", "HEIF")
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"),
    *(".avif", ".heic", ".heif", ".hif"),
)

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = (5, 6, 7, 8)
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_DEPTHS = (8, 10, 12, 14, 16)  # bits of sensors, which many programs store in 16 without scaling
_TIFF_MAX_VALUE = 281
# Of these, a file can hold several pictures that all count. A JPEG's others are previews and gain maps.
_PAGED = ("PNG", "TIFF", "WEBP", "AVIF", "HEIF")
_BOXED = ("AVIF", "HEIF")
_PAGED_SUFFIXES = tuple(s for s in SUFFIXES if s not in (".jpg", ".jpeg", ".bmp"))
_WITH_ALPHA = ("LA", "RGBA", "PA", "La", "RGBa")

# MAX_PIXELS, checked before decoding, stands in for Pillow's own limit, which warns where it should refuse.
Image.MAX_IMAGE_PIXELS = None
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
# Remarks on odd metadata mean nothing to our users. Process-wide, since catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decode an image file as it is meant to be seen.

    EXIF rotation is applied, and HEIF's own; the tiles of a HEIC or AVIF are put together. Transparent
    images are laid over black, the letterbox's own padding. 16-bit grey is scaled so that white becomes 255:
    white is what a TIFF says it is, else the highest value of the fewest bits, of 8, 10, 12, 14 or 16, that
    hold the brightest pixel. CMYK becomes RGB without its colour profile. Of several pages or frames the
    first is taken; `page_count` tells of the others.

    Args:
        path: JPEG, PNG, BMP, TIFF, WebP, AVIF or HEIF (HEIC), of at most `MAX_PIXELS`.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and writeable.

    Raises:
        BadImage: missing, empty, a folder, not an image, truncated, too large, or 32 bits a sample.
    """
    with _opened(path) as image:
        # Before decoding: Pillow's TIFF reader turns the image itself, and then forgets the tag.
        orientation = _orientation(image)
        image.load()
        rgb = _rgb(image, path)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
        return np.array(rgb)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) that `read_image` would return, from the header alone.

    Raises:
        BadImage: missing, empty, a folder, not an image, or too large.
    """
    with _opened(path) as image:
        width, height = image.size
        return (width, height) if _orientation(image) in _SWAPS_SIDES else (height, width)


def page_count(path: str | os.PathLike[str]) -> int:
    """How many pages or frames an image file holds, of which `read_image` takes the first; from the header.

    Raises:
        BadImage: missing, empty, a folder, not an image, or too large.
    """
    if Path(path).suffix.lower() not in _PAGED_SUFFIXES:
        return 1
    with _opened(path) as image:
        return int(getattr(image, "n_frames", 1)) if image.format in _PAGED else 1


def other_pages(count: int) -> str:
    """What there is to say of a file of `count` pages, more than one."""
    which = "page 2 is" if count == 2 else f"pages 2 to {count} are"
    return f"{which} not read: save pages as images of their own, and an animation as a video"


def decode_parallel(
    paths: Iterable[Path], workers: int | None = None
) -> Iterator[tuple[Path, np.ndarray | BadImage]]:
    """Decode images on several threads, in order, a bounded number ahead of the caller.

    Args:
        paths: image files; read lazily.
        workers: threads, at least 1; by default one a core, at most 8.

    Yields:
        (path, (H, W, 3) uint8 RGB), or (path, BadImage) for a file that cannot be used, so that the
        caller may list it and go on.
    """
    count = workers or min(os.cpu_count() or 1, 8)
    ahead: deque[tuple[Path, Future[np.ndarray | BadImage]]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="decode")
    try:
        for path in paths:
            ahead.append((path, pool.submit(_read_or_error, path)))
            if len(ahead) > 2 * count:
                done, future = ahead.popleft()
                yield done, future.result()
        while ahead:
            done, future = ahead.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_or_error(path: Path) -> np.ndarray | BadImage:
    try:
        return read_image(path)
    except BadImage as error:
        return error


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """The open image with its header read and its size accepted; whatever fails becomes BadImage."""
    _check_file(Path(path))
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format in _BOXED and _is_cut_off(Path(path)):
                raise BadImage(f"{path} is cut off", "copy or export it again")
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(
                    f"{path} has {image.width} x {image.height} pixels",
                    f"shrink it to at most {MAX_PIXELS // 1_000_000} megapixels",
                )
            yield image
    except (BadImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise BadImage(f"{path} is not an image that we read", _convert()) from None
    except PermissionError:
        raise BadImage(f"{path} may not be read", "give yourself permission to read it") from None
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged bytes
        raise BadImage(f"{path} cannot be decoded ({error})", "copy or export it again") from None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise BadImage(f"{path} is a folder", "give an image file")
    if not path.exists():
        raise BadImage(f"{path} does not exist", "check the path")
    if not path.is_file():
        raise BadImage(f"{path} is not a regular file", "give an image file")
    if path.stat().st_size == 0:
        raise BadImage(f"{path} is empty", "copy or export it again")


def _is_cut_off(path: Path) -> bool:
    """Whether a box of an ISO base media file ends beyond it: decoders leave the missing tiles blank."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as handle:
        while at < size:
            handle.seek(at)
            head = handle.read(16)
            length = int.from_bytes(head[:4])
            if length == 1:  # the length follows in 64 bits
                length = int.from_bytes(head[8:16])
            if length == 0:  # up to the end
                return False
            if length < 8:
                return True
            at += length
    return at > size


def _convert() -> str:
    return f"convert it to {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation that is still to be applied, 1 to 8."""
    if image.format == "TIFF":
        return 1  # Pillow applies it, to the size in the header too
    try:
        # The base class's method: PNG's own decodes the whole image to look for a late EXIF chunk.
        return int(Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF in a good image: shown as stored, as every viewer does
        return 1


def _rgb(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    """Any of Pillow's modes as 8-bit RGB."""
    if image.mode in _GREY_16:
        # convert() would clip at 255 instead of scaling.
        wide = np.asarray(image).astype(np.uint32)
        white = _white(image, int(wide.max()))
        return Image.fromarray(((wide * 255 + white // 2) // white).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadImage(f"{path} has 32 bits a sample and no defined white", "convert it to 8 or 16 bits")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")


def _white(image: Image.Image, brightest: int) -> int:
    """The value of white in 16-bit grey."""
    tags = getattr(image, "tag_v2", {})  # TIFF's
    said = tags.get(_TIFF_MAX_VALUE)
    said = said[0] if isinstance(said, tuple) and said else said
    if isinstance(said, int) and max(brightest, 1) <= said < 2**16:
        return said
    return next(2**bits - 1 for bits in _DEPTHS if brightest < 2**bits)
