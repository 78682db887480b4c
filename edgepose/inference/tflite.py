"""A .tflite file on the TFLite runtime of this machine, one image at a time, as an app runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeio import deflated_bytes, sha256_file
from edgepose.errors import BadModel
from edgepose.inference.metadata import pose_metadata
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
        self._session = Session(path, threads=threads)
        self._index = metadata.output_index
        if not 0 <= self._index < len(self._session.outputs):
            raise BadModel(
                f"{path} has {len(self._session.outputs)} outputs and its sidecar wants number {self._index}",
                "export it again",
            )
        points = keypoint_set(metadata.keypoints)
        shape = tuple(self._session.outputs[self._index].shape[1:])
        _check_shapes(path, self._session.inputs[0].shape, shape, metadata.output, len(points))
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
            float_islands=len(info.float_islands) if info.is_integer else None,
            runtime={"name": self._session.runtime.name, "version": self._session.runtime.version},
        )

    @property
    def input(self) -> TensorSpec:
        """The model's input, as it is stored."""
        return self._session.inputs[0]

    @property
    def output(self) -> tuple[int, TensorSpec]:
        """Which of the model's outputs `run` gives, and how that is stored."""
        return self._index, self._session.outputs[self._index]

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return self._session.run_float(inputs)[self._index]


def _check_shapes(
    path: Path, input_shape: tuple[int, ...], output_shape: tuple[int, ...], output: str, keypoints: int
) -> None:
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
