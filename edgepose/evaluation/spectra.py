"""How much movement there is at each frequency, in a compressed model's trajectories and in the full one's.

Welch's method: runs are cut into segments of one length, half overlapping; each loses its mean, gets a Hann
window and a periodogram; those of x and y are added. Powers are averaged over segments, then over
keypoints. A segment counts for a keypoint that is annotated throughout.

Source: Welch 1967, IEEE Transactions on Audio and Electroacoustics 15(2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt

from edgepose.evaluation.bootstrap import Estimate, mean_contrast
from edgepose.evaluation.metrics import mean_error
from edgepose.evaluation.trajectories import Run, Runs

_LONGEST = 64  # frames of a segment
_BANDS = ((0.0, 0.125), (0.125, 0.25), (0.25, 0.5))  # cycles a frame; 0.5 is the highest there is


@dataclass(frozen=True)
class Band:
    """Power in one band of frequencies, above `low`, up to and with `high`; head lengths squared."""

    low: float
    """Above this frequency."""
    high: float
    """Up to and with this one."""
    annotation: float
    """The annotation's, with its own trembling."""
    baseline: float
    """The baseline's."""
    model: float
    """The model's."""
    change_db: float | None
    """10 log10(model / baseline); null where either is zero."""
    change_interval_db: tuple[float, float] | None
    """95 % interval, paired, dB: low and high; null where there is none."""
    error_share: float | None
    """Power of the difference of the two trajectories, as a share (0 to 1 and more) of the baseline's; null
    where that is zero."""


@dataclass(frozen=True)
class Spectra:
    """Power spectral densities of two models' trajectories and of the annotation's."""

    unit: Literal["Hz", "cycles/frame"]
    """Of frequencies; densities are head lengths squared per that."""
    segment_frames: NonNegativeInt
    """Frames of a segment."""
    n_segments: NonNegativeInt
    """Segments that at least one keypoint has."""
    n_videos: NonNegativeInt
    """Videos they belong to."""
    frequencies: tuple[float, ...]
    """F frequencies; the mean's zero is left out."""
    annotation: tuple[float, ...]
    """F densities of the annotation."""
    baseline: tuple[float, ...]
    """F densities of the baseline."""
    model: tuple[float, ...]
    """F densities of the model."""
    bands: tuple[Band, ...]
    """Low, middle and high, by octaves below the highest frequency."""


def compare_spectra(
    runs: Runs,
    model: list[np.ndarray],
    baseline: list[np.ndarray],
    truth: list[np.ndarray],
    replicates: int,
    seed: int,
) -> Spectra | None:
    """Spectra of each run's trajectories (T, K, 2); None where no keypoint has a whole segment.

    The three have their NaN in the same places.
    """
    frames = segment_frames(runs)
    fps = runs.fps or 1.0
    videos = [run.video for run in runs.runs for _ in starts(run, frames)]

    def densities(tracks: list[np.ndarray]) -> np.ndarray:
        """(S, K, F): each segment's periodogram."""
        cut = [
            t[at : at + frames]
            for run, t in zip(runs.runs, tracks, strict=True)
            for at in starts(run, frames)
        ]
        return periodograms(np.stack(cut), fps)[..., 1:]

    error = [m - b for m, b in zip(model, baseline, strict=True)]
    of_model, of_baseline, of_truth, of_error = map(densities, (model, baseline, truth, error))
    counted = ~np.isnan(of_model[..., 0]).all(axis=1)
    if not counted.any():
        return None
    frequencies = np.fft.rfftfreq(frames, 1 / fps)[1:]

    def band(low: float, high: float) -> Band:
        inside = (frequencies > low * fps) & (frequencies <= high * fps)
        width = fps / frames
        m, b, t, e = (
            d[..., inside].sum(axis=-1) * width for d in (of_model, of_baseline, of_truth, of_error)
        )
        change, _ = mean_contrast(m, b, videos, "ratio", replicates, seed)
        share = mean_error(e).overall / mean_error(b).overall if mean_error(b).overall > 0 else None
        of_t, of_b, of_m = (mean_error(power).overall for power in (t, b, m))
        return Band(low * fps, high * fps, of_t, of_b, of_m, *_decibels(change), share)

    return Spectra(
        unit="cycles/frame" if runs.fps is None else "Hz",
        segment_frames=frames,
        n_segments=int(counted.sum()),
        n_videos=len({v for v, c in zip(videos, counted, strict=True) if c}),
        frequencies=tuple(frequencies.tolist()),
        annotation=_averaged(of_truth),
        baseline=_averaged(of_baseline),
        model=_averaged(of_model),
        bands=tuple(band(*limits) for limits in _BANDS),
    )


def segment_frames(runs: Runs) -> int:
    """The power of two that fits into every run, at most `_LONGEST`."""
    shortest = min(len(run) for run in runs.runs)
    return 1 << (min(shortest, _LONGEST).bit_length() - 1)


def starts(run: Run, frames: int) -> range:
    """First frames of a run's half-overlapping segments."""
    return range(0, len(run) - frames + 1, frames // 2)


def periodograms(segments: np.ndarray, fps: float) -> np.ndarray:
    """One-sided densities of segments (S, T, K, 2), of x and y together: (S, K, T / 2 + 1).

    NaN where a segment has a gap.
    """
    frames = segments.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames) / frames)
    gap = np.isnan(segments).any(axis=(1, 3))
    whole = np.where(np.isnan(segments), 0.0, segments)
    centred = whole - whole.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * window[:, None, None], axis=1)) ** 2 / (fps * (window**2).sum())
    power[:, 1:-1] *= 2  # the negative frequencies'; zero and the highest have no counterpart
    both = np.moveaxis(power.sum(axis=-1), 1, -1)
    return np.where(gap[..., None], np.nan, both)


def _averaged(densities: np.ndarray) -> tuple[float, ...]:
    return tuple(mean_error(densities[..., f]).overall for f in range(densities.shape[-1]))


def _decibels(ratio: Estimate) -> tuple[float | None, tuple[float, float] | None]:
    if not ratio.value > 0:
        return None, None
    bounds = ratio.interval.bounds
    if bounds is None or bounds[0] <= 0:
        return 10 * math.log10(ratio.value), None
    return 10 * math.log10(ratio.value), (10 * math.log10(bounds[0]), 10 * math.log10(bounds[1]))
