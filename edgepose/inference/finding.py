"""Where the infant is in a picture, and which way up: found by the network itself.

The whole picture and windows of it are looked at in each of four quarter turns; then, from the surest of
them, the region about the keypoints with the margin of training, and the region about what is found there.
The look is taken whose limbs the network is surest of. On SyRIP's 71 validation pictures this loses nothing
against regions and turns by the labels, where the whole picture alone, judged by all keypoints, lost RT Lite
9 points (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from edgeio.ahead import side_by_side
from edgepose.data.framing import person_box
from edgepose.data.images import decode_parallel
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage
from edgepose.geometry import Box, Size
from edgepose.inference.estimator import Clock, Estimator, Pose
from edgepose.inference.predictor import Predicted, reason_of
from edgepose.keypoints import KeypointSet

CONFIDENT = 0.2  # a map's peak; training's targets peak at 1
FOUND = 0.5  # share of keypoints that must be confident
# The infant's longer side in the square's: a margin of 0.35 on either side, the middle of what the project's
# networks were trained on.
SHARE = 0.59
MARGIN = 0.35  # of a region: the middle of what the project's networks were trained on
_FAINT = 0.05  # a keypoint whose peak is lower says nothing of where the infant is
_FEWEST = 4  # keypoints to lay a region around
# Times as sure as of the second best turn must the network be of the best. Of 71 validation pictures 2 to 4
# are below 1.05, and the best turn is the right one in most of those too.
_SURER = 1.02
_LIMBS = ("shoulder", "elbow", "wrist", "knee", "ankle")
# Beside the whole picture: left and upper edge, and side, as shares of the picture's; the last reaches
# beyond it.
_WINDOWS = (
    (0.125, 0.125, 0.75),
    (0.0, 0.0, 0.75),
    (0.25, 0.0, 0.75),
    (0.0, 0.25, 0.75),
    (0.25, 0.25, 0.75),
    (-0.25, -0.25, 1.5),
)
_SECOND = 0.3  # as sure as of the first must the network be of a second infant: no single one of 36 was two
_KEPT = 6  # of all windows in all turns, to look at their regions
_REGIONS = 2  # looked at one after the other, each about what is found in the one before


def confident(pose: Pose) -> np.ndarray:
    """(K,) bool."""
    return pose.peaks >= CONFIDENT


def is_found(pose: Pose) -> bool:
    """Whether enough keypoints are confident to say where the infant is."""
    return bool(confident(pose).mean() >= FOUND)


def extent(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x, y of the confident keypoints."""
    points = pose.points_px[confident(pose)]
    return points.min(0), points.max(0)


def square(pose: Pose, size: Size) -> Box:
    """A square around the confident keypoints, moved and cut to lie in the picture of `size`."""
    low, high = extent(pose)
    centre, side = (low + high) / 2, max(float((high - low).max()), 1.0) / SHARE
    width, height = min(side, size[1]), min(side, size[0])
    x = float(np.clip(centre[0] - width / 2, 0, size[1] - width))
    y = float(np.clip(centre[1] - height / 2, 0, size[0] - height))
    return x, y, x + width, y + height


@dataclass(frozen=True)
class Turn:
    """Which way up an infant lies.

    Attributes:
        quarters: right angles by which the picture is turned clockwise.
        decided: False where no turn was surer than the others, and the picture is taken as it is.
        sureness: mean peak of each of the four turns.
    """

    quarters: int
    decided: bool
    sureness: tuple[float, ...]


def region(pose: Pose) -> Box:
    """The box about the keypoints, with the margin of training; it may reach outside the picture."""
    clear = pose.peaks >= _FAINT
    return person_box(pose.points_px[clear if clear.sum() >= _FEWEST else slice(None)], MARGIN)


def _look(estimator: Estimator, image: np.ndarray, box: Box | None, quarters: int, clock: Clock) -> Pose:
    return estimator.pose(estimator.place(image, box, clock, quarters), box is None, clock)


def sureness(pose: Pose, keypoints: KeypointSet) -> float:
    """Mean peak of shoulders, arms and legs, or of all keypoints of a set that has none.

    A face is clear in every turn and in every region; limbs are where the network sees them whole and
    upright.
    """
    limbs = [k for k, name in enumerate(keypoints.names) if name.rpartition("_")[2] in _LIMBS]
    return float(pose.peaks[limbs].mean() if limbs else pose.peaks.mean())


@dataclass(frozen=True)
class Candidate:
    """A pose in one of the four turns, and how sure the network is of it."""

    quarters: int
    pose: Pose
    sureness: float


def _windows(size: Size) -> list[Box | None]:
    height, width = size
    corners = [(x * width, y * height, (x + side) * width, (y + side) * height) for x, y, side in _WINDOWS]
    return [None, *corners]


def _surest(looks: Sequence[Candidate], quarters: int | None = None) -> Candidate:
    chosen = looks if quarters is None else [look for look in looks if look.quarters == quarters]
    return max(chosen, key=lambda look: look.sureness)


