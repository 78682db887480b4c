"""Scored networks to rows: for each experiment the paper's and ours, under the same keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepose import published
from edgepose.data.human_spread import IN_MOTION_HUMAN, HumanSpread
from edgepose.evaluation.metrics import normalised_distances
from edgepose.evaluation.raters import RaterReport
from edgepose.models.variants import VARIANTS
from edgepose.paper.networks import CompetingModel
from edgepose.paper.outcome import QUANTILES, SpreadRecord, TableRow
from edgepose.published import TABLE_1
from edgepose.results.predictions import load_predictions
from edgepose.results.results import Results

PCKH = ("pckh@1.0", "pckh@0.5", "pckh@0.3", "pckh@0.2", "pckh@0.1")
COSTS = ("parameters", "flops", "latency_ms")
RATERS, RATERS_NAME = "raters", "human raters"


@dataclass(frozen=True)
class Scored:
    """A network with its results, and where they lie."""

    competing_model: CompetingModel
    results: Results
    path: Path


def network_name(key: str) -> str:
    """As the paper writes it."""
    return published.LIBRARY_NAME if key == published.LIBRARY else VARIANTS[key].name


def table1(scored: Sequence[Scored]) -> list[TableRow]:
    library = {**published.TABLE_1_LIBRARY.values, "parameters": None, "flops": None}
    paper = {published.LIBRARY: library}
    for key, row in TABLE_1.items():
        paper[key] = {**row.scores, "parameters": row.parameters, "flops": row.flops}
    latency = published.TABLE_1_LATENCY_MS
    theirs = [_paper(key, {**values, "latency_ms": latency[key]}) for key, values in paper.items()]
    return _paired(theirs, [_scores(s, costs=True) for s in scored])


def table2(scored: Sequence[Scored]) -> list[TableRow]:
    theirs = [_paper(key, published.table_2(key)) for key in published.TABLE_2_NETWORKS]
    return _paired(theirs, [_human_level(s) for s in scored])


def table3(scored: Sequence[Scored]) -> list[TableRow]:
    theirs = []
    for key, found in published.TABLE_3.items():
        triples = {"A1": found.a1, "C1": found.c1}
        values, intervals = _split(triples)
        theirs.append(TableRow("paper", key, network_name(key), values, intervals=intervals))
    return _paired(theirs, [_agreement(s) for s in scored])


def table5(scored: Sequence[Scored]) -> list[TableRow]:
    """The paper's batch of 4 and, from Table 1, the same networks at its usual batch."""
    theirs = []
    for key, small in published.TABLE_5.items():
        theirs += [_paper(key, TABLE_1[key].scores, "table1"), _paper(key, small.values, "batch4")]
    return _paired(theirs, [_scores(s) for s in scored])


def table6(scored: Sequence[Scored]) -> list[TableRow]:
    theirs = [_paper(key, row.values) for key, row in published.TABLE_6.items()]
    return _paired(theirs, [_scores(s) for s in scored])


def fig4(scored: Sequence[Scored]) -> list[TableRow]:
    """Distributions of errors; the paper's row is the spread of its raters."""
    h95 = dict(zip(IN_MOTION_HUMAN.names, IN_MOTION_HUMAN.h95, strict=True))
    return [TableRow("paper", RATERS, RATERS_NAME, h95), *(_distribution(s) for s in scored)]


def fig5(scored: Sequence[Scored]) -> list[TableRow]:
    """The paper's row is Table 1's, of all training images."""
    keys = dict.fromkeys(s.competing_model.network for s in scored)
    counts = {"images": float(published.TRAINING_IMAGES), "pretrained": 1.0}
    theirs = [_paper(key, {**TABLE_1[key].scores, **counts}) for key in keys if key in TABLE_1]
    return _paired(theirs, [_sample(s) for s in scored])


ROWS: Mapping[str, Callable[[Sequence[Scored]], list[TableRow]]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table5": table5,
    "table6": table6,
    "fig4": fig4,
    "fig5": fig5,
}


