"""The verdict on each model in plain sentences, for a reader who will read one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgepose.evaluation.noninferiority import (
    INFERIOR,
    MIN_VIDEOS,
    NON_INFERIOR,
    UNDECIDED,
    Margin,
    MarginResult,
    NonInferiority,
    Outcome,
)
from edgepose.results.cells import number, signed

Colour = Literal["green", "amber", "red"]
VERDICT_COLOURS: Mapping[Outcome, Colour] = {NON_INFERIOR: "green", UNDECIDED: "amber", INFERIOR: "red"}
_NAMED = 6  # body points in a sentence


@dataclass(frozen=True)
class Verdict:
    """What may be said of one model."""

    name: str
    """The model's row."""
    colour: Colour
    """Colour of the verdict."""
    outcome: Outcome
    """non-inferior only where every keypoint is; inferior where any is."""
    text: str
    """One to three sentences."""


def verdict_on(found: NonInferiority, baseline: str) -> Verdict:
    """Put a judgement into words."""
    sentence = {NON_INFERIOR: _green, UNDECIDED: _amber, INFERIOR: _red}[found.verdict]
    text = f"{sentence(found, baseline)} {_mean(found.mean)}"
    return Verdict(found.name, VERDICT_COLOURS[found.verdict], found.verdict, text)


def margin_range(allowed: Margin) -> str:
    """The margin, or its smallest and largest over keypoints, with the unit."""
    values = sorted(allowed.head_lengths.values())
    low, high = number(values[0], 4), number(values[-1], 4)
    return f"{low} head lengths" if low == high else f"{low} to {high} head lengths, by body point"


def readable_name(name: str) -> str:
    """A keypoint's name in a sentence."""
    return name.replace("_", " ")


def _green(found: NonInferiority, baseline: str) -> str:
    return (
        f"As precise as {baseline}, within the margin: at every one of the {len(found.keypoints)} body "
        "points the mean error is shown to grow by less than the margin, if it grows at all."
    )


def _red(found: NonInferiority, baseline: str) -> str:
    worse = found.with_outcome(INFERIOR)
    return (
        f"Less precise than {baseline} by more than the margin at {len(worse)} of {len(found.keypoints)} "
        f"body points: {_listed(worse)}."
    )


def _amber(found: NonInferiority, baseline: str) -> str:
    open_ = found.with_outcome(UNDECIDED)
    reasons = {judged.reason for judged in found.keypoints.values() if judged.reason}
    if len(open_) == len(found.keypoints) and reasons and found.mean.n_videos < MIN_VIDEOS:
        videos = "1 video is" if found.mean.n_videos == 1 else f"{found.mean.n_videos} videos are"
        return f"Not decided: {videos} too few for a verdict, which needs {MIN_VIDEOS}. Score more videos."
    why = f" ({'; '.join(sorted(reasons))})" if reasons else ""
    return (
        f"Not decided: no body point is shown to be less precise than {baseline} by more than the margin, "
        f"but at {len(open_)} of {len(found.keypoints)} the data do not rule it out{why}: {_listed(open_)}. "
        "More videos may decide it."
    )


def _mean(mean: MarginResult) -> str:
    if mean.difference is None:
        return ""
    interval = (
        ""
        if mean.interval is None
        else f" (95 % interval {signed(mean.interval[0], 4)} to {signed(mean.interval[1], 4)})"
    )
    return (
        f"Over all body points the mean error changes by {signed(mean.difference, 4)} head lengths{interval}."
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(readable_name(name) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
