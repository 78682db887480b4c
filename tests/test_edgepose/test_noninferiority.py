"""Non-inferiority: the rule by hand, the interval against a t-interval, and margins that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgepose.comparison.verdict import verdict_on
from edgepose.data.human_spread import IN_MOTION_HUMAN, HumanSpread
from edgepose.errors import UsageError
from edgepose.evaluation.bootstrap import Interval, paired_difference
from edgepose.evaluation.noninferiority import MIN_VIDEOS, judge, margin, outcome_of

NAMES = ("nose", "left_ear")
HUMAN = HumanSpread(("nose",), (0.1,), (0.2,), "ours")


def videos(n: int, frames: int = 3) -> list[str]:
    return [f"v{i // frames}" for i in range(n * frames)]


def shifted(by: tuple[float, float], n_videos: int, noise: float = 0.001) -> tuple[np.ndarray, np.ndarray]:
    """Baseline and model whose mean errors differ by about `by`."""
    rng = np.random.default_rng(0)
    base = np.abs(rng.normal(0.2, 0.05, (3 * n_videos, 2)))
    return base, base + by + rng.normal(0, noise, base.shape)


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ((-0.5, 0.009), "non-inferior"),
        ((-0.5, 0.01), "undecided"),  # the margin itself is not below the margin
        ((-0.5, 0.011), "undecided"),
        ((0.001, 0.009), "non-inferior"),  # worse for certain, by less than matters
        ((0.01, 0.02), "undecided"),
        ((0.011, 0.02), "inferior"),
        ((-0.02, -0.01), "non-inferior"),
    ],
)
def test_outcomes_by_hand(bounds: tuple[float, float], outcome: str) -> None:
    assert outcome_of(Interval(*bounds), 50, 0.01) == (outcome, None)


def test_few_videos_and_no_interval_leave_it_undecided_and_say_why() -> None:
    assert outcome_of(Interval(-1.0, 0.0), MIN_VIDEOS - 1, 0.01) == (
        "undecided",
        f"{MIN_VIDEOS - 1} videos: a verdict needs {MIN_VIDEOS}",
    )
    assert outcome_of(Interval(-1.0, 0.0), MIN_VIDEOS, 0.01)[0] == "non-inferior"
    assert outcome_of(Interval(None, None, "one video"), 1, 0.01) == ("undecided", "one video")


@pytest.mark.parametrize(
    ("by", "verdict", "outcomes"),
    [
        ((0.0, 0.0), "non-inferior", ("non-inferior", "non-inferior")),
        ((-0.5, 0.05), "inferior", ("non-inferior", "inferior")),  # no keypoint makes up for another
        ((0.0, 0.01), "undecided", ("non-inferior", "undecided")),
    ],
)
def test_all_keypoints_must_be_non_inferior(
    by: tuple[float, float], verdict: str, outcomes: tuple[str, str]
) -> None:
    base, own = shifted(by, 40)
    estimates = paired_difference(own, base, videos(40), NAMES)
    found = judge("m", estimates, own, NAMES, margin("0.01", NAMES, None))
    assert tuple(judged.outcome for judged in found.keypoints.values()) == outcomes
    assert found.verdict == verdict
    assert found.keypoints["nose"].n_frames == 120
    assert found.keypoints["nose"].n_videos == 40
    assert found.mean.difference == pytest.approx(sum(by) / 2, abs=1e-3)
    colour = {"non-inferior": "green", "inferior": "red", "undecided": "amber"}[verdict]
    said = verdict_on(found, "full")
    assert (said.colour, said.outcome) == (colour, verdict)
    assert ("left ear" in said.text) == (verdict != "non-inferior")
    assert "nose" not in said.text


def test_interval_agrees_with_a_t_interval_over_videos() -> None:
    """Videos of one size and no gaps: the mean over frames is the mean of the videos' means."""
    base, own = shifted((0.002, 0.0), 200, noise=0.05)
    found = judge(
        "m", paired_difference(own, base, videos(200), NAMES), own, NAMES, margin("0.1", NAMES, None)
    )
    for k, name in enumerate(NAMES):
        means = (own - base)[:, k].reshape(200, 3).mean(axis=1)
        expected = stats.t.interval(0.95, 199, means.mean(), stats.sem(means))
        assert found.keypoints[name].interval == pytest.approx(expected, abs=4e-4)


