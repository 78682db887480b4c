"""Models that can be scored: one Protocol, whatever runs behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from edgeio import deflated_bytes, lookup, sha256_file
from edgepose.codec import DECODERS, Codec
from edgepose.deploy import pose_metadata
from edgepose.errors import BadModel, UsageError
from edgepose.geometry import Size
from edgepose.keypoints import KeypointSet, keypoint_set
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant

if TYPE_CHECKING:
    from export.runtime import TensorSpec

IN_GRAPH = "in-graph"  # how a "keypoints" output was decoded: by the model itself

# What an output is decoded with unless the user says otherwise.
DECODE = {"maps": "taylor", "upscaled": "argmax", "keypoints": IN_GRAPH}


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it runs.

    Attributes:
        kind: "checkpoint" or "tflite".
        network: key of the variant.
        output: "maps", "upscaled" or "keypoints".
        output_shape: without the batch: (h, w, K) or (K, 3).
        ops: operators by type; empty for a checkpoint.
        float_islands: float operators inside an integer model; None where the question is void.
        deflated_bytes: of the file after deflate; None where nobody measured it.
    """

    path: Path
    kind: str
    sha256: str
    size_bytes: int
    network: str
    keypoints: KeypointSet
    recipe: str | None
    output: str
    output_shape: tuple[int, ...]
    decode: str
    input_size: Size
    parameters: int | None
    flops: int | None
    ops: dict[str, int]
    float_islands: int | None
    runtime: dict[str, str]
    deflated_bytes: int | None = None

    @property
    def normalisation(self) -> Normalisation:
        return NORMALISATIONS[variant(self.network).normalisation]


class Runner(Protocol):
    """Runs one model."""

    @property
    def spec(self) -> ModelSpec: ...

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Normalised input (B, h, w, 3) float32 -> the model's output (B, *output_shape) float32."""
        ...


@runtime_checkable
class StreamRunner(Protocol):
    """A runner that has several inputs under way at once, as a device does."""

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`run` of each input, in their order."""
        ...


def run_each(runner: Runner, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The runner's output for each input (1, h, w, 3), in their order; inputs are taken as needed."""
    return runner.stream(inputs) if isinstance(runner, StreamRunner) else map(runner.run, inputs)


class TFLiteRunner:
    """A .tflite with its sidecar, on the TFLite runtime of this machine."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        from export.flatbuffer import inspect
        from export.runtime import Session
        from export.sidecar import read_sidecar

        info = inspect(path)
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


class KerasRunner:
    """A checkpoint, built and run by Keras."""

    def __init__(self, path: Path) -> None:
        from edgepose.frameworks import tensorflow
        from edgepose.models.checkpoint import load_model, read_checkpoint
        from edgepose.models.profile import inference_cost

        tf = tensorflow()
        info, _ = read_checkpoint(path)
        model = load_model(path, output="maps")
        call = tf.function(lambda x: model(x, training=False), jit_compile=False)
        self._call: Callable[[np.ndarray], np.ndarray] = lambda x: call(tf.constant(x)).numpy()
        parameters, flops = inference_cost(info)
        self.spec = ModelSpec(
            path=path,
            kind="checkpoint",
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            deflated_bytes=deflated_bytes(path),
            network=info.model,
            keypoints=keypoint_set(info.keypoints),
            recipe=None,
            output="maps",
            output_shape=tuple(model.output_shape[1:]),
            decode=DECODE["maps"],
            input_size=tuple(model.input_shape[1:3]),
            parameters=parameters,
            flops=flops,
            ops={},
            float_islands=None,
            runtime={"name": "keras on tensorflow", "version": tf.__version__},
        )

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return np.asarray(self._call(inputs), np.float32)


def open_runner(path: Path, threads: int = 1) -> TFLiteRunner | KerasRunner:
    """The runner for a model file, by its suffix.

    Raises:
        BadModel: no such file, or neither a checkpoint nor a .tflite.
    """
    if not path.is_file():
        raise BadModel(
            f"{path} does not exist or is not a file", "give a .safetensors checkpoint or a .tflite file"
        )
    if path.suffix.lower() == ".tflite":
        return TFLiteRunner(path, threads)
    if path.suffix.lower() == ".safetensors":
        return KerasRunner(path)
    raise BadModel(
        f"{path} is neither a .safetensors checkpoint nor a .tflite file", "export or import it first"
    )


class PoseDecoder:
    """A model's output to keypoints in input pixels, by the codec or as the model itself decoded."""

    def __init__(self, spec: ModelSpec, decode: str | None) -> None:
        self.name = decode or spec.decode
        if spec.output == "keypoints":
            if self.name != IN_GRAPH:
                raise UsageError(f"{spec.path} decodes in its own graph", "leave --decode out")
            self._codec = None
            return
        lookup(DECODERS, "decoder", self.name)
        if spec.output == "upscaled" and self.name == "upsampled-argmax":
            raise UsageError(f"{spec.path} upscales in its own graph", "use --decode argmax")
        self._codec = Codec(spec.input_size, (spec.output_shape[0], spec.output_shape[1]), decoder=self.name)

    def __call__(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (B, ...) -> keypoints_px (B, K, 2) in input pixels, confidence (B, K)."""
        if self._codec is None:
            return outputs[..., :2].astype(np.float64), outputs[..., 2]
        return self._codec.decode(outputs)


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
