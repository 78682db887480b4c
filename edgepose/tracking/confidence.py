"""From a map's peak to the probability that the keypoint lies within half a head of the truth.

One curve a keypoint, fitted to annotated images: logistic, p = 1 / (1 + exp(-(slope x peak + intercept))),
by maximum likelihood with Platt's targets, which keep it finite where every keypoint was a hit, or none; or
isotonic, the nearest curve that never falls. Whichever has the lower log loss on videos that it was not
fitted on is taken for all keypoints; without a second video, the logistic one, which bends less. A keypoint
with few annotations takes the curve of all keypoints together. No curve falls: a higher peak never means
less.

Annotated images all show somebody, so they cannot tell what a peak means where nobody is. Pictures without
an infant stand in for that, as misses: of little weight, so that they only matter where no annotation is.
The curves hold for recordings like those that they were fitted on: on others, upside-down infants for one,
a network may be wrong with high peaks.

Source: Platt 1999 (targets (hits + 1) / (hits + 2) and 1 / (misses + 2)); Zadrozny and Elkan 2002 (isotonic);
expected calibration error over ten bins of equal width, Guo et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeFloat

from edgeio import write_json
from edgeio.records import read_record, to_plain
from edgepose.errors import BadModel
from edgepose.inference.spec import ModelSpec

WITHIN = 0.5  # head lengths
METHODS = ("logistic", "isotonic")
BINS = 10
FEW = 20  # annotations of a keypoint, below which it takes the curve of all
_STEEPEST = 100.0
_EMPTY = 0.05  # weight of all pictures without an infant, of that of the annotations
_HINT = "make it with `edgepose calibrate-confidence`"


@dataclass(frozen=True)
class ConfidenceCurve:
    """One keypoint's.

    Attributes:
        slope, intercept: of the logistic curve.
        n, hits: annotations, and how many predictions lay within half a head.
        pooled: too few of them: this is the curve of all keypoints.
        knots: (peak, probability) pairs, rising, of an isotonic curve: straight between them, level beyond;
            none for a logistic one.
    """

    slope: NonNegativeFloat
    intercept: float
    n: int
    hits: int
    pooled: bool
    knots: tuple[tuple[float, float], ...] = ()

    def probability(self, peak: np.ndarray) -> np.ndarray:
        """Peaks of any shape -> probabilities."""
        if self.knots:
            return np.interp(np.asarray(peak, np.float64), *np.array(self.knots).T)
        return 1 / (1 + np.exp(-(self.slope * np.asarray(peak, np.float64) + self.intercept)))

    def peak_at(self, probability: float) -> float | None:
        """The peak that stands for a probability; None where no peak from 0 to 1 does."""
        if self.knots:
            peaks, probabilities = np.array(self.knots).T
            if not probabilities[0] < probability <= probabilities[-1]:
                return None
            after = int(np.argmax(probabilities >= probability))
            return float(
                np.interp(probability, probabilities[after - 1 : after + 1], peaks[after - 1 : after + 1])
            )
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
        log_loss: by method, on the same keypoints.
    """

    before: float
    after: float
    n: int
    log_loss: dict[str, float]

    @property
    def method(self) -> str:
        """The one with the lowest log loss."""
        return min(self.log_loss, key=lambda method: self.log_loss[method])


@dataclass(frozen=True)
class Confidence:
    """A model's curves, and what they were fitted on.

    Attributes:
        model_sha256: of the model file, with a detector's or the flip test's mark behind it; the curves hold
            for no other.
        keypoints: key of the set.
        decode: the decoder.
        curves: by keypoint, in the set's order.
        reliability: None where there was one video only.
        data: name, split, crop, images: for the record.
    """

    schema_version: Literal[2] = field(default=2, kw_only=True)
    within_head_lengths: float = field(default=WITHIN, kw_only=True)
    model_sha256: str
    model_name: str
    keypoints: str
    decode: str
    curves: dict[str, ConfidenceCurve]
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
        if replace(spec, flip=not spec.flip).hashes == self.model_sha256:
            raise BadModel(
                f"the confidence file is for predictions {'without' if spec.flip else 'with'} --flip", hint
            )
        if self.model_sha256 != spec.hashes:
            raise BadModel(
                f"the confidence file is of another model, {self.model_name}, than {spec.path}", hint
            )
        if self.decode != decode:
            raise BadModel(f"the confidence file is for --decode {self.decode}, not {decode}", hint)