def test_the_test_keeps_its_level() -> None:
    """True difference equal to the margin: about 2.5 % are called non-inferior, and as many inferior."""
    rng = np.random.default_rng(7)
    called = {"non-inferior": 0, "inferior": 0, "undecided": 0}
    allowed = margin("0.01", ("nose",), None)
    names = [f"v{i}" for i in range(60)]
    for _ in range(400):
        base = np.full((60, 1), 0.2)
        own = base + rng.normal(0.01, 0.02, (60, 1))
        estimates = paired_difference(own, base, names, ("nose",), replicates=200)
        called[judge("m", estimates, own, ("nose",), allowed).verdict] += 1
    for outcome in ("non-inferior", "inferior"):
        assert 1 <= called[outcome] <= 28, called  # 10 expected; 28 is 7 %


def test_missing_predictions_are_never_non_inferior() -> None:
    base, own = shifted((0.0, 0.0), 40)
    own[3, 0] = math.inf
    found = judge("m", paired_difference(own, base, videos(40), NAMES), own, NAMES, margin("1", NAMES, None))
    assert found.keypoints["nose"].outcome == "undecided"
    assert found.keypoints["nose"].difference is None
    assert found.keypoints["nose"].reason == "unbounded: a prediction is missing"
    assert found.verdict == "undecided"


def test_unlabelled_keypoints_leave_the_verdict_open() -> None:
    base, own = shifted((0.0, 0.0), 40)
    base[:, 1] = own[:, 1] = math.nan
    found = judge(
        "m", paired_difference(own, base, videos(40), NAMES), own, NAMES, margin("0.1", NAMES, None)
    )
    assert found.keypoints["left_ear"].reason == "nothing is scored"
    assert found.keypoints["left_ear"].n_frames == 0
    assert found.verdict == "undecided"
    assert "nothing is scored" in verdict_on(found, "full").text


def test_too_few_videos_are_said_in_the_verdict() -> None:
    base, own = shifted((0.0, 0.0), 3)
    found = judge("m", paired_difference(own, base, videos(3), NAMES), own, NAMES, margin("0.1", NAMES, None))
    assert verdict_on(found, "full").text.startswith("Not decided: 3 videos are too few for a verdict")


def test_default_margin_is_a_tenth_of_table_2() -> None:
    found = margin("human:0.1", IN_MOTION_HUMAN.names, IN_MOTION_HUMAN)
    assert found.head_lengths["nose"] == pytest.approx(0.00574)
    assert found.head_lengths["left_pelvis"] == pytest.approx(0.01603)
    assert found.overall == pytest.approx(0.01161, abs=5e-6)
    assert "borrowed" not in found.source


def test_margin_by_the_results_own_spread_and_for_names_it_lacks() -> None:
    found = margin("human:0.5", NAMES, HUMAN)
    assert found.head_lengths == pytest.approx({"nose": 0.1, "left_ear": 0.1})
    assert "left_ear" in found.source
    assert "ours" in found.source
    borrowed = margin("human:0.1", ("nose", "right_hip"), None)
    assert borrowed.head_lengths["right_hip"] == pytest.approx(0.1 * 0.0574)  # the mean of those shared
    assert "borrowed" in borrowed.source


@pytest.mark.parametrize(
    "rule", ["", "0", "-0.1", "nan", "inf", "1.5", "wide", "human:", "human:0", "human:x", "human:9", "0,1"]
)
def test_margins_that_are_none_are_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="margin"):
        margin(rule, NAMES, HUMAN if rule != "human:9" else IN_MOTION_HUMAN)


def test_a_share_of_an_unknown_spread_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no human spread is known .*--margin 0\.01"):
        margin("human:0.1", ("left_hip",), None)
