"""Trajectories, their kinematics by hand, and their spectra against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from edgepose.evaluation.spectra import Band, Spectra, compare_spectra, periodograms, segment_frames
from edgepose.evaluation.temporal import Fidelity, Measure, fidelity
from edgepose.evaluation.trajectories import MIN_FRAMES, Runs, find_runs, tracks


def frames(video: str, numbers: list[int]) -> list[str]:
    return [f"test/{video}_{n:06d}.jpg" for n in numbers]


def runs_of(lengths: dict[str, int], fps: str | None = None) -> Runs:
    ids = [name for video, n in lengths.items() for name in frames(video, list(range(n)))]
    videos = [video for video, n in lengths.items() for _ in range(n)]
    return find_runs(ids, videos, None if fps is None else [fps] * len(ids))


# Runs


def test_runs_are_in_the_order_of_time_and_end_at_gaps() -> None:
    numbers = [*range(100, 120), *range(121, 137), 200]
    order = np.random.default_rng(0).permutation(len(numbers))
    found = find_runs(frames("a", [numbers[i] for i in order]), ["a"] * len(numbers), None)
    assert [len(run) for run in found.runs] == [20, 16]
    assert [numbers[order[i]] for i in found.runs[0].rows] == list(range(100, 120))
    assert [numbers[order[i]] for i in found.runs[1].rows] == list(range(121, 137))
    assert (found.n_frames, found.n_videos, found.skipped) == (36, 1, {})


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (frames("a", list(range(MIN_FRAMES - 1))), "fewer than 16 consecutive frames"),
        (frames("a", list(range(0, 64, 2))), "fewer than 16 consecutive frames"),
        (frames("a", [*range(20), 3]), "two frames with one number"),
        ([f"im{i:05d}.jpg" for i in range(30)], "frames without a number (VIDEO_FRAME)"),
    ],
)
def test_videos_that_cannot_be_followed_are_counted_with_a_reason(ids: list[str], reason: str) -> None:
    found = find_runs(ids, ["a"] * len(ids), None)
    assert found.runs == ()
    assert found.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("fps", "rate", "reason"),
    [
        (["25"] * 32, 25.0, None),
        (["25"] * 16 + ["25.0"] * 16, 25.0, None),
        (["25"] * 16 + ["30"] * 16, None, "the column fps holds 2 rates"),
        (["25"] * 31 + [""], None, "does not hold a positive number"),
        (["nan"] * 32, None, "does not hold a positive number"),
        (["-25"] * 32, None, "does not hold a positive number"),
        (None, None, "no column fps"),
    ],
)
def test_frame_rate_is_known_or_said_not_to_be(
    fps: list[str] | None, rate: float | None, reason: str | None
) -> None:
    ids = frames("a", list(range(16))) + frames("b", list(range(16)))
    found = find_runs(ids, ["a"] * 16 + ["b"] * 16, fps)
    assert found.fps == rate
    assert (reason or "") in (found.fps_reason or "")


def test_tracks_are_in_head_lengths_of_the_runs_median() -> None:
    runs = runs_of({"a": 16})
    points = np.arange(32.0).reshape(16, 1, 2)
    heads = np.array([10.0] * 9 + [99.0] * 7)
    marked = np.ones((16, 1), bool)
    marked[4] = False
    points[7] = np.inf
    (track,) = tracks(runs, points, marked, heads)
    assert np.isnan(track[[4, 7]]).all()
    assert track[1].tolist() == [[0.2, 0.3]]


# Kinematics


def measured(model: np.ndarray, baseline: np.ndarray, truth: np.ndarray, fps: str | None = None) -> Fidelity:
    """Of one keypoint in three videos that are the same."""
    runs = runs_of({"a": len(model), "b": len(model), "c": len(model)}, fps)
    each = [[x[:, None, :]] * 3 for x in (model, baseline, truth)]
    return fidelity("m", runs, *each, replicates=50)


def by_key(found: Fidelity) -> dict[tuple[str, str | None], Measure]:
    return {(m.key, m.against): m for m in found.measures}


def test_kinematics_by_hand() -> None:
    """Truth stands still; the baseline moves evenly, 0.1 a frame; the model moves 0.2 every other frame."""
    t = np.arange(17.0)
    truth = np.zeros((17, 2))
    baseline = np.column_stack([0.1 * t, 0 * t])
    model = np.column_stack([0.2 * (t // 2), 0 * t])
    found = by_key(measured(model, baseline, truth))
    jitter = found["jitter", None]
    assert jitter.annotation == 0
    assert jitter.baseline == pytest.approx(0, abs=1e-12)
    assert jitter.model == pytest.approx(0.1)  # steps 0, 0.2, 0, ...: half of the change of step
    assert found["velocity_error", "baseline"].model == pytest.approx(0.1)
    assert found["velocity_error", "baseline"].ratio is None
    velocity = found["velocity_error", "annotation"]
    assert (velocity.baseline, velocity.model) == pytest.approx((0.1, 0.1))  # 0.2 on 8 of 16 steps
    assert velocity.ratio == pytest.approx(1)
    assert velocity.unit == "head lengths/frame"
    assert velocity.n == 3 * 16
    acceleration = found["acceleration_error", "annotation"]
    assert acceleration.model == pytest.approx(0.2)
    assert acceleration.n == 3 * 15


def test_seconds_scale_velocity_and_acceleration_and_not_jitter() -> None:
    rng = np.random.default_rng(0)
    each = [rng.normal(size=(20, 2)) for _ in range(3)]
    slow, fast = by_key(measured(*each)), by_key(measured(*each, fps="25"))
    for key, power in (("jitter", 0), ("velocity_error", 1), ("acceleration_error", 2)):
        for (name, against), m in slow.items():
            if name == key:
                assert fast[name, against].model == pytest.approx(25**power * m.model)  # type: ignore[operator]
    assert fast["acceleration_error", "baseline"].unit == "head lengths/s²"
    assert fast["jitter", None].unit == "head lengths"


def test_a_model_equal_to_the_baseline_has_no_error_and_a_ratio_of_one() -> None:
    rng = np.random.default_rng(1)
    own, truth = rng.normal(size=(24, 2)), rng.normal(size=(24, 2))
    found = by_key(measured(own, own, truth))
    assert found["velocity_error", "baseline"].model == 0
    assert found["jitter", None].ratio == 1
    assert found["jitter", None].ratio_interval == (1, 1)
    spectra = measured(own, own, truth).spectra
    assert spectra is not None
    assert all(band.change_db == 0 and band.error_share == 0 for band in spectra.bands)


def test_gaps_take_out_the_moments_that_touch_them() -> None:
    rng = np.random.default_rng(2)
    each = [rng.normal(size=(20, 2)) for _ in range(3)]
    each[2][10] = np.nan
    found = measured(*each)
    n = {key: m.n for key, m in by_key(found).items()}
    assert n["velocity_error", "baseline"] == 3 * (19 - 2)
    assert n["jitter", None] == 3 * (18 - 3)
    assert found.spectra is None  # each of the segments of 16 holds frame 10


def test_one_video_gives_values_without_intervals() -> None:
    rng = np.random.default_rng(3)
    runs = runs_of({"a": 20})
    each = [[rng.normal(size=(20, 1, 2))] for _ in range(3)]
    found = fidelity("m", runs, *each, replicates=50)
    assert all(m.model is not None and m.model_interval is None for m in found.measures)
    assert found.spectra is not None
    assert all(band.change_interval_db is None for band in found.spectra.bands)


# Spectra


def spectra_of(model: np.ndarray, baseline: np.ndarray, fps: str | None = None) -> Spectra:
    runs = runs_of(dict.fromkeys("abcd", model.shape[1]), fps)
    found = compare_spectra(runs, list(model), list(baseline), list(baseline), 200, 0)
    assert found is not None
    return found


@pytest.mark.parametrize("fps", [1.0, 25.0])
def test_periodograms_equal_scipys(fps: float) -> None:
    x = np.random.default_rng(4).normal(size=(32, 2)).cumsum(axis=0)
    wanted = sum(
        signal.welch(x[:, axis], fps, window="hann", nperseg=32, detrend="constant")[1] for axis in (0, 1)
    )
    assert periodograms(x[None, :, None, :], fps)[0, 0] == pytest.approx(wanted, rel=1e-9)


def test_spectra_equal_scipys_welch() -> None:
    x = np.random.default_rng(5).normal(size=(4, 64, 1, 2))
    found = spectra_of(x, x, "10")
    assert found.segment_frames == 64
    wanted = np.mean([sum(signal.welch(v[:, 0, a], 10, nperseg=64)[1] for a in (0, 1)) for v in x], axis=0)
    assert found.model == pytest.approx(tuple(wanted[1:]), rel=1e-9)
    assert found.frequencies == pytest.approx(tuple(np.arange(1, 33) * 10 / 64))
    halves = spectra_of(x[:, :60], x[:, :60])  # segments of 32, half overlapping: 2 a video
    assert (halves.segment_frames, halves.n_segments, halves.unit) == (32, 8, "cycles/frame")


def test_a_sine_has_its_power_in_its_band() -> None:
    """Amplitude a: power a^2 / 2, and what the window spreads stays in the band of its neighbours."""
    t = np.arange(64)
    phases = np.random.default_rng(6).uniform(0, 6, 4)
    wave = np.stack([np.sin(2 * np.pi * 12 / 64 * t + p) for p in phases])
    full = np.stack([wave, 0 * wave], axis=-1)[:, :, None, :]
    low, middle, high = spectra_of(0.5 * full, full).bands
    assert (middle.low, middle.high) == (0.125, 0.25)
    assert middle.baseline == pytest.approx(0.5, rel=1e-6)
    assert middle.model == pytest.approx(0.125, rel=1e-6)
    assert middle.change_db == pytest.approx(10 * np.log10(0.25))
    assert middle.change_interval_db == pytest.approx((10 * np.log10(0.25),) * 2)
    assert middle.error_share == pytest.approx(0.25)  # half the amplitude is missing
    assert max(low.baseline, high.baseline) < 1e-6


def test_trembling_shows_in_the_high_band_alone() -> None:
    rng = np.random.default_rng(7)
    slow = np.sin(2 * np.pi * np.arange(64) * 2 / 64)[None, :, None, None] * np.ones((4, 1, 1, 2))
    tremble = 0.2 * (-1.0) ** np.arange(64)[None, :, None, None]
    low, _, high = spectra_of(slow + tremble, slow + 0.01 * rng.normal(size=slow.shape)).bands
    assert abs(low.change_db or 9) < 0.1
    assert (high.change_db or 0) > 15


def test_segments_fit_every_run() -> None:
    assert segment_frames(runs_of({"a": 16})) == 16
    assert segment_frames(runs_of({"a": 31, "b": 300})) == 16
    assert segment_frames(runs_of({"b": 300})) == 64


def test_a_baseline_that_does_not_move_has_no_change_in_decibels() -> None:
    still = np.zeros((4, 16, 1, 2))
    bands: tuple[Band, ...] = spectra_of(still, still).bands
    assert all(band.change_db is None and band.error_share is None for band in bands)
