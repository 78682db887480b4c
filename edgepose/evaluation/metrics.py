"""Distances in head lengths, and the paper's metrics of them. Pure NumPy; no argument is written to.

A distance d is NaN where nothing can be scored (no annotation, or no head length) and +inf where the
model gave no finite point for an annotated keypoint: a miss at every threshold, and an unbounded error.
Shares are fractions in 0..1, errors are in head lengths. Thresholds hold exactly (d <= t, no tolerance).

Source: Groos et al. 2021, Tables 1 and 2. The figure for all keypoints is *pooled* over annotated
keypoints (PCKh@t, and our AUC, median and 95th percentile) or the *mean over keypoints* (ME, PCKh@Human).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edgepose.data.head_length import checked_points, labelled
from edgepose.data.human_spread import HumanSpread
from edgepose.errors import EdgeposeError

THRESHOLDS = (1.0, 0.5, 0.3, 0.2, 0.1)
AUC_LIMIT = 0.5  # head lengths
CURVE = tuple(round(0.01 * i, 2) for i in range(51))  # thresholds of the PCKh curve, 0 .. AUC_LIMIT


@dataclass(frozen=True)
class Figure:
    """One metric: for all keypoints together, and for each; NaN where no annotated keypoint was scored."""

    overall: float
    per_keypoint: np.ndarray


@dataclass(frozen=True)
class RatioMetric:
    """A metric that averages one number a sample, so that sums and counts are all it needs.

    Attributes:
        key: its name in results, such as `pckh@0.5`.
        values: distances (N, K) -> numbers (N, K), NaN where not counted.
        pooled: all keypoints = the mean over samples; otherwise the mean over keypoints' means.
    """

    key: str
    values: Callable[[np.ndarray], np.ndarray]
    pooled: bool


@dataclass(frozen=True)
class Scores:
    """Every metric of one model on one set of images.

    Attributes:
        names: K keypoint names.
        n_images: images given; n_images_scored: images with at least one scored keypoint.
        n: (K,) scored samples; n_missing: (K,) of those, how many have no finite prediction.
        figures: by metric key; `pckh@human95` is NaN where `human` has no spread for the keypoint.
        human: the spread behind `pckh@human95`, or None.
    """

    names: tuple[str, ...]
    n_images: int
    n_images_scored: int
    n: np.ndarray
    n_missing: np.ndarray
    figures: dict[str, Figure]
    human: HumanSpread | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: None where a figure is undefined (nothing scored) or unbounded (`n_missing` > 0)."""
        return {
            "n_images": self.n_images,
            "n_images_scored": self.n_images_scored,
            "human_source": self.human.source if self.human else None,
            "overall": {
                "n": int(self.n.sum()),
                "n_missing": int(self.n_missing.sum()),
                "scores": {key: finite_or_none(figure.overall) for key, figure in self.figures.items()},
            },
            "per_keypoint": {name: self._row(k) for k, name in enumerate(self.names)},
        }

    def _row(self, k: int) -> dict[str, Any]:
        scores = {key: finite_or_none(figure.per_keypoint[k]) for key, figure in self.figures.items()}
        return {"n": int(self.n[k]), "n_missing": int(self.n_missing[k]), "scores": scores}


