"""Trajectories smoothed over time, and never over a gap.

A stretch ends where a keypoint was abstained from, where a frame is missing, and where the next frame
comes later than twice the usual step. Each stretch is filtered by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgepose.errors import UsageError

NONE = "none"
_LONGEST_STEP = 2.0  # median steps
_ROWS = 4096  # windows in memory at a time
_UNEVEN = 0.1  # of the median step: a frame off by more makes the rate variable


@dataclass(frozen=True)
class Smoothing:
    """What `--smooth` asks for.

    Attributes:
        kind: "none", "median" or "savgol".
        window: frames, odd.
        order: of savgol's polynomial.
    """

    kind: str = NONE
    window: int = 1
    order: int = 0

    def __str__(self) -> str:
        numbers = {NONE: "", "median": f":{self.window}", "savgol": f":{self.window},{self.order}"}
        return f"{self.kind}{numbers[self.kind]}"


_FORMS = {NONE: 0, "median": 1, "savgol": 2}
_HINT = "write median:5, savgol:9,2 or none"


def parse_smoothing(text: str) -> Smoothing:
    """`median:WINDOW`, `savgol:WINDOW,ORDER` or `none`; the window in frames, odd.

    Raises:
        UsageError: another filter, or a window or order that cannot be.
    """
    kind, colon, rest = text.partition(":")
    if kind not in _FORMS or bool(colon) != bool(_FORMS[kind]):
        raise UsageError(f"--smooth {text} is no smoothing that we know", _HINT)
    if kind == NONE:
        return Smoothing()
    try:
        numbers = [int(part) for part in rest.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _FORMS[kind]:
        raise UsageError(f"--smooth {text} has not the numbers that {kind} takes", _HINT)
    window, order = numbers[0], numbers[1] if kind == "savgol" else 0
    if window < 3 or window % 2 == 0 or window > 999:
        raise UsageError(f"--smooth {text} has a window of {window} frames", "give an odd one from 3 to 999")
    if not 0 <= order < window:
        raise UsageError(f"--smooth {text} has order {order}", f"give one from 0 to {window - 1}")
    return Smoothing(kind, window, order)


@dataclass(frozen=True)
class Smoothed:
    """Smoothed trajectories.

    Attributes:
        points_px: (N, K, 2), NaN where `known` was false.
        too_short: known values (frame and keypoint) in stretches shorter than the window: as they were.
    """

    points_px: np.ndarray
    too_short: int


def smooth(points_px: np.ndarray, known: np.ndarray, breaks: np.ndarray, how: Smoothing) -> Smoothed:
    """Smooth each keypoint's x and y.

    Args:
        points_px: (N, K, 2); consecutive in time, except
        breaks: (N,) bool, true for frames that do not follow the one before.
        known: (N, K) bool.
    """
    smoothed = np.where(known[..., None], points_px, np.nan)
    if how.kind == NONE:
        return Smoothed(smoothed, 0)
    run, short = _filter(how), 0
    for k in range(points_px.shape[1]):
        for rows in _stretches(known[:, k], breaks):
            if rows.stop - rows.start < how.window:
                short += rows.stop - rows.start
                continue
            smoothed[rows, k] = run(points_px[rows, k])
    return Smoothed(smoothed, short)


def breaks_in_time(time_s: np.ndarray, index: np.ndarray, stride: int = 1) -> np.ndarray:
    """(N,) bool: frames before which a frame is missing, or time stands still too long.

    Args:
        stride: from one frame's number to the next one's.
    """
    breaks = np.zeros(len(time_s), bool)
    if len(time_s) > 1:
        steps = np.diff(time_s)
        breaks[1:] = (np.diff(index) != stride) | (steps > _LONGEST_STEP * np.median(steps))
    return breaks


def uneven_steps(time_s: np.ndarray) -> np.ndarray:
    """(N - 1,) bool: steps that are not the usual one, as at a variable frame rate."""
    steps = np.diff(time_s)
    if len(steps) < 2:
        return np.zeros(len(steps), bool)
    usual = np.median(steps)
    return np.abs(steps - usual) > _UNEVEN * usual


def _filter(how: Smoothing) -> Callable[[np.ndarray], np.ndarray]:
    """Filters (T, 2) along time."""
    if how.kind == "median":
        return partial(_median, window=how.window)
    from scipy.signal import savgol_filter

    return lambda track: savgol_filter(track, how.window, how.order, axis=0)


def _median(track: np.ndarray, window: int) -> np.ndarray:
    """The middle of each window of (T, 2), the ends repeated; SciPy's takes half a second to be imported."""
    padded = np.pad(track, ((window // 2, window // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    parts = [windows[start : start + _ROWS] for start in range(0, len(windows), _ROWS)]
    return np.concatenate([np.partition(part, window // 2, axis=-1)[..., window // 2] for part in parts])


def _stretches(known: np.ndarray, breaks: np.ndarray) -> Iterator[slice]:
    """Rows of unbroken known frames."""
    start = None
    for i in range(len(known) + 1):
        ends = i == len(known) or not known[i] or breaks[i]
        if ends and start is not None:
            yield slice(start, i)
            start = None
        if i < len(known) and known[i] and start is None:
            start = i
