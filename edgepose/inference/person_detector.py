"""BlazePose's own first stage: a detector that finds where a person is, and which way is up.

Its four alignment points, not its box (which is the face's), tell the region: the first is the middle of the
hips, the second lies on the circle about them that holds the whole body, above the head. The landmark network
sees the square around that circle, 1.25 times as wide, turned so that the second point is straight above.

Source: Bazarevsky et al. 2020; the graphs `pose_detection_cpu` and `pose_detection_to_roi` of MediaPipe 0.10,
whose numbers these are. MediaPipe looks for a person anew only where it lost the last frame's; here every
picture is looked at by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgeio import deflated_bytes, sha256_file
from edgepose.errors import BadModel
from edgepose.geometry import Box, Letterbox, RotatedSquare, Size
from edgepose.inference.peers import Tensor, sigmoid, told
from edgepose.models.variants import NORMALISATIONS
from export.inspect import inspect
from export.runtime import Session

LEAST_SCORE = 0.5  # below it nobody is there
_OVERLAP = 0.3  # of two boxes' union, from which both are of one person
_SCALE = 1.25  # of the region, over the circle that holds the body
_LEAST_SIDE = 1.0  # px of the image
_SIDE = 224  # of the input, px
_ANCHORS = ((8, 2), (16, 2), (32, 6))  # stride in px, and anchors a cell; all of the input's size
_COUNT = sum(n * (_SIDE // stride) ** 2 for stride, n in _ANCHORS)
_POINTS = 4
_VALUES = 4 + 2 * _POINTS  # centre, size, points
_INPUT: Tensor = ((1, _SIDE, _SIDE, 3), "float32")
_OUTPUTS: tuple[Tensor, ...] = (((1, _COUNT, _VALUES), "float32"), ((1, _COUNT, 1), "float32"))


@dataclass(frozen=True)
class DetectorSpec:
    """What is known of a detector's file; `deflated_bytes` are its bytes after deflate."""

    path: Path
    sha256: str
    size_bytes: int
    deflated_bytes: int


class PersonDetector:
    """BlazePose's detector on the TFLite runtime of this machine.

    Raises:
        ExportError: not a .tflite file, or damaged.
        BadModel: not this detector.
    """

    input_size: Size = (_SIDE, _SIDE)

    def __init__(self, path: Path, threads: int = 1) -> None:
        check_detector(path)
        self._session = Session(path, threads=threads)
        shapes = [output.shape for output in self._session.outputs]
        self._order = [shapes.index(shape) for shape, _ in _OUTPUTS]
        self.spec = DetectorSpec(path, sha256_file(path), path.stat().st_size, deflated_bytes(path))

    def prepare(self, image: np.ndarray, looked: Letterbox) -> np.ndarray:
        """An image (H, W, 3) uint8 RGB on the detector's canvas, normalised: (1, 224, 224, 3) float32."""
        return NORMALISATIONS["symmetric"].apply(looked.draw(image)[None])

    def run(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normalised input (1, 224, 224, 3) -> boxes and points (2254, 12), scores (2254,) as logits.

        Raises:
            BadModel: NaN or infinity in the output.
        """
        outputs = self._session.run_float(inputs)
        boxes, scores = (outputs[i][0] for i in self._order)
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise BadModel(f"{self.spec.path} gives NaN or infinity", "copy it again")
        return boxes, scores[:, 0]

    def find(self, image: np.ndarray, looked: Letterbox, size: Size) -> RotatedSquare | None:
        """The region of the person whom the detector is surest of, or None where it finds nobody.

        Args:
            image: (H, W, 3) uint8 RGB.
            looked: how the image, or the part to look at, lies on the detector's canvas; the landmark network
                sees no more of it.
            size: of the landmark network's canvas.
        """
        points = alignment_points(*self.run(self.prepare(image, looked)))
        return None if points is None else region(looked.to_image.apply(points), size, looked.box)


def check_detector(path: Path) -> None:
    """Refuse a file that is not BlazePose's detector; raises ExportError or BadModel."""
    info = inspect(path)
    inputs, outputs = ([(t.shape, t.dtype) for t in side] for side in (info.inputs, info.outputs))
    if inputs != [_INPUT] or sorted(outputs) != sorted(_OUTPUTS):
        raise BadModel(
            f"{path} maps {told(inputs)} to {told(outputs)}, and BlazePose's detector maps {told([_INPUT])} "
            f"to {told(_OUTPUTS)}",
            "give its file, pose_detection.tflite",
        )


def alignment_points(boxes: np.ndarray, logits: np.ndarray) -> np.ndarray | None:
    """The likeliest person's points (4, 2), x and y in canvas pixels; None where nobody is likely.

    Boxes that overlap the best one are taken as the same person's, and averaged by their scores.

    Args:
        boxes: (2254, 12) centre, size and points in canvas pixels, from the anchors' centres.
        logits: (2254,).
    """
    scores = sigmoid(logits.astype(np.float64))
    best = int(scores.argmax())
    if scores[best] < LEAST_SCORE:
        return None
    likely = np.flatnonzero(scores >= LEAST_SCORE)
    found = boxes[likely].astype(np.float64)
    centres = anchors()[likely]
    middles, sizes = found[:, :2] + centres, found[:, 2:4]
    one = int(np.flatnonzero(likely == best)[0])
    same = _overlaps(middles, sizes, one) > _OVERLAP
    same[one] = True
    points = found[:, 4:].reshape(-1, _POINTS, 2) + centres[:, None]
    return np.asarray(np.average(points[same], axis=0, weights=scores[likely][same]))


def region(points: np.ndarray, size: Size, within: Box) -> RotatedSquare | None:
    """The landmark network's square, of alignment points (4, 2) in image pixels; None where it is empty."""
    hips, above = points[0], points[1]
    x, y = above - hips
    side = 2 * _SCALE * float(np.hypot(x, y))
    if side < _LEAST_SIDE:
        return None
    up = float(np.degrees(np.arctan2(x, -y)))
    return RotatedSquare((float(hips[0]), float(hips[1])), side, up, size, within)


@cache
def anchors() -> np.ndarray:
    """(2254, 2) the anchors' centres, x and y in canvas pixels; by stride, row, column."""
    layers = []
    for stride, count in _ANCHORS:
        places = stride * (np.arange(_SIDE // stride) + 0.5)
        y, x = np.meshgrid(places, places, indexing="ij")
        layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), count, 0))
    return np.concatenate(layers)


def _overlaps(middles: np.ndarray, sizes: np.ndarray, one: int) -> np.ndarray:
    """(M,) intersection over union of each box with box `one`."""
    low, high = middles - sizes / 2, middles + sizes / 2
    both = np.clip(np.minimum(high, high[one]) - np.maximum(low, low[one]), 0, None).prod(1)
    areas = np.clip(sizes, 0, None).prod(1)
    union = areas + areas[one] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))
