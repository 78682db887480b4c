"""What distances are divided by, by name: the head's length, or what stands in for it.

A score has one ruler for all of its images, and says which. Only "head" is the paper's; the figures of two
rulers do not compare.

Sources: head, Groos et al. 2021; torso, PCK of Sapp & Taskar 2013 (MODEC) with shoulders and hips; box, PCK
of Yang & Ramanan 2013. The stand-in's three factors were measured on the made-up infants against
l = 2 |nose - upper neck|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeio import lookup
from edgepose.data.head_length import FALLBACKS, HeadLengths, head_lengths
from edgepose.data.records import PoseRecord
from edgepose.errors import BadDataset
from edgepose.keypoints import KeypointSet

# Factors that take a distance to a head length: |ear - ear|, |nose - mid shoulder|, |mid shoulder - mid hip|.
STAND_IN = (1.18, 1.51, 0.91)

# The keypoints of one of its factors at least: ears; nose and shoulders; shoulders and hips.
_SHOULDERS = {"left_shoulder", "right_shoulder"}
_STAND_IN_NEEDS = (
    {"left_ear", "right_ear"},
    {"nose", *_SHOULDERS},
    {*_SHOULDERS, "left_hip", "right_hip"},
    {*_SHOULDERS, "left_pelvis", "right_pelvis"},
)

Points = dict[str, np.ndarray]  # keypoint name -> (N, 2) px, NaN where not labelled
Measure = Callable[[Points, Sequence[PoseRecord]], np.ndarray]


@dataclass(frozen=True)
class Ruler:
    """A way to measure the unit of distances in an image.

    Attributes:
        key: its one name, as in `--ruler stand-in`.
        metric: what a share of keypoints within t of it is called.
        unit: of the errors.
        rule: what is measured, in words.
        measure: keypoints by name, and the records, to (N,) px, NaN where it cannot be told; None for the
            head segment, which `head_lengths` measures.
    """

    key: str
    metric: str
    unit: str
    rule: str
    measure: Measure | None = None


def _stand_in(points: Points, records: Sequence[PoseRecord]) -> np.ndarray:
    shoulders = _middle(points, "shoulder")
    parts = np.stack(
        [
            factor * _distance(a, b)
            for factor, a, b in zip(
                STAND_IN,
                (_point(points, "left_ear"), _point(points, "nose"), shoulders),
                (_point(points, "right_ear"), shoulders, _hips(points)),
                strict=True,
            )
        ]
    )
    known = np.isfinite(parts).any(0)
    found = np.full(parts.shape[1], np.nan)
    found[known] = np.nanmedian(parts[:, known], axis=0)
    return found


def _torso(points: Points, records: Sequence[PoseRecord]) -> np.ndarray:
    return _distance(_middle(points, "shoulder"), _hips(points))


def _box(points: Points, records: Sequence[PoseRecord]) -> np.ndarray:
    """The longer side of the annotated box, or else of the box around the labelled keypoints."""
    stacked = np.stack(list(points.values()), axis=1)
    sides = []
    for record, xy in zip(records, stacked, strict=True):
        if "bbox" in record.columns:
            sides.append(max(float(side) for side in record.columns["bbox"].split(",")[2:]))
            continue
        known = xy[np.isfinite(xy).all(-1)]
        sides.append(float(np.ptp(known, axis=0).max()) if len(known) > 1 else np.nan)
    return np.array(sides)


RULERS = {
    r.key: r
    for r in (
        Ruler("head", "PCKh", "head lengths", "the head segment"),
        Ruler(
            "stand-in",
            "PCKh*",
            "stand-in head lengths",
            "a stand-in for the head length: median of 1.18 x |ear to ear|, 1.51 x |nose to mid shoulder| "
            "and 0.91 x |mid shoulder to mid hip|",
            _stand_in,
        ),
        Ruler("torso", "PCK-torso", "torso lengths", "the torso, |mid shoulder to mid hip|", _torso),
        Ruler("box", "PCK-box", "box sides", "the longer side of the person's box", _box),
    )
}


def ruler_for(keypoints: KeypointSet, records: Sequence[PoseRecord], name: str | None = None) -> Ruler:
    """The ruler called `name`; by default the set's own, or the head's, or its stand-in where the set has no
    head, or the person's box where it has not even what the stand-in needs.

    Raises:
        UnknownName: no such ruler.
    """
    if name is not None:
        return lookup(RULERS, "ruler", name)
    if any(record.head_length_px is not None for record in records):
        return RULERS["head"]
    if keypoints.ruler is not None:
        return lookup(RULERS, f"ruler of the keypoint set {keypoints.key}", keypoints.ruler)
    if keypoints.head_segment is not None:
        return RULERS["head"]
    return RULERS["stand-in" if any(needed <= set(keypoints.names) for needed in _STAND_IN_NEEDS) else "box"]


def ruler_lengths(
    records: Sequence[PoseRecord],
    keypoints: KeypointSet,
    name: str | None = None,
    fallback: str = FALLBACKS[0],
) -> HeadLengths:
    """What each image's distances are divided by.

    Args:
        name: a key of `RULERS`; None for `ruler_for`'s default.
        fallback: see `head_lengths`.

    Raises:
        UnknownName: no such ruler.
        BadDataset: no image can give this ruler.
    """
    ruler = ruler_for(keypoints, records, name)
    annotated = np.stack([record.keypoints_px for record in records]).astype(np.float64)
    if ruler.measure is None:
        return head_lengths(annotated, keypoints, [record.head_length_px for record in records], fallback)
    found = ruler.measure({n: annotated[:, k] for k, n in enumerate(keypoints.names)}, records)
    found = np.where(np.isfinite(found) & (found > 0), found, np.nan)
    if np.isnan(found).all():
        raise BadDataset(
            f"no image can give the ruler '{ruler.key}' ({ruler.rule}) by the keypoints of {keypoints.key}",
            f"choose another --ruler: {', '.join(RULERS)}",
        )
    lengths = head_lengths(annotated, keypoints, found.tolist(), fallback)
    return replace(lengths, ruler=ruler.key)


def _point(points: Points, name: str) -> np.ndarray:
    return points.get(name, np.full_like(next(iter(points.values())), np.nan))


def _middle(points: Points, part: str) -> np.ndarray:
    return np.asarray((_point(points, f"left_{part}") + _point(points, f"right_{part}")) / 2)


def _hips(points: Points) -> np.ndarray:
    return _middle(points, "hip" if "left_hip" in points else "pelvis")


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.hypot(*(a - b).T))
