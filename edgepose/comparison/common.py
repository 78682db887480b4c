"""Scored models of different keypoint sets, scored anew on the keypoints that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgepose.comparison.differences import human_spread
from edgepose.errors import BadResults
from edgepose.evaluation.scoring import score_predictions
from edgepose.keypoint_file import scored_set
from edgepose.results.predictions import Predictions
from edgepose.results.results import Results

Scored = tuple[Results, Predictions]


def on_common_keypoints(scored: Sequence[Scored]) -> list[Scored]:
    """Results and predictions of the keypoints that every model has by the data set's own definition.

    Raises:
        BadResults: there is no such keypoint.
    """
    names = [name for name in scored[0][0].data.scored_keypoints if all(_has(r, name) for r, _ in scored)]
    if not names:
        raise BadResults(
            f"{', '.join(r.name for r, _ in scored)} have no keypoint in common", "compare fewer of them"
        )
    return [_on(results, predictions, names) for results, predictions in scored]


def _has(results: Results, name: str) -> bool:
    return name in results.data.scored_keypoints and name not in results.data.near_matched


def _on(results: Results, predictions: Predictions, names: Sequence[str]) -> Scored:
    columns = [results.data.scored_keypoints.index(name) for name in names]
    fields = ("predicted_px", "annotated_px", "confidence")
    kept = replace(
        predictions,
        keypoints=np.array(names),
        **{field: getattr(predictions, field)[:, columns] for field in fields},
    )
    metrics = score_predictions(
        kept,
        scored_set(results.data.keypoints, results.data.scored_keypoints),
        human_spread(results.metrics.human),
        results.metrics.bootstrap.seed,
    )
    data = replace(
        results.data, scored_keypoints=tuple(names), near_matched=(), n_keypoints=metrics.overall.n
    )
    return replace(results, data=data, metrics=metrics), kept
