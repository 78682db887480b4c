"""Where the infant is in a picture, and which way up: found by the network itself.

The whole picture is looked at, then the region about the keypoints with the margin of training: in each of
four quarter turns, of which the one is taken that the network is surest of in its region. The region is laid
anew about what is found there, and looked at once more. On SyRIP's 71 validation pictures regions tell the
turn better than whole pictures do, and regions by all keypoints but the faintest, looked at twice, lose least
against the labels' own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

CONFIDENT = 0.2  # a map's peak; training's targets peak at 1
FOUND = 0.5  # share of keypoints that must be confident
# The infant's longer side in the square's: a margin of 0.35 on either side, the middle of what the project's
# networks were trained on.
SHARE = 0.59
MARGIN = 0.35  # of a region: the middle of what the project's networks were trained on
_FAINT = 0.05  # a keypoint whose peak is lower says nothing of where the infant is
_FEWEST = 4  # keypoints to lay a region around
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


def region(pose: Pose) -> Box:
    """The box about the keypoints, with the margin of training; it may reach outside the picture."""
    clear = pose.peaks >= _FAINT
    return person_box(pose.points_px[clear if clear.sum() >= _FEWEST else slice(None)], MARGIN)


def _look(estimator: Estimator, image: np.ndarray, box: Box | None, quarters: int, clock: Clock) -> Pose:
    return estimator.pose(estimator.place(image, box, clock, quarters), box is None, clock)


def _candidates(estimator: Estimator, image: np.ndarray, clock: Clock) -> list[Pose]:
    """The pose in its region, in each of the four turns; in the whole picture where nothing is seen there."""
    poses = [_look(estimator, image, None, quarters, clock) for quarters in range(4)]
    return [
        _look(estimator, image, region(pose), quarters, clock) if pose.peaks.max() > 0 else pose
        for quarters, pose in enumerate(poses)
    ]


def _decide(sureness: np.ndarray) -> Turn:
    best, second = np.sort(sureness)[::-1][:2]
    decided = bool(best > 0 and best >= _SURER * second)
    return Turn(int(sureness.argmax()) if decided else 0, decided, tuple(sureness.tolist()))


def find_turn(estimators: Sequence[Estimator], images: Sequence[np.ndarray], clock: Clock) -> Turn:
    """The turn of the infant in pictures (H, W, 3) of one camera that did not move.

    A model whose detector finds the turn anew in every picture has none to be found.

    Args:
        estimators: replicas of one, which look at several pictures at once.
    """
    if estimators[0].has_detector:
        return Turn(0, True, ())

    def sureness(estimator: Estimator, image: np.ndarray) -> list[float]:
        return [float(pose.peaks.mean()) for pose in _candidates(estimator, image, clock)]

    workers = [partial(sureness, estimator) for estimator in estimators]
    return _decide(np.mean(list(side_by_side(images, workers, len(images))), axis=0))


def find(estimator: Estimator, image: np.ndarray, crop: bool, turn: bool, clock: Clock) -> Pose:
    """The pose in one picture (H, W, 3) that nothing is known of; a model's own detector goes first."""
    if estimator.has_detector:
        return _look(estimator, image, None, 0, clock)
    if turn:
        poses = _candidates(estimator, image, clock)
        quarters = _decide(np.array([pose.peaks.mean() for pose in poses])).quarters
        found = poses[quarters] if crop else _look(estimator, image, None, quarters, clock)
    else:
        quarters, found = 0, _look(estimator, image, None, 0, clock)
        if crop and found.peaks.max() > 0:
            found = _look(estimator, image, region(found), quarters, clock)
    if not crop or found.peaks.max() <= 0:
        return found
    return _look(estimator, image, region(found), quarters, clock)


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
