"""Times of frames, whatever the container says of them."""

from __future__ import annotations

import numpy as np
import pytest

from edgepose.tracking.clock import Clock, timeline

STEP = 0.04


def settled(times: list[float | None], **known: object) -> tuple[np.ndarray, tuple[str, ...]]:
    found = timeline(times, Clock(rate=25, **known))  # type: ignore[arg-type]
    assert len(found.time_s) == len(times) and (np.diff(found.time_s) > 0).all()
    return found.time_s, found.notes


def test_good_times_are_kept_to_the_bit() -> None:
    times = [5.0, 5.04, 5.13, 5.14, 6.9]
    found, notes = settled(times)  # type: ignore[arg-type]
    assert found.tolist() == times and notes == ()


@pytest.mark.parametrize(
    ("times", "expected", "says"),
    [
        ([0, 0.04, 0.04, 0.12], [0, 0.04, 0.08, 0.12], "placed between"),
        ([0, 0.04, 0.04, 0.04, 0.16], [0, 0.04, 0.08, 0.12, 0.16], "placed between"),
        ([0, 0.12, 0.08, 0.04, 0.16], [0, 0.04, 0.08, 0.12, 0.16], "order of coding"),
        ([9, 9.04, 9.08, 0, 0.04, 0.08, 0.12], 9 + STEP * np.arange(7), "reset once, first at frame 3"),
        ([0, 0, 0, 0, 0], STEP * np.arange(5), "reset 4 times"),
        ([None, None, None], STEP * np.arange(3), "holds no times"),
        ([None, 0.04, None, None, 0.16, None], STEP * np.arange(6), "4 frames without a time"),
        ([0, 0.04, 5, 5.04], [0, 0.04, 5, 5.04], "jumps 4.96 s ahead before frame 2: taken as a pause"),
    ],
)
def test_times_that_do_not_hold(times: list[float | None], expected: object, says: str) -> None:
    found, notes = settled(times)
    np.testing.assert_allclose(found, expected, atol=1e-9)  # type: ignore[arg-type]
    assert any(says in note and "--fps" in note for note in notes), notes


def test_a_leap_between_recordings_is_a_new_clock() -> None:
    found, notes = settled([0, 0.04, 0.08, 95_000, 95_000.04], restarts=True)
    np.testing.assert_allclose(found, STEP * np.arange(5), atol=1e-6)
    assert "reset once" in notes[0]


def test_the_user_knows_better() -> None:
    found, notes = settled([9, 0, None, 3], fps=50.0)
    np.testing.assert_allclose(found, np.arange(4) / 50)
    assert notes == ("times are counted at --fps 50, whatever the file says",)


def test_hostile_times_go_forward() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        times = rng.choice([0.0, 1e-3, 0.04, 0.08, 5.0, 1e6, -1e5], rng.integers(1, 30)).tolist()
        settled([None if rng.random() < 0.1 else t for t in times], restarts=bool(rng.random() < 0.5))
