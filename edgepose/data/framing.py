"""From records to network inputs: decoded in parallel, framed, letterboxed, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgeio import lookup
from edgepose.data.images import decode_parallel
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage, NobodyFound
from edgepose.geometry import Box, Letterbox, Placement, Size, letterbox

CROPS = ("none", "person")
DEFAULT_MARGIN = 0.2
MIN_SIDE_PX = 1.0

# A person box this many times larger than its image is a broken annotation, and drawing it would
# take memory by the square.
_LARGEST_BOX = 8.0


def person_box(keypoints_px: np.ndarray, margin: float = 0.2) -> Box:
    """The box around the labelled keypoints, plus a margin.

    Args:
        keypoints_px: (K, 2) x, y in pixels, NaN where not labelled.
        margin: added on each side, as a fraction of the box's own width or height, before the margin.

    Returns:
        x0, y0, x1, y1 in continuous pixels; it may reach outside the image, where there are zeros.
        A box around one point, or points in a row, is at least `MIN_SIDE_PX` wide and high.

    Raises:
        ValueError: no keypoint is labelled, or the margin is negative.
    """
    points = np.asarray(keypoints_px, float)
    labelled = points[np.isfinite(points).all(axis=-1)]
    if len(labelled) == 0:
        raise ValueError("no labelled keypoint to crop to")
    if not margin >= 0:
        raise ValueError(f"margin {margin} is negative")
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    short = np.maximum(MIN_SIDE_PX - (high - low), 0) / 2
    low, high = low - short, high + short
    pad = margin * (high - low)
    (x0, y0), (x1, y1) = low - pad, high + pad
    return float(x0), float(y0), float(x1), float(y1)


@dataclass(frozen=True)
class Framing:
    """Which part of an image the network sees.

    Attributes:
        crop: "none", the whole image; or "person", the labelled keypoints plus a margin.
        margin: share of the person box's width and height added on each side.
    """

    crop: str = "none"
    margin: float = DEFAULT_MARGIN

    def __post_init__(self) -> None:
        lookup(dict.fromkeys(CROPS), "crop", self.crop)

    def letterbox(self, record: PoseRecord, image_size: Size, size: Size) -> Letterbox:
        """Where the record's image goes on a canvas of `size`; raises BadImage for an absurd box."""
        if self.crop == "none":
            return letterbox(image_size, size)
        if not np.isfinite(record.keypoints_px).all(-1).any():
            raise BadImage(f"{record.image} has no labelled keypoint to crop to", "score it with --crop none")
        box = person_box(record.keypoints_px, self.margin)
        if max(box[2] - box[0], box[3] - box[1]) > _LARGEST_BOX * max(image_size):
            raise BadImage(f"{record.image} has keypoints far outside the image", "correct its annotation")
        return letterbox(image_size, size, box)


@dataclass(frozen=True)
class Input:
    """One record as the network sees it.

    Attributes:
        canvas: (h, w, 3) uint8 RGB.
        placed: where the image lies on the canvas.
    """

    record: PoseRecord
    canvas: np.ndarray
    placed: Placement


class FirstStage(Protocol):
    """What finds the part of an image that a network is to see."""

    @property
    def input_size(self) -> Size:
        """(height, width) of its own canvas."""
        ...

    def find(self, image: np.ndarray, looked: Letterbox, size: Size) -> Placement | None:
        """The part of an image (H, W, 3) uint8 for a canvas of `size`; None where nobody is found.

        Args:
            looked: how the image, or the part to look at, lies on the first stage's own canvas.
        """
        ...


def prepare(
    records: Sequence[PoseRecord],
    size: Size,
    framing: Framing,
    workers: int = 2,
    first_stage: FirstStage | None = None,
) -> Iterator[Input | tuple[PoseRecord, BadImage]]:
    """Decode records and draw them on the network's canvas, in their order.

    A bad image comes with its error in its place; one where `first_stage` finds nobody, with `NobodyFound`.

    Args:
        first_stage: looks at what `framing` chose, and chooses what the network sees.
    """
    images = decode_parallel([record.image for record in records], workers)
    for record, (_, image) in zip(records, images, strict=True):
        if isinstance(image, BadImage):
            yield record, image
            continue
        try:
            looked = framing.letterbox(
                record, image.shape[:2], size if first_stage is None else first_stage.input_size
            )
        except BadImage as error:
            yield record, error
            continue
        placed = looked if first_stage is None else first_stage.find(image, looked, size)
        if placed is None:
            yield record, NobodyFound(f"the detector finds nobody in {record.image}", "look at the image")
        else:
            yield Input(record, placed.draw(image), placed)