def finite_or_none(value: float) -> float | None:
    """A JSON number, or None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


def normalised_distances(
    predicted_px: np.ndarray,
    annotated_px: np.ndarray,
    head_length_px: np.ndarray,
    allow_missing: bool = False,
) -> np.ndarray:
    """Distance between prediction and annotation in head lengths, d(m, b, i).

    Args:
        predicted_px: (N, K, 2) x, y in pixels of the original image.
        annotated_px: (N, K, 2) in the same pixels, NaN where unlabelled.
        head_length_px: (N,) positive, NaN where the image is left out.
        allow_missing: a prediction that is not finite is a miss (d = +inf) instead of an error.

    Returns:
        (N, K) float64: NaN where unlabelled or left out, +inf where a prediction is missing.

    Raises:
        EdgeposeError: a prediction to be scored is not finite, and `allow_missing` is false.
        BadDataset: an annotation with one coordinate, or an infinite one.
    """
    predicted, annotated = (
        checked_points(predicted_px, "predicted_px"),
        checked_points(annotated_px, "annotated_px"),
    )
    lengths = np.asarray(head_length_px, dtype=np.float64)
    if predicted.shape != annotated.shape or lengths.shape != annotated.shape[:1]:
        raise ValueError(
            f"shapes differ: predicted_px {predicted.shape}, annotated_px {annotated.shape}, "
            f"head_length_px {lengths.shape}"
        )
    if not np.all(np.isnan(lengths) | (np.isfinite(lengths) & (lengths > 0))):
        raise ValueError("head_length_px must be positive, or NaN where the image is left out")
    scored = labelled(annotated) & ~np.isnan(lengths)[:, None]
    present = np.isfinite(predicted).all(axis=-1)
    missing = scored & ~present
    if missing.any() and not allow_missing:
        raise EdgeposeError(
            f"{int(missing.sum())} of {int(scored.sum())} predictions are not finite numbers",
            "check the model's outputs for NaN, or allow missing predictions to count them as misses",
        )
    # Points that are not scored become zeros: no arithmetic on NaN or infinities, hence no warnings.
    usable = (scored & present)[..., None]
    offset = np.where(usable, predicted, 0.0) - np.where(usable, annotated, 0.0)
    distances = np.hypot(offset[..., 0], offset[..., 1]) / lengths[:, None]
    distances = np.where(scored, distances, np.nan)
    return np.where(missing, np.inf, distances)


def ratio_metrics(names: Sequence[str], human: HumanSpread | None = None) -> tuple[RatioMetric, ...]:
    """PCKh@t, AUC, ME and PCKh@Human^0.95; the last counts only keypoints that `human` knows (None: none)."""
    h95 = np.full(len(names), np.nan) if human is None else human.h95_for(names)
    return (
        *(RatioMetric(f"pckh@{t}", partial(_hits, threshold=t), pooled=True) for t in THRESHOLDS),
        RatioMetric("auc", _area, pooled=True),
        RatioMetric("me", _identity, pooled=False),
        RatioMetric("pckh@human95", partial(_hits, threshold=h95), pooled=False),
    )


def pckh(distances: np.ndarray, threshold: float) -> Figure:
    """PCKh@t: share of d <= t over annotated keypoints, pooled."""
    return _figure(RatioMetric("pckh", partial(_hits, threshold=threshold), pooled=True), distances)


def pckh_at_human(distances: np.ndarray, h95: np.ndarray) -> Figure:
    """PCKh@Human^0.95: share of d <= H_b^0.95 per keypoint, and the mean over keypoints; 0.95 is human level.

    Args:
        distances: (N, K).
        h95: (K,) head lengths; NaN leaves the keypoint out.
    """
    threshold = np.asarray(h95, dtype=np.float64)
    return _figure(RatioMetric("pckh@human95", partial(_hits, threshold=threshold), pooled=False), distances)


def mean_error(distances: np.ndarray) -> Figure:
    """ME(m, b), the mean d over images, and the mean over keypoints; +inf where a prediction is missing."""
    return _figure(RatioMetric("me", _identity, pooled=False), distances)


def auc(distances: np.ndarray) -> Figure:
    """Area under PCKh@t over t = 0 .. 0.5, divided by 0.5.

    Exact rather than summed on a grid: the area under the step 1[d <= t] is max(0, 0.5 - d).
    """
    return _figure(RatioMetric("auc", _area, pooled=True), distances)


def quantile_error(distances: np.ndarray, q: float) -> Figure:
    """Quantile `q` in 0..1 of d (linear interpolation), per keypoint and pooled."""
    d = _distances(distances)
    return Figure(_quantile(d, q), np.array([_quantile(column, q) for column in d.T]))


def pckh_curve(distances: np.ndarray, thresholds: Sequence[float] = CURVE) -> tuple[np.ndarray, np.ndarray]:
    """PCKh at each of T thresholds: pooled (T,), and per keypoint (T, K)."""
    figures = [pckh(distances, threshold) for threshold in thresholds]
    return np.array([f.overall for f in figures]), np.array([f.per_keypoint for f in figures])


def score(distances: np.ndarray, names: Sequence[str], human: HumanSpread | None = None) -> Scores:
    """Every metric of `distances` (N, K) over keypoints `names` (K)."""
    d = _distances(distances)
    if d.shape[1] != len(names):
        raise ValueError(f"distances have {d.shape[1]} keypoints, names has {len(names)}")
    figures = {metric.key: _figure(metric, d) for metric in ratio_metrics(names, human)}
    figures["median_error"] = quantile_error(d, 0.5)
    figures["p95_error"] = quantile_error(d, 0.95)
    counted = ~np.isnan(d)
    return Scores(
        names=tuple(names),
        n_images=len(d),
        n_images_scored=int(counted.any(axis=1).sum()),
        n=counted.sum(axis=0),
        n_missing=np.isinf(d).sum(axis=0),
        figures=figures,
        human=human,
    )


def overall_mean(metric: RatioMetric, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A ratio metric from `sums` and `counts` (..., K): overall (...,), and per keypoint (..., K)."""
    per_keypoint = _ratio(sums, counts)
    if metric.pooled:
        return _ratio(sums.sum(axis=-1), counts.sum(axis=-1)), per_keypoint
    known = counts > 0
    return _ratio(np.where(known, per_keypoint, 0.0).sum(axis=-1), known.sum(axis=-1)), per_keypoint


def _figure(metric: RatioMetric, distances: np.ndarray) -> Figure:
    values = metric.values(_distances(distances))
    counted = ~np.isnan(values)
    sums = np.where(counted, values, 0.0).sum(axis=0)
    overall, per_keypoint = overall_mean(metric, sums, counted.sum(axis=0))
    return Figure(float(overall), per_keypoint)


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """sums / counts, NaN where there is nothing to average."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _hits(distances: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    counted = ~np.isnan(distances) & ~np.isnan(threshold)
    return np.where(counted, distances <= threshold, np.nan)


def _area(distances: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - distances / AUC_LIMIT)  # keeps NaN; +inf gives 0


def _identity(distances: np.ndarray) -> np.ndarray:
    return distances


def _quantile(distances: np.ndarray, q: float) -> float:
    counted = distances[~np.isnan(distances)]
    if counted.size == 0:
        return float("nan")
    lower, higher = (float(np.quantile(counted, q, method=method)) for method in ("lower", "higher"))
    # With a missing prediction for a neighbour, linear interpolation would compute inf - inf or 0 x inf.
    if lower == higher or np.isinf(higher):
        return higher
    return float(np.quantile(counted, q))


def _distances(distances: np.ndarray) -> np.ndarray:
    d = np.asarray(distances, dtype=np.float64)
    if d.ndim != 2:
        raise ValueError(f"distances must have shape (N, K), not {d.shape}")
    return d
