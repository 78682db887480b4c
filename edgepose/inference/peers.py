"""Pose networks of others whose outputs edgepose can read: what they take, what they give, and what it means.

A row is used where the user names it (`edgepose import-tflite --output movenet`), never guessed from a file.

Sources: MoveNet's model card, Google 2021; BlazePose, Bazarevsky et al. 2020, and the graph
`pose_landmark_cpu` of MediaPipe 0.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepose.errors import BadModel
from edgepose.geometry import Size

Shape = tuple[int | None, ...]  # None stands for any length
Tensor = tuple[tuple[int, ...], str]  # shape and type, "float32"

_LANDMARKS, _OF_BODY, _VALUES = 39, 33, 5  # the last six landmarks tell the next frame's region
_MAP, _REACH, _SURE = 64, 3, 0.5  # cells of BlazePose's maps, cells looked at on each side, least peak
_STEEPEST = 80.0  # beyond it a sigmoid is 0 or 1


@dataclass(frozen=True)
class Peer:
    """One kind of network.

    Attributes:
        key: its one name, as in `--output movenet`.
        name: as its authors write it.
        keypoints: key of the keypoint set that it gives, in its own order.
        normalisation: key in `NORMALISATIONS`: pixels in 0..255 to what it takes. Images are letterboxed,
            padded with zeros.
        input: shape (1, h, w, 3), h and w alike.
        input_types: of the numbers that it takes; integers are the normalised numbers themselves.
        outputs: shapes of the float outputs that are read, among those of a file.
        stride: input pixels per cell of its finest maps, which is its grain.
        decode: the outputs (B, N) float32, flattened, in the order above, and the input size ->
            keypoints_px (B, K, 2) in input pixels, confidence (B, K).
        has_detector: its authors feed it the region that a detector of theirs finds.
    """

    key: str
    name: str
    keypoints: str
    normalisation: str
    input: Shape
    input_types: tuple[str, ...]
    outputs: tuple[Shape, ...]
    stride: int
    decode: Callable[[np.ndarray, Size], tuple[np.ndarray, np.ndarray]]
    has_detector: bool = False

    def check(self, path: Path, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[int, ...]:
        """Refuse a file that is not of this kind.

        Returns:
            the indices of the outputs that are read, in the order of `outputs`.

        Raises:
            BadModel: naming what the file has and what the kind has.
        """
        taken = len(inputs) == 1 and fits(self.input, inputs[0][0]) and inputs[0][1] in self.input_types
        square = taken and inputs[0][0][1] == inputs[0][0][2]
        floats = {shape: i for i, (shape, dtype) in enumerate(outputs) if dtype == "float32"}
        given = tuple(i for wanted in self.outputs for shape, i in floats.items() if fits(wanted, shape))
        if not square or len(given) != len(self.outputs):
            raise BadModel(
                f"{path} maps {told(inputs)} to {told(outputs)}, and {self.name} maps "
                f"{' or '.join(self.input_types)} {_spelt(self.input)} to float32 "
                f"{' and '.join(map(_spelt, self.outputs))}",
                f"give a file of {self.name}, or another --output",
            )
        return given


def fits(wanted: Shape, shape: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one."""
    return len(wanted) == len(shape) and all(w in (None, n) for w, n in zip(wanted, shape, strict=True))


def told(tensors: Sequence[Tensor]) -> str:
    """Types and shapes in one line."""
    return ", ".join(f"{dtype} {_spelt(shape)}" for shape, dtype in tensors)


def _spelt(shape: Shape) -> str:
    return f"({', '.join('N' if n is None else str(n) for n in shape)})"


def _movenet(outputs: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """(B, 51) 17 x (y, x as shares of the input, score)."""
    rows = outputs.reshape(-1, 17, 3)
    return rows[..., [1, 0]].astype(np.float64) * size[::-1], rows[..., 2]


def _blazepose(outputs: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """(B, 195 + 64 x 64 x 39): 39 x (x, y in input pixels, z, visibility, presence), the last two as logits;
    and maps as logits, which refine x and y."""
    numbers, maps = np.split(outputs, [_LANDMARKS * _VALUES], axis=1)
    rows = numbers.reshape(-1, _LANDMARKS, _VALUES)[:, :_OF_BODY]
    points = rows[..., :2].astype(np.float64) * _MAP / size[::-1]
    for body, each in zip(points, maps.reshape(-1, _MAP, _MAP, _LANDMARKS), strict=True):
        _refine(body, each)
    return points * size[::-1] / _MAP, sigmoid(rows[..., 3])


def _refine(cells: np.ndarray, maps: np.ndarray) -> None:
    """Move points (33, 2), in cells, to the centroid of their map's values around them, where one is high.

    Cell i counts as lying at i, as in MediaPipe's RefineLandmarksFromHeatmapCalculator.
    """
    for k, (x, y) in enumerate(np.floor(cells).astype(int).tolist()):
        if not (0 <= x < _MAP and 0 <= y < _MAP):
            continue
        left, top = max(x - _REACH, 0), max(y - _REACH, 0)
        values = sigmoid(maps[top : y + _REACH + 1, left : x + _REACH + 1, k].astype(np.float64))
        if values.max() >= _SURE:
            rows, columns = values.sum(1), values.sum(0)
            at = columns @ np.arange(len(columns)), rows @ np.arange(len(rows))
            cells[k] = np.array([left, top]) + np.array(at) / values.sum()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logits to shares in 0..1, of the same type."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_STEEPEST, _STEEPEST))), logits.dtype)


PEERS = {
    p.key: p
    for p in (
        Peer(
            key="movenet",
            name="MoveNet",
            keypoints="coco-17",
            normalisation="pixels",
            input=(1, None, None, 3),
            input_types=("uint8", "int32", "float32"),
            outputs=((1, 1, 17, 3),),
            stride=4,
            decode=_movenet,
        ),
        Peer(
            key="blazepose",
            name="BlazePose",
            keypoints="blazepose-33",
            normalisation="unit",
            input=(1, 256, 256, 3),
            input_types=("float32",),
            outputs=((1, _LANDMARKS * _VALUES), (1, _MAP, _MAP, _LANDMARKS)),
            stride=4,
            decode=_blazepose,
            has_detector=True,
        ),
    )
}
