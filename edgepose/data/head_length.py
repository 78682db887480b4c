"""Head length, the unit of every error: |head segment| x the keypoint set's head scale, an image.

Source: Groos et al. 2021 (l = |head top - upper neck|); docs of each keypoint set for its head scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.errors import BadDataset
from edgepose.keypoints import KeypointSet

FALLBACKS = ("exclude", "median")


@dataclass(frozen=True)
class HeadLengths:
    """What each image's distances are divided by.

    Attributes:
        px: (N,) head lengths in pixels; NaN where the image is left out.
        fallback: what was done with images that have none, one of `FALLBACKS`.
        missing: how many images have no head length of their own: left out, or given the median.
        ruler: what was measured, a key of `rulers.RULERS`.
    """

    px: np.ndarray
    fallback: str
    missing: int
    ruler: str = "head"

    @property
    def excluded(self) -> int:
        """How many images are left out for want of a head length."""
        return int(np.isnan(self.px).sum())


def head_lengths(
    annotated_px: np.ndarray,
    keypoints: KeypointSet,
    own: Sequence[float | None] | None = None,
    fallback: str = "exclude",
) -> HeadLengths:
    """Head length of each image: |head segment| x the set's head scale.

    Args:
        annotated_px: (N, K, 2) annotation, NaN where unlabelled.
        keypoints: names the head segment.
        own: N lengths that the data set brings itself (MPII's 0.6 x box diagonal), None or NaN where it
            does not. Where any image has one, no image falls back on its head segment: two rulers in one
            score would be a wrong number.
        fallback: for images whose length is missing or zero: "exclude" them, or take the "median" of the
            other images' lengths, which is only as good as the images are alike in scale.

    Raises:
        BadDataset: no image has a head length at all.
        ValueError: misshapen arguments or another fallback.
    """
    annotated = checked_points(annotated_px, "annotated_px")
    if fallback not in FALLBACKS:
        raise ValueError(f"fallback {fallback!r} is not one of {FALLBACKS}")
    if annotated.shape[1] != len(keypoints):
        raise ValueError(
            f"annotated_px has {annotated.shape[1]} keypoints, {keypoints.key} has {len(keypoints)}"
        )
    px = _own_lengths(own, len(annotated)) if own is not None else None
    if px is None or np.isnan(px).all():
        px = _segment_lengths(annotated, keypoints)
    absent = np.isnan(px)
    if absent.all():
        raise BadDataset(
            f"no image has a head length ({keypoints.key}: {_head_rule(keypoints)})",
            "annotate the head segment, or use a data set that has one",
        )
    if fallback == "median":
        px = np.where(absent, np.median(px[~absent]), px)
    return HeadLengths(px, fallback, int(absent.sum()))


def labelled(annotated_px: np.ndarray) -> np.ndarray:
    """(N, K) true where a keypoint has both coordinates.

    Raises:
        BadDataset: a keypoint with one coordinate, or an infinite one.
    """
    finite = np.isfinite(annotated_px)
    whole = finite.all(axis=-1)
    broken = ~whole & ~np.isnan(annotated_px).all(axis=-1)
    if broken.any():
        image, keypoint = np.argwhere(broken)[0]
        raise BadDataset(
            f"image {image}, keypoint {keypoint} (from 0) is annotated by one coordinate or an infinite one",
            "give both coordinates, or neither where the keypoint is not annotated",
        )
    return whole


def _segment_lengths(annotated: np.ndarray, keypoints: KeypointSet) -> np.ndarray:
    if keypoints.head_indices is None:
        return np.full(len(annotated), np.nan)
    a, b = keypoints.head_indices
    whole = labelled(annotated)
    offset = np.where((whole[:, a] & whole[:, b])[:, None], annotated[:, a] - annotated[:, b], 0.0)
    return _positive_or_nan(keypoints.head_scale * np.hypot(offset[:, 0], offset[:, 1]))


def _own_lengths(own: Sequence[float | None], n: int) -> np.ndarray:
    lengths = np.array([np.nan if value is None else value for value in own], dtype=np.float64)
    if lengths.shape != (n,):
        raise ValueError(f"own has {len(lengths)} head lengths for {n} images")
    return _positive_or_nan(lengths)


def _positive_or_nan(lengths: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(lengths) & (lengths > 0), lengths, np.nan)


def _head_rule(keypoints: KeypointSet) -> str:
    if keypoints.head_segment is None:
        return "the set defines no head segment"
    return f"needs {' and '.join(keypoints.head_segment)}"


def checked_points(points: np.ndarray, what: str) -> np.ndarray:
    """`points` as float64 of shape (N, K, 2); raises ValueError, which calls it `what`, for another shape."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 3 or array.shape[-1] != 2:
        raise ValueError(f"{what} must have shape (N, K, 2), not {array.shape}")
    return array
