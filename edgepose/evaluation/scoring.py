"""Predictions to every metric of results.json."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgepose.data.human_spread import HumanSpread
from edgepose.evaluation.agreement import Icc, model_agreement
from edgepose.evaluation.bootstrap import Estimates, bootstrap_scores
from edgepose.evaluation.metrics import CURVE, Figure, Scores, normalised_distances, pckh_curve, score
from edgepose.evaluation.oks import oks_scores
from edgepose.evaluation.taxonomy import CLASSES, taxonomy
from edgepose.keypoints import KeypointSet
from edgepose.results import results
from edgepose.results.predictions import Predictions


def score_predictions(
    predictions: Predictions, keypoints: KeypointSet, human: HumanSpread | None, seed: int = 0
) -> results.Metrics:
    """Score K keypoints of N images.

    Args:
        predictions: a keypoint without a prediction (NaN) is missed at every distance, and makes a mean error
            unbounded.
        keypoints: the data set's keypoint set; `predictions.keypoints` are some of its names.
        human: the spread to compare with, or None where none is defined for this data.
        seed: of the bootstrap.
    """
    names = tuple(str(name) for name in predictions.keypoints)
    distances = normalised_distances(
        predictions.predicted_px, predictions.annotated_px, predictions.head_length_px, allow_missing=True
    )
    scores = score(distances, names, human)
    estimates = bootstrap_scores(distances, [str(v) for v in predictions.videos], names, human, seed=seed)
    curve, _ = pckh_curve(distances)
    return results.Metrics(
        per_keypoint={
            name: results.KeypointScores(int(scores.n[k]), _scores(scores, k)) for k, name in enumerate(names)
        },
        overall=results.OverallScores(
            n=int(scores.n.sum()),
            scores=_scores(scores, None),
            auc=100 * scores.figures["auc"].overall,
            intervals=_intervals(estimates),
        ),
        icc=_agreement(scores.figures["me"], names, human),
        taxonomy=_taxonomy(predictions, keypoints),
        human=_human(names, human),
        curve=results.PckhCurve(CURVE, tuple(float(100 * value) for value in curve)),
        bootstrap=results.BootstrapFacts(estimates.replicates, estimates.seed, "video"),
        oks=oks_scores(predictions, keypoints.key),
    )


def _scores(scores: Scores, k: int | None) -> dict[str, float | None]:
    """Every metric of keypoint k, or of all where k is None; None where it is undefined."""
    found: dict[str, float | None] = {}
    for key, metric in results.METRICS.items():
        figure = scores.figures.get(metric.computed)
        value = np.nan if figure is None else figure.overall if k is None else figure.per_keypoint[k]
        found[key] = float(metric.scale * value) if np.isfinite(value) else None
    return found


def _intervals(estimates: Estimates) -> Mapping[str, tuple[float, float] | None]:
    intervals = {}
    for key, metric in results.METRICS.items():
        if metric.computed in estimates.overall:
            bounds = estimates.overall[metric.computed].interval.bounds
            intervals[key] = (metric.scale * bounds[0], metric.scale * bounds[1]) if bounds else None
    return intervals


def _agreement(
    mean_errors: Figure, names: tuple[str, ...], human: HumanSpread | None
) -> results.Agreement | None:
    if human is None or not human.h:
        return None
    found = model_agreement(mean_errors.per_keypoint, human.h_for(names))
    return results.Agreement(_triple(found.a1), _triple(found.c1)) if found.a1 and found.c1 else None


def _triple(icc: Icc) -> tuple[float, float, float]:
    return icc.value, icc.low, icc.high


def _taxonomy(predictions: Predictions, keypoints: KeypointSet) -> dict[str, float]:
    """Shares in percent; keypoints that are not scored take no part."""
    columns = [keypoints.index(str(name)) for name in predictions.keypoints]
    shape = (len(predictions), len(keypoints), 2)
    predicted, annotated = np.zeros(shape), np.full(shape, np.nan)
    predicted[:, columns], annotated[:, columns] = predictions.predicted_px, predictions.annotated_px
    found = taxonomy(predicted, annotated, predictions.head_length_px, keypoints, allow_missing=True)
    sides = found.left_right.sum() / max(int(found.n.sum()), 1)
    shares = {name: float(100 * share) for name, share in zip(CLASSES, found.overall, strict=True)}
    return shares | {"inversion_left_right": float(100 * sides)}


def _human(names: tuple[str, ...], human: HumanSpread | None) -> results.HumanSpreadRecord | None:
    if human is None:
        return None
    known = [name for name in names if name in human.names]
    if not known:
        return None
    return results.HumanSpreadRecord(
        human.source,
        dict(zip(known, human.h_for(known).tolist(), strict=True)) if human.h else {},
        dict(zip(known, human.h95_for(known).tolist(), strict=True)),
    )
