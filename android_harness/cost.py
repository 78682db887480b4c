"""Milliseconds of a phone from instructions: what published latencies of known networks allow to say.

    ms = instructions / (instructions per cycle x clock in GHz x 1e6) + model bytes / 8e6

A core keeps nearly the same number of instructions per cycle over XNNPACK's networks, so one number a core
is fitted, on the published latencies of four MobileNets, and judged by leaving each of them out. The second
term is the weights' way from memory, which caches do not keep from one inference to the next: without it
small networks with many weights come out too fast.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from edgeio.records import read_record

CALIBRATION = Path(__file__).with_name("calibration.json")
# What one core of such phones reads from memory, roughly: a round figure, the same for all, chosen after
# fits without this term erred by up to 11 %.
MEMORY_GB_S = 8.0
NETWORKS = ("mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mobilenet-v3-small")


@dataclass(frozen=True)
class ReferencePhone:
    """A phone's big core.

    Attributes:
        profile: the emulated processor whose instructions it runs, or the nearest.
        ghz: its highest clock.
    """

    key: str
    name: str
    core: str
    ghz: float
    profile: str


PHONES = (
    ReferencePhone("pixel", "Pixel", "Kryo, Snapdragon 821", 2.15, "cortex-a72"),
    ReferencePhone("pixel-2", "Pixel 2", "Cortex-A73 (Kryo 280), Snapdragon 835", 2.35, "cortex-a73"),
    ReferencePhone("pixel-3a", "Pixel 3a", "Cortex-A75 (Kryo 360), Snapdragon 670", 2.0, "cortex-a75"),
)

# Milliseconds, one thread, fp32, batch 1, 224 px, random weights: XNNPACK's README, "Mobile phones", measured
# on March 27, 2020 with end2end_bench. In the order of NETWORKS.
LATENCIES = {
    "pixel": (82.0, 49.0, 39.0, 12.0),
    "pixel-2": (86.0, 53.0, 42.0, 14.0),
    "pixel-3a": (88.0, 55.0, 44.0, 14.0),
}
SOURCE = "XNNPACK's published single-thread fp32 latencies of MobileNet V1, V2, V3 Large and V3 Small"


@dataclass(frozen=True)
class Instructions:
    """Instructions of one inference by one thread, counted exactly."""

    per_inference: PositiveInt
    """The median run's, less what counting itself costs."""
    classes: Mapping[str, NonNegativeInt]
    """How many of each class; they add up to per_inference: integer, load_store, branch, vector (and scalar
    floating point), dot (8-bit dot products), other."""
    spread: NonNegativeFloat
    """(most - fewest) / median over the counted runs."""
    runs: PositiveInt
    """Inferences that were counted, after a warm-up."""


@dataclass(frozen=True)
class LatencyEstimate:
    """Milliseconds of one inference by one thread of a phone, from the instructions."""

    phone: str
    """The phone."""
    processor: str
    """Its processor and clock."""
    ms: NonNegativeFloat
    """Milliseconds."""
    error_percent: NonNegativeFloat | None
    """The greatest error on published latencies that the estimate was not fitted on, in percent; null where
    there are none of the kind."""
    basis: str
    """What it was fitted on."""


@dataclass(frozen=True)
class CostCalibration:
    """What benchmarks/calibrate_cost.py counted.

    Attributes:
        size_bytes: of each network's file.
        instructions: by profile and network.
    """

    runtime: str
    size_bytes: Mapping[str, int]
    instructions: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Fit:
    """A core's instructions per cycle.

    Attributes:
        error_percent: by leaving out each network in turn, the greatest.
    """

    per_cycle: float
    error_percent: float


def estimates(
    profile: str, instructions: int, model_bytes: int, integer: bool
) -> tuple[LatencyEstimate, ...]:
    """Estimates for the phones of an emulated processor; none where nothing is published for it.

    Args:
        instructions: of one inference.
        model_bytes: size of its file, nearly all of it weights.
        integer: whether it computes in integers, on which the fit was never judged.
    """
    found = []
    for phone in PHONES:
        fitted = fit(phone) if phone.profile == profile else None
        if fitted is None:
            continue
        ms = instructions / (fitted.per_cycle * phone.ghz * 1e6) + _memory_ms(model_bytes)
        basis = f"{SOURCE}; {fitted.per_cycle:.2f} instructions a cycle"
        error = None if integer else fitted.error_percent
        if integer:
            basis += "; not judged on integer models"
        found.append(LatencyEstimate(phone.name, f"{phone.core}, {phone.ghz:g} GHz", ms, error, basis))
    return tuple(found)


def fit(phone: ReferencePhone, calibration: CostCalibration | None = None) -> Fit | None:
    """A phone's fit, or None where its networks are not counted.

    Args:
        calibration: by default the one that comes with the package.
    """
    known = read_calibration() if calibration is None else calibration
    counted = known.instructions.get(phone.profile, {})
    if any(network not in counted for network in NETWORKS):
        return None
    published = dict(zip(NETWORKS, LATENCIES[phone.key], strict=True))
    memory = {network: _memory_ms(known.size_bytes[network]) for network in NETWORKS}
    rates = {n: counted[n] / ((published[n] - memory[n]) * phone.ghz * 1e6) for n in NETWORKS}
    errors = []
    for left_out in NETWORKS:
        others = statistics.geometric_mean([rate for n, rate in rates.items() if n != left_out])
        ms = counted[left_out] / (others * phone.ghz * 1e6) + memory[left_out]
        errors.append(100 * abs(ms / published[left_out] - 1))
    return Fit(statistics.geometric_mean(rates.values()), max(errors))


@cache
def read_calibration() -> CostCalibration:
    """The counts that come with the package; empty before they were made."""
    if not CALIBRATION.exists():
        return CostCalibration("none", {}, {})
    return read_record(CostCalibration, CALIBRATION, "run benchmarks/calibrate_cost.py again")


def _memory_ms(model_bytes: int) -> float:
    return model_bytes / (MEMORY_GB_S * 1e6)
