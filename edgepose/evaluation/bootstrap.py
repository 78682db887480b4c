"""95 % percentile bootstrap intervals, clustered by video.

Frames of one video are alike, so whole videos are drawn with replacement, as many as there are. Every
metric here is a ratio of sums (see `RatioMetric`): each video is summed once, and a replicate is a weighted
sum over videos, which gives exactly the statistic of the resampled images. With few videos (say, under 20)
percentile intervals are too narrow; `n_videos` goes beside them for that reason.

Source: Davison & Hinkley 1997, Bootstrap Methods and their Application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.data.human_spread import HumanSpread
from edgepose.errors import BadResults
from edgepose.evaluation.metrics import RatioMetric, overall_mean, ratio_metrics

REPLICATES = 2000
CONFIDENCE = 0.95
ONE_VIDEO = "one video: nothing to resample"
CONTRASTS = ("difference", "ratio")
_BLOCK = 256  # replicates at a time: bounds the memory at _BLOCK x videos


@dataclass(frozen=True)
class Interval:
    """A confidence interval, or None at both ends and the reason why there is none."""

    low: float | None
    high: float | None
    reason: str | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(low, high), or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Estimate:
    """A figure, or a difference or ratio of two, with its interval; NaN where it is undefined or unbounded.

    Attributes:
        n_videos: videos that it rests on.
    """

    value: float
    interval: Interval
    n_videos: int


@dataclass(frozen=True)
class Estimates:
    """Bootstrapped figures by metric key.

    Attributes:
        overall: one estimate a metric.
        per_keypoint: K estimates a metric.
        n_videos: videos with at least one scored keypoint; the others tell nothing and are not drawn.
        replicates, seed: what was drawn.
    """

    overall: dict[str, Estimate]
    per_keypoint: dict[str, tuple[Estimate, ...]]
    n_videos: int
    replicates: int
    seed: int


@dataclass(frozen=True)
class _Sums:
    """One metric summed by video: (V, K) sums and counts."""

    metric: RatioMetric
    sums: np.ndarray
    counts: np.ndarray

    def figures(self, weights: np.ndarray) -> np.ndarray:
        """(B, 1 + K): overall and per-keypoint figures of B replicates; `weights` (B, V)."""
        overall, per_keypoint = overall_mean(self.metric, weights @ self.sums, weights @ self.counts)
        return np.concatenate([overall[:, None], per_keypoint], axis=1)

    def videos(self) -> np.ndarray:
        """(1 + K,) number of videos that each figure rests on."""
        return np.concatenate([[(self.counts > 0).any(axis=1).sum()], (self.counts > 0).sum(axis=0)])


def bootstrap_scores(
    distances: np.ndarray,
    videos: Sequence[str],
    names: Sequence[str],
    human: HumanSpread | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimates:
    """Every ratio metric of one model, overall and per keypoint, with its interval.

    Args:
        distances: (N, K) head lengths, as `normalised_distances` gives them.
        videos: N names; images of one video are drawn together.
        names: K keypoint names.
        human: the spread for `pckh@human95`.

    A mean over keypoints is taken in each replicate over the keypoints labelled in it, and a keypoint's
    interval over the replicates that have it.
    """
    group, n_videos = _groups(np.asarray(distances), videos)
    tables = [(_sums(m, distances, group, n_videos),) for m in ratio_metrics(names, human)]
    return _estimates(tables, n_videos, replicates, seed)


def paired_difference(
    distances: np.ndarray,
    baseline: np.ndarray,
    videos: Sequence[str],
    names: Sequence[str],
    human: HumanSpread | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimates:
    """Every ratio metric of one model minus the baseline's, on the same images in the same order.

    Both are computed from the same draw of videos, so what makes a video hard for both cancels out.

    Args:
        distances, baseline: (N, K) each.

    Raises:
        BadResults: the two do not score the same keypoints of the same images.
    """
    a, b = np.asarray(distances, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        raise BadResults(
            "the two results do not score the same keypoints of the same images",
            "score both models on the same data, split and keypoints",
        )
    group, n_videos = _groups(a, videos)
    tables = [
        (_sums(m, a, group, n_videos), _sums(m, b, group, n_videos)) for m in ratio_metrics(names, human)
    ]
    return _estimates(tables, n_videos, replicates, seed)


def mean_contrast(
    values: np.ndarray,
    baseline: np.ndarray | None,
    videos: Sequence[str],
    contrast: str = "difference",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> tuple[Estimate, tuple[Estimate, ...]]:
    """The mean of any values, or how it compares with a baseline's; all keypoints = the mean over keypoints.

    Args:
        values, baseline: (N, K) NaN where not counted, in both alike; without a baseline, the mean itself.
        videos: N names; samples of one video are drawn together.
        contrast: one of `CONTRASTS`.

    Returns:
        for all keypoints, and for each.

    Raises:
        ValueError: the two do not count the same samples.
    """
    own = np.asarray(values, dtype=np.float64)
    tables = [own] if baseline is None else [own, np.asarray(baseline, dtype=np.float64)]
    if any(not np.array_equal(np.isnan(own), np.isnan(table)) for table in tables):
        raise ValueError("values and baseline do not count the same samples")
    group, n_videos = _groups(own, videos)
    metric = RatioMetric("mean", lambda table: table, pooled=False)
    sums = tuple(_sums(metric, table, group, n_videos) for table in tables)
    found = _estimates([sums], n_videos, replicates, seed, contrast)
    return found.overall["mean"], found.per_keypoint["mean"]


def draws(n_videos: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks (b, V) of how often each video is drawn: rows sum to V, `replicates` rows in all."""
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, _BLOCK):
        rows = min(_BLOCK, replicates - start)
        chosen = rng.integers(0, n_videos, size=(rows, n_videos))
        flat = (chosen + n_videos * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * n_videos).reshape(rows, n_videos).astype(np.float64)