def fit(
    peak: np.ndarray, hit: np.ndarray, names: Sequence[str], empty: np.ndarray, method: str = "logistic"
) -> dict[str, ConfidenceCurve]:
    """Fit a curve to each keypoint.

    Args:
        peak: (N, K).
        hit: (N, K) float: 1 within half a head, 0 not, NaN where not annotated.
        empty: (E, K) peaks on pictures without an infant.
        method: one of `METHODS`.
    """
    known = np.isfinite(hit)
    everything = fit_curve(peak[known], hit[known] > 0, empty.ravel(), method)
    curves = {}
    for k, name in enumerate(names):
        rows = known[:, k]
        own = hit[rows, k] > 0
        if len(own) < FEW:
            curves[name] = replace(everything, n=len(own), hits=int(own.sum()), pooled=True)
        else:
            curves[name] = fit_curve(peak[rows, k], own, empty[:, k], method)
    return curves


def fit_curve(
    peak: np.ndarray, hit: np.ndarray, empty: np.ndarray, method: str = "logistic"
) -> ConfidenceCurve:
    """Of N peaks and whether each was a hit, and of E peaks on pictures without an infant."""
    x = np.concatenate([peak, empty])
    right = np.concatenate([hit, np.zeros(len(empty), bool)])
    weight = np.concatenate(
        [np.ones(len(peak)), np.full(len(empty), _EMPTY * len(peak) / max(len(empty), 1))]
    )
    weight /= weight.sum()
    high, low = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    slope, intercept = _logistic(x, np.where(right, high, low), weight)
    knots = _isotonic(x, right, weight, (low, high)) if method == "isotonic" else ()
    return ConfidenceCurve(slope, intercept, len(hit), int(hit.sum()), False, knots)


def _logistic(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope, not negative, and intercept of the likeliest curve."""
    from scipy.optimize import minimize

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logit = parameters[0] * x + parameters[1]
        error = weight * (1 / (1 + np.exp(-logit)) - target)
        value = weight * (np.logaddexp(0, logit) - target * logit)
        return float(value.sum()), np.array([(error * x).sum(), error.sum()])

    bounds = ((0.0, _STEEPEST), (-_STEEPEST, _STEEPEST))
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), float(found.x[1])


def _isotonic(
    x: np.ndarray, right: np.ndarray, weight: np.ndarray, limits: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """Knots of the curve nearest to the hits that never falls, kept off 0 and 1 as Platt's targets are."""
    from sklearn.isotonic import IsotonicRegression

    low, high = sorted(limits)
    found = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(
        x, right, sample_weight=weight
    )
    pairs = zip(found.X_thresholds_.tolist(), found.y_thresholds_.tolist(), strict=True)
    return tuple((float(peak), float(probability)) for peak, probability in pairs)


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
    from sklearn.metrics import log_loss
    from sklearn.model_selection import GroupKFold

    if len(set(videos)) < 2:
        return None
    known = np.isfinite(hit)
    probability = {method: np.full(peak.shape, np.nan) for method in METHODS}
    halves = GroupKFold(n_splits=2, shuffle=True, random_state=seed)
    for fitted, judged in halves.split(peak, groups=np.asarray(videos)):
        if not known[fitted].any():
            return None
        for method, found in probability.items():
            curves = fit(peak[fitted], hit[fitted], names, empty, method)
            columns = [curves[name].probability(peak[judged, k]) for k, name in enumerate(names)]
            found[judged] = np.stack(columns, -1)
    losses = {
        method: float(log_loss(hit[known], found[known], labels=[0.0, 1.0]))
        for method, found in probability.items()
    }
    before = calibration_error(np.clip(peak[known], 0, 1), hit[known])
    after = calibration_error(probability[min(losses, key=lambda m: losses[m])][known], hit[known])
    return Reliability(before, after, int(known.sum()), losses)


def write_confidence(path: Path, confidence: Confidence) -> None:
    """As JSON, whole or not at all."""
    write_json(path, to_plain(confidence))


def read_confidence(path: Path) -> Confidence:
    """Raises BadModel for a missing file, or one of another kind."""
    read = read_record(Confidence, path, _HINT, BadModel)
    for name, curve in read.curves.items():
        if (np.diff(np.array(curve.knots).reshape(-1, 2), axis=0) < 0).any():
            raise BadModel(f"{path}: curves.{name}.knots fall", _HINT)
    return read
