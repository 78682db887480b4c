"""The time that a run is said to take comes from its own steps."""

from __future__ import annotations

import pytest

from edgepose.training.forecast import Forecast, duration


def told(seconds: list[float], steps: int) -> list[str]:
    said: list[str] = []
    forecast = Forecast(said.append)
    for done, each in enumerate(seconds, start=1):
        forecast.step(each, steps - done)
    return said


def test_the_step_that_compiles_does_not_count_and_it_is_told_once() -> None:
    said = told([90.0, 2.0, 2.5, 2.0, 50.0, 50.0], steps=304)
    assert said == ["2 s a step: about 10 minutes for the 300 to come, and validation"]


def test_nothing_is_told_too_early_or_when_nothing_is_to_come() -> None:
    assert told([90.0, 2.0, 2.0], steps=100) == []
    assert told([90.0, 2.0, 2.0, 2.0], steps=4) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "about 1 seconds"),
        (89, "about 89 seconds"),
        (90, "about 2 minutes"),
        (89 * 60, "about 89 minutes"),
        (3.5 * 3600, "about 3.5 hours"),
    ],
)
def test_durations_read_as_one_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
