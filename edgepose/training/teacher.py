"""Teachers: any of our checkpoints, or any .tflite with a sidecar as a black box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeio import sha256_file
from edgepose.codec import Codec
from edgepose.errors import UsageError
from edgepose.geometry import Size
from edgepose.inference.runners import PoseDecoder, open_runner
from edgepose.keypoints import KeypointSet, keypoint_set
from edgepose.models.variants import NORMALISATIONS, variant

BATCH = 8  # frames that a teacher sees at once


@dataclass(frozen=True)
class Teacher:
    """A network whose output another one learns.

    Attributes:
        map_size: (height, width) of its maps in cells; None where it gives keypoints only.
        run: canvases (B, H, W, 3) uint8 of its input size, B at most BATCH -> its output (B, ...) float32.
        decode: that output -> keypoints (B, K, 2) in px of its input, and confidence (B, K).
    """

    path: Path
    sha256: str
    network: str
    keypoints: KeypointSet
    input_size: Size
    map_size: Size | None
    run: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def open_teacher(path: Path, network: str, threads: int = 1) -> Teacher:
    """A teacher from its file, a .safetensors checkpoint or a .tflite with its sidecar.

    Args:
        network: key of the network that the file should be of.
        threads: of the TFLite runtime.

    Raises:
        UnknownName: no such network.
        UsageError: the file is of another network.
        BadCheckpoint, BadModel, ExportError: missing, damaged, or a .tflite without a sidecar.
    """
    variant(network)
    if path.suffix.lower() == ".safetensors":
        return _checkpoint(path, network)
    runner = open_runner(path, threads)
    spec = runner.spec
    _check_network(path, spec.network, network)
    return Teacher(
        path,
        spec.sha256,
        spec.network,
        spec.keypoints,
        spec.input_size,
        None if spec.output == "keypoints" else (spec.output_shape[0], spec.output_shape[1]),
        lambda canvases: runner.run(spec.normalisation.apply(canvases)),
        PoseDecoder(spec, None),
    )


def _checkpoint(path: Path, network: str) -> Teacher:
    from edgepose.frameworks import keras
    from edgepose.models.checkpoint import load_model, read_checkpoint

    info, _ = read_checkpoint(path)
    _check_network(path, info.model, network)
    with _undistributed_float32():
        model = load_model(path, output="maps")
    model.jit_compile = keras().backend.backend() == "jax"  # TensorFlow's XLA is ten times slower on CPUs
    normalisation = NORMALISATIONS[variant(info.model).normalisation]
    codec = Codec(tuple(model.input_shape[1:3]), tuple(model.output_shape[1:3]))

    def run(canvases: np.ndarray) -> np.ndarray:
        # Filled up with the last frame: one shape, one compilation, and the same sums for every frame.
        filling = np.repeat(canvases[-1:], BATCH - len(canvases), 0)
        inputs = normalisation.apply(np.concatenate([canvases, filling]))
        with _undistributed_float32():
            return np.asarray(model.predict_on_batch(inputs), np.float32)[: len(canvases)]

    points = keypoint_set(info.keypoints)
    digest = sha256_file(path)
    return Teacher(path, digest, info.model, points, codec.input_size, codec.map_size, run, codec.decode)


def _check_network(path: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise UsageError(
            f"{path} is of network {found}, not {wanted}",
            f"use --teacher {found}, or other --teacher-weights",
        )


@contextmanager
def _undistributed_float32() -> Iterator[None]:
    """The teacher computes alike whatever the student's precision and devices are."""
    from edgepose.frameworks import keras

    kr = keras()
    before = kr.config.dtype_policy(), kr.distribution.distribution()
    try:
        kr.config.set_dtype_policy("float32")
        kr.distribution.set_distribution(None)
        yield
    finally:
        kr.config.set_dtype_policy(before[0])
        kr.distribution.set_distribution(before[1])
