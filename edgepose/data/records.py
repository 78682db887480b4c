"""What a data set is made of: one PoseRecord an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeio import lookup
from edgepose.errors import UsageError
from edgepose.keypoints import KeypointSet
from edgepose.keypoints import Mapping as KeypointMapping

SPLITS = ("train", "val", "test")
ALL = "all"


def splits_named(text: str) -> tuple[str, ...]:
    """The splits of a name: of one, of several joined by `+` (train+val), or of "all".

    Raises:
        UnknownName: no such split.
        UsageError: one twice.
    """
    named = tuple(text.split("+"))
    for split in named:
        lookup(dict.fromkeys((*SPLITS, ALL)), "split", split)
    if named == (ALL,):
        return SPLITS
    if ALL in named or len(set(named)) < len(named):
        raise UsageError(f"'{text}' names a split twice", "name each once, as in train+val")
    return named


@dataclass(frozen=True)
class PoseRecord:
    """One image of one person, with its annotation.

    Attributes:
        id: unique within the data set and stable between machines (a relative path as a rule).
        image: path of the image file.
        keypoints_px: (K, 2) float64, x, y in pixels of the image, where pixel i covers [i, i + 1).
            NaN where not annotated.
        video: what the frame belongs to; splits and bootstrap intervals keep a video together.
            An image that belongs to none is its own video.
        split: "train", "val" or "test".
        head_length_px: the set's own head length where its protocol brings one (MPII), else None.
        columns: anything else that the data set says of the image (setup, site, ...), as text.
    """

    id: str
    image: Path
    keypoints_px: np.ndarray
    video: str
    split: str
    head_length_px: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """Something that the reader did not take, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Records of one keypoint set, in a fixed order, with what was left out.

    Attributes:
        name: `FORMAT:PATH` as the user would type it.
        format: key of the reader.
        keypoints: the keypoint set of every record.
        records: in the data set's own order.
        left_out: listed, never dropped in silence.
    """

    name: str
    format: str
    root: Path
    keypoints: KeypointSet
    records: tuple[PoseRecord, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def label(self) -> str:
        """`FORMAT:FOLDER` without the way to it: what goes into files that travel."""
        return f"{self.format}:{self.root.resolve().name}"

    def split(self, split: str) -> tuple[PoseRecord, ...]:
        """The records of a split, of several ("train+val") or of "all"; raises as `splits_named`."""
        named = splits_named(split)
        return tuple(r for r in self.records if r.split in named)

    def left_out_of(self, split: str) -> tuple[LeftOut, ...]:
        """What may belong to a split among what was left out.

        Readers whose splits are folders begin the names with them; others cannot tell, and what they
        left out is listed for every split.
        """
        named = splits_named(split)
        others = tuple(f"{other}/" for other in SPLITS if other not in named)
        return tuple(entry for entry in self.left_out if not entry.name.startswith(others))


def mapped_points(record: PoseRecord, mapping: KeypointMapping, keypoints: int) -> np.ndarray:
    """(K, 2) of the network's keypoints in image pixels; NaN for those that the record lacks."""
    points = np.full((keypoints, 2), np.nan)
    for source, target in mapping.pairs:
        points[target] = record.keypoints_px[source]
    return points


def is_labelled(record: PoseRecord, mapping: KeypointMapping) -> bool:
    """Whether the record has at least one of the network's keypoints."""
    sources = [source for source, _ in mapping.pairs]
    return bool(np.isfinite(record.keypoints_px[sources]).all(-1).any())
