"""The part of an image that shows the person, by the labelled joints."""

from __future__ import annotations

import numpy as np

from edgepose.geometry import Box

MIN_SIDE_PX = 1.0


def person_box(keypoints_px: np.ndarray, margin: float = 0.2) -> Box:
    """The box around the labelled keypoints, plus a margin.

    Args:
        keypoints_px: (K, 2) x, y in pixels, NaN where not labelled.
        margin: added on each side, as a fraction of the box's own width or height, before the margin.

    Returns:
        x0, y0, x1, y1 in continuous pixels; it may reach outside the image, where there are zeros.
        A box around one point, or points in a row, is at least `MIN_SIDE_PX` wide and high.

    Raises:
        ValueError: no keypoint is labelled, or the margin is negative.
    """
    points = np.asarray(keypoints_px, float)
    labelled = points[np.isfinite(points).all(axis=-1)]
    if len(labelled) == 0:
        raise ValueError("no labelled keypoint to crop to")
    if not margin >= 0:
        raise ValueError(f"margin {margin} is negative")
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    short = np.maximum(MIN_SIDE_PX - (high - low), 0) / 2
    low, high = low - short, high + short
    pad = margin * (high - low)
    (x0, y0), (x1, y1) = low - pad, high + pad
    return float(x0), float(y0), float(x1), float(y1)
