"""What kind of error a prediction makes: good, jitter, inversion or miss.

After Ruggero Ronchi & Perona 2017 (ICCV), for a single person, so without their swap between
persons. They cut at keypoint similarities of 0.85 and 0.5, that is at 0.57 and 1.18 of a per-keypoint scale
which is defined for COCO's keypoints only. We cut at 0.2 and 0.5 head lengths: the ratio is 2.5 where theirs
is 2.07, and the shares tie in with the paper's thresholds (good = PCKh@0.2, good + jitter = PCKh@0.5).

    good        d <= 0.2
    jitter      0.2 < d <= 0.5       the right place, imprecisely
    inversion   d > 0.5, and within 0.5 of another annotated keypoint of the person
    miss        the rest, and predictions that are missing

An inversion onto the same keypoint of the other side is counted once more as left-right. Only annotated
keypoints can be inverted with: where annotations are sparse, some inversions are counted as misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.data.head_length import labelled
from edgepose.evaluation.metrics import finite_or_none, normalised_distances
from edgepose.keypoints import KeypointSet

GOOD = 0.2  # head lengths
NEAR = 0.5  # head lengths
CLASSES = ("good", "jitter", "inversion", "miss")
UNSCORED = -1


@dataclass(frozen=True)
class Taxonomy:
    """Errors by kind.

    Attributes:
        names: K keypoint names.
        codes: (N, K) int8 index into `CLASSES`; `UNSCORED` where unlabelled or without a head length.
        left_right: (N, K) bool, inversions onto the same keypoint of the other side.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    left_right: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """(K,) scored samples."""
        return (self.codes != UNSCORED).sum(axis=0)

    @property
    def shares(self) -> np.ndarray:
        """(K, 4) share of each class, summing to 1 per keypoint; NaN where nothing was scored."""
        return _shares(self._counts(), self.n[:, None])

    @property
    def overall(self) -> np.ndarray:
        """(4,) share of each class, pooled over keypoints as PCKh is."""
        return _shares(self._counts().sum(axis=0), self.n.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: shares by class, and `inversion_left_right`, the share that lands on the other side."""
        sides = self.left_right.sum(axis=0)
        rows = zip(self.names, self.shares, _shares(sides, self.n), strict=True)
        return {
            "overall": _plain(self.overall, float(_shares(sides.sum(), self.n.sum()))),
            "per_keypoint": {name: _plain(shares, float(side)) for name, shares, side in rows},
        }

    def _counts(self) -> np.ndarray:
        return np.stack([(self.codes == code).sum(axis=0) for code in range(len(CLASSES))], axis=1)


def taxonomy(
    predicted_px: np.ndarray,
    annotated_px: np.ndarray,
    head_length_px: np.ndarray,
    keypoints: KeypointSet,
    allow_missing: bool = False,
) -> Taxonomy:
    """Sort every scored prediction into `CLASSES`.

    Args:
        predicted_px, annotated_px: (N, K, 2) as for `normalised_distances`, K keypoints of `keypoints`.
        head_length_px: (N,) positive, NaN where the image is left out.
        allow_missing: a prediction that is not finite is a miss instead of an error.

    Raises:
        As `normalised_distances`.
    """
    distances = normalised_distances(predicted_px, annotated_px, head_length_px, allow_missing)
    if distances.shape[1] != len(keypoints):
        raise ValueError(f"{distances.shape[1]} keypoints given, {keypoints.key} has {len(keypoints)}")
    lengths = np.asarray(head_length_px, dtype=np.float64)
    near = _near(np.asarray(predicted_px), np.asarray(annotated_px), lengths)  # (N, K, K)
    far = distances > NEAR  # from its own place, so whatever it is near is another keypoint
    columns = np.arange(len(keypoints))
    codes = np.select(
        [np.isnan(distances), distances <= GOOD, ~far, near.any(axis=2)], [UNSCORED, 0, 1, 2], 3
    )
    left_right = far & near[:, columns, np.array(keypoints.swaps)]
    return Taxonomy(keypoints.names, codes.astype(np.int8), left_right)


def _near(predicted: np.ndarray, annotated: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, K, K) whether prediction k lies within `NEAR` of annotation j; false where either is missing."""
    n, k = predicted.shape[:2]
    near = np.zeros((n, k, k), dtype=bool)
    present = np.isfinite(predicted).all(axis=-1) & ~np.isnan(lengths)[:, None]
    marked = labelled(annotated)
    for j in range(k):  # one annotation at a time: all pairs at once take K times the memory
        both = (present & marked[:, j, None])[..., None]
        offset = np.where(both, predicted, 0.0) - np.where(both, annotated[:, j, None], 0.0)
        distance = np.hypot(offset[..., 0], offset[..., 1]) / lengths[:, None]
        near[:, :, j] = both[..., 0] & (distance <= NEAR)
    return near


def _shares(counts: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.where(n > 0, counts / np.maximum(n, 1), np.nan)


def _plain(shares: np.ndarray, left_right: float) -> dict[str, float | None]:
    named = dict(zip(CLASSES, shares, strict=True)) | {"inversion_left_right": left_right}
    return {name: finite_or_none(share) for name, share in named.items()}
