"""A .tflite file on the TFLite runtime of this machine, one image at a time, as an app runs it."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeio import deflated_bytes, sha256_file
from edgepose.errors import BadModel
from edgepose.inference.metadata import DETECTORS, PoseMetadata, pose_metadata
from edgepose.inference.peers import PEERS
from edgepose.inference.person_detector import PersonDetector
from edgepose.inference.spec import ModelSpec
from edgepose.keypoints import keypoint_set
from export.inspect import inspect
from export.runtime import Session, TensorSpec
from export.sidecar import read_sidecar


class TFLiteRunner:
    """A .tflite with its sidecar, on the TFLite runtime of this machine."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        info = inspect(path)
        if {1, 2}.intersection(info.inputs[0].dynamic):
            raise BadModel(
                f"{path} has no fixed height and width", "import it with edgepose import-tflite --resolution"
            )
        sidecar = read_sidecar(path)
        metadata = pose_metadata(sidecar.metadata, str(path))
        self._threads = threads
        self._session = Session(path, threads=threads)
        self._read = _check(path, self._session, metadata)
        points = keypoint_set(metadata.keypoints)
        shapes = [self._session.outputs[i].shape[1:] for i in self._read]
        shape = (sum(map(math.prod, shapes)),) if metadata.output in PEERS else tuple(shapes[0])
        self.detector = _open_detector(path, metadata, threads)
        self.spec = ModelSpec(
            path=path,
            kind="tflite",
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            deflated_bytes=deflated_bytes(path),
            network=metadata.network,
            keypoints=points,
            recipe=sidecar.recipe,
            output=metadata.output,
            output_shape=shape,
            decode=metadata.decode,
            input_size=(self._session.inputs[0].shape[1], self._session.inputs[0].shape[2]),
            parameters=metadata.parameters,
            flops=metadata.flops,
            ops=dict(info.ops),
            float_operators=len(info.float_operators) if info.is_integer else None,
            runtime={"name": self._session.runtime.name, "version": self._session.runtime.version},
            detector=None if self.detector is None else self.detector.spec,
        )

    def replica(self) -> TFLiteRunner:
        """Another one, with interpreters of its own: one interpreter is not safe to share between threads."""
        other = copy.copy(self)
        other._session = Session(self.spec.path, threads=self._threads)
        if self.detector is not None:
            other.detector = PersonDetector(self.detector.spec.path, self._threads)
        return other

    @property
    def input(self) -> TensorSpec:
        """The model's input, as it is stored; a peer's integers are the normalised numbers themselves."""
        found = self._session.inputs[0]
        plain = found.scale == 0 and not np.issubdtype(np.dtype(found.dtype), np.floating)
        return replace(found, scale=1.0) if plain and self.spec.output in PEERS else found

    @property
    def outputs(self) -> dict[int, TensorSpec]:
        """Which of the model's outputs `run` gives, by number, and how they are stored."""
        return {i: self._session.outputs[i] for i in self._read}

    def run(self, inputs: np.ndarray) -> np.ndarray:
        stored = self.input
        return np.concatenate([self.joined(self._session.run(stored.quantise(row[None]))) for row in inputs])

    def joined(self, stored: Sequence[np.ndarray]) -> np.ndarray:
        """All of the model's outputs for one input, as they are stored, -> what `run` gives of them."""
        given = [spec.dequantise(stored[i]) for i, spec in self.outputs.items()]
        if self.spec.output not in PEERS:
            return given[0]
        return np.concatenate([each.reshape(1, -1) for each in given], axis=1)


def _check(path: Path, session: Session, metadata: PoseMetadata) -> tuple[int, ...]:
    """Refuse a file that is not what its sidecar says; the numbers of the outputs that are read.

    Raises:
        BadModel: other inputs or outputs.
    """
    output, index = metadata.output, metadata.output_index
    if output in PEERS:
        inputs, outputs = ([(t.shape, t.dtype) for t in side] for side in (session.inputs, session.outputs))
        return PEERS[output].check(path, inputs, outputs)
    if not 0 <= index < len(session.outputs):
        raise BadModel(
            f"{path} has {len(session.outputs)} outputs and its sidecar wants number {index}",
            "export it again",
        )
    input_shape, output_shape = session.inputs[0].shape, session.outputs[index].shape[1:]
    keypoints = len(keypoint_set(metadata.keypoints))
    fits = (
        len(output_shape) == 2 and output_shape[-1] == 3 and output_shape[0] == keypoints
        if output == "keypoints"
        else len(output_shape) == 3 and output_shape[-1] == keypoints
    )
    if len(input_shape) != 4 or input_shape[-1] != 3 or not fits:
        raise BadModel(
            f"{path} maps input {list(input_shape)} to {list(output_shape)}, no '{output}' output of "
            f"{keypoints} keypoints",
            "the sidecar is of another model: export it again",
        )
    return (index,)


def _open_detector(path: Path, metadata: PoseMetadata, threads: int) -> PersonDetector | None:
    """The first stage that the sidecar names; raises BadModel where it is missing or another."""
    named = metadata.detector
    if named is None:
        return None
    found = path.parent / DETECTORS / Path(named.name).name
    if not found.is_file() or sha256_file(found) != named.sha256:
        raise BadModel(
            f"{found}, the detector of {path}, is {'another file' if found.is_file() else 'missing'}",
            "copy it there again, or import the model again",
        )
    return PersonDetector(found, threads)
