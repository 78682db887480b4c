"""From a map's peak to the probability that the keypoint lies within half a head of the truth.

One logistic curve a keypoint, p = 1 / (1 + exp(-(slope x peak + intercept))), fitted to annotated images
by maximum likelihood with Platt's targets, which keep it finite where every keypoint was a hit, or none. A
keypoint with few annotations takes the curve of all keypoints together. A slope is never negative: a
higher peak never means less.

Annotated images all show somebody, so they cannot tell what a peak means where nobody is. Pictures without
an infant stand in for that, as misses: of little weight, so that they only matter where no annotation is.
The curves hold for recordings like those that they were fitted on: on others, upside-down infants for one,
a network may be wrong with high peaks.

Source: Platt 1999 (targets (hits + 1) / (hits + 2) and 1 / (misses + 2)); expected calibration error over
ten bins of equal width, Guo et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import read_json, write_json
from edgepose.errors import BadModel
from edgepose.inference.runners import ModelSpec

WITHIN = 0.5  # head lengths
VERSION = 1
BINS = 10
FEW = 20  # annotations of a keypoint, below which it takes the curve of all
_STEEPEST = 100.0
_EMPTY = 0.05  # weight of all pictures without an infant, of that of the annotations
_HINT = "make it with `edgepose calibrate-confidence`"


@dataclass(frozen=True)
class Curve:
    """One keypoint's.

    Attributes:
        n, hits: annotations, and how many predictions lay within half a head.
        pooled: too few of them: this is the curve of all keypoints.
    """

    slope: float
    intercept: float
    n: int
    hits: int
    pooled: bool

    def probability(self, peak: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.slope * np.asarray(peak, np.float64) + self.intercept)))

    def peak_at(self, probability: float) -> float | None:
        """The peak that stands for a probability; None where no peak from 0 to 1 does."""
        if self.slope < 1e-6:
            return None
        peak = (float(np.log(probability / (1 - probability))) - self.intercept) / self.slope
        return peak if 0 <= peak <= 1 else None


@dataclass(frozen=True)
class Reliability:
    """Expected calibration error, from 0 (each probability is kept) to 1, on images that the curves were
    not fitted on: the videos are halved, and each half judged by the curves of the other.

    Attributes:
        before: of the peaks themselves, cut to 0..1, taken for probabilities.
        after: of the curves.
        n: keypoints judged.
    """

    before: float
    after: float
    n: int


@dataclass(frozen=True)
class Confidence:
    """A model's curves, and what they were fitted on.

    Attributes:
        model_sha256: of the model file; the curves hold for no other.
        keypoints: key of the set.
        decode: the decoder.
        curves: by keypoint, in the set's order.
        reliability: None where there was one video only.
        data: name, split, crop, images: for the record.
    """

    model_sha256: str
    model_name: str
    keypoints: str
    decode: str
    curves: dict[str, Curve]
    reliability: Reliability | None
    data: dict[str, Any]

    def probability(self, peak: np.ndarray) -> np.ndarray:
        """Peaks (..., K) -> probabilities (..., K)."""
        columns = [curve.probability(peak[..., k]) for k, curve in enumerate(self.curves.values())]
        return np.stack(columns, -1)

    def check(self, spec: ModelSpec, decode: str) -> None:
        """Refuse another model than the one that was calibrated; raises BadModel."""
        hint = "calibrate this model: edgepose calibrate-confidence"
        if self.keypoints != spec.keypoints.key:
            raise BadModel(
                f"the confidence file is of {self.keypoints} and {spec.path} of {spec.keypoints.key}",
                hint,
            )
        if self.model_sha256 != spec.sha256:
            raise BadModel(
                f"the confidence file is of another model, {self.model_name}, than {spec.path}", hint
            )
        if self.decode != decode:
            raise BadModel(f"the confidence file is for --decode {self.decode}, not {decode}", hint)


def fit(peak: np.ndarray, hit: np.ndarray, names: Sequence[str], empty: np.ndarray) -> dict[str, Curve]:
    """Fit a curve to each keypoint.

    Args:
        peak: (N, K).
        hit: (N, K) float: 1 within half a head, 0 not, NaN where not annotated.
        empty: (E, K) peaks on pictures without an infant.
    """
    known = np.isfinite(hit)
    everything = fit_curve(peak[known], hit[known] > 0, empty.ravel())
    curves = {}
    for k, name in enumerate(names):
        rows = known[:, k]
        own = hit[rows, k] > 0
        if len(own) < FEW:
            pooled = (everything.slope, everything.intercept)
            curves[name] = Curve(*pooled, len(own), int(own.sum()), True)
        else:
            curves[name] = fit_curve(peak[rows, k], own, empty[:, k])
    return curves


def fit_curve(peak: np.ndarray, hit: np.ndarray, empty: np.ndarray) -> Curve:
    """Of N peaks and whether each was a hit, and of E peaks on pictures without an infant."""
    from scipy.optimize import minimize

    x = np.concatenate([peak, empty])
    right = np.concatenate([hit, np.zeros(len(empty), bool)])
    weight = np.concatenate(
        [np.ones(len(peak)), np.full(len(empty), _EMPTY * len(peak) / max(len(empty), 1))]
    )
    weight /= weight.sum()
    target = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logit = parameters[0] * x + parameters[1]
        error = weight * (1 / (1 + np.exp(-logit)) - target)
        value = weight * (np.logaddexp(0, logit) - target * logit)
        return float(value.sum()), np.array([(error * x).sum(), error.sum()])

    bounds = ((0.0, _STEEPEST), (-_STEEPEST, _STEEPEST))
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Curve(float(found.x[0]), float(found.x[1]), len(hit), int(hit.sum()), False)


def calibration_error(probability: np.ndarray, hit: np.ndarray) -> float:
    """Expected calibration error of N probabilities."""
    bins = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    gaps = [
        (bins == b).mean() * abs(probability[bins == b].mean() - hit[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def reliability(
    peak: np.ndarray,
    hit: np.ndarray,
    videos: Sequence[str],
    names: Sequence[str],
    empty: np.ndarray,
    seed: int = 0,
) -> Reliability | None:
    """Judge curves on videos that they were not fitted on; None for a single video."""
    unique = sorted(set(videos))
    if len(unique) < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(unique))
    first = {unique[i] for i in order[: len(unique) // 2]}
    half = np.array([video in first for video in videos])
    probability = np.full(peak.shape, np.nan)
    for fitted, judged in ((half, ~half), (~half, half)):
        if not np.isfinite(hit[fitted]).any():
            return None
        curves = fit(peak[fitted], hit[fitted], names, empty)
        for k, name in enumerate(names):
            probability[judged, k] = curves[name].probability(peak[judged, k])
    known = np.isfinite(hit)
    before = calibration_error(np.clip(peak[known], 0, 1), hit[known])
    return Reliability(before, calibration_error(probability[known], hit[known]), int(known.sum()))


def write_confidence(path: Path, confidence: Confidence) -> None:
    """As JSON, whole or not at all."""
    write_json(path, {"confidence_version": VERSION, "within_head_lengths": WITHIN, **asdict(confidence)})


def read_confidence(path: Path) -> Confidence:
    """Raises UserError for a missing file, BadModel for one of another kind."""
    found = read_json(path, _HINT)
    if not isinstance(found, dict) or found.get("confidence_version") != VERSION:
        raise BadModel(f"{path} is no confidence file of version {VERSION}", _HINT)
    try:
        judged = found["reliability"]
        read = Confidence(
            model_sha256=str(found["model_sha256"]),
            model_name=str(found["model_name"]),
            keypoints=str(found["keypoints"]),
            decode=str(found["decode"]),
            curves={str(name): Curve(**curve) for name, curve in found["curves"].items()},
            reliability=None if judged is None else Reliability(**judged),
            data=dict(found["data"]),
        )
        numbers = np.array([(c.slope, c.intercept) for c in read.curves.values()], np.float64)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadModel(f"{path} is no confidence file ({type(error).__name__}: {error})", _HINT) from None
    if not np.isfinite(numbers).all() or (numbers[:, 0] < 0).any():
        raise BadModel(f"{path} has curves that fall or are no numbers", _HINT)
    return read
