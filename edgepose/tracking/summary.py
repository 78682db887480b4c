"""STEM.json: what a track depends on, what was skipped, what to be warned of, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

import edgepose
from edgepose.data.files import SUMMARY_MARK
from edgepose.evaluation.speed import processor
from edgepose.inference.spec import ModelSpec
from edgepose.tracking.predict import Prediction
from edgepose.tracking.quality import head_cells
from edgepose.tracking.tables import COLUMNS

VERSION = 1


def summarise(
    prediction: Prediction, spec: ModelSpec, job: dict[str, Any], calibrated: bool
) -> dict[str, Any]:
    """The JSON of one input, without what is known only when its files are written.

    Args:
        job: everything that the track depends on; see `batch.job_of`.
    """
    return {
        SUMMARY_MARK: VERSION,
        "edgepose": edgepose.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": prediction.name,
        "job": job,
        "model": {
            "file": spec.path.name,
            "sha256": spec.sha256,
            "network": spec.network or spec.network_name,
            "keypoints": spec.keypoints.key,
            "input_size": list(spec.input_size),
            "runtime": spec.runtime,
            "detector": None if spec.detector is None else spec.detector.path.name,
            "flip": spec.flip,
        },
        "video": None if prediction.video is None else asdict(prediction.video),
        "frames": _frames(prediction),
        "confidence": "probability within half a head" if calibrated else "peak of the map, not calibrated",
        "columns": COLUMNS,
        "skipped": [asdict(entry) for entry in prediction.skipped],
        "warnings": [asdict(entry) for entry in prediction.warnings],
    }


def _frames(prediction: Prediction) -> dict[str, Any]:
    track = prediction.track
    cells = head_cells(track)
    return {
        "predicted": len(track),
        "nobody_found": int(np.isnan(track.raw_px).all((1, 2)).sum()),
        "skipped": sum(entry.frame is not None for entry in prediction.skipped),
        "width": track.size[1],
        "height": track.size[0],
        "first_time_s": float(track.time_s[0]) if track.is_video else None,
        "last_time_s": float(track.time_s[-1]) if track.is_video else None,
        "mean_confidence": round(float(track.confidence.mean()), 5),
        "abstained_share": round(float(track.abstained.mean()), 5),
        "values_too_short_to_smooth": track.unsmoothed,
        "stride": prediction.stride,
        "median_head_cells": None if np.isnan(cells).all() else round(float(np.nanmedian(cells)), 3),
        "tracking": prediction.tracked or None,
        "turn": _turn(prediction),
    }


def _turn(prediction: Prediction) -> dict[str, Any] | None:
    """How the way up was found: degrees clockwise and how often, or the mean peak of each turn of a video."""
    turns = prediction.turns
    if not turns:
        return None
    degrees = [90 * turn.quarters for turn in turns]
    return {
        "clockwise_degrees": {str(angle): degrees.count(angle) for angle in sorted(set(degrees))},
        "undecided": sum(not turn.decided for turn in turns),
        "mean_peaks_by_turn": [round(v, 4) for v in turns[0].sureness] if len(turns) == 1 else None,
    }


def speed(prediction: Prediction, extra: dict[str, float], threads: int) -> dict[str, Any]:
    """Where the time went.

    Args:
        extra: seconds of what came after the last pose, by name.
    """
    wall = prediction.wall_s + sum(extra.values())
    stages = prediction.seconds | extra
    return {
        "frames_per_s": round(len(prediction.track) / wall, 2),
        "frames_per_s_of_poses": round(len(prediction.track) / prediction.wall_s, 2),
        "wall_s": round(wall, 3),
        "stages_s": {name: round(seconds, 3) for name, seconds in stages.items()},
        "note": "stages run side by side and may add up to more than wall_s; this machine's, not a phone's",
        "threads": threads,
        "workers": prediction.workers,
        "processor": processor(),
    }


def lines(summary: dict[str, Any]) -> Sequence[str]:
    """What a person reads on the terminal of one input."""
    frames, name = summary["frames"], summary["name"]
    found = [f"{name}: {entry['text']}" for entry in summary["warnings"]]
    if nobody := frames["nobody_found"]:
        found.append(
            f"{name}: the model's detector finds nobody in {nobody} frame{'s' if nobody > 1 else ''}"
        )
    if summary["skipped"]:
        first = summary["skipped"][0]
        found.append(f"{name}: skipped: {len(summary['skipped'])} listed, the first: {first['reason']}")
    if short := frames["values_too_short_to_smooth"]:
        found.append(f"{name}: {short} values in stretches too short to smooth are as predicted")
    return found
