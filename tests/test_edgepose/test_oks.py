"""COCO's average precision: by hand where every OKS is known, and what has none."""

from __future__ import annotations

import numpy as np
import pytest

from edgepose.evaluation.oks import oks_scores
from edgepose.keypoints import COCO_17
from edgepose.results.predictions import Predictions

NAMES = ("nose", "left_knee")
KNEE, NOSE = 0.087, 0.026  # COCO's sigmas


def made(offsets: np.ndarray, **columns: np.ndarray) -> Predictions:
    """N persons of 10,000 square pixels, each alone, predicted `offsets` (N, 2) px beside nose and knee."""
    n = len(offsets)
    annotated = np.tile([[50.0, 50.0], [80.0, 80.0]], (n, 1, 1))
    moved = annotated.copy()
    moved[..., 0] += offsets
    return Predictions(
        ids=np.array([f"{i}#0" for i in range(n)]),
        videos=np.array([str(i) for i in range(n)]),
        keypoints=np.array(NAMES),
        predicted_px=moved,
        annotated_px=annotated,
        head_length_px=np.ones(n),
        confidence=np.full((n, 2), 0.5),
        image_paths=np.array([f"{i}.png" for i in range(n)]),
        columns={"area": np.array(["10000"] * n), **columns},
    )


def test_average_precision_is_the_share_of_persons_above_each_threshold() -> None:
    # exp(-d^2 / (2 (2 sigma)^2 area)) = 0.72 for the knee; the nose is exact: OKS is 0.86.
    d = float(np.sqrt(-2 * (2 * KNEE) ** 2 * 10_000 * np.log(0.72)))
    found = oks_scores(made(np.array([[0.0, 0.0], [0.0, d], [400.0, 400.0], [400.0, 400.0]])), COCO_17.key)
    assert found is not None and found.n == 4 and found.keypoints == 2
    # Equal scores keep their order: precision is 1 up to the found ones' recall of 2 of 4, or 1 of 4.
    low, high = 51 / 101, 26 / 101
    assert found.ap50 == pytest.approx(100 * low) and found.ap75 == pytest.approx(100 * low)
    assert found.ap == pytest.approx(100 * (8 * low + 2 * high) / 10)
    assert found.ar == pytest.approx(100 * (8 * 0.5 + 2 * 0.25) / 10)


def test_a_missing_point_is_a_miss() -> None:
    predictions = made(np.zeros((1, 2)))
    predictions.predicted_px[0, 1] = np.nan
    found = oks_scores(predictions, COCO_17.key)
    assert found is not None and found.ap50 == pytest.approx(100.0) and found.ap75 == 0.0  # OKS 0.5


def test_without_areas_or_with_other_keypoints_there_is_none() -> None:
    plain = made(np.zeros((2, 2)))
    assert oks_scores(plain, "in-motion-19") is None
    del plain.columns["area"]
    assert oks_scores(plain, COCO_17.key) is None
