"""The `device` section of results.json: what a model cost on a device, and how near its outputs came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class InstructionRecord:
    """Instructions of one inference by one thread, counted exactly.

    Attributes:
        classes: how many of each class; they add up to `per_inference`.
        spread: (most - fewest) / median over the counted runs.
    """

    per_inference: int
    classes: Mapping[str, int]
    spread: float
    runs: int


@dataclass(frozen=True)
class EstimateRecord:
    """Milliseconds of one inference by one thread of a phone, from the instructions.

    Attributes:
        error_percent: the greatest error on published latencies that the estimate was not fitted on; null
            where the model or the processor is of a kind that has none.
        basis: what it was fitted on.
    """

    phone: str
    processor: str
    ms: float
    error_percent: float | None
    basis: str


@dataclass(frozen=True)
class Parity:
    """The device's outputs against this machine's, of the same file on the same inputs.

    Attributes:
        runtime: name and version of this machine's.
        identical: images whose outputs agree to the bit.
        max_difference: of any element of the output, dequantised.
        max_px, p99_px, median_px: distances between the keypoints, in pixels of the original images.
    """

    runtime: str
    n_images: int
    identical: int
    max_difference: float
    max_px: float
    p99_px: float
    median_px: float


@dataclass(frozen=True)
class DeviceFacts:
    """Where the model ran, if not here.

    Attributes:
        kind: "emulated": outputs and instructions are exact, time means nothing and is not given.
        processor: what the device is, or pretends to be.
        system: the emulator or the operating system, with its version.
        sysroot_sha256: of the emulated device's files; null elsewhere.
        protocol: version of the protocol between host and runner.
        model_memory_bytes: what opening the model took from malloc; null where it was not measured.
        instructions: null where they were not counted, and `not_counted` says why.
    """

    name: str
    kind: Literal["emulated", "android"]
    processor: str
    system: str
    sysroot_sha256: str | None
    protocol: int
    threads: int
    delegate: str
    model_memory_bytes: int | None
    instructions: InstructionRecord | None
    not_counted: str | None
    estimates: tuple[EstimateRecord, ...]
    parity: Parity
