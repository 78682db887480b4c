"""Labels as human raters give them, whose spread is the published one: a raters' file, or a data set's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from edgeio import replacing
from edgepose.data.human_spread import IN_MOTION_HUMAN, HumanSpread
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.rulers import ruler_lengths
from edgepose.errors import BadDataset, UsageError
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


def rated(dataset: Dataset, split: str, spread: float = 1.0, seed: int = 0) -> tuple[Dataset, list[str]]:
    """A data set in which one rater, another in every frame, labelled one split; the other splits stay exact.

    Args:
        split: which one.
        spread: times the published spread of ten experts.
        seed: of the raters.

    Returns:
        the data set, and what was done, for the user.

    Raises:
        UsageError: a spread that is not positive.
        BadDataset: no frame in the split, or one without a head length to spread by.
    """
    if not 0 < spread < np.inf:
        raise UsageError(
            f"the raters' spread is {spread}", "give a positive number; 1 is the published spread"
        )
    chosen = dataset.split(split)
    if not chosen:
        raise BadDataset(f"{dataset.name} has no frame in split '{split}'", "name another split")
    lengths = ruler_lengths(chosen, dataset.keypoints)
    if np.isnan(lengths.px).any():
        lacking = chosen[int(np.flatnonzero(np.isnan(lengths.px))[0])]
        raise BadDataset(
            f"{lacking.image} has no head length, in which raters' spread is measured",
            "take it out of the data set",
        )
    names = dataset.keypoints.names
    human = spread_for(names)
    offsets = rater_offsets(np.random.default_rng(seed), RATERS, len(chosen), human)
    rng = np.random.default_rng([seed, 1])
    raters = rng.integers(RATERS, size=len(chosen))
    moved = spread * offsets[raters, np.arange(len(chosen))] * lengths.px[:, None, None]
    by_id = {r.id: replace(r, keypoints_px=r.keypoints_px + d) for r, d in zip(chosen, moved, strict=True)}
    records: tuple[PoseRecord, ...] = tuple(by_id.get(record.id, record) for record in dataset.records)
    distances = np.linalg.norm(moved / lengths.px[:, None, None], axis=-1)
    known = np.isfinite(np.stack([r.keypoints_px for r in chosen])).all(-1)
    notes = [
        f"labels of split '{split}' are moved by {distances[known].mean():.4f} head lengths in the mean, "
        f"95 % by less than {np.percentile(distances[known], 95):.4f}; the other splits are as they were"
    ]
    others = [name for name in names if name not in IN_MOTION_HUMAN.names]
    if others:
        notes.append(f"no spread is published for {', '.join(others)}: they have the mean of all body parts")
    return replace(dataset, records=records), notes


def spread_for(names: Sequence[str]) -> HumanSpread:
    """The published spread of these keypoints; the mean of all body parts for those that it does not list."""
    columns = IN_MOTION_HUMAN.h_for(names), IN_MOTION_HUMAN.h95_for(names)
    means = IN_MOTION_HUMAN.h_all, IN_MOTION_HUMAN.h95_all
    h, h95 = (
        tuple(np.where(np.isnan(column), mean, column).tolist())
        for column, mean in zip(columns, means, strict=True)
    )
    return HumanSpread(tuple(names), h, h95, IN_MOTION_HUMAN.source)


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