def _groups(distances: np.ndarray, videos: Sequence[str]) -> tuple[np.ndarray, int]:
    """(N,) video index of each image, -1 where nothing is scored, and the number of scored videos."""
    if distances.ndim != 2 or len(videos) != len(distances):
        raise ValueError(f"distances {distances.shape} must be (N, K), with one video for each of N images")
    scored = ~np.isnan(distances).all(axis=1)
    group = np.full(len(distances), -1)
    unique, group[scored] = np.unique(np.asarray(videos, dtype=str)[scored], return_inverse=True)
    return group, len(unique)


def _sums(metric: RatioMetric, distances: np.ndarray, group: np.ndarray, n_videos: int) -> _Sums:
    scored = group >= 0
    values = metric.values(np.asarray(distances, dtype=np.float64)[scored])
    counted = ~np.isnan(values)
    sums, counts = np.zeros((n_videos, values.shape[1])), np.zeros((n_videos, values.shape[1]))
    np.add.at(sums, group[scored], np.where(counted, values, 0.0))
    np.add.at(counts, group[scored], counted)
    # A missing prediction has no bounded error: NaN, since a video that is not drawn would give 0 x inf.
    return _Sums(metric, np.where(np.isinf(sums), np.nan, sums), counts)


def _estimates(
    tables: Sequence[tuple[_Sums, ...]],
    n_videos: int,
    replicates: int,
    seed: int,
    contrast: str = "difference",
) -> Estimates:
    """Figures of each table, or the first minus (or over) the second where it holds two."""
    blocks: list[list[np.ndarray]] = [[] for _ in tables]
    for weights in draws(n_videos, replicates, seed) if n_videos > 1 else ():
        for table, block in zip(tables, blocks, strict=True):
            block.append(_contrast(table, weights, contrast))
    overall, per_keypoint = {}, {}
    for table, block in zip(tables, blocks, strict=True):
        values = _contrast(table, np.ones((1, n_videos)), contrast)[0]
        replicated = np.concatenate(block) if block else np.full((1, len(values)), np.nan)
        row = [
            _estimate(*cell, contrast) for cell in zip(values, replicated.T, table[0].videos(), strict=True)
        ]
        key = table[0].metric.key
        overall[key], per_keypoint[key] = row[0], tuple(row[1:])
    return Estimates(overall, per_keypoint, n_videos, replicates, seed)


def _contrast(table: tuple[_Sums, ...], weights: np.ndarray, contrast: str) -> np.ndarray:
    figures = [sums.figures(weights) for sums in table]
    if len(figures) == 1:
        return figures[0]
    if contrast == "difference":
        return figures[0] - figures[1]
    positive = figures[1] > 0  # nothing is a multiple of zero
    return np.where(positive, figures[0] / np.where(positive, figures[1], 1.0), np.nan)


def _estimate(value: float, replicated: np.ndarray, n_videos: int, contrast: str) -> Estimate:
    if n_videos == 0:
        interval = Interval(None, None, "nothing is scored")
    elif np.isnan(value) and contrast == "ratio":
        interval = Interval(None, None, "the baseline's is zero, or a prediction is missing")
    elif np.isnan(value):
        interval = Interval(None, None, "unbounded: a prediction is missing")
    elif n_videos == 1:
        interval = Interval(None, None, ONE_VIDEO)
    else:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.nanquantile(replicated, [tail, 1 - tail])
        interval = Interval(float(low), float(high))
    return Estimate(float(value), interval, int(n_videos))
