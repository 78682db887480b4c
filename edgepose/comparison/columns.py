"""Columns of the data set, as the predictions of compared models carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeio import lookup
from edgepose.errors import BadResults
from edgepose.evaluation.subgroups import MOST_GROUPS, Subgroups, subgroups
from edgepose.results.predictions import Predictions
from edgepose.results.results import BootstrapFacts

_RESCORE = "score the models again with `edgepose evaluate`"


def column(predictions: Mapping[str, Predictions], name: str) -> Sequence[str] | None:
    """N texts of a column, or None where no model's predictions carry it.

    Args:
        predictions: by row name, the images in one order.

    Raises:
        BadResults: two models were scored when the data set said different things in this column.
    """
    carriers = [(row, p.columns[name]) for row, p in predictions.items() if name in p.columns]
    if not carriers:
        return None
    first, texts = carriers[0]
    for row, other in carriers[1:]:
        if not np.array_equal(texts, other):
            raise BadResults(f"{first} and {row} differ in the column {name}", _RESCORE)
    return [str(text) for text in texts]


def grouped(
    predictions: Mapping[str, Predictions],
    distances: Mapping[str, np.ndarray],
    baseline: str,
    name: str,
    facts: BootstrapFacts,
) -> Subgroups:
    """Subgroups by the column `name`.

    Raises:
        UnknownName: no predictions carry it; lists those they do.
        BadResults: they carry no column at all, or it has more values than a table can show.
    """
    known = dict.fromkeys(key for p in predictions.values() for key in p.columns)
    if not known:
        raise BadResults(
            f"no column {name}: the results say nothing of their images but the pose",
            "score the models again on a data set with a videos.csv (one row a video, one column 'video')",
        )
    lookup(known, "column", name)
    texts = column(predictions, name)
    assert texts is not None
    count = len(set(texts))
    if count > MOST_GROUPS:
        raise BadResults(
            f"the column {name} has {count} values, and a table shows {MOST_GROUPS} groups",
            f"choose another (known: {', '.join(known)})",
        )
    videos = predictions[baseline].videos.tolist()
    return subgroups(name, texts, videos, distances, baseline, facts.replicates, facts.seed)
