"""Each row minus the baseline, with paired bootstrap intervals, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeInt

from edgepose.data import human_spread as evaluation_human
from edgepose.evaluation.bootstrap import Estimate, Estimates, paired_difference
from edgepose.evaluation.metrics import finite_or_none
from edgepose.results.results import METRICS, HumanSpreadRecord, Metric, Results

# Coarse, medium and fine, the mean error, and the human yardstick.
DIFFERED = ("pckh@0.5", "pckh@0.2", "pckh@0.1", "me", "pckh@human")


@dataclass(frozen=True)
class MetricDifference:
    """One metric of a row minus the baseline's."""

    value: float | None
    """Percentage points for shares, head lengths for errors; null where undefined."""
    interval: tuple[float, float] | None
    """95 % interval: low and high; null where there is none."""
    verdict: str
    """What the interval allows one to say."""


@dataclass(frozen=True)
class Difference:
    """A row minus the baseline, by metric."""

    name: str
    """The row."""
    n_videos: NonNegativeInt
    """Videos that were drawn; few videos make an interval too narrow."""
    replicates: NonNegativeInt
    """Draws."""
    seed: int
    """Of the draws."""
    metrics: Mapping[str, MetricDifference]
    """Over all keypoints, by metric."""
    per_keypoint: Mapping[str, Mapping[str, MetricDifference]]
    """By keypoint, then by metric."""


def paired_estimates(
    baseline: Results, videos: Sequence[str], distances: Mapping[str, np.ndarray]
) -> dict[str, Estimates]:
    """Every row but the baseline, minus the baseline, on the same images.

    Args:
        baseline: its bootstrap settings are used for all.
        videos: (N,) what each image belongs to.
        distances: by row name, (N, K) head lengths, the images in one order.
    """
    facts = baseline.metrics.bootstrap
    names, human = baseline.data.scored_keypoints, human_spread(baseline.metrics.human)
    return {
        name: paired_difference(
            own, distances[baseline.name], videos, names, human, facts.replicates, facts.seed
        )
        for name, own in distances.items()
        if name != baseline.name
    }


def difference(name: str, estimates: Estimates, names: Sequence[str]) -> Difference:
    """What is shown of one row's paired differences over keypoints `names`."""
    computed = {key: METRICS[key] for key in DIFFERED if METRICS[key].computed in estimates.overall}
    return Difference(
        name=name,
        n_videos=estimates.n_videos,
        replicates=estimates.replicates,
        seed=estimates.seed,
        metrics={key: _scaled(m, estimates.overall[m.computed]) for key, m in computed.items()},
        per_keypoint={
            keypoint: {key: _scaled(m, estimates.per_keypoint[m.computed][k]) for key, m in computed.items()}
            for k, keypoint in enumerate(names)
        },
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


def human_spread(human: HumanSpreadRecord | None) -> evaluation_human.HumanSpread | None:
    """The spread in a results file, as `edgepose.evaluation` takes it."""
    if human is None:
        return None
    names = tuple(n for n in human.spread_p95 if not human.spread or n in human.spread)
    return evaluation_human.HumanSpread(
        names,
        tuple(human.spread[name] for name in names if human.spread),
        tuple(human.spread_p95[name] for name in names),
        human.source,
    )


def _scaled(metric: Metric, estimate: Estimate) -> MetricDifference:
    value, bounds = finite_or_none(estimate.value), estimate.interval.bounds
    interval = None if bounds is None else (metric.scale * bounds[0], metric.scale * bounds[1])
    shown = None if value is None else metric.scale * value
    return MetricDifference(shown, interval, verdict(metric, interval))
