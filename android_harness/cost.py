"""Milliseconds of a phone from instructions: what published latencies of known networks allow to say.

    ms = instructions / (instructions per cycle x clock in GHz x 1e6) + model bytes / 8e6

A core keeps nearly the same number of instructions per cycle over a runtime's networks of one number format,
so one number is fitted to each published table (`published_latencies.py`), and judged by leaving each of its
networks out. Where that errs by more than `MOST_ERROR_PERCENT` nothing is estimated. The second term is the
weights' way from memory, which caches do not keep from one inference to the next: without it small networks
with many weights come out too fast.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from android_harness.published_latencies import FORMATS, PHONES, TABLES, XNNPACK, LatencyTable
from edgeio import lookup
from edgeio.records import read_record

CALIBRATION = Path(__file__).with_name("calibration.json")
# What one core of such phones reads from memory, roughly: a round figure, the same for all, chosen after
# fits without this term erred by up to 11 %.
MEMORY_GB_S = 8.0
MOST_ERROR_PERCENT = 15.0
_LEAST_NETWORKS = 3  # of a table that is fitted: with one left out, two still say how far apart they are


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
    ms: NonNegativeFloat | None
    """Milliseconds; null where the error is over 15 %."""
    error_percent: NonNegativeFloat | None
    """The greatest error on published latencies of the same number format that the estimate was not fitted on,
    in percent; null where there are none of the kind."""
    basis: str
    """What it was fitted on."""
    runtime: str = XNNPACK
    """What ran the networks whose latencies are published; another than XNNPACK has kernels of its own."""


@dataclass(frozen=True)
class CountedNetwork:
    """What a network of a published table costs here.

    Attributes:
        instructions: of one inference, by profile.
    """

    size_bytes: int
    instructions: Mapping[str, int]


@dataclass(frozen=True)
class CostCalibration:
    """What benchmarks/calibrate_cost.py counted.

    Attributes:
        networks: by number format and network.
    """

    runtime: str
    networks: Mapping[str, Mapping[str, CountedNetwork]]


@dataclass(frozen=True)
class Fit:
    """A core's instructions per cycle.

    Attributes:
        errors_percent: by network, of the estimate that is fitted without it; positive where it is too slow.
    """

    per_cycle: float
    errors_percent: Mapping[str, float]

    @property
    def error_percent(self) -> float:
        """The greatest, without its sign."""
        return max(map(abs, self.errors_percent.values()))


def estimates(profile: str, instructions: int, model_bytes: int, form: str) -> tuple[LatencyEstimate, ...]:
    """Estimates for the phones of an emulated processor; none where nothing is published for it.

    Args:
        instructions: of one inference.
        model_bytes: size of its file, nearly all of it weights.
        form: in which numbers it computes, of FORMATS.

    Raises:
        UnknownName: of the format.
    """
    lookup(dict.fromkeys(FORMATS), "number format", form)
    found = []
    for table in TABLES:
        phone = PHONES[table.phone]
        fitted = fit(table) if (phone.profile, table.form) == (profile, form) else None
        if fitted is None:
            continue
        sound = fitted.error_percent <= MOST_ERROR_PERCENT
        ms = instructions / (fitted.per_cycle * phone.ghz * 1e6) + _memory_ms(model_bytes)
        basis = f"{table.runtime}, {form}, {', '.join(table.ms)} ({table.source}); "
        basis += f"{fitted.per_cycle:.2f} instructions a cycle"
        found.append(
            LatencyEstimate(
                phone.name,
                f"{phone.core}, {phone.ghz:g} GHz",
                ms if sound else None,
                fitted.error_percent,
                basis,
                table.runtime,
            )
        )
    return tuple(found)


def fit(table: LatencyTable, calibration: CostCalibration | None = None) -> Fit | None:
    """A table's fit, or None where it has too few networks, or not all of them are counted.

    Args:
        calibration: by default the one that comes with the package.
    """
    known = (read_calibration() if calibration is None else calibration).networks.get(table.form, {})
    phone = PHONES[table.phone]
    rates, computing = {}, {}
    for network, ms in table.ms.items():
        if network not in known or phone.profile not in known[network].instructions:
            return None
        computing[network] = ms - _memory_ms(known[network].size_bytes)
        instructions = known[network].instructions[phone.profile]
        rates[network] = instructions / (computing[network] * phone.ghz * 1e6)
    if len(rates) < _LEAST_NETWORKS:
        return None
    errors = {}
    for network, rate in rates.items():
        others = statistics.geometric_mean([r for n, r in rates.items() if n != network])
        errors[network] = 100 * computing[network] / table.ms[network] * (rate / others - 1)
    return Fit(statistics.geometric_mean(rates.values()), errors)


@cache
def read_calibration() -> CostCalibration:
    """The counts that come with the package; empty before they were made."""
    if not CALIBRATION.exists():
        return CostCalibration("none", {})
    return read_record(CostCalibration, CALIBRATION, "run benchmarks/calibrate_cost.py again")


def _memory_ms(model_bytes: int) -> float:
    return model_bytes / (MEMORY_GB_S * 1e6)
