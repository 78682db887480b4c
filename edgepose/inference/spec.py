"""What a model is, and what every runner of one does: a runner takes normalised pictures to raw outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from edgepose.geometry import Size
from edgepose.keypoints import KeypointSet
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it runs.

    Attributes:
        kind: "checkpoint" or "tflite".
        network: key of the variant.
        output: "maps", "upscaled" or "keypoints".
        output_shape: without the batch: (h, w, K) or (K, 3).
        ops: operators by type; empty for a checkpoint.
        float_operators: float operators inside an integer model; None where the question is void.
        deflated_bytes: of the file after deflate.
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
    float_operators: int | None
    runtime: dict[str, str]
    deflated_bytes: int

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
    """A runner that has several inputs under way at once: a device, or a network that computes in batches."""

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`run` of each input, in their order."""
        ...


def run_each(runner: Runner, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The runner's output for each input (1, h, w, 3), in their order; inputs are taken as needed."""
    return runner.stream(inputs) if isinstance(runner, StreamRunner) else map(runner.run, inputs)
