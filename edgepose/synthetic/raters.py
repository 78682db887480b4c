"""A raters' file whose spread is the published one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from edgeio import replacing
from edgepose.data.human_spread import IN_MOTION_HUMAN, HumanSpread
from edgepose.keypoints import IN_MOTION_19

RATERS, IMAGES = 10, 100
_ROUNDS = 15
_POWERS = (0.3, 3.0)  # beyond, one distance outweighs all others and the ratio falls again


def rater_offsets(rng: np.random.Generator, raters: int, images: int, human: HumanSpread) -> np.ndarray:
    """Raters' deviations from their mean point, with a given spread.

    A Gaussian's distances are raised to a power, which makes them Weibull: the power sets the tail (95th
    percentile over mean), a factor the mean. Because a bend of the distances moves the raters' mean, and
    the spread is measured from that mean, both are repeated until they agree.

    Args:
        raters: R, at least 2.
        images: S.
        human: H and H^0.95 of K keypoints, in head lengths.

    Returns:
        (R, S, K, 2) in head lengths, of mean 0 over raters; over raters and images, the mean distance is H
        and the 95th percentile H^0.95, as nearly as R x S distances can have both.
    """
    offsets = rng.standard_normal((raters, images, len(human.names), 2))
    for k, (mean, tail) in enumerate(zip(human.h, human.h95, strict=True)):
        points = _centred(offsets[:, :, k])
        for _ in range(_ROUNDS):
            distance = np.linalg.norm(points, axis=-1, keepdims=True)
            bent = distance ** _power(distance, tail / mean)
            points = _centred(points / distance * bent)
            points *= mean / np.linalg.norm(points, axis=-1).mean()
        offsets[:, :, k] = points
    return offsets


def _centred(points: np.ndarray) -> np.ndarray:
    return points - points.mean(axis=0)


def _power(distance: np.ndarray, ratio: float) -> float:
    """The power that gives distances this ratio of 95th percentile to mean, within `_POWERS`."""

    def excess(power: float) -> float:
        bent = distance**power
        return float(np.percentile(bent, 95) / bent.mean() - ratio)

    low, high = _POWERS
    if excess(low) > 0 or excess(high) < 0:  # too few distances to have such a tail
        return 1.0
    return float(brentq(excess, low, high, xtol=1e-6))


def write_raters(
    path: Path, images: Sequence[str], keypoints_px: np.ndarray, rng: np.random.Generator
) -> None:
    """Write the long CSV image, rater, keypoint, x, y in pixels.

    Args:
        images: S names.
        keypoints_px: (S, 19, 2) exact places, which become the raters' mean points.
    """
    head, neck = (IN_MOTION_19.head_indices or (0, 0))[:2]
    length = np.linalg.norm(keypoints_px[:, head] - keypoints_px[:, neck], axis=-1)
    offsets = rater_offsets(rng, RATERS, len(images), IN_MOTION_HUMAN)
    marked = keypoints_px + offsets * length[:, None, None]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write("image,rater,keypoint,x,y\n")
        for s, image in enumerate(images):
            for r in range(RATERS):
                for name, (x, y) in zip(IN_MOTION_19.names, marked[r, s], strict=True):
                    handle.write(f"{image},rater-{r + 1:02d},{name},{x:.4f},{y:.4f}\n")
