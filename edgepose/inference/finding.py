"""Where the infant is in a picture, and which way up: found by the network itself.

The whole picture is looked at, a square is laid around the confident keypoints, in which the infant takes as
much room as in training, and looked at again: in each of four quarter turns, of which the one is taken that
the network is surest of in its square. On SyRIP's 71 validation pictures the squares tell the turn better
than the whole pictures do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.data.images import decode_parallel
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage
from edgepose.geometry import Box, Size
from edgepose.inference.estimator import Clock, Estimator, Pose
from edgepose.inference.predictor import Predicted, reason_of

CONFIDENT = 0.2  # a map's peak; training's targets peak at 1
FOUND = 0.5  # share of keypoints that must be confident
# The infant's longer side in the square's: a margin of 0.35 on either side, the middle of what the project's
# networks were trained on.
SHARE = 0.59
_ENOUGH = 0.25  # share of keypoints to lay a square around in a turn that may be the wrong one
_SURER = 1.05  # times as sure as of the second best turn must the network be of the best


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


def _candidates(estimator: Estimator, image: np.ndarray, clock: Clock) -> list[Pose]:
    """The pose in each of the four turns, in its square where one can be laid."""
    poses = []
    for quarters in range(4):
        pose = estimator.pose(estimator.place(image, None, clock, quarters), True, clock)
        if confident(pose).mean() >= _ENOUGH:
            box = square(pose, (image.shape[0], image.shape[1]))
            pose = estimator.pose(estimator.place(image, box, clock, quarters), False, clock)
        poses.append(pose)
    return poses


def _decide(sureness: np.ndarray) -> Turn:
    best, second = np.sort(sureness)[::-1][:2]
    decided = bool(best > 0 and best >= _SURER * second)
    return Turn(int(sureness.argmax()) if decided else 0, decided, tuple(sureness.tolist()))


def find_turn(estimator: Estimator, images: Sequence[np.ndarray], clock: Clock) -> Turn:
    """The turn of the infant in pictures (H, W, 3) of one camera that did not move.

    A model whose detector finds the turn anew in every picture has none to be found.
    """
    if estimator.has_detector:
        return Turn(0, True, ())
    peaks = [[p.peaks.mean() for p in _candidates(estimator, image, clock)] for image in images]
    return _decide(np.mean(peaks, axis=0))


def find(estimator: Estimator, image: np.ndarray, crop: bool, turn: bool, clock: Clock) -> Pose:
    """The pose in one picture (H, W, 3) that nothing is known of; a model's own detector goes first."""
    quarters = 0
    if estimator.has_detector:
        crop = turn = False
    if turn:
        poses = _candidates(estimator, image, clock)
        quarters = _decide(np.array([pose.peaks.mean() for pose in poses])).quarters
        if crop and is_found(poses[quarters]):
            return poses[quarters]
    wide = estimator.pose(estimator.place(image, None, clock, quarters), True, clock)
    if not (crop and is_found(wide)):
        return wide
    box = square(wide, (image.shape[0], image.shape[1]))
    near = estimator.pose(estimator.place(image, box, clock, quarters), False, clock)
    return near if is_found(near) else wide


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
            pose = find(estimator, image, crop, turn, clock)
            points[i], confidence[i] = pose.points_px, pose.peaks
        done(i + 1)
    return Predicted(points, confidence, tuple(reasons))
