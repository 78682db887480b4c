"""What a model is, and what every runner of one does: a runner takes normalised pictures to raw outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from edgepose.geometry import Size
from edgepose.inference.peers import PEERS
from edgepose.inference.person_detector import DetectorSpec, PersonDetector
from edgepose.keypoints import KeypointSet
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant

MAPS = ("maps", "upscaled")  # outputs that are confidence maps
FLIP = "flip"  # the flip test, in the names of rows and among what a job depends on


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it runs.

    Attributes:
        kind: "checkpoint" or "tflite".
        sha256, size_bytes, deflated_bytes: of the file, without a detector's.
        network: key of the variant; None for a network of others.
        output: "maps", "upscaled", "keypoints", or the key of a `Peer`.
        output_shape: without the batch: (h, w, K), (K, 3), or (N,) all that is read of a peer's outputs.
        ops: operators by type; empty for a checkpoint.
        float_operators: float operators inside an integer model; None where the question is void.
        detector: the network's first stage; None where it has none.
        flip: it runs on each picture and on its mirror image, and the output is the mean of both.
    """

    path: Path
    kind: str
    sha256: str
    size_bytes: int
    deflated_bytes: int
    network: str | None
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
    detector: DetectorSpec | None = None
    flip: bool = False

    @property
    def network_name(self) -> str:
        """As its authors write it."""
        return PEERS[self.output].name if self.network is None else variant(self.network).name

    @property
    def normalisation(self) -> Normalisation:
        described = PEERS[self.output] if self.network is None else variant(self.network)
        return NORMALISATIONS[described.normalisation]

    @property
    def stride(self) -> int:
        """Input pixels per cell of the maps, which is the network's grain."""
        return (PEERS[self.output] if self.network is None else variant(self.network)).stride

    @property
    def gives_maps(self) -> bool:
        """Whether the output is confidence maps (h, w, K)."""
        return self.output in MAPS

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that runs, in their order."""
        return (self.path,) if self.detector is None else (self.detector.path, self.path)

    @property
    def all_bytes(self) -> int:
        """Bytes of the file and of its detector's, if it has one."""
        return self.size_bytes + (self.detector.size_bytes if self.detector else 0)

    @property
    def all_deflated_bytes(self) -> int:
        """The same after deflate."""
        return self.deflated_bytes + (0 if self.detector is None else self.detector.deflated_bytes)

    @property
    def identity(self) -> dict[str, str]:
        """The hashes of what runs, for what a job depends on; a flip test is named among them."""
        found = {"model": self.sha256} | ({"detector": self.detector.sha256} if self.detector else {})
        return found | ({FLIP: FLIP} if self.flip else {})

    @property
    def hashes(self) -> str:
        """The same as one text."""
        return "+".join(self.identity.values())


class Runner(Protocol):
    """Runs one model."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def detector(self) -> PersonDetector | None:
        """What finds the part of an image that the network is to see; None where it sees what it is given."""
        ...

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Normalised input (B, h, w, 3) float32 -> the model's output (B, *output_shape) float32."""
        ...


@runtime_checkable
class ReplicableRunner(Protocol):
    """A runner of which several can compute at the same time, each on one thread, alike to the bit."""

    def replica(self) -> Runner:
        """Another runner of the same model."""
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
