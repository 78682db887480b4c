"""Whether a model is worse than a baseline by more than a margin.

The paired difference of mean errors (model minus baseline, head lengths) has a two-sided 95 % interval
from drawing whole videos. A keypoint is

    non-inferior   its upper end is below the margin: a one-sided test at 2.5 %
    inferior       its lower end is above the margin
    undecided      the interval holds the margin, or there is none, or too few videos stand behind it

The verdict on all keypoints is non-inferior only where every single one is (an intersection-union test:
its error stays at 2.5 % however many keypoints there are, so nothing is corrected). It is inferior where
any keypoint is; that side is not corrected either, and errs towards caution.

Sources: ICH E9 (1998), section 3.3.2, for the test and its level; Berger 1982, Technometrics 24(4), for
intersection-union tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat

from edgepose.data.human_spread import HumanSpread, human_for
from edgepose.errors import UsageError
from edgepose.evaluation.bootstrap import Estimates, Interval
from edgepose.evaluation.metrics import finite_or_none

Outcome = Literal["non-inferior", "inferior", "undecided"]
NON_INFERIOR: Final = "non-inferior"
INFERIOR: Final = "inferior"
UNDECIDED: Final = "undecided"
DEFAULT_MARGIN = "human:0.1"
MIN_VIDEOS = 20  # with fewer, percentile intervals are too narrow to rest a verdict on
_HUMAN = "human:"
_WIDEST = 1.0  # head lengths; beyond it every model would pass


@dataclass(frozen=True)
class Margin:
    """How much worse a model may be, per keypoint."""

    rule: str
    """As it was asked for: a number of head lengths, or human:SHARE of H^0.95."""
    head_lengths: dict[str, PositiveFloat]
    """Margin by keypoint, head lengths."""
    source: str
    """Where the numbers come from, in words."""

    @property
    def overall(self) -> float:
        """For the mean over keypoints: the mean of theirs."""
        return float(np.mean(list(self.head_lengths.values())))


@dataclass(frozen=True)
class MarginResult:
    """One difference of mean errors against its margin."""

    n_frames: NonNegativeInt
    """Frames in which the keypoint is scored; for the mean, frames with any."""
    n_videos: NonNegativeInt
    """Videos they belong to."""
    difference: float | None
    """Mean error, model minus baseline, head lengths; null where it is undefined."""
    interval: tuple[float, float] | None
    """Two-sided 95 % interval of the difference, head lengths: low and high; null where there is none."""
    margin: PositiveFloat
    """Head lengths."""
    outcome: Outcome
    """non-inferior: the interval's upper end is below the margin; inferior: its lower end is above."""
    reason: str | None
    """Why it is undecided, where there is more to say than that the interval holds the margin."""


@dataclass(frozen=True)
class NonInferiority:
    """One model against the baseline."""

    name: str
    """The model's row."""
    verdict: Outcome
    """On all keypoints together: non-inferior only where every one is, inferior where any is."""
    mean: MarginResult
    """The mean over keypoints, which decides nothing by itself."""
    keypoints: dict[str, MarginResult]
    """By keypoint."""

    def with_outcome(self, outcome: str) -> tuple[str, ...]:
        """Names of the keypoints with that outcome."""
        return tuple(name for name, judged in self.keypoints.items() if judged.outcome == outcome)


def margin(rule: str, names: Sequence[str], human: HumanSpread | None) -> Margin:
    """The margin that `rule` asks for.

    Args:
        rule: a number of head lengths, or "human:SHARE" of H_b^0.95 of each keypoint.
        names: scored keypoints.
        human: the spread that the results were scored with; without one the published spread of infants
            serves as the yardstick. A keypoint that the spread does not name takes the spread's mean.

    Raises:
        UsageError: not a positive number, or a margin beyond one head length.
    """
    share = _positive(rule.removeprefix(_HUMAN), rule)
    if not rule.startswith(_HUMAN):
        found = Margin(rule, dict.fromkeys(names, share), f"{rule} head lengths for every keypoint")
    else:
        found = _share_of_human(rule, share, names, human)
    if max(found.head_lengths.values()) > _WIDEST:
        raise UsageError(
            f"margin {rule} allows more than {_WIDEST:g} head length", "a hundredth is a usual size"
        )
    return found


def judge(
    name: str, estimates: Estimates, distances: np.ndarray, names: Sequence[str], allowed: Margin
) -> NonInferiority:
    """Hold a model's paired differences against the margin.

    Args:
        name: the model's row.
        estimates: `paired_difference(model, baseline)`.
        distances: (N, K) the model's, for the counts.
    """
    counted = ~np.isnan(distances)
    keypoints = {
        key: _judged(int(counted[:, k].sum()), *_taken(estimates, k), allowed.head_lengths[key])
        for k, key in enumerate(names)
    }
    mean = _judged(int(counted.any(axis=1).sum()), *_taken(estimates, None), allowed.overall)
    outcomes = {judged.outcome for judged in keypoints.values()}
    verdict: Outcome = NON_INFERIOR
    if INFERIOR in outcomes or UNDECIDED in outcomes:
        verdict = INFERIOR if INFERIOR in outcomes else UNDECIDED
    return NonInferiority(name, verdict, mean, keypoints)


def outcome_of(interval: Interval, n_videos: int, allowed: float) -> tuple[Outcome, str | None]:
    """The outcome, and why where it is undecided for want of data."""
    if interval.bounds is None:
        return UNDECIDED, interval.reason
    if n_videos < MIN_VIDEOS:
        return UNDECIDED, f"{n_videos} videos: a verdict needs {MIN_VIDEOS}"
    low, high = interval.bounds
    if high < allowed:
        return NON_INFERIOR, None
    return (INFERIOR, None) if low > allowed else (UNDECIDED, None)


def _taken(estimates: Estimates, k: int | None) -> tuple[int, float, Interval]:
    found = estimates.overall["me"] if k is None else estimates.per_keypoint["me"][k]
    return found.n_videos, found.value, found.interval


def _judged(n_frames: int, n_videos: int, value: float, interval: Interval, allowed: float) -> MarginResult:
    outcome, reason = outcome_of(interval, n_videos, allowed)
    return MarginResult(n_frames, n_videos, finite_or_none(value), interval.bounds, allowed, outcome, reason)


def _share_of_human(rule: str, share: float, names: Sequence[str], human: HumanSpread | None) -> Margin:
    spread = human or human_for(names)
    if spread is None:
        raise UsageError(
            f"margin {rule}: no human spread is known for any of these keypoints",
            "give the margin in head lengths, such as --margin 0.01",
        )
    h95 = spread.h95_for(names)
    absent = [name for name, value in zip(names, h95, strict=True) if np.isnan(value)]
    whole = np.where(np.isnan(h95), spread.h95_all, h95)
    source = (
        f"{100 * share:g} % of the distance within which 95 % of trained people's marks of that point lie "
        f"(H^0.95: {spread.source}"
    )
    source += "; borrowed, since none was measured for these data)" if human is None else ")"
    if absent:
        source += f"; not named there, so with the mean of the others: {', '.join(absent)}"
    return Margin(rule, {n: share * float(h) for n, h in zip(names, whole, strict=True)}, source)


def _positive(text: str, rule: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(
            f"margin '{rule}' is no margin",
            "give a positive number of head lengths, such as 0.02, or a share of the human spread, such as "
            f"{DEFAULT_MARGIN}",
        )
    return number
