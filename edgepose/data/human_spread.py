"""How far human raters spread around each keypoint: the yardstick of human-level performance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, NonNegativeFloat

from edgeio import UnknownName
from edgeio.records import read_record
from edgepose.errors import BadDataset
from edgepose.keypoints import IN_MOTION_19, KeypointSet
from edgepose.published import TABLE_2_HUMAN

HUMAN_NAME = "human.json"
_HINT = "make it with `edgepose raters FILE --out DIR`"
_IN_PART = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True)
class _Row:
    h: NonNegativeFloat
    h95: NonNegativeFloat
    __pydantic_config__ = _IN_PART


@dataclass(frozen=True)
class _Thresholds:
    """The part of human.json that thresholds are taken from; one may write it alone."""

    source: str
    per_keypoint: Mapping[str, _Row]
    schema_version: Literal[1] = 1
    __pydantic_config__ = _IN_PART


@dataclass(frozen=True)
class HumanSpread:
    """Inter-rater spread of K keypoints, in head lengths.

    Attributes:
        names: K keypoint names.
        h: K mean distances of a rater's point from the raters' mean point (H_b); empty where nobody says.
        h95: K 95th percentiles of the same distances (H_b^0.95).
        source: where the numbers come from, as a report prints it.
    """

    names: tuple[str, ...]
    h: tuple[float, ...]
    h95: tuple[float, ...]
    source: str

    def __post_init__(self) -> None:
        if not 0 < len(self.names) == len(self.h95) or len(self.h) not in (0, len(self.names)):
            raise ValueError(f"one h and h95 a name: got {len(self.names)}, {len(self.h)}, {len(self.h95)}")
        if not np.isfinite([*self.h, *self.h95]).all():
            raise ValueError("h and h95 must be finite: leave out a keypoint that nobody measured")

    @property
    def h_all(self) -> float:
        """H of all body parts: the mean over keypoints. Source: fits Table 2's last row, 0.0534."""
        return float(np.mean(self.h))

    @property
    def h95_all(self) -> float:
        """H^0.95 of all body parts: the mean over keypoints. Source: fits Table 2's last row, 0.1161."""
        return float(np.mean(self.h95))

    def h_for(self, names: Sequence[str]) -> np.ndarray:
        """(K,) h of `names`, in their order; NaN where this table does not have the name, or no h."""
        return self._column(self.h or (np.nan,) * len(self.names), names)

    def h95_for(self, names: Sequence[str]) -> np.ndarray:
        """(K,) h95 of `names`, in their order; NaN where this table does not have the name."""
        return self._column(self.h95, names)

    def _column(self, column: tuple[float, ...], names: Sequence[str]) -> np.ndarray:
        values = dict(zip(self.names, column, strict=True))
        return np.array([values.get(name, np.nan) for name in names], dtype=np.float64)


def spread_of(keypoints: KeypointSet) -> HumanSpread | None:
    """The human spread that a set brings itself: In-Motion's as published, a user's by its file; else None.

    H is taken where the file has it for every keypoint that has an H^0.95.
    """
    if keypoints.names == IN_MOTION_HUMAN.names:
        return IN_MOTION_HUMAN
    if not keypoints.h95:
        return None
    names, h95 = zip(*keypoints.h95, strict=True)
    h = dict(keypoints.h)
    whole = tuple(h[n] for n in names) if set(names) <= h.keys() else ()
    return HumanSpread(names, whole, h95, f"the keypoint set {keypoints.key}")


def human_for(names: Sequence[str]) -> HumanSpread | None:
    """The published spread of those `names` that In-Motion 19 defines, in their order; None if none.

    Names are matched exactly: the spread was measured under In-Motion's definitions, and a hip is no pelvis.
    """
    shared = tuple(name for name in names if name in IN_MOTION_HUMAN.names)
    if not shared:
        return None
    h, h95 = IN_MOTION_HUMAN.h_for(shared), IN_MOTION_HUMAN.h95_for(shared)
    return HumanSpread(shared, tuple(h.tolist()), tuple(h95.tolist()), IN_MOTION_HUMAN.source)


def read_human(path: Path, keypoints: KeypointSet) -> HumanSpread:
    """The thresholds in a human.json, as `edgepose raters` writes it.

    Raises:
        BadDataset: missing, of another schema, or a number that is no distance; names the file.
        UnknownName: a keypoint that the set does not have.
    """
    found = read_record(_Thresholds, path, _HINT, BadDataset)
    if not found.per_keypoint:
        raise BadDataset(f"{path} names no keypoint", _HINT)
    for name in found.per_keypoint:
        if name not in keypoints.names:
            raise UnknownName(f"keypoint in {path}", name, list(keypoints.names))
    h, h95 = zip(*((row.h, row.h95) for row in found.per_keypoint.values()), strict=True)
    return HumanSpread(tuple(found.per_keypoint), h, h95, found.source)


IN_MOTION_HUMAN = HumanSpread(
    names=IN_MOTION_19.names,
    h=tuple(TABLE_2_HUMAN[name][0] for name in IN_MOTION_19.names),
    h95=tuple(TABLE_2_HUMAN[name][1] for name in IN_MOTION_19.names),
    source="Groos et al. 2021, Table 2 (In-Motion Poses, 19 keypoints)",
)
