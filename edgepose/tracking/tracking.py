"""Which part of a picture the network sees: all of it, a fixed box, or the infant that it follows.

Two-stage tracking (`auto`). Stage one looks at the whole picture; where at least half of the keypoints
are confident, a square is laid around them in which the infant takes as much room as in the pictures
that the networks were trained on. Stage two predicts on that square. On the next picture stage two comes
at once, on the square as it follows the pose: it moves a fraction of the way at a time, so that it adds no
jitter of its own; where the infant comes near its edge, it is laid anew and looked at again. When too few
keypoints are confident, the infant is lost, and stage one begins again on the same picture. The whole
picture is also looked at once in `RECHECK` pictures, to see whether a second infant is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edgepose.errors import UsageError
from edgepose.geometry import Box, Size
from edgepose.inference.estimator import Clock, Estimator, Pose
from edgepose.inference.finding import extent, is_found, square

_FOLLOW = 0.2  # of the way to where the infant is
_INSIDE = 0.1  # of the square's side, that the infant must keep from its edge
RECHECK = 30

AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class Crop:
    """What `--crop` asks for.

    Attributes:
        mode: "auto", "none" or "box".
        box: x0, y0, x1, y1 in pixels of the upright picture, of "box".
    """

    mode: str
    box: Box | None = None


def parse_crop(text: str) -> Crop:
    """`auto`, `none` or `x,y,w,h` in pixels; raises UsageError."""
    if text in (AUTO, NONE):
        return Crop(text)
    parts = text.split(",")
    try:
        x, y, w, h = (float(part) for part in parts)
    except ValueError:
        raise UsageError(
            f"--crop {text} is neither auto, none nor x,y,w,h", "write e.g. 100,0,720,720"
        ) from None
    if not all(map(math.isfinite, (x, y, w, h))) or w < 1 or h < 1 or x < 0 or y < 0:
        raise UsageError(
            f"--crop {text} is no box in a picture", "give x, y from 0 and w, h from 1, in pixels"
        )
    return Crop("box", (x, y, x + w, y + h))


def parse_turn(text: str) -> int | None:
    """Right angles, clockwise, of `auto` (None), `0`, `90`, `180` or `270`; raises UsageError."""
    turns = {AUTO: None, **{str(90 * quarters): quarters for quarters in range(4)}}
    if text not in turns:
        raise UsageError(f"--turn {text} is no quarter turn", f"write one of {', '.join(turns)}")
    return turns[text]


def box_inside(box: Box, size: Size) -> None:
    """Refuse a box that reaches outside pictures of `size`; raises UsageError."""
    if box[2] > size[1] or box[3] > size[0]:
        wanted = f"{box[0]:g},{box[1]:g},{box[2] - box[0]:g},{box[3] - box[1]:g}"
        raise UsageError(
            f"--crop {wanted} reaches outside the picture of {size[1]} x {size[0]}", "make it smaller"
        )


class Tracker:
    """Follows one infant from picture to picture.

    Args:
        turns: right angles by which pictures are turned clockwise before the network sees them.
    """

    def __init__(self, estimator: Estimator, turns: int = 0) -> None:
        self._estimator, self.turns = estimator, turns
        self._box: Box | None = None
        self._since_whole = 0
        self.lost = 0  # pictures on which a followed infant was lost
        self.whole = 0  # pictures whose pose comes from the whole picture

    def pose(self, image: np.ndarray, clock: Clock) -> Pose:
        """The infant's pose in the next picture."""
        if self._box is not None:
            found = self._look(image, self._box, clock)
            if _leaves(self._box, found, image.shape[:2]):
                self._box = square(found, image.shape[:2])
                found = self._look(image, self._box, clock)
            if is_found(found):
                self._box = _towards(self._box, square(found, image.shape[:2]))
                return self._checked(found, image, clock)
            self.lost += 1
        return self._search(image, clock)

    def _search(self, image: np.ndarray, clock: Clock) -> Pose:
        """Stage one, and stage two where it finds the infant."""
        wide = self._look(image, None, clock)
        self._since_whole = 0
        self._box = square(wide, image.shape[:2]) if is_found(wide) else None
        if self._box is not None:
            near = self._look(image, self._box, clock)
            if is_found(near):
                return replace(near, doubles=wide.doubles)
            self._box = None
        self.whole += 1
        return wide

    def _checked(self, found: Pose, image: np.ndarray, clock: Clock) -> Pose:
        """With the whole picture's word on second infants, when it is due."""
        self._since_whole += 1
        if self._since_whole < RECHECK:
            return replace(found, doubles=np.nan)
        self._since_whole = 0
        return replace(found, doubles=self._look(image, None, clock).doubles)

    def _look(self, image: np.ndarray, box: Box | None, clock: Clock) -> Pose:
        return self._estimator.pose(self._estimator.place(image, box, clock, self.turns), box is None, clock)


def _leaves(box: Box, pose: Pose, size: Size) -> bool:
    """Whether a found infant comes near an edge of the square that is none of the picture."""
    if not is_found(pose):
        return False
    low, high = extent(pose)
    room = _INSIDE * max(box[2] - box[0], box[3] - box[1])
    first, last = np.array(box[:2]), np.array(box[2:])
    out = (low - room < first) & (first > 0) | (high + room > last) & (last < size[::-1])
    return bool(out.any())


def _towards(box: Box, aim: Box) -> Box:
    """The square for the next picture."""
    x0, y0, x1, y1 = (a + _FOLLOW * (b - a) for a, b in zip(box, aim, strict=True))
    return x0, y0, x1, y1
