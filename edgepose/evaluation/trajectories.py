"""Consecutive frames of videos as trajectories: what temporal measures are taken of.

A frame's number is what follows the last underscore of its file's name (VIDEO_FRAME). Frames are
consecutive where their numbers step by one; a frame that was not scored ends a trajectory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

MIN_FRAMES = 16  # consecutive; what a spectrum of eight frequencies takes


@dataclass(frozen=True)
class Run:
    """Consecutive frames of one video: rows of the predictions, in the order of time."""

    video: str
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Runs:
    """What can be followed over time.

    Attributes:
        runs: each of `MIN_FRAMES` or more.
        fps: frames a second of every one of them, or None: times are then in frames.
        fps_reason: why there is no `fps`, else None.
        skipped: videos without a run, counted by reason.
    """

    runs: tuple[Run, ...]
    fps: float | None
    fps_reason: str | None
    skipped: dict[str, int]

    @property
    def n_frames(self) -> int:
        """Frames in all runs."""
        return sum(len(run) for run in self.runs)

    @property
    def n_videos(self) -> int:
        """Videos with a run."""
        return len({run.video for run in self.runs})


def find_runs(ids: Sequence[str], videos: Sequence[str], fps: Sequence[str] | None) -> Runs:
    """Find the runs of consecutive frames.

    Args:
        ids: N record ids, named VIDEO_FRAME.
        videos: N names.
        fps: N texts of the data set's column of that name, or None where it has none.
    """
    rows: dict[str, list[int]] = {}
    for i, video in enumerate(videos):
        rows.setdefault(str(video), []).append(i)
    runs: list[Run] = []
    skipped: Counter[str] = Counter()
    for video, own in rows.items():
        found, reason = _runs_of(video, own, [str(ids[i]) for i in own])
        runs += found
        if reason:
            skipped[reason] += 1
    rate, why = _common_rate(runs, fps)
    return Runs(tuple(runs), rate, why, dict(skipped))


def _runs_of(video: str, rows: list[int], ids: list[str]) -> tuple[list[Run], str | None]:
    numbers = [re.search(r"_(\d{1,15})$", PurePosixPath(name).stem) for name in ids]
    if not all(numbers):
        return [], "frames without a number (VIDEO_FRAME)"
    order = np.array([int(match[1]) for match in numbers if match])
    if len(np.unique(order)) < len(order):
        return [], "two frames with one number"
    by_time = np.argsort(order)
    breaks = np.flatnonzero(np.diff(order[by_time]) != 1) + 1
    pieces = np.split(np.array(rows)[by_time], breaks)
    runs = [Run(video, piece) for piece in pieces if len(piece) >= MIN_FRAMES]
    return runs, None if runs else f"fewer than {MIN_FRAMES} consecutive frames"


def _common_rate(runs: list[Run], fps: Sequence[str] | None) -> tuple[float | None, str | None]:
    """Frames a second, or why no one rate holds for all runs."""
    if fps is None:
        return None, "the data set has no column fps"
    said = {str(fps[i]).strip() for run in runs for i in run.rows}
    rates = set()
    for text in said:
        try:
            rate = float(text)
        except ValueError:
            rate = np.nan
        if not (np.isfinite(rate) and rate > 0):
            return None, "the column fps does not hold a positive number for every frame"
        rates.add(rate)
    if len(rates) != 1:
        return None, f"the column fps holds {len(rates)} rates"
    return rates.pop(), None


def tracks(runs: Runs, points_px: np.ndarray, labelled: np.ndarray, heads_px: np.ndarray) -> list[np.ndarray]:
    """Each run's trajectories (T, K, 2) in head lengths; NaN where not labelled or not finite.

    A run has one ruler, the median of its frames' head lengths: the frames' own would add the trembling
    of the head's annotation to every keypoint.

    Args:
        points_px: (N, K, 2). labelled: (N, K) bool. heads_px: (N,).
    """
    found = []
    for run in runs.runs:
        known = labelled[run.rows] & np.isfinite(points_px[run.rows]).all(-1)
        points = np.where(known[..., None], points_px[run.rows], np.nan)
        found.append(points / float(np.median(heads_px[run.rows])))
    return found
