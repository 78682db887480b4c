"""The `device` section of results.json: what a model cost on a device, and how near its outputs came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from android_harness.cost import Instructions, LatencyEstimate
from edgeio.records import Sha256


@dataclass(frozen=True)
class Parity:
    """The device's outputs against this machine's, of the same file on the same inputs."""

    runtime: str
    """Name and version of this machine's runtime."""
    n_images: PositiveInt
    """Images compared."""
    identical: NonNegativeInt
    """Images whose outputs agree to the bit."""
    max_difference: NonNegativeFloat
    """The greatest difference of any element of the output, dequantised."""
    max_px: NonNegativeFloat
    """The greatest distance between the two runs' keypoints, pixels of the original images."""
    p99_px: NonNegativeFloat
    """The 99th percentile of those distances, pixels."""
    median_px: NonNegativeFloat
    """Their median, pixels."""


@dataclass(frozen=True)
class DeviceFacts:
    """Where the model ran, if not here; what it cost there, and how near its outputs came to ours."""

    name: str
    """The device's name, as after `--target KIND:`."""
    kind: Literal["emulated", "android"]
    """Of an emulated one, outputs and instructions are exact, time means nothing and is not given."""
    processor: str
    """What the device is, or pretends to be."""
    system: str
    """The emulator or the operating system, with its version."""
    sysroot_sha256: Sha256 | None
    """Hash of an emulated device's files; null elsewhere."""
    protocol: PositiveInt
    """Version of the protocol between host and runner."""
    threads: PositiveInt
    """Threads of the interpreter while it was scored; instructions are always of one."""
    delegate: str
    """What was asked to run the operators; a runtime may keep some to itself."""
    model_memory_bytes: NonNegativeInt | None
    """Bytes that opening the model took from malloc; null where that was not measured."""
    instructions: Instructions | None
    """null where they were not counted; `not_counted` says why."""
    not_counted: str | None
    """Why instructions were not counted; null where they were."""
    estimates: tuple[LatencyEstimate, ...]
    """Milliseconds of named phones, estimated from the instructions; empty where nothing is known to estimate
    from."""
    parity: Parity
