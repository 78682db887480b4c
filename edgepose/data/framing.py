"""From records to network inputs: decoded in parallel, framed, letterboxed, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from edgeio import lookup
from edgeio.ahead import side_by_side
from edgepose.data.images import decode_parallel, read_image
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage, NobodyFound
from edgepose.geometry import Box, Letterbox, Placement, Size, letterbox, quarter_turn
from edgepose.keypoints import KeypointSet

CROPS = ("none", "person")
TURNS = ("none", "upright")
FOUND = "found"  # crop or turn by the network itself, without the labels (`inference.finding`)
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


def upright_turns(keypoints_px: np.ndarray, keypoints: KeypointSet) -> int:
    """Right angles, clockwise, that bring the labelled trunk closest to head-up; 0 where it is not labelled.

    The trunk points from the hips (or pelvis) to the shoulders, or else to the nose.

    Args:
        keypoints_px: (K, 2) x, y in pixels, NaN where not labelled.
    """
    low = _middle(keypoints_px, keypoints, ("hip", "pelvis"))
    high = _middle(keypoints_px, keypoints, ("shoulder",))
    if np.isnan(high).any() and "nose" in keypoints.names:
        high = keypoints_px[keypoints.index("nose")]
    x, y = high - low
    if not np.isfinite([x, y]).all() or (x == 0 and y == 0):
        return 0
    # Clockwise on screen: a trunk that points left comes up after one turn, one to the right after three.
    return int(np.argmax([-y, -x, y, x]))


def _middle(points: np.ndarray, keypoints: KeypointSet, parts: tuple[str, ...]) -> np.ndarray:
    """Midway between left and right of the first part that the set has; NaN where one is not labelled."""
    for part in parts:
        pair = [f"left_{part}", f"right_{part}"]
        if all(name in keypoints.names for name in pair):
            return np.asarray(points[[keypoints.index(name) for name in pair]].mean(0))
    return np.full(2, np.nan)


class Placing(Protocol):
    """Where each record's image goes on a canvas; `plain` tells two apart, as JSON."""

    def plain(self) -> Any: ...

    def letterbox(self, record: PoseRecord, image_size: Size, size: Size) -> Letterbox: ...


@dataclass(frozen=True)
class Framing:
    """Which part of an image the network sees, and which way up.

    Attributes:
        crop: "none", the whole image; or "person", the labelled keypoints plus a margin.
        margin: share of the person box's width and height added on each side.
        turn: "none"; or "upright", the quarter turn that brings the labelled trunk closest to head-up.
        keypoints: of the records; needed to turn.
    """

    crop: str = "none"
    margin: float = DEFAULT_MARGIN
    turn: str = "none"
    keypoints: KeypointSet | None = None

    def __post_init__(self) -> None:
        lookup(dict.fromkeys(CROPS), "crop", self.crop)
        lookup(dict.fromkeys(TURNS), "turn", self.turn)
        if self.turn != "none" and self.keypoints is None:
            raise ValueError("a turn needs the keypoint set")

    def plain(self) -> dict[str, Any]:
        return {"crop": self.crop, "margin": self.margin, "turn": self.turn}

    def letterbox(self, record: PoseRecord, image_size: Size, size: Size) -> Letterbox:
        """Where the record's image goes on a canvas of `size`; raises BadImage for an absurd box."""
        points, turns = record.keypoints_px, 0
        if self.turn == "upright" and self.keypoints is not None:
            turns = upright_turns(points, self.keypoints)
            points = quarter_turn(turns, image_size).apply(points)
        if self.crop == "none":
            return letterbox(image_size, size, turns=turns)
        if not np.isfinite(points).all(-1).any():
            raise BadImage(f"{record.image} has no labelled keypoint to crop to", "score it with --crop none")
        box = person_box(points, self.margin)
        if max(box[2] - box[0], box[3] - box[1]) > _LARGEST_BOX * max(image_size):
            raise BadImage(f"{record.image} has keypoints far outside the image", "correct its annotation")
        return letterbox(image_size, size, box, turns)


@dataclass(frozen=True)
class Input:
    """One record as the network sees it.

    Attributes:
        canvas: (h, w, 3) uint8 RGB.
        placed: where the image lies on the canvas.
        image_size: (height, width) of the image.
    """

    record: PoseRecord
    canvas: np.ndarray
    placed: Placement
    image_size: Size = (0, 0)


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
    framing: Placing,
    workers: int = 2,
    first_stage: FirstStage | None = None,
) -> Iterator[Input | tuple[PoseRecord, BadImage]]:
    """Decode records and draw them on the network's canvas, in their order.

    A bad image comes with its error in its place; one where `first_stage` finds nobody, with `NobodyFound`.

    Args:
        first_stage: looks at what `framing` chose, and chooses what the network sees.
    """
    if first_stage is None:
        depth = 2 * workers + 1
        yield from side_by_side(records, [partial(_prepared, size=size, framing=framing)] * workers, depth)
        return
    images = decode_parallel([record.image for record in records], workers)
    for record, (_, image) in zip(records, images, strict=True):
        if isinstance(image, BadImage):
            yield record, image
            continue
        try:
            looked = framing.letterbox(record, image.shape[:2], first_stage.input_size)
        except BadImage as error:
            yield record, error
            continue
        placed = first_stage.find(image, looked, size)
        if placed is None:
            yield record, NobodyFound(f"the detector finds nobody in {record.image}", "look at the image")
        else:
            yield Input(record, placed.draw(image), placed, image.shape[:2])


def _prepared(record: PoseRecord, size: Size, framing: Placing) -> Input | tuple[PoseRecord, BadImage]:
    """One record, all of it on the thread that decodes it: drawing takes as long as decoding."""
    try:
        image = read_image(record.image)
        placed = framing.letterbox(record, image.shape[:2], size)
    except BadImage as error:
        return record, error
    return Input(record, placed.draw(image), placed, image.shape[:2])
