"""A data set made ready for training: which frames, which keypoints, held or decoded, and their hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edgeio import Progress, lookup
from edgepose.codec import Codec
from edgepose.data.fingerprint import data_sha256
from edgepose.data.framing import Framing, Placing
from edgepose.data.mixture import NONE, Group, MixedFraming, Mixture, Source, open_mixture, source_of
from edgepose.data.records import Dataset, PoseRecord, is_labelled, splits_named
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.geometry import Size
from edgepose.keypoint_file import named_set, set_to_plain
from edgepose.keypoints import KeypointSet, Mapping, is_own, mapping
from edgepose.training.frames import Frames, Reader
from edgepose.training.validation import Validate, Validators, validator

NO_VALIDATION = "none"
_FEWEST = 2  # batch statistics of one frame, whatever its augmentations, are of that frame


@dataclass(frozen=True)
class DataRequest:
    """What to train and validate on.

    Attributes:
        data: `FORMAT:PATH` or a path, and how its frames are taken (`mixture.source_of`).
        more: further data sets that are mixed in.
        split, validation_split: names of splits, as of `records.splits_named`; "none" validates on nothing.
        keypoints: the network's keypoint set, a key or a .toml file; None for the data set's own.
        near: also take keypoints that the data set defines slightly differently (hip for pelvis).
        partial: train although the data set lacks some of the network's keypoints, which then learn
            nothing.
        crop, margin: see `Framing`.
        limit: take only the first so many labelled frames of the training split, of each data set.
        select_by: label of the data set whose validation chooses the best checkpoint; None for the first
            that has one.
        drop_shared: leave pictures of a mixture out that another split has too, instead of refusing them.
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
    more: tuple[str, ...] = ()
    select_by: str | None = None
    drop_shared: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every data set with its framing and weight; raises UsageError for one that cannot be used."""
        return tuple(source_of(text, self.crop, self.margin) for text in (self.data, *self.more))

    @property
    def keypoint_set(self) -> KeypointSet | None:
        """The network's keypoint set, where one is asked for.

        Raises:
            UnknownName, BadKeypoints: there is none of this name, or its file cannot be used.
        """
        return None if self.keypoints is None else named_set(self.keypoints)

    @property
    def held_back(self) -> str | None:
        """The split to validate on; None for nothing."""
        return None if self.validation_split == NO_VALIDATION else self.validation_split

    @property
    def is_mixture(self) -> bool:
        """Whether frames are to be weighed, or drawn otherwise than as one data set stands."""
        return self.sources != (Source(self.data, crop=self.crop, margin=(self.margin, self.margin)),)

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON; the frames are bound by their hash."""
        plain = {k: v for k, v in vars(self).items() if k not in ("data", "more")}
        if (chosen := self.keypoint_set) is not None:
            plain["keypoints"] = chosen.key
            if is_own(chosen.key):
                plain["keypoint_set"] = set_to_plain(chosen)
        if self.is_mixture:
            plain["sources"] = [source.settings() for source in self.sources]
        return plain


@dataclass(frozen=True)
class TrainingData:
    """The frames of a run, not yet decoded.

    Attributes:
        keypoints: of the network.
        mapping: from the data set's keypoints to the network's.
        records: frames to train on, labelled as a rule; see `has_labels`.
        validation: labelled frames to validate on, or empty.
        unlabelled: how many frames of the training split were left out for want of a keypoint.
        groups: of `records`, where several data sets are mixed by weight.
        validation_groups: how many of `validation` each data set has, by label; the first one chooses.
        shared: pictures left out of training since another split has them too.
        untaught: ids of training frames that a teacher is not asked about.
    """

    dataset: Dataset
    keypoints: KeypointSet
    mapping: Mapping
    near: bool
    framing: Placing
    records: tuple[PoseRecord, ...]
    validation: tuple[PoseRecord, ...]
    unlabelled: int
    groups: tuple[Group, ...] = ()
    validation_groups: tuple[tuple[str, int], ...] = ()
    shared: tuple[str, ...] = ()
    untaught: frozenset[str] = frozenset()

    @property
    def has_labels(self) -> tuple[bool, ...]:
        """Which of the training frames have a keypoint of the network to learn from."""
        return tuple(is_labelled(record, self.mapping) for record in self.records)

    def sha256(self, workers: int) -> str:
        """Over ids, annotations and images of all frames, in their order."""
        return data_sha256((*self.records, *self.validation), workers)

    def frames_sha256(self, workers: int) -> str:
        """Over ids and images of the training frames and what frames them: all that a teacher sees."""
        by_id = self.framing.by_id if isinstance(self.framing, MixedFraming) else {}
        framed = (replace(r, keypoints_px=by_id[r.id][1]) if r.id in by_id else r for r in self.records)
        return data_sha256(tuple(framed), workers)

    def reader(self, size: Size, workers: int) -> Reader:
        return Reader(size, self.framing, self.mapping, len(self.keypoints), workers)

    def open_frames(self, size: Size, workers: int, budget_bytes: int, progress: Progress) -> Frames:
        """The training frames."""
        return self.reader(size, workers).open(self.records, budget_bytes, progress)

    def validator(self, codec: Codec, batch: int, workers: int, budget_bytes: int) -> Validate | None:
        """None where nothing is to be validated."""
        if not self.validation:
            return None
        silent: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
        reader = self.reader(codec.input_size, workers)
        back = mapping(self.keypoints, self.dataset.keypoints, self.near)
        parts, start = {}, 0
        for label, count in self.validation_groups or (("", len(self.validation)),):
            records = self.validation[start : start + count]
            frames, start = reader.open(records, budget_bytes, silent), start + count
            parts[label] = validator(self.dataset, records, frames, back, codec.decode, batch)
        return next(iter(parts.values())) if len(parts) == 1 else Validators(parts)


