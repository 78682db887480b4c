"""Scored models made of seeded noise, for what reads results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepose.data.head_length import head_lengths
from edgepose.data.human_spread import human_for
from edgepose.evaluation.scoring import score_predictions
from edgepose.keypoints import keypoint_set
from edgepose.results.predictions import Predictions, save_predictions
from edgepose.results.results import (
    DataFacts,
    Excluded,
    Latency,
    ModelFacts,
    Results,
    Speed,
    write_results,
)

Scored = Callable[..., Path]

# An upright person in a box 1 wide and 2 high, near enough; the order of in-motion-19.
_X = (50, 50, 46, 54, 50, 40, 32, 28, 50, 60, 68, 72, 50, 43, 42, 41, 57, 58, 59)
_Y = (4, 12, 12, 12, 24, 30, 50, 68, 30, 30, 50, 68, 78, 76, 110, 145, 76, 110, 145)
_POSE = np.column_stack([_X, _Y]).astype(float)


@pytest.fixture(scope="session")
def score_into() -> Scored:
    """score_into(FOLDER, NAME, noise, ...) writes FOLDER/NAME/results.json and predictions.npz, and returns
    the path of the first."""

    def build(
        folder: Path,
        name: str,
        noise: float = 0.1,
        images: int = 8,
        frames: int = 2,
        columns: dict[str, list[str]] | None = None,
        **changes: Any,
    ) -> Path:
        path = folder / name.replace("/", "-") / "results.json"
        predictions = synthetic_predictions(noise, images, frames, columns)
        results = synthetic_results(name, predictions, **changes)
        digest = save_predictions(path.with_name("predictions.npz"), predictions)
        write_results(path, Results(**{**vars(results), "predictions_sha256": digest}))
        return path

    return build


@pytest.fixture
def scored(score_into: Scored, tmp_path: Path) -> Scored:
    """The same, into TMP/scored."""
    return partial(score_into, tmp_path / "scored")


def synthetic_predictions(
    noise: float, images: int = 8, frames: int = 2, columns: dict[str, list[str]] | None = None
) -> Predictions:
    """`images` frames of 19 keypoints, `frames` a video; noise in head lengths. One point is unlabelled."""
    rng = np.random.default_rng(1)
    annotated = _POSE + rng.normal(0, 4, (images, 19, 2)) + rng.uniform(50, 150, (images, 1, 2))
    annotated[0, 7] = np.nan
    heads = head_lengths(annotated, keypoint_set("in-motion-19")).px
    offset = np.random.default_rng(2).normal(0, noise, (images, 19, 2)) * heads[:, None, None]
    return Predictions(
        ids=np.array([f"v{i // frames}_{i:03d}.jpg" for i in range(images)]),
        videos=np.array([f"v{i // frames}" for i in range(images)]),
        keypoints=np.array(keypoint_set("in-motion-19").names),
        predicted_px=np.where(np.isnan(annotated), 100.0, annotated) + offset,
        annotated_px=annotated,
        head_length_px=heads,
        confidence=np.full((images, 19), 0.5),
        image_paths=np.array([f"images/v{i // frames}_{i:03d}.jpg" for i in range(images)]),
        columns={name: np.array(texts, dtype=str) for name, texts in (columns or {}).items()},
    )


def synthetic_results(name: str, predictions: Predictions, **changes: Any) -> Results:
    """Results of those predictions; model, data and speed in `changes` hold fields to replace, and the rest
    replace fields at the top. `speed=None` is untimed."""
    points = keypoint_set("in-motion-19")
    model = {
        "path_name": f"{name}.tflite",
        "sha256": "a" * 64,
        "kind": "tflite",
        "network": "rt",
        "network_name": "EfficientPose RT",
        "keypoints": points.key,
        "recipe": "fp32",
        "output": "maps",
        "input_size": (224, 224),
        "size_bytes": 1_823_144,
        "parameters": 481_336,
        "flops": 955_490_248,
        "ops": {"CONV_2D": 60, "MUL": 12},
        "float_operators": None,
        "deflated_bytes": 1_500_000,
    }
    data = {
        "name": "in-motion:made-up",
        "format": "in-motion",
        "sha256": "b" * 64,
        "split": "test",
        "crop": "none",
        "crop_margin": None,
        "keypoints": points.key,
        "scored_keypoints": points.names,
        "near_matched": (),
        "n_images": len(predictions),
        "n_keypoints": int(np.isfinite(predictions.annotated_px).all(-1).sum()),
        "n_videos": len(np.unique(predictions.videos)),
        "excluded": (Excluded("v9_000.jpg", "the image is truncated"),),
        "head_length": "1 x |head_top to upper_neck|",
        "turn": "none",
        "ruler": "head",
    }
    speed = {
        "latency_ms": Latency(12.5, 13.75, 30, 5, 1),
        "letterbox_ms": 0.5,
        "decode_ms": 0.25,
        "peak_memory_bytes": 21_000_000,
        "processor": "Made-up CPU, 2 cores",
        "note": "not a phone's",
    }
    top = {
        "name": name,
        "created": "2024-05-06T07:08:09+00:00",
        "edgepose": "0.1.0",
        "seed": 0,
        "decode": "taylor",
        "metrics": score_predictions(predictions, points, human_for(points.names)),
        "target": "desktop",
        "device": None,
        "detector": None,
        "runtime": {"name": "ai-edge-litert", "version": "2.3.0", "python": "3.11.7", "numpy": "2.1.0"},
        "predictions_sha256": "c" * 64,
    }
    for key, part in (("model", model), ("data", data), ("speed", speed)):
        part.update(changes.get(key) or {})
    timed = None if changes.get("speed", speed) is None else Speed(**speed)  # type: ignore[arg-type]
    top.update({key: value for key, value in changes.items() if key not in ("model", "data", "speed")})
    return Results(model=ModelFacts(**model), data=DataFacts(**data), speed=timed, **top)  # type: ignore[arg-type]