def _looks(estimator: Estimator, image: np.ndarray, turns: Sequence[int], clock: Clock) -> list[Candidate]:
    """The surest look in each of the turns, over all windows and the regions that they lead to.

    Every window is looked at in every turn. From the surest windows, and from the surest one of each turn,
    the region about what was found there is looked at, and the region about that.
    """
    keypoints = estimator.spec.keypoints

    def look(box: Box | None, quarters: int) -> Candidate:
        pose = _look(estimator, image, box, quarters, clock)
        return Candidate(quarters, pose, sureness(pose, keypoints))

    first = [look(box, quarters) for quarters in turns for box in _windows(image.shape[:2])]
    kept = sorted(first, key=lambda each: -each.sureness)[:_KEPT]
    left = {*turns} - {each.quarters for each in kept}
    best: dict[int, Candidate] = {}
    for each in [*kept, *(_surest(first, quarters) for quarters in sorted(left))]:
        seen = [each]
        while len(seen) <= _REGIONS and seen[-1].pose.peaks.max() > 0:
            seen.append(look(region(seen[-1].pose), each.quarters))
        surest = _surest(seen[1:] or seen)
        if each.quarters not in best or surest.sureness > best[each.quarters].sureness:
            best[each.quarters] = surest
    return [best[quarters] for quarters in turns]


def _decide(sure: np.ndarray) -> Turn:
    best, second = np.sort(sure)[::-1][:2]
    decided = bool(best > 0 and best >= _SURER * second)
    return Turn(int(sure.argmax()) if decided else 0, decided, tuple(sure.tolist()))


def find_turn(estimators: Sequence[Estimator], images: Sequence[np.ndarray], clock: Clock) -> Turn:
    """The turn of the infant in pictures (H, W, 3) of one camera that did not move.

    A model whose detector finds the turn anew in every picture has none to be found.

    Args:
        estimators: replicas of one, which look at several pictures at once.
    """
    if estimators[0].has_detector:
        return Turn(0, True, ())

    def sure(estimator: Estimator, image: np.ndarray) -> list[float]:
        return [look.sureness for look in _looks(estimator, image, range(4), clock)]

    workers = [partial(sure, estimator) for estimator in estimators]
    return _decide(np.mean(list(side_by_side(images, workers, len(images))), axis=0))


def find(
    estimator: Estimator, image: np.ndarray, crop: bool, quarters: int | None, clock: Clock
) -> tuple[Pose, Turn | None]:
    """The pose in one picture (H, W, 3) that nothing is known of; a model's own detector goes first.

    Args:
        crop: whether the infant's region is to be found; without, the whole picture is seen.
        quarters: right angles by which the picture is turned clockwise; None where they are to be found.

    Returns:
        The pose, and the turn that was found.
    """
    if estimator.has_detector or not (crop or quarters is None):
        return _look(estimator, image, None, quarters or 0, clock), None
    turns = range(4) if quarters is None else (quarters,)
    looks = _looks(estimator, image, turns, clock)
    turn = _decide(np.array([look.sureness for look in looks])) if quarters is None else None
    found = looks[0 if turn is None else turn.quarters]
    return (found.pose if crop else _look(estimator, image, None, found.quarters, clock)), turn


def with_second(estimator: Estimator, image: np.ndarray, pose: Pose, quarters: int, clock: Clock) -> Pose:
    """The pose with the word of the rest of a picture (H, W, 3) on a second infant, as its `doubles`.

    1 where a window shows somebody beside the infant, nearly as surely; else the whole picture's.

    A model with a detector of its own is asked for the whole picture alone.
    """
    boxes = [None] if estimator.has_detector else _windows(image.shape[:2])
    looks = [_look(estimator, image, box, quarters, clock) for box in boxes]
    keypoints = estimator.spec.keypoints
    apart = [look for look in looks if look.peaks.max() > 0 and _apart(look, pose)]
    if estimator.has_detector or not apart:
        return replace(pose, doubles=looks[0].doubles)
    other = max(apart, key=lambda look: sureness(look, keypoints))
    for _ in range(_REGIONS):
        other = _look(estimator, image, region(other), quarters, clock)
    second = _apart(other, pose) and sureness(other, keypoints) >= _SECOND * sureness(pose, keypoints)
    return replace(pose, doubles=1.0 if second else looks[0].doubles)


def _apart(one: Pose, other: Pose) -> bool:
    """Whether the middle of each pose's clear keypoints lies outside the other's box."""
    boxes, middles = [], []
    for pose in (one, other):
        points = pose.points_px[pose.peaks >= _FAINT]
        if not len(points):
            return False
        boxes.append((points.min(0), points.max(0)))
        middles.append(np.median(points, axis=0))
    inside = [
        bool((middles[1 - k] >= low).all() and (middles[1 - k] <= high).all())
        for k, (low, high) in enumerate(boxes)
    ]
    return not any(inside)


def predict_found(
    estimator: Estimator,
    records: Sequence[PoseRecord],
    crop: bool,
    turn: bool,
    workers: int = 2,
    strict: bool = False,
    done: Callable[[int], None] = lambda count: None,
) -> Predicted:
    """Predict records without a look at their labels, as a person would use the network.

    Raises:
        BadImage: with `strict`, the first unusable image.
        BadModel: the model's output holds NaN or infinities.
    """
    k, clock = len(estimator.spec.keypoints), Clock()
    points, confidence = np.full((len(records), k, 2), np.nan), np.zeros((len(records), k), np.float32)
    reasons = [""] * len(records)
    for i, (_, image) in enumerate(decode_parallel([record.image for record in records], workers)):
        if isinstance(image, BadImage):
            if strict:
                raise image
            reasons[i] = reason_of(image, records[i])
        else:
            pose, _ = find(estimator, image, crop, None if turn else 0, clock)
            points[i], confidence[i] = pose.points_px, pose.peaks
        done(i + 1)
    return Predicted(points, confidence, tuple(reasons))