def open_training_data(request: DataRequest, labelled: bool = True, taught: bool = False) -> TrainingData:
    """Read the data set and choose its frames.

    Args:
        labelled: train on labelled frames only; else on all of the split, which another teaches.
        taught: keep the frames whose labels a mixture's source gives to a teacher (`Source.labels`).

    Raises:
        UsageError: a split that is trained on would also validate; no keypoint in common with the network.
        UnknownName: unknown split, keypoint set or crop.
        BadDataset: fewer than two labelled frames to train on, none to validate on, or a data set
            without some of the keypoints, unless `partial`.
    """
    _check_splits(request)
    if request.is_mixture:
        return _mixed(request, labelled, taught)
    if request.select_by is not None:
        raise UsageError("one data set leaves nothing to select by", "leave --select-by out")
    framing = Framing(request.crop, request.margin)
    wanted = request.keypoint_set
    dataset = open_dataset(request.data, wanted)
    keypoints = wanted or dataset.keypoints
    _check_segments(keypoints)
    to_network = mapping(dataset.keypoints, keypoints, request.near)
    if labelled:
        _check_complete(request, dataset.name, keypoints, to_network.absent)
    chosen = dataset.split(request.split)
    records = tuple(r for r in chosen if not labelled or is_labelled(r, to_network))
    _check_enough(records, dataset, request.split, keypoints)
    held_back = () if request.held_back is None else dataset.split(request.held_back)
    validation = tuple(r for r in held_back if is_labelled(r, to_network))
    _check_validation(request, dataset.name, len(validation))
    unlabelled = len(chosen) - len(records)
    records = records[: request.limit]
    return TrainingData(
        dataset, keypoints, to_network, request.near, framing, records, validation, unlabelled
    )


def _check_splits(request: DataRequest) -> None:
    trained = splits_named(request.split)
    if request.held_back is None:
        return
    if both := [split for split in splits_named(request.held_back) if split in trained]:
        raise UsageError(
            f"split '{both[0]}' is trained on and would also validate",
            f"give another --validation-split, or {NO_VALIDATION}: the last weights are kept",
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


def _check_segments(keypoints: KeypointSet) -> None:
    if not keypoints.segments:
        raise BadDataset(
            f"the keypoint set {keypoints.key} has no segments, and networks learn along them too",
            "write the set by `edgepose data keypoints`, add its segments and give it by --keypoints",
        )


def _check_complete(request: DataRequest, name: str, keypoints: KeypointSet, absent: tuple[str, ...]) -> None:
    if absent and not request.partial:
        raise BadDataset(
            f"{name} lacks keypoints of {keypoints.key}: {', '.join(absent)}",
            "give --partial to train the others only, or --near to take nearly the same ones",
        )


def _check_validation(request: DataRequest, name: str, count: int) -> None:
    if not count and request.held_back is not None:
        raise BadDataset(
            f"{name} has no labelled frame in split '{request.validation_split}' to validate on",
            "name another --validation-split, or none",
        )


def _mixed(request: DataRequest, labelled: bool, taught: bool) -> TrainingData:
    """Several data sets, or one that is drawn otherwise than it stands, in the network's keypoints."""
    for source in request.sources:
        if source.labels == NONE and not taught:
            raise UsageError(
                f"{source.data}: labels=none leaves frames that nobody explains",
                "leave this data set out, or use `edgepose distill` with a loss that has a teacher",
            )
        if source.teacher == NONE and not (taught and labelled):
            raise UsageError(
                f"{source.data}: teacher=none has no effect without a teacher and labels",
                "leave it out, or use `edgepose distill` with a loss that has both",
            )
    keypoints = request.keypoint_set
    found = open_mixture(
        request.sources,
        request.split,
        request.held_back,
        keypoints,
        request.near,
        request.limit,
        request.drop_shared,
    )
    dataset, labels = found.dataset, list(found.validation)
    _check_segments(dataset.keypoints)
    _check_complete(request, dataset.name, dataset.keypoints, found.absent)
    _check_enough(found.records, dataset, request.split, dataset.keypoints)
    _check_validation(request, dataset.name, len(labels))
    if request.select_by is not None:
        lookup({label: label for label in labels}, "data set with frames to validate on", request.select_by)
        labels.sort(key=lambda label: label != request.select_by)
    same = mapping(dataset.keypoints, dataset.keypoints)
    kept = [not labelled or is_labelled(record, same) for record in found.records]
    if not any(kept):
        raise BadDataset(
            f"{dataset.name}: no frame is left to learn from by its labels",
            "let one data set keep some labels, or use `edgepose distill --loss teacher-only`",
        )
    if not taught:
        found = _labelled_alone(found, same)
    return TrainingData(
        dataset,
        dataset.keypoints,
        replace(same, near=found.near, absent=found.absent),
        request.near,
        found.framing,
        found.records,
        tuple(record for label in labels for record in found.validation[label]),
        found.unlabelled,
        found.groups,
        tuple((label, len(found.validation[label])) for label in labels),
        found.shared,
        found.untaught,
    )


def _labelled_alone(found: Mixture, same: Mapping) -> Mixture:
    """A mixture without the frames whose labels are not to be learnt from."""
    records: list[PoseRecord] = []
    groups: list[Group] = []
    start = 0
    for group in found.groups:
        mine = [r for r in found.records[start : start + group.count] if is_labelled(r, same)]
        start += group.count
        records += mine
        groups.append(replace(group, count=len(mine)))
    return replace(found, records=tuple(records), groups=tuple(groups))
