"""Fewer training images, with the recording setups in their proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgepose.data.records import PoseRecord
from edgepose.errors import UsageError

SETUP = "setup"  # the column of a data set's videos.csv


def sample(records: Sequence[PoseRecord], count: int, seed: int = 0) -> tuple[PoseRecord, ...]:
    """`count` of the records, in their order; every setup is there by its share, to within one image.

    A larger sample of the same seed holds the smaller one, so that a curve over sample sizes adds images and
    swaps none. Records whose data set names no setup are one setup.

    Raises:
        UsageError: more than there are, or fewer than one.
    """
    if not 1 <= count <= len(records):
        raise UsageError(f"{count} of {len(records)} training images", f"give 1 to {len(records)}")
    rng = np.random.default_rng(seed)
    setups = np.array([record.columns.get(SETUP, "") for record in records], dtype=str)
    place = np.empty(len(records))
    for setup in np.unique(setups):
        rows = np.flatnonzero(setups == setup)
        # Evenly spread over 0..1, so that whoever comes first by place takes from every setup in step.
        place[rng.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    chosen = np.lexsort((rng.random(len(records)), place))[:count]
    return tuple(records[i] for i in np.sort(chosen))


def setup_counts(records: Sequence[PoseRecord]) -> dict[str, int]:
    """Images by setup; empty where the data set names none."""
    named = [record.columns[SETUP] for record in records if record.columns.get(SETUP)]
    return {setup: named.count(setup) for setup in sorted(set(named))}
