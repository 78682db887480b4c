"""Each row minus the baseline, with paired bootstrap intervals, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.evaluation import human as evaluation_human
from edgepose.evaluation.bootstrap import paired_difference
from edgepose.evaluation.metrics import finite_or_none
from edgepose.reporting.results import METRICS, HumanSpread, Metric, Results

# Coarse, medium and fine, the mean error, and the human yardstick.
DIFFERED = ("pckh@0.5", "pckh@0.2", "pckh@0.1", "me", "pckh@human")


@dataclass(frozen=True)
class MetricDifference:
    """One metric of a row minus the baseline's.

    Attributes:
        value: in the metric's unit, percentage points for shares; null where undefined.
        interval: 95 %, low and high; null where there is none.
        verdict: what the interval allows one to say.
    """

    value: float | None
    interval: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True)
class Difference:
    """A row minus the baseline, by metric.

    Attributes:
        n_videos: videos that were drawn; few videos make an interval too narrow.
    """

    name: str
    n_videos: int
    replicates: int
    seed: int
    metrics: Mapping[str, MetricDifference]


def differences(
    baseline: Results, videos: Sequence[str], distances: Mapping[str, np.ndarray]
) -> tuple[Difference, ...]:
    """Every row but the baseline, minus the baseline, on the same images.

    Args:
        baseline: its bootstrap settings are used for all.
        videos: (N,) what each image belongs to.
        distances: by row name, (N, K) head lengths, the images in one order.
    """
    return tuple(
        _difference(name, baseline, videos, own, distances[baseline.name])
        for name, own in distances.items()
        if name != baseline.name
    )


def verdict(metric: Metric, interval: tuple[float, float] | None) -> str:
    """What a 95 % interval of a difference allows one to say; never that two models are equal."""
    if interval is None:
        return "no interval"
    low, high = interval
    if low == high == 0:
        return "same score: no draw tells them apart"
    if low <= 0 <= high:
        return "undecided: the interval includes 0"
    better = (low > 0) == metric.higher_is_better
    return f"{'better' if better else 'worse'}: the interval excludes 0"


def _difference(
    name: str, baseline: Results, videos: Sequence[str], own: np.ndarray, base: np.ndarray
) -> Difference:
    facts = baseline.metrics.bootstrap
    estimates = paired_difference(
        own,
        base,
        videos,
        baseline.data.scored_keypoints,
        _spread(baseline.metrics.human),
        facts.replicates,
        facts.seed,
    )
    metrics = {}
    for key in DIFFERED:
        estimate = estimates.overall.get(METRICS[key].computed)
        if estimate is not None:
            value, bounds = finite_or_none(estimate.value), estimate.interval.bounds
            metrics[key] = _scaled(METRICS[key], value, bounds)
    return Difference(name, estimates.n_videos, estimates.replicates, estimates.seed, metrics)


def _scaled(metric: Metric, value: float | None, bounds: tuple[float, float] | None) -> MetricDifference:
    interval = None if bounds is None else (metric.scale * bounds[0], metric.scale * bounds[1])
    shown = None if value is None else metric.scale * value
    return MetricDifference(shown, interval, verdict(metric, interval))


def _spread(human: HumanSpread | None) -> evaluation_human.HumanSpread | None:
    if human is None:
        return None
    names = tuple(name for name in human.spread if name in human.spread_p95)
    return evaluation_human.HumanSpread(
        names,
        tuple(human.spread[name] for name in names),
        tuple(human.spread_p95[name] for name in names),
        human.source,
    )
