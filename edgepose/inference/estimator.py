"""A picture, or a part of it, to a pose: the runner, letterbox and decoder that `evaluate` scores with."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from edgepose.geometry import Box, Placement, Size, letterbox, quarter_turn
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.spec import ReplicableRunner, Runner

# A second peak is another infant's where it is this strong beside the first, and this far from it.
SECOND_PEAK = 0.2  # of the first: networks trained on one infant a picture play the other one down
SECOND_REACH = 0.15  # of the map's width
_LEAST_PEAK = 0.1  # below this the first peak is noise itself
_PAIRED = ("left_", "right_")  # their maps have a second peak at the other side's joint
_ENOUGH_UNPAIRED = 3


@dataclass
class Clock:
    """Seconds spent in each stage, over all threads' shares: stages overlap, so they may add up to more
    than the time that passed."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + took


@dataclass(frozen=True)
class Placed:
    """A picture, or a part of it, on the network's canvas.

    Attributes:
        canvas: (h, w, 3) uint8 RGB.
        where: how the picture lies on it; None where the network's own detector found nobody: the canvas is
            empty.
    """

    canvas: np.ndarray
    where: Placement | None


@dataclass(frozen=True)
class Pose:
    """What the network found in one picture.

    Attributes:
        points_px: (K, 2) x, y in pixels of the whole picture; NaN where nobody was found.
        peaks: (K,) the maps' highest values; 0 where nobody was found.
        cells_per_px: map cells a picture's pixel, along x; NaN where nobody was found.
        doubles: share of the looked-at maps with a second strong peak far from the first; NaN where the
            model gives no maps.
        whole: the network saw the whole picture.
    """

    points_px: np.ndarray
    peaks: np.ndarray
    cells_per_px: float
    doubles: float
    whole: bool


class Estimator:
    """Runs one model on pictures.

    Args:
        runner: an open model.
        decode: a decoder's name, or None for the one that the model is meant for.
    """

    def __init__(self, runner: Runner, decode: str | None = None) -> None:
        self.spec = runner.spec
        self.decoder = PoseDecoder(runner.spec, decode)
        self._runner = runner
        self._replicas: list[Estimator] = []
        names = self.spec.keypoints.names
        unpaired = [k for k, name in enumerate(names) if not name.startswith(_PAIRED)]
        self._looked_at = unpaired if len(unpaired) >= _ENOUGH_UNPAIRED else list(range(len(names)))

    @property
    def has_detector(self) -> bool:
        """Whether a first stage of its own finds region and turn in every picture."""
        return self._runner.detector is not None

    def replicas(self, count: int) -> list[Estimator]:
        """This one and others of the same model, which may be used at the same time, each on one thread.

        Args:
            count: how many in all; a runner that cannot be replicated (Keras computes on all cores by itself)
                stays alone.
        """
        if not isinstance(self._runner, ReplicableRunner):
            return [self]
        while len(self._replicas) < count - 1:
            self._replicas.append(Estimator(self._runner.replica(), self.decoder.name))
        return [self, *self._replicas[: count - 1]]

    def place(self, image: np.ndarray, box: Box | None, clock: Clock, turns: int = 0) -> Placed:
        """Letterbox a picture (H, W, 3) or a box of it, or draw what the network's detector finds there.

        Args:
            turns: right angles by which the picture is turned clockwise first.
        """
        where: Placement | None
        size, detector = self.spec.input_size, self._runner.detector
        whole = (image.shape[0], image.shape[1])
        box = _turned(box, turns, whole)
        if detector is None:
            where = letterbox(whole, size, box, turns)
        else:
            with clock.stage("detection"):
                where = detector.find(image, letterbox(whole, detector.input_size, box, turns), size)
        with clock.stage("letterbox"):
            return Placed(np.zeros((*size, 3), np.uint8) if where is None else where.draw(image), where)

    def pose(self, placed: Placed, whole: bool, clock: Clock) -> Pose:
        """Run the network on a canvas and read its maps.

        Raises:
            BadModel: NaN or infinity in the output.
        """
        if placed.where is None:
            k = len(self.spec.keypoints)
            return Pose(np.full((k, 2), np.nan), np.zeros(k), np.nan, np.nan, whole)
        with clock.stage("inference"):
            output = self._runner.run(self.spec.normalisation.apply(placed.canvas[None]))
        with clock.stage("maps"):
            points, peaks = self.decoder.in_image(output, placed.where)
            return Pose(
                points_px=points,
                peaks=np.asarray(peaks, np.float64),
                cells_per_px=float(np.hypot(*placed.where.to_canvas.matrix[:, 0])) / self.spec.stride,
                doubles=second_peaks(output[0][..., self._looked_at]) if self.spec.gives_maps else np.nan,
                whole=whole,
            )


def _turned(box: Box | None, turns: int, size: Size) -> Box | None:
    """A box of a picture of `size`, in the turned picture."""
    if box is None or not turns:
        return box
    corners = quarter_turn(turns, size).apply(np.reshape(box, (2, 2)))
    (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
    return x0, y0, x1, y1


def second_peaks(maps: np.ndarray) -> float:
    """Share of maps (h, w, M) whose second peak is strong and far from the first."""
    height, width, count = maps.shape
    columns = maps.reshape(height * width, count)
    first = columns.argmax(0)
    tops = columns[first, np.arange(count)]
    y, x = np.divmod(np.arange(height * width)[:, None], width)
    far = np.maximum(np.abs(x - first % width), np.abs(y - first // width)) > SECOND_REACH * width
    second = np.where(far, columns, -np.inf).max(0)
    return float(((second >= SECOND_PEAK * tops) & (tops >= _LEAST_PEAK)).mean())
