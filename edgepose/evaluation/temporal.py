"""How faithfully a compressed model follows movement: against the full model, and against the annotation.

For a trajectory x_t (x and y in head lengths) and a time step dt (seconds, or one frame where the rate is
unknown), with |.| the length in the plane:

    jitter        |x_t - (x_{t-1} + x_{t+1}) / 2|        head lengths; no time in it
    velocity      (x_{t+1} - x_t) / dt
    acceleration  (x_{t+1} - 2 x_t + x_{t-1}) / dt^2

An error of velocity or acceleration is the length of the difference of two models' vectors, or of a
model's and the annotation's. All are averaged over moments, then over keypoints; intervals draw whole
videos. Only annotated keypoints take part, so that every column rests on the same moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from pydantic import NonNegativeInt

from edgepose.evaluation.bootstrap import REPLICATES, mean_contrast
from edgepose.evaluation.metrics import finite_or_none, mean_error
from edgepose.evaluation.spectra import Spectra, compare_spectra
from edgepose.evaluation.trajectories import Runs

BASELINE: Final = "baseline"
TRUTH: Final = "annotation"
Against = Literal["baseline", "annotation"] | None
MeasureKey = Literal["jitter", "velocity_error", "acceleration_error"]


@dataclass(frozen=True)
class Measure:
    """One temporal measure of one model: the mean over moments, then over keypoints."""

    key: MeasureKey
    """Which."""
    against: Against
    """What an error is against; null for jitter, which is a trajectory's own."""
    unit: str
    """Of the three values."""
    annotation: float | None
    """The annotation's own jitter; null for errors."""
    baseline: float | None
    """The baseline's; null for an error against it."""
    model: float | None
    """The model's."""
    model_interval: tuple[float, float] | None
    """95 % interval of the model's: low and high; null where there is none."""
    ratio: float | None
    """Model over baseline; null where the baseline's is null or zero."""
    ratio_interval: tuple[float, float] | None
    """95 % interval of the ratio, paired: low and high; null where there is none."""
    n: NonNegativeInt
    """Moments and keypoints that were averaged."""


@dataclass(frozen=True)
class Fidelity:
    """One model's movement beside the baseline's."""

    name: str
    """The model's row."""
    measures: tuple[Measure, ...]
    """Jitter, then errors of velocity and acceleration."""
    spectra: Spectra | None
    """null where no keypoint is annotated throughout a segment."""


@dataclass(frozen=True)
class _Kind:
    key: MeasureKey
    power: int  # of seconds in its unit
    vectors: Callable[[np.ndarray, float], np.ndarray]


def _velocity(track: np.ndarray, dt: float) -> np.ndarray:
    return np.diff(track, axis=0) / dt


def _acceleration(track: np.ndarray, dt: float) -> np.ndarray:
    return np.diff(track, n=2, axis=0) / dt**2


def _bend(track: np.ndarray, dt: float) -> np.ndarray:
    return np.diff(track, n=2, axis=0) / 2


_JITTER = _Kind("jitter", 0, _bend)
_ERRORS = (_Kind("velocity_error", 1, _velocity), _Kind("acceleration_error", 2, _acceleration))


def fidelity(
    name: str,
    runs: Runs,
    model: list[np.ndarray],
    baseline: list[np.ndarray],
    truth: list[np.ndarray],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Fidelity:
    """Every temporal measure of a model.

    Args:
        model, baseline, truth: each run's trajectories (T, K, 2) in head lengths, as `tracks` gives them.
    """
    model, baseline, truth = _common(model, baseline, truth)
    dt = 1.0 if runs.fps is None else 1.0 / runs.fps

    def lengths(kind: _Kind, ours: list[np.ndarray], theirs: list[np.ndarray] | None) -> np.ndarray:
        """(M, K) over all runs."""
        vectors = [kind.vectors(track, dt) for track in ours]
        if theirs is not None:
            vectors = [v - kind.vectors(t, dt) for v, t in zip(vectors, theirs, strict=True)]
        return np.concatenate([np.hypot(v[..., 0], v[..., 1]) for v in vectors])

    def measure(kind: _Kind, against: Against, reference: list[np.ndarray] | None) -> Measure:
        own = lengths(kind, model, reference)
        base = None if against == BASELINE else lengths(kind, baseline, reference)
        lost = 1 if kind.power == 1 else 2  # moments at the ends of a run
        videos = [run.video for run in runs.runs for _ in range(len(run) - lost)]
        mean, _ = mean_contrast(own, None, videos, "difference", replicates, seed)
        ratio = None if base is None else mean_contrast(own, base, videos, "ratio", replicates, seed)[0]
        return Measure(
            key=kind.key,
            against=against,
            unit=unit(kind.power, runs.fps),
            annotation=finite_or_none(mean_error(lengths(kind, truth, None)).overall)
            if against is None
            else None,
            baseline=None if base is None else finite_or_none(mean_error(base).overall),
            model=finite_or_none(mean.value),
            model_interval=mean.interval.bounds,
            ratio=None if ratio is None else finite_or_none(ratio.value),
            ratio_interval=None if ratio is None else ratio.interval.bounds,
            n=int((~np.isnan(own)).sum()),
        )

    measures = [measure(_JITTER, None, None)]
    for kind in _ERRORS:
        measures += [measure(kind, BASELINE, baseline), measure(kind, TRUTH, truth)]
    spectra = compare_spectra(runs, model, baseline, truth, replicates, seed)
    return Fidelity(name, tuple(measures), spectra)


def unit(power: int, fps: float | None) -> str:
    """Head lengths by the `power` of the time."""
    time = "frame" if fps is None else "s"
    return {0: "head lengths", 1: f"head lengths/{time}", 2: f"head lengths/{time}²"}[power]


def _common(*each: list[np.ndarray]) -> tuple[list[np.ndarray], ...]:
    """The same trajectories, NaN wherever any of them is."""
    gaps = [np.isnan(np.stack(tracks)).any(axis=0) for tracks in zip(*each, strict=True)]
    return tuple([np.where(gap, np.nan, t) for t, gap in zip(tracks, gaps, strict=True)] for tracks in each)
