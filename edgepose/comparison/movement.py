"""Temporal fidelity of the rows of a comparison, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from edgepose.data.head_length import labelled
from edgepose.evaluation.temporal import Fidelity, fidelity
from edgepose.evaluation.trajectories import MIN_FRAMES, find_runs, tracks
from edgepose.results.predictions import Predictions
from edgepose.results.results import BootstrapFacts

FPS = "fps"  # the data set's column


@dataclass(frozen=True)
class Movement:
    """Movement over consecutive frames."""

    min_frames: NonNegativeInt
    """Consecutive scored frames that a video must have."""
    n_videos: NonNegativeInt
    """Videos that could be followed."""
    n_frames: NonNegativeInt
    """Frames in them."""
    fps: PositiveFloat | None
    """Frames a second, from the data set's column fps; null where times are in frames."""
    fps_reason: str | None
    """Why there is no fps; null otherwise."""
    skipped: Mapping[str, PositiveInt]
    """Videos that could not be followed, counted by reason."""
    models: tuple[Fidelity, ...]
    """Every row but the baseline; empty where no video could be followed."""


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
