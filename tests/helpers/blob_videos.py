"""Small videos of a bright disc on a dark ground, and a network that takes the disc for an infant."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from made_up_models import maps_spec

from edgepose.codec import Codec
from edgepose.keypoints import IN_MOTION_19

K = len(IN_MOTION_19)
MODEL = Path("blob-int8-maps.tflite")
# Keypoints on the disc, in radii from its centre; the head is a fifth of the radius.
_RNG = np.random.default_rng(5)
PATTERN = _RNG.uniform(-0.7, 0.7, (K, 2))
PATTERN[IN_MOTION_19.index("upper_neck")] = PATTERN[IN_MOTION_19.index("head_top")] + (0.0, 0.5)


def disc(size: tuple[int, int], discs: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """A picture (H, W, 3) of discs (x, y, radius)."""
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    image = np.full((*size, 3), 20, np.uint8)
    for x, y, radius in discs:
        image[np.hypot(xs - x, ys - y) <= radius] = 230
    return image


def truth(x: float, y: float, radius: float) -> np.ndarray:
    """(K, 2) of one disc."""
    return np.array([x, y]) + radius * PATTERN


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    rate: int = 25,
    pts: Sequence[int] | None = None,
    rotation: int | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures; `pts` in units of 1 / rate s."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i if pts is None else pts[i], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class BlobFinder:
    """Puts keypoints on every disc of the canvas; sees nothing of a disc below `least` px in radius.

    Maps, as a network's; the stronger disc is the larger one.
    """

    detector = None

    def __init__(
        self, path: Path = MODEL, threads: int = 1, least: float = 6.0, counted: bool = False
    ) -> None:
        self.least, self.calls = least, 0
        self.spec = maps_spec(path, "int8", "blobs")

    def run(self, inputs: np.ndarray) -> np.ndarray:
        from scipy.ndimage import find_objects, label

        self.calls += 1
        canvas = (inputs[0] - self.spec.normalisation.offset) / self.spec.normalisation.scale
        labels, _ = label(canvas.mean(-1) > 125)
        maps = np.zeros((1, 28, 28, K), np.float32)
        for number, place in enumerate(find_objects(labels), 1):
            rows, columns = np.nonzero(labels == number)
            radius = max(s.stop - s.start for s in place) / 2
            if radius >= self.least:
                centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
                own, _ = Codec((224, 224), (28, 28)).encode((centre + radius * PATTERN)[None])
                maps = np.maximum(maps, 0.8 * own)
        return maps


def no_bar(title: str, unit: str) -> Any:
    """A progress that nobody sees."""
    from contextlib import nullcontext

    return nullcontext(lambda done, total: None)
