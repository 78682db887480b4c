"""Filters over time, and their gaps."""

from __future__ import annotations

import numpy as np
import pytest

from edgepose.errors import UsageError
from edgepose.tracking.smoothing import (
    Smoothing,
    breaks_in_time,
    parse_smoothing,
    smooth,
    uneven_steps,
)


def walk(frames: int = 40) -> np.ndarray:
    """(N, 2, 2): a keypoint on a parabola and one that jumps about."""
    t = np.arange(frames, dtype=float)
    noise = np.random.default_rng(0).normal(0, 5, (frames, 2))
    return np.stack([np.column_stack([t, 0.1 * t**2]), 50 + noise], 1)


def everything(frames: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((frames, 2), bool), np.zeros(frames, bool)


def test_savgol_keeps_a_parabola_and_calms_noise() -> None:
    points = walk()
    known, breaks = everything(40)
    found = smooth(points, known, breaks, parse_smoothing("savgol:9,2"))
    np.testing.assert_allclose(found.points_px[:, 0], points[:, 0], atol=1e-9)
    assert found.points_px[:, 1].std() < 0.7 * points[:, 1].std() and found.too_short == 0


def test_median_removes_a_spike_and_touches_no_step() -> None:
    points = np.zeros((20, 2, 2))
    points[10:, 0] = 30
    points[5, 1] = 99
    known, breaks = everything(20)
    found = smooth(points, known, breaks, parse_smoothing("median:5")).points_px
    np.testing.assert_array_equal(found[:, 0], points[:, 0])
    assert (found[:, 1] == 0).all() and points[5, 1, 0] == 99, "the argument is not written to"


def test_nothing_is_smoothed_over_a_gap() -> None:
    """What lies behind a gap has no say, and the gap stays one."""
    points, (known, breaks) = walk(), everything(40)
    known[15:18, 1] = False
    how = parse_smoothing("savgol:7,1")
    found = smooth(points, known, breaks, how).points_px
    assert np.isnan(found[15:18, 1]).all() and np.isfinite(found[:, 0]).all()
    other = points.copy()
    other[18:] += 1000
    np.testing.assert_array_equal(smooth(other, known, breaks, how).points_px[:15, 1], found[:15, 1])
    before = smooth(points[:15], known[:15], breaks[:15], how).points_px
    np.testing.assert_array_equal(before[:, 1], found[:15, 1])


def test_a_missing_frame_ends_a_stretch_as_well() -> None:
    points, (known, breaks) = walk(), everything(40)
    breaks[20] = True
    found = smooth(points, known, breaks, parse_smoothing("median:5")).points_px
    halves = [
        smooth(points[r], known[r], breaks[r] & False, parse_smoothing("median:5"))
        for r in (slice(20), slice(20, 40))
    ]
    np.testing.assert_array_equal(found, np.concatenate([h.points_px for h in halves]))


def test_short_stretches_stay_as_they_are_and_are_counted() -> None:
    points, (known, breaks) = walk(12), everything(12)
    known[4, 0] = known[9, 0] = False  # stretches of 4, 4 and 2
    found = smooth(points, known, breaks, parse_smoothing("median:5"))
    assert found.too_short == 10
    np.testing.assert_array_equal(found.points_px[known[:, 0], 0], points[known[:, 0], 0])


def test_none_leaves_the_known_and_empties_the_rest() -> None:
    points, (known, breaks) = walk(5), everything(5)
    known[2, 1] = False
    found = smooth(points, known, breaks, Smoothing()).points_px
    assert np.isnan(found[2, 1]).all()
    np.testing.assert_array_equal(found[known], points[known])


def test_breaks_in_time() -> None:
    index = np.array([0, 1, 2, 4, 5, 6])
    time = np.array([0.0, 0.04, 0.08, 0.12, 0.16, 0.30])
    assert breaks_in_time(time, index).tolist() == [False, False, False, True, False, True]
    assert breaks_in_time(time[:1], index[:1]).tolist() == [False]


def test_uneven_steps() -> None:
    assert not uneven_steps(np.arange(20) / 30).any() and not uneven_steps(np.array([0.0, 1.0])).any()
    assert uneven_steps(np.cumsum([0.04] * 9 + [0.08])).tolist() == [False] * 8 + [True]
    rounded = np.round(np.arange(60) / 30, 3)  # Matroska counts milliseconds
    assert not uneven_steps(rounded).any()


@pytest.mark.parametrize("text", ["median:5", "savgol:9,2", "none"])
def test_specs_say_themselves(text: str) -> None:
    assert str(parse_smoothing(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mean:5",
        "median",
        "median:",
        "median:4",
        "median:1",
        "median:5,2",
        "median:x",
        "median:-5",
        "none:3",
        "savgol:9",
        "savgol:9,9",
        "savgol:9,-1",
        "savgol:8,2",
        "savgol:9,2,1",
        "savgol",
        "median:1001",
    ],
)
def test_specs_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--smooth"):
        parse_smoothing(text)


@pytest.mark.parametrize(("length", "window"), [(3, 3), (40, 5), (5000, 9), (60, 41)])
def test_the_median_is_scipy_s_to_the_bit(length: int, window: int) -> None:
    from scipy.ndimage import median_filter

    track = np.random.default_rng(length).normal(0, 100, (1, length, 2))
    found = smooth(track.transpose(1, 0, 2), np.ones((length, 1), bool), np.zeros(length, bool), how(window))
    wanted = median_filter(track[0], size=(window, 1), mode="nearest")
    assert found.points_px[:, 0].tobytes() == wanted.tobytes() and found.too_short == 0


def how(window: int) -> Smoothing:
    return parse_smoothing(f"median:{window}")
