"""From records to network inputs: decoded in parallel, framed, letterboxed, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeio import lookup
from edgepose.data.crop import person_box
from edgepose.data.images import decode_parallel
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage
from edgepose.geometry import Letterbox, Size, letterbox

CROPS = ("none", "person")
DEFAULT_MARGIN = 0.2

# A person box this many times larger than its image is a broken annotation, and drawing it would
# take memory by the square.
_LARGEST_BOX = 8.0


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
    placed: Letterbox


def prepare(
    records: Sequence[PoseRecord], size: Size, framing: Framing, workers: int = 2
) -> Iterator[Input | tuple[PoseRecord, BadImage]]:
    """Decode and letterbox records, in their order; a bad image comes with its error in its place."""
    images = decode_parallel([record.image for record in records], workers)
    for record, (_, image) in zip(records, images, strict=True):
        if isinstance(image, BadImage):
            yield record, image
            continue
        try:
            placed = framing.letterbox(record, image.shape[:2], size)
        except BadImage as error:
            yield record, error
            continue
        yield Input(record, placed.draw(image), placed)
