"""Teachers: any of our checkpoints, or any .tflite with a sidecar as a black box, a peer's too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeio import lookup
from edgepose.errors import UsageError
from edgepose.geometry import Size
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.flipped import flipped, with_flip
from edgepose.inference.keras_runner import KerasRunner
from edgepose.inference.peers import PEERS
from edgepose.inference.person_detector import PersonDetector
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import ModelSpec
from edgepose.keypoints import KeypointSet
from edgepose.models.variants import VARIANTS


@dataclass(frozen=True)
class Teacher:
    """A network whose output another one learns.

    Attributes:
        network: key of the variant, or of the `Peer`.
        map_size: (height, width) of its maps in cells; None where it gives keypoints only.
        run: canvases (B, H, W, 3) uint8 of its input size, B at most BATCH -> its output (B, ...) float32.
        decode: that output -> keypoints (B, K, 2) in px of its input, and confidence (B, K).
        detector: what finds the person for it in a whole picture; None where it sees what the student's
            framing shows.
    """

    path: Path
    sha256: str
    network: str
    keypoints: KeypointSet
    input_size: Size
    map_size: Size | None
    run: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    detector: PersonDetector | None = None


def open_teacher(path: Path, network: str, threads: int = 1, flip: bool = False) -> Teacher:
    """A teacher from its file, a .safetensors checkpoint or a .tflite with its sidecar.

    Args:
        network: key of the network that the file should be of, or of a peer (`PEERS`).
        threads: of the TFLite runtime.
        flip: it runs on each frame's mirror image too, and its output is the mean of both.

    Raises:
        UnknownName: no such network.
        UsageError: the file is of another network, or of one without maps that is to be flipped.
        BadCheckpoint, BadModel, ExportError: missing, damaged, or a .tflite without a sidecar.
    """
    check_teacher_name(network)
    runner = open_runner(path, threads)
    spec = with_flip(runner, flip).spec
    _check_network(path, spec, network)
    straight = runner.run_filled if isinstance(runner, KerasRunner) else runner.run
    run = flipped(straight, spec.keypoints.swaps) if flip else straight
    return Teacher(
        path,
        spec.hashes,
        network,
        spec.keypoints,
        spec.input_size,
        (spec.output_shape[0], spec.output_shape[1]) if spec.gives_maps else None,
        lambda canvases: run(spec.normalisation.apply(canvases)),
        PoseDecoder(spec),
        runner.detector,
    )


def check_teacher_name(network: str) -> None:
    """Raise UnknownName for what is neither a network of ours nor a peer."""
    lookup({key: key for table in (VARIANTS, PEERS) for key in table}, "model", network)


def _check_network(path: Path, spec: ModelSpec, wanted: str) -> None:
    found = spec.network or (spec.output if spec.output in PEERS else None)
    if found is None:
        raise UsageError(f"{path} is no network of edgepose's", "give --teacher-weights of one")
    if found != wanted:
        raise UsageError(
            f"{path} is of network {found}, not {wanted}",
            f"use --teacher {found}, or other --teacher-weights",
        )
