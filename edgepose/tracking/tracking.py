"""Which part of a picture the network sees: all of it, a fixed box, or the infant that it follows.

Two-stage tracking (`auto`). Stage one looks at the whole picture; where at least half of the keypoints
are confident, a square is laid around them in which the infant takes as much room as in the pictures
that the networks were trained on. Stage two predicts on that square. On the next pictures stage two comes
at once, on the square as it follows the poses: it moves a fraction of the way for each of them, so that it
adds no jitter of its own; where the infant comes near its edge, it is laid anew and looked at again. When too
few keypoints are confident, the infant is lost, and stage one begins again on the same picture. The whole
picture is also looked at once in `RECHECK` pictures, to see whether a second infant is there; where nobody is
followed then, as on the first picture, the infant is searched for in windows of the picture too
(`inference/finding.py`).

**The square follows `BEHIND` pictures late.** What is found in one picture depends on that picture and on the
poses up to `BEHIND` pictures before it: so as many pictures are looked at at once, and the result is the same
however many threads there are. While nobody is followed, each picture waits for the one before.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from edgepose.errors import UsageError
from edgepose.geometry import Box, Size
from edgepose.inference.estimator import Clock, Estimator, Pose
from edgepose.inference.finding import extent, find, is_found, square, with_second

_FOLLOW = 0.4  # of the way to where the infant is
_INSIDE = 0.1  # of the square's side, that the infant must keep from its edge
RECHECK = 90  # a second infant is looked for with some ten looks
BEHIND = 4  # frames of the file: an eighth of a second, and four cores

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


@dataclass(frozen=True)
class Sight:
    """What one picture tells.

    Attributes:
        laid: the square that was laid for this picture: anew, since the infant came near the edge of its own,
            or about an infant that was searched for. None where its own did, and where nobody was found.
        aim: the square about the pose of an infant that was followed; None where it was searched for.
        missed: it was searched for since it was not in the square that it was followed in.
    """

    pose: Pose
    laid: Box | None = None
    aim: Box | None = None
    missed: bool = False


@dataclass(frozen=True)
class Look:
    """How a picture is to be looked at.

    Attributes:
        box: the square that the infant is followed in; None where it is looked for in the whole picture.
        recheck: whether the whole picture's word on second infants is due, or the thorough search for the
            infant.
        turns: right angles by which the picture is turned clockwise before the network sees it.
    """

    box: Box | None = None
    recheck: bool = False
    turns: int = 0

    def at(self, estimator: Estimator, image: np.ndarray, clock: Clock) -> Sight:
        """Look at a picture (H, W, 3); depends on nothing else."""

        def see(box: Box | None) -> Pose:
            return estimator.pose(estimator.place(image, box, clock, self.turns), box is None, clock)

        size, laid = (image.shape[0], image.shape[1]), None
        if self.box is not None:
            found = see(self.box)
            if _leaves(self.box, found, size):
                laid = square(found, size)
                found = see(laid)
            if is_found(found):
                if self.recheck:
                    found = with_second(estimator, image, found, self.turns, clock)
                else:
                    found = replace(found, doubles=np.nan)
                return Sight(found, laid, square(found, size))
        missed = self.box is not None
        if self.recheck:
            near, _ = find(estimator, image, True, self.turns, clock)
            if is_found(near):
                near = with_second(estimator, image, near, self.turns, clock)
                return Sight(near, square(near, size), missed=missed)
        wide = see(None)
        if is_found(wide):
            near = see(laid := square(wide, size))
            if is_found(near):
                return Sight(replace(near, doubles=wide.doubles), laid, missed=missed)
        return Sight(wide, missed=missed)


class Tracker:
    """Follows one infant from picture to picture of a video, some pictures late.

    Args:
        turns: right angles by which pictures are turned clockwise before the network sees them.
        stride: from one picture to the next, in frames of the file.
    """

    def __init__(self, turns: int = 0, stride: int = 1) -> None:
        self._turns = turns
        self._box: Box | None = None
        self._unaware = 0  # pictures under way when the infant was lost, which may lose it once more
        self._late = max(BEHIND // stride, 1)
        self._told: deque[Sight] = deque()  # what the square has not followed yet
        self._asked = self._followed = self._missed = 0
        self.lost = 0  # pictures on which a followed infant was lost
        self.whole = 0  # pictures whose pose comes from the whole picture

    def behind(self) -> int:
        """Pictures that may be looked at before the first of them is told."""
        return 1 if self._box is None else self._late

    def look(self) -> Look:
        """How to look at the next picture."""
        while self._told and self._followed <= self._asked - self.behind():
            self._follow(self._told.popleft())
        self._asked += 1
        return Look(self._box, (self._asked - 1) % RECHECK == 0, self._turns)

    def tell(self, sight: Sight) -> None:
        """What the next picture told, in the pictures' order."""
        self._told.append(sight)
        self.whole += sight.pose.whole
        if sight.missed and self._unaware <= 0:
            self.lost += 1
            self._unaware = self._late
        self._unaware -= 1

    def _follow(self, sight: Sight) -> None:
        """Pictures that were under way when the infant was found did not know of it, so one without it drops
        the square only where all of them are."""
        self._missed = self._missed + 1 if sight.aim is sight.laid is None else 0
        if sight.aim is not None:
            self._box = _towards(sight.laid or self._box or sight.aim, sight.aim)
        elif sight.laid is not None or self._missed >= self._late:
            self._box = sight.laid
        self._followed += 1


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
