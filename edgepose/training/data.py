"""A data set made ready for training: which frames, which keypoints, held or decoded, and their hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeio import Progress
from edgepose.codec import Codec
from edgepose.data.fingerprint import data_sha256
from edgepose.data.framing import Framing
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.geometry import Size
from edgepose.keypoints import KeypointSet, Mapping, keypoint_set, mapping
from edgepose.training.frames import Frames, Reader, is_labelled
from edgepose.training.validation import Validator, validator

NO_VALIDATION = "none"
_FEWEST = 2  # batch statistics of one frame, whatever its augmentations, are of that frame


@dataclass(frozen=True)
class DataRequest:
    """What to train and validate on.

    Attributes:
        data: `FORMAT:PATH` or a path.
        split, validation_split: names of splits; "none" validates on nothing.
        keypoints: the network's keypoint set; None for the data set's own.
        near: also take keypoints that the data set defines slightly differently (hip for pelvis).
        partial: train although the data set lacks some of the network's keypoints, which then learn
            nothing.
        crop, margin: see `Framing`.
        limit: take only the first so many labelled frames of the training split.
    """

    data: str
    split: str = "train"
    validation_split: str = "val"
    keypoints: str | None = None
    near: bool = False
    partial: bool = False
    crop: str = "none"
    margin: float = 0.2
    limit: int | None = None


@dataclass(frozen=True)
class TrainingData:
    """The frames of a run, not yet decoded.

    Attributes:
        keypoints: of the network.
        mapping: from the data set's keypoints to the network's.
        records: labelled frames to train on.
        validation: labelled frames to validate on, or empty.
        unlabelled: how many frames of the training split were left out for want of a keypoint.
    """

    dataset: Dataset
    keypoints: KeypointSet
    mapping: Mapping
    near: bool
    framing: Framing
    records: tuple[PoseRecord, ...]
    validation: tuple[PoseRecord, ...]
    unlabelled: int

    def sha256(self, workers: int) -> str:
        """Over ids, annotations and images of all frames, in their order."""
        return data_sha256((*self.records, *self.validation), workers)

    def reader(self, size: Size, workers: int) -> Reader:
        return Reader(size, self.framing, self.mapping, len(self.keypoints), workers)

    def open_frames(self, size: Size, workers: int, budget_bytes: int, progress: Progress) -> Frames:
        """The training frames."""
        return self.reader(size, workers).open(self.records, budget_bytes, progress)

    def validator(self, codec: Codec, batch: int, workers: int, budget_bytes: int) -> Validator | None:
        """None where nothing is to be validated."""
        if not self.validation:
            return None
        silent: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
        frames = self.reader(codec.input_size, workers).open(self.validation, budget_bytes, silent)
        back = mapping(self.keypoints, self.dataset.keypoints, self.near)
        return validator(self.dataset, self.validation, frames, back, codec.decode, batch)


def open_training_data(request: DataRequest, labelled: bool = True) -> TrainingData:
    """Read the data set and choose its frames.

    Args:
        labelled: train on labelled frames only; else on all of the split, which another teaches.

    Raises:
        UsageError: unknown split; no keypoint in common with the network.
        UnknownName: unknown keypoint set or crop.
        BadDataset: fewer than two labelled frames to train on, none to validate on, or a data set
            without some of the keypoints, unless `partial`.
    """
    for split in (request.split, request.validation_split):
        if split not in (*SPLITS, "all", NO_VALIDATION):
            raise UsageError(
                f"unknown split '{split}'", f"known: {', '.join(SPLITS)}, all; or none to validate"
            )
    framing = Framing(request.crop, request.margin)
    dataset = open_dataset(request.data)
    keypoints = keypoint_set(request.keypoints) if request.keypoints else dataset.keypoints
    to_network = mapping(dataset.keypoints, keypoints, request.near)
    if labelled and to_network.absent and not request.partial:
        raise BadDataset(
            f"{dataset.name} lacks keypoints of {keypoints.key}: {', '.join(to_network.absent)}",
            "give --partial to train the others only, or --near to take nearly the same ones",
        )
    chosen = dataset.split(request.split)
    records = tuple(r for r in chosen if not labelled or is_labelled(r, to_network))
    _check_enough(records, dataset, request.split, keypoints)
    validation = tuple(r for r in dataset.split(request.validation_split) if is_labelled(r, to_network))
    if not validation and request.validation_split != NO_VALIDATION:
        raise BadDataset(
            f"{dataset.name} has no labelled frame in split '{request.validation_split}' to validate on",
            "name another --validation-split, or none",
        )
    unlabelled = len(chosen) - len(records)
    records = records[: request.limit]
    return TrainingData(
        dataset, keypoints, to_network, request.near, framing, records, validation, unlabelled
    )


def _check_enough(
    records: tuple[PoseRecord, ...], dataset: Dataset, split: str, keypoints: KeypointSet
) -> None:
    if len(records) >= _FEWEST:
        return
    count = "no frame" if not records else "only one frame"
    raise BadDataset(
        f"{dataset.name} has {count} in split '{split}' with a keypoint of {keypoints.key}",
        f"annotate at least {_FEWEST}, or name another --split",
    )
