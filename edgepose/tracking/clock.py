"""When each frame of a video was shown: the container's times where they hold, and what is assumed where not.

Pure arithmetic on the times that came with the frames, once all are decoded. The order of the frames is
the decoder's, which is the order of presentation; no frame is dropped for its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ASSUMED_RATE = 25.0  # frames a second, FFmpeg's own assumption for a stream that does not say
_REORDERED = 16  # frames that H.264 and HEVC may hold back: times in coding order are off by no more
_GLITCH = 2  # frames in a row whose times may be wrong before the clock is taken to have been reset
_GAP_S, _GAP_STEPS = 2.0, 10  # a step forward longer than both is worth a word, ...
_BREAK_S = 10.0  # ... and where clocks of recordings follow each other in one file, a new clock
_FINEST_S = 1e-6  # as tables write times
_SETS_IT = "--fps sets the rate"


@dataclass(frozen=True)
class Clock:
    """What is known of a video's clock before its frames are read.

    Attributes:
        rate: frames a second by the header; None where it does not say.
        fps: frames a second that the user says, who knows better than the file; or None.
        counted: the container holds no times (a bare stream): frames are counted.
        unordered: the container holds times in the order of coding (AVI).
        restarts: recordings may follow each other in the container (MPEG streams), each with its clock.
    """

    rate: float | None = None
    fps: float | None = None
    counted: bool = False
    unordered: bool = False
    restarts: bool = False


@dataclass(frozen=True)
class Timeline:
    """Times of all frames of a video.

    Attributes:
        time_s: (N,) s, strictly increasing.
        notes: what was assumed, for people; empty where the container's times hold.
    """

    time_s: np.ndarray
    notes: tuple[str, ...] = ()


def timeline(times_s: Sequence[float | None], clock: Clock) -> Timeline:
    """Times that go forward, for frames in the order of presentation.

    Args:
        times_s: the container's presentation times, s; None where a frame came without.
    """
    times = np.array([np.nan if t is None else t for t in times_s], float)
    count = len(times)
    if clock.fps is not None:
        note = f"times are counted at --fps {clock.fps:g}, whatever the file says"
        return Timeline(np.arange(count) / clock.fps, (note,))
    if clock.counted or not np.isfinite(times).any():
        return _counted(count, clock)
    notes = []
    known = np.isfinite(times)
    times[known], said = _forward(times[known], np.flatnonzero(known), clock)
    notes += said
    if not known.all():
        times = _filled(times, known, _usual_step(times[known], np.flatnonzero(known), clock.rate))
        notes.append(f"{(~known).sum()} frames without a time were placed between the others; {_SETS_IT}")
    return Timeline(times, tuple(notes))


def _counted(count: int, clock: Clock) -> Timeline:
    rate = clock.rate or ASSUMED_RATE
    whose = "the rate that its header gives" if clock.rate else "assumed, as the file does not say"
    note = f"it holds no times: frames are counted at {rate:g} a second, {whose}; {_SETS_IT}"
    return Timeline(np.arange(count) / rate, (note,))


def _usual_step(times: np.ndarray, index: np.ndarray, rate: float | None) -> float:
    steps = np.diff(times) / np.diff(index)
    steps = steps[steps >= _FINEST_S]
    return float(np.median(steps)) if len(steps) else 1 / (rate or ASSUMED_RATE)


def _forward(times: np.ndarray, index: np.ndarray, clock: Clock) -> tuple[np.ndarray, list[str]]:
    """Times (M,) of the frames `index` that go forward, and what was assumed for it."""
    step = _usual_step(times, index, clock.rate)
    notes = []
    if (np.diff(times) <= 0).any() and (clock.unordered or _only_reordered(times, step)):
        times = np.sort(times)
        step = _usual_step(times, index, clock.rate)
        notes.append(f"its times are in the order of coding: frames have them in turn; {_SETS_IT}")
    times, glitches, resets = _monotone(times, step, clock.restarts)
    if glitches:
        notes.append(
            f"{glitches} frames' times are not after the frame before: placed between the others; {_SETS_IT}"
        )
    if resets:
        at, by = resets[0]
        which = "once" if len(resets) == 1 else f"{len(resets)} times"
        notes.append(
            f"its clock is reset {which}, first at frame {index[at]} (by {by:+.2f} s): taken to go on by one"
            f" usual step; {_SETS_IT}"
        )
    gaps = np.flatnonzero(np.diff(times) > max(_GAP_S, _GAP_STEPS * step))
    if len(gaps):
        at = gaps[0]
        notes.append(
            f"its clock jumps {times[at + 1] - times[at]:.2f} s ahead before frame {index[at + 1]}"
            f"{f', and {len(gaps) - 1} times more' if len(gaps) > 1 else ''}: taken as a pause; {_SETS_IT}"
        )
    return times, notes


def _only_reordered(times: np.ndarray, step: float) -> bool:
    """Whether sorting moves no time further than a decoder reorders frames, and leaves no two alike."""
    order = np.argsort(times, kind="stable")
    frames = np.abs(order - np.arange(len(times))).max()
    seconds = np.abs(times[order] - times).max()
    within = frames <= _REORDERED and seconds <= _REORDERED * step
    return bool(within and (np.diff(times[order]) > 0).all())


def _monotone(
    raw: np.ndarray, step: float, restarts: bool
) -> tuple[np.ndarray, int, list[tuple[int, float]]]:
    """Times that go forward; how many were placed between others; and (place, s) of each new clock."""
    times, offset = raw.copy(), 0.0
    glitches, resets = 0, []
    i = 1
    while i < len(raw):
        ahead = raw[i] + offset - times[i - 1]
        if _FINEST_S <= ahead <= _BREAK_S or (ahead >= _FINEST_S and not restarts):
            times[i] = raw[i] + offset
            i += 1
            continue
        later = _later(raw + offset, i, times[i - 1]) if ahead < _FINEST_S else None
        if later is not None:
            end = raw[later] + offset
            times[i : later + 1] = np.linspace(times[i - 1], end, later - i + 2)[1:]
            glitches += later - i
            i = later + 1
            continue
        resets.append((i, float(raw[i] - raw[i - 1])))
        offset = times[i - 1] + step - raw[i]
        times[i] = raw[i] + offset
        i += 1
    return times, glitches, resets


def _later(times: np.ndarray, start: int, after: float) -> int | None:
    """The first of the next few times that is after `after`, where a glitch has passed; else None."""
    for i in range(start + 1, min(start + _GLITCH + 1, len(times))):
        if times[i] - after >= (i - start + 1) * _FINEST_S:
            return i
    return None


def _filled(times: np.ndarray, known: np.ndarray, step: float) -> np.ndarray:
    """Frames without a time evenly between their neighbours, and by `step` beyond the first and the last."""
    at = np.flatnonzero(known)
    index = np.arange(len(times))
    filled = np.interp(index, at, times[at])
    first, last = at[0], at[-1]
    filled[:first] = times[first] - step * (first - index[:first])
    filled[last:] = times[last] + step * (index[last:] - last)
    return filled
