"""Scores within groups of images that a column of the data set tells apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeInt

from edgepose.evaluation.bootstrap import REPLICATES, mean_contrast
from edgepose.evaluation.metrics import finite_or_none, mean_error, pckh

MOST_GROUPS = 24  # more is a column of numbers or names, not of groups
NOT_GIVEN = "(not given)"


@dataclass(frozen=True)
class GroupScore:
    """One model in one group."""

    name: str
    """The model's row."""
    pckh_0_5: float | None
    """PCKh@0.5, percent."""
    pckh_0_1: float | None
    """PCKh@0.1, percent."""
    me: float | None
    """Mean error, head lengths, over keypoints annotated in the group."""
    difference: float | None
    """Of me, model minus baseline; null for the baseline."""
    interval: tuple[float, float] | None
    """95 % interval of the difference: low and high; null where there is none."""
    reason: str | None
    """Why there is no interval; null otherwise."""
    pckh_0_2: float | None = None
    """PCKh@0.2, percent; null in records that were made before it was counted."""


@dataclass(frozen=True)
class Group:
    """Images with one value in the column."""

    value: str
    """The text in the column, or '(not given)'."""
    n_images: NonNegativeInt
    """Images."""
    n_videos: NonNegativeInt
    """Videos."""
    n_keypoints: NonNegativeInt
    """Annotated keypoints."""
    scores: tuple[GroupScore, ...]
    """One a model, in the order of the tables."""


@dataclass(frozen=True)
class Subgroups:
    """All groups of one column, by value; every image is in just one."""

    column: str
    """The column."""
    groups: tuple[Group, ...]
    """By value."""


def subgroups(
    column: str,
    values: Sequence[str],
    videos: Sequence[str],
    distances: Mapping[str, np.ndarray],
    baseline: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Subgroups:
    """Score every model within every group.

    Args:
        values: N texts of the column; empty where the data set says nothing.
        videos: N names.
        distances: by model (N, K), head lengths.
        baseline: name of the model that the others are held against.
    """
    said = np.array([str(value).strip() or NOT_GIVEN for value in values])
    owners = np.asarray(videos, dtype=str)

    def group(value: str) -> Group:
        rows = np.flatnonzero(said == value)
        own = {name: d[rows] for name, d in distances.items()}
        scored = ~np.isnan(own[baseline])
        return Group(
            value=value,
            n_images=len(rows),
            n_videos=len(np.unique(owners[rows])),
            n_keypoints=int(scored.sum()),
            scores=tuple(
                _score(name, d, None if name == baseline else own[baseline], owners[rows], replicates, seed)
                for name, d in own.items()
            ),
        )

    return Subgroups(column, tuple(group(value) for value in _ordered(set(said.tolist()))))


def _score(
    name: str, own: np.ndarray, base: np.ndarray | None, videos: np.ndarray, replicates: int, seed: int
) -> GroupScore:
    coarse, middle, fine = (finite_or_none(100 * pckh(own, t).overall) for t in (0.5, 0.2, 0.1))
    me = finite_or_none(mean_error(own).overall)
    if base is None:
        return GroupScore(name, coarse, fine, me, None, None, None, middle)
    found, _ = mean_contrast(own, base, videos.tolist(), "difference", replicates, seed)
    interval = found.interval
    difference = finite_or_none(found.value)
    return GroupScore(name, coarse, fine, me, difference, interval.bounds, interval.reason, middle)


def _ordered(values: set[str]) -> list[str]:
    """Numbers by size, other texts by letter, and what is not given last."""

    def key(value: str) -> tuple[int, float, str]:
        try:
            number = float(value)
        except ValueError:
            number = np.nan
        if np.isfinite(number):
            return (0, number, value)
        return (2 if value == NOT_GIVEN else 1, 0.0, value)

    return sorted(values, key=key)