def raters_row(report: RaterReport, names: Sequence[str]) -> TableRow:
    """The distances between raters of a file, as a distribution.

    Args:
        names: K keypoints of the report.
    """
    curves = _quantiles(report.distance.reshape(-1, report.distance.shape[-1]), names)
    values = dict(zip(report.human.names, report.human.h95, strict=True))
    return TableRow("ours", RATERS, RATERS_NAME, values, curves=curves)


def spread_of(human: HumanSpread) -> SpreadRecord:
    """As results.json holds it."""
    h, h95 = (dict(zip(human.names, column, strict=True)) for column in (human.h, human.h95))
    return SpreadRecord(human.source, h, h95)


def _paper(network: str, values: Mapping[str, float | None], arm: str = "") -> TableRow:
    return TableRow("paper", network, network_name(network), dict(values), arm)


def _ours(s: Scored, values: Mapping[str, float | None], **more: Mapping) -> TableRow:  # type: ignore[type-arg]
    model = s.competing_model
    return TableRow("ours", model.network, network_name(model.network), dict(values), model.arm.key, **more)


def _scores(s: Scored, costs: bool = False) -> TableRow:
    overall = s.results.metrics.overall
    keys = (*PCKH, "me")
    values = {key: overall.scores[key] for key in keys}
    if costs:
        model, speed = s.results.model, s.results.speed
        latency = speed.latency_ms.median if speed else None
        values |= dict(zip(COSTS, (model.parameters, model.flops, latency), strict=True))
    return _ours(s, values, intervals={key: overall.intervals.get(key) for key in keys})


def _human_level(s: Scored) -> TableRow:
    metrics = s.results.metrics
    values = {name: row.scores["pckh@human"] for name, row in metrics.per_keypoint.items()}
    values["all"] = metrics.overall.scores["pckh@human"]
    return _ours(s, values, intervals={"all": metrics.overall.intervals.get("pckh@human")})


def _agreement(s: Scored) -> TableRow:
    icc = s.results.metrics.icc
    if icc is None:
        return _ours(s, {"A1": None, "C1": None})
    values, intervals = _split({"A1": icc.A1, "C1": icc.C1})
    return _ours(s, values, intervals=intervals)


def _split(
    triples: Mapping[str, tuple[float, float, float]],
) -> tuple[dict[str, float | None], dict[str, tuple[float, float] | None]]:
    """Values and intervals of (value, low, high)."""
    return {k: t[0] for k, t in triples.items()}, {k: (t[1], t[2]) for k, t in triples.items()}


def _distribution(s: Scored) -> TableRow:
    predictions = load_predictions(s.path, s.results)
    distances = normalised_distances(
        predictions.predicted_px, predictions.annotated_px, predictions.head_length_px
    )
    names = [str(name) for name in predictions.keypoints]
    values = {name: row.scores["p95"] for name, row in s.results.metrics.per_keypoint.items()}
    return _ours(s, values, curves=_quantiles(distances, names))


def _quantiles(distances: np.ndarray, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """`QUANTILES` of each column of (N, K), leaving NaN out; a keypoint without a distance has none."""
    found = {}
    for name, column in zip(names, distances.T, strict=True):
        counted = column[~np.isnan(column)]
        if counted.size:
            found[name] = tuple(float(q) for q in np.percentile(counted, QUANTILES))
    return found


def _sample(s: Scored) -> TableRow:
    row, arm = _scores(s), s.competing_model.arm
    images = s.competing_model.training.get("images", arm.images)
    human = s.results.metrics.overall.scores["pckh@human"]
    more = {"images": images, "pretrained": float(arm.pretrained), "pckh@human": human}
    return _ours(s, {**row.values, **more}, intervals=row.intervals)


def _paired(theirs: Sequence[TableRow], ours: Sequence[TableRow]) -> list[TableRow]:
    """Network by network, the paper's rows and below them ours."""
    both = (*theirs, *ours)
    return [row for key in dict.fromkeys(r.network for r in both) for row in both if row.network == key]
