"""Files of a few operators with the inputs and outputs of MoveNet, BlazePose and its detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.frameworks import tensorflow

BRIGHT = -0.99  # what the mean of the detector's input, black is -1, must be for somebody to be found
ANCHOR = 1700  # the anchor that finds somebody


def movenet(size: int = 64) -> bytes:
    """Every keypoint at the brightest column of the top row, a quarter down; the score is its brightness."""
    tf = tensorflow()

    def call(image: Any) -> Any:
        row = tf.reduce_mean(tf.cast(image, tf.float32), [1, 3])
        x = tf.cast(tf.argmax(row, 1), tf.float32) / size
        peak = tf.reduce_max(row, 1) / 255
        return tf.tile(tf.reshape(tf.stack([0.25 + 0 * x, x, peak], -1), (1, 1, 1, 3)), (1, 1, 17, 1))

    return _converted(call, (1, size, size, 3), "uint8")


def landmarks(visibility: float = 2.0) -> bytes:
    """BlazePose: every landmark at the centroid of the brightness, and maps that are sure of nothing."""
    tf = tensorflow()
    centres = np.arange(256, dtype=np.float32) + 0.5

    def call(image: Any) -> Any:
        grey = tf.reduce_mean(image, 3)
        whole = tf.reduce_sum(grey, [1, 2]) + 1e-6
        x = tf.reduce_sum(tf.reduce_sum(grey, 1) * centres, 1) / whole
        y = tf.reduce_sum(tf.reduce_sum(grey, 2) * centres, 1) / whole
        one = tf.stack([x, y, 0 * x, 0 * x + visibility, 0 * x], -1)
        nothing = tf.reshape(0 * x, (1, 1, 1, 1))
        return (
            tf.reshape(tf.tile(one, (1, 39)), (1, 195)),
            tf.reshape(0 * x, (1, 1)),
            tf.tile(nothing, (1, 256, 256, 1)),
            tf.tile(nothing - 9.0, (1, 64, 64, 39)),
            tf.reshape(tf.tile(0 * one[:, :3], (1, 39)), (1, 117)),
        )

    return _converted(call, (1, 256, 256, 3), "float32")


def detector(points: np.ndarray) -> bytes:
    """BlazePose's detector: one anchor finds somebody, with these alignment points (4, 2) in canvas pixels,
    where the canvas is not black."""
    from edgepose.inference.person_detector import anchors

    tf = tensorflow()
    boxes = np.zeros((1, 2254, 12), np.float32)
    boxes[0, ANCHOR] = [0, 0, 40, 40, *(points - anchors()[ANCHOR]).ravel()]
    chosen = np.zeros((1, 2254, 1), np.float32)
    chosen[0, ANCHOR] = 1

    def call(image: Any) -> Any:
        mean = tf.reduce_mean(image)
        return boxes + 0 * mean, chosen * (50 * (mean - BRIGHT) + 20) - 20

    return _converted(call, (1, 224, 224, 3), "float32")


def _converted(call: Callable[[Any], Any], shape: tuple[int, ...], dtype: str) -> bytes:
    tf = tensorflow()
    function = tf.function(call).get_concrete_function(tf.TensorSpec(shape, dtype))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert())


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
