"""Where an 8-bit tensor's range begins and ends, from histograms of the float network's values.

What counts is not the tensor's own error but what becomes of it. A swish gives nearly nothing for anything
below -8, so spending half of the 256 steps there, as minimum and maximum would, is waste; and a value that
the maps hardly depend on may be wrong. So "mse" measures errors behind the nonlinearity, each weighted by the
squared gradient of the maps there.

Sources: percentile and error-minimising ranges, Migacz 2017, Nagel et al. 2021 (section 3.1); squared
gradients as weights, Li et al. 2021 (BRECQ, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeio import lookup

STEPS = 255  # between the 256 values of 8 bits
BINS = 4096
_PERCENTILE = 0.999
_SMALLEST = 1e-6
# Shares of the found extremes that are tried as the ends of a range: each is 5 % below the one before.
_SHARES = 0.95 ** np.arange(90)
_ROUNDS = 8


@dataclass(frozen=True)
class Range:
    """The real numbers that 8 bits stand for; zero is always among them."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= 0 <= self.high or self.low == self.high:
            raise ValueError(f"no range: {self.low} to {self.high}")

    @property
    def step(self) -> float:
        return (self.high - self.low) / STEPS

    def fake_quantized(self, values: np.ndarray) -> np.ndarray:
        """Values as 8 bits keep them; zero exactly, as the kernels do."""
        step = self.step
        zero = np.rint(-self.low / step)
        return (np.clip(np.rint(values / step) + zero, 0, STEPS) - zero) * step


# A sigmoid's output has this range in every TFLite kernel.
SIGMOID = Range(0.0, 255 / 256)


@dataclass(frozen=True)
class Histogram:
    """How often a tensor's values fall into equal bins between its lowest and highest.

    Attributes:
        low, high: lowest and highest value seen.
        counts: (BINS,) float64.
        stakes: (BINS,) float64; what a squared error of 1 in each of a bin's values would cost in the maps.
    """

    low: float
    high: float
    counts: np.ndarray
    stakes: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        width = (self.high - self.low) / len(self.counts)
        return self.low + width * (np.arange(len(self.counts)) + 0.5)

    def quantile(self, share: float) -> float:
        """The value that `share` of the values lie below."""
        below = np.cumsum(self.counts) / self.counts.sum()
        return float(self.centres[min(int(np.searchsorted(below, share)), len(below) - 1)])


Effect = Callable[[np.ndarray], np.ndarray]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -80, 80))))


def _swish(x: np.ndarray) -> np.ndarray:
    return x * _sigmoid(x)


def _positive(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


# What is made of a tensor by those that read it; its error is judged behind that. Maps are read by
# decoders, for which everything below zero is nothing.
EFFECTS: dict[str, Effect] = {
    "plain": lambda x: x,
    "swish": _swish,
    "sigmoid": _sigmoid,
    "maps": _positive,
}


def _minmax(histogram: Histogram, effect: str) -> tuple[float, float]:
    return histogram.low, histogram.high


def _percentile(histogram: Histogram, effect: str) -> tuple[float, float]:
    if effect == "maps":  # a clipped peak has no top to be found
        return histogram.quantile(1 - _PERCENTILE), histogram.high
    return histogram.quantile(1 - _PERCENTILE), histogram.quantile(_PERCENTILE)


def _mse(histogram: Histogram, effect: str) -> tuple[float, float]:
    """The ends that cost the maps least: each searched in turn, the other held, until neither moves."""
    lost = _loss(histogram, EFFECTS[effect])
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if effect == "maps":
        return 0.0, high
    highs, lows = high * _SHARES, low * _SHARES
    for _ in range(_ROUNDS):
        before = low, high
        high = float(highs[np.argmin([lost(low, h) for h in highs])])
        low = float(lows[np.argmin([lost(l, high) for l in lows])])  # noqa: E741
        if (low, high) == before:
            break
    return low, high


def _loss(histogram: Histogram, effect: Effect) -> Callable[[float, float], float]:
    """What a range from low to high costs: rounding within it, clipping beyond.

    Where the steps are finer than the bins, rounding is taken to err evenly within a step: at the bins'
    centres alone it would look exact whenever a step happens to be as wide as a bin.
    """
    used = histogram.stakes > 0
    values, stakes = histogram.centres[used], histogram.stakes[used]
    wanted = effect(values)
    width = (histogram.high - histogram.low) / len(histogram.counts)
    slopes = (effect(values + width / 2) - effect(values - width / 2)) / max(width, _SMALLEST)

    def lost(low: float, high: float) -> float:
        found = _usable(low, high)
        if found.step >= 2 * width:
            return float(np.sum(stakes * (effect(found.fake_quantized(values)) - wanted) ** 2))
        clipped = effect(np.clip(values, found.low, found.high)) - wanted
        return float(np.sum(stakes * (clipped**2 + slopes**2 * found.step**2 / 12)))

    return lost


METHODS: dict[str, Callable[[Histogram, str], tuple[float, float]]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "mse": _mse,
}


def choose(histogram: Histogram, method: str, effect: str) -> Range:
    """The range of a tensor.

    Args:
        method: a name in METHODS.
        effect: a name in EFFECTS.

    Raises:
        UnknownName: of the method.
    """
    return _usable(*lookup(METHODS, "way to set ranges", method)(histogram, effect))


def _usable(low: float, high: float) -> Range:
    low, high = min(low, 0.0), max(high, 0.0)
    return Range(low, max(high, low + _SMALLEST)) if high - low < _SMALLEST else Range(low, high)
