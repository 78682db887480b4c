"""Temporal fidelity of the rows of a comparison, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.data.head_length import labelled
from edgepose.evaluation.temporal import Fidelity, fidelity
from edgepose.evaluation.trajectories import MIN_FRAMES, find_runs, tracks
from edgepose.results.predictions import Predictions
from edgepose.results.results import BootstrapFacts

FPS = "fps"  # the data set's column


@dataclass(frozen=True)
class Movement:
    """Movement over consecutive frames.

    Attributes:
        n_videos, n_frames: with at least `min_frames` consecutive scored frames.
        fps: frames a second; None where times are in frames.
        fps_reason: why there is no `fps`.
        skipped: videos that could not be followed, counted by reason.
        models: every row but the baseline; empty where no video could be followed.
    """

    min_frames: int
    n_videos: int
    n_frames: int
    fps: float | None
    fps_reason: str | None
    skipped: Mapping[str, int]
    models: tuple[Fidelity, ...]


def movement(
    predictions: Mapping[str, Predictions], baseline: str, fps: Sequence[str] | None, facts: BootstrapFacts
) -> Movement:
    """Follow every row's points over time.

    Args:
        predictions: by row name, the images in one order.
        fps: N texts of the data set's column `FPS`, or None.
        facts: how the intervals are made.
    """
    base = predictions[baseline]
    runs = find_runs(base.ids.tolist(), base.videos.tolist(), fps)
    models: list[Fidelity] = []
    if runs.runs:
        marked = labelled(base.annotated_px)

        def followed(points_px: np.ndarray) -> list[np.ndarray]:
            return tracks(runs, points_px, marked, base.head_length_px)

        truth, full = followed(base.annotated_px), followed(base.predicted_px)
        models = [
            fidelity(name, runs, followed(own.predicted_px), full, truth, facts.replicates, facts.seed)
            for name, own in predictions.items()
            if name != baseline
        ]
    return Movement(
        MIN_FRAMES, runs.n_videos, runs.n_frames, runs.fps, runs.fps_reason, runs.skipped, tuple(models)
    )
