"""The network's scores on the validation split, as `edgepose evaluate` computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.rulers import ruler_lengths
from edgepose.errors import BadDataset
from edgepose.evaluation.metrics import mean_error, normalised_distances, pckh
from edgepose.inference.decode import Decode
from edgepose.keypoints import Mapping as KeypointMapping
from edgepose.training.checkpoints import LogRow
from edgepose.training.frames import Frames, map_points

# Fine localisation is what the paper's clinicians ask for and what coarse PCKh, long at its ceiling, no
# longer tells; the mean error decides between equals, early in a run.
SELECT_BY = "PCKh@0.1, then ME"

Predict = Callable[[np.ndarray], np.ndarray]  # images (B, H, W, 3) uint8 -> maps
Validate = Callable[[Predict], LogRow]


@dataclass(frozen=True)
class Validator:
    """Predicts frames and scores them in the original images' pixels.

    Attributes:
        frames: of the validation split.
        mapping: from the network's keypoints to the data set's.
        annotated_px: (N, J, 2) of the mapping's J pairs, in original pixels, NaN where not annotated.
        head_length_px: (N,), NaN where the image has none and is left out.
        decode: maps -> points (B, K, 2) in px of the network's input, and confidence.
        batch: frames predicted at once.
    """

    frames: Frames
    mapping: KeypointMapping
    annotated_px: np.ndarray
    head_length_px: np.ndarray
    decode: Decode
    batch: int

    def __call__(self, predict: Predict) -> LogRow:
        """`predict` takes images (B, H, W, 3) uint8 to what `decode` takes.

        Returns:
            pckh@0.1 and pckh@0.5 in percent, and me in head lengths.

        Raises:
            EdgeposeError: the maps hold NaN.
        """
        return self.score(np.concatenate(list(self._predicted(predict))))

    def score(self, found: np.ndarray, allow_missing: bool = False) -> LogRow:
        """The same of keypoints (N, K, 2) in original pixels.

        Args:
            allow_missing: NaN, where nothing was found, is a miss, and me infinite, instead of an error.
        """
        sources = [source for source, _ in self.mapping.pairs]
        distances = normalised_distances(
            found[:, sources], self.annotated_px, self.head_length_px, allow_missing
        )
        return {
            "pckh@0.1": 100 * pckh(distances, 0.1).overall,
            "pckh@0.5": 100 * pckh(distances, 0.5).overall,
            "me": mean_error(distances).overall,
        }

    def _predicted(self, predict: Predict) -> list[np.ndarray]:
        count, parts = len(self.frames.records), []
        # The last batch is filled up with its last frame: one shape, one compilation.
        padded = [np.minimum(np.arange(i, i + self.batch), count - 1) for i in range(0, count, self.batch)]
        for start, canvases in zip(range(0, count, self.batch), self.frames.read(padded), strict=True):
            points, _ = self.decode(predict(canvases.images))
            parts.append(map_points(canvases.to_image, points)[: count - start])
        return parts


@dataclass(frozen=True)
class Validators:
    """Scores on several data sets: the first one's under the plain names, by which checkpoints are chosen.

    Attributes:
        parts: by the data set's label.
    """

    parts: Mapping[str, Validator]

    def __call__(self, predict: Predict) -> LogRow:
        rows = {label: part(predict) for label, part in self.parts.items()}
        first = next(iter(rows.values()))
        return first | {f"{label} {name}": v for label, row in rows.items() for name, v in row.items()}


def validator(
    dataset: Dataset,
    records: tuple[PoseRecord, ...],
    frames: Frames,
    mapping: KeypointMapping,
    decode: Decode,
    batch: int,
) -> Validator:
    """A Validator for `records`, which `frames` holds.

    Raises:
        BadDataset: no record has both a head length and one of the network's keypoints.
    """
    annotated = np.stack([record.keypoints_px for record in records])
    heads = ruler_lengths(records, dataset.keypoints)
    annotated = annotated[:, [target for _, target in mapping.pairs]]
    if np.isnan(annotated[~np.isnan(heads.px)]).all():
        raise BadDataset(
            f"{dataset.name}: no frame to validate on has both a head length and a keypoint of the network",
            "validate on another split, or on none",
        )
    return Validator(frames, mapping, annotated, heads.px, decode, batch)


def is_better(row: LogRow, best: LogRow) -> bool:
    """Whether a row's scores beat the best so far; equal ones do not."""
    return _rank(row) > _rank(best)


def _rank(row: LogRow) -> tuple[float, float]:
    share, error = row["pckh@0.1"], row["me"]
    assert share is not None and error is not None
    return share, -error
