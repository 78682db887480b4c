"""Several data sets as one: each with its own keypoints, framing, ruler and share of the frames.

A source is named on the command line as `FORMAT:PATH=WEIGHT,NAME=VALUE,...`, where everything behind the path
may be left out: `--data infants/ --data coco:syrip=2,crop=person,margin=0.1-0.6,crops=6,labels=50`.
Its keypoints are read in the network's set; one that it lacks is not annotated there and has no say.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import lookup, sha256_file
from edgepose.data.framing import CROPS, TURNS, Framing
from edgepose.data.records import SPLITS, Dataset, PoseRecord, is_labelled, mapped_points, splits_named
from edgepose.data.registry import open_dataset
from edgepose.data.rulers import RULERS, ruler_lengths
from edgepose.errors import BadDataset, UsageError
from edgepose.geometry import Letterbox, Size
from edgepose.keypoints import KeypointSet, mapping
from edgepose.keypoints import Mapping as KeypointMapping

MAX_MARGIN = 2.0
ALL, NONE = "all", "none"  # what `labels` may say beside a count or a share, and what `teacher` may
_OPTIONS = ("crop", "margin", "crops", "turn", "ruler", "labels", "draw", "teacher")
_SPEC = re.compile(
    r"(?P<data>.*?)(?:=(?P<weight>[^=,:/]*))?(?P<options>(?:,(?:" + "|".join(_OPTIONS) + r")=[^,]*)*)"
)


@dataclass(frozen=True)
class Source:
    """One data set of a mixture, as it was asked for.

    Attributes:
        data: `FORMAT:PATH` or a path.
        weight: its share of the frames, against the others' weights.
        crop, turn: see `Framing`.
        margin: lowest and highest margin; each crop of a frame has its own, evenly spread between them.
            Validation takes the middle.
        crops: how many crops a frame gives, each with another margin.
        ruler: what validation divides distances by; None for the data set's own.
        labels: how many of the training frames may be learnt from by their labels, before crops: "all",
            "none", a count, or a share below 1, such as "0.5". The others are a teacher's to explain; crop
            and turn still go by their labels. A set of none is not validated on; others are, on all labels.
        draw: the seed of which frames these are: whole videos at random, the last one perhaps in part.
        teacher: "none" where a teacher is not asked about these frames, whose labels it could only blur:
            drawn pictures, say, whose labels are exact. "all" as a rule.
    """

    data: str
    weight: float = 1.0
    crop: str = "none"
    margin: tuple[float, float] = (0.2, 0.2)
    crops: int = 1
    turn: str = "none"
    ruler: str | None = None
    labels: str = ALL
    draw: int = 0
    teacher: str = ALL

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON; the frames are bound by their hash."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k != "data"}

    def labelled(self, records: Sequence[PoseRecord], name: str) -> frozenset[str]:
        """Ids of the records whose labels may be learnt from.

        Raises:
            UsageError: more are asked for than there are; `name` says of what.
        """
        if self.labels == ALL:
            return frozenset(record.id for record in records)
        number = 0.0 if self.labels == NONE else float(self.labels)
        count = round(number * len(records)) if number < 1 else int(number)
        if count > len(records):
            raise UsageError(
                f"{name} has {len(records)} labelled frames to train on, and labels={self.labels} wants more",
                "ask for fewer",
            )
        order = {r.video: hashlib.sha256(f"{self.draw}/{r.video}".encode()).digest() for r in records}
        ranked = sorted(records, key=lambda record: order[record.video])
        return frozenset(record.id for record in ranked[:count])


def source_of(text: str, crop: str, margin: float) -> Source:
    """What a `--data` says; `crop` and `margin` are the command's, for a source that does not name its own.

    Raises:
        UsageError: a weight, margin or count that cannot be used.
        UnknownName: no such crop, turn or ruler.
    """
    match = _SPEC.fullmatch(text)
    if match is None or Path(text).exists():
        return Source(text, crop=crop, margin=(margin, margin))
    given = dict(part.split("=", 1) for part in match["options"].split(",")[1:])
    source = Source(
        data=match["data"],
        weight=_number(text, "weight", match["weight"] or "1", positive=True),
        crop=given.get("crop", crop),
        margin=_margins(text, given["margin"]) if "margin" in given else (margin, margin),
        crops=_count(text, "crops", given.get("crops", "1")),
        turn=given.get("turn", "none"),
        ruler=given.get("ruler"),
        labels=_labels_of(text, given.get("labels", ALL)),
        draw=_count(text, "draw", given.get("draw", "0"), least=0),
        teacher=given.get("teacher", ALL),
    )
    lookup({ALL: ALL, NONE: NONE}, "teacher of a data set", source.teacher)
    lookup(dict.fromkeys(CROPS), "crop", source.crop)
    lookup(dict.fromkeys(TURNS), "turn", source.turn)
    if source.ruler is not None:
        lookup(RULERS, "ruler", source.ruler)
    if "draw" in given and source.labels in (ALL, NONE):
        raise UsageError(f"{text}: draw has no effect on labels={source.labels}", "leave it out")
    if source.teacher == NONE and source.labels != ALL:
        raise UsageError(
            f"{text}: frames without labels and without a teacher teach nothing", "leave one of the two out"
        )
    if source.crop != "person" and ("margin" in given or source.crops > 1):
        raise UsageError(f"{text}: margin and crops have no effect without a crop", "add crop=person")
    return source


def _number(text: str, what: str, value: str, positive: bool = False) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        raise UsageError(f"{text}: {what} is {value!r}", "give a positive number")
    return number


def _margins(text: str, value: str) -> tuple[float, float]:
    low, _, high = value.partition("-")
    margins = _number(text, "margin", low), _number(text, "margin", high or low)
    if not margins[0] <= margins[1] <= MAX_MARGIN:
        raise UsageError(
            f"{text}: margin is {value!r}", f"give LOW-HIGH between 0 and {MAX_MARGIN:g}, such as 0.1-0.6"
        )
    return margins


def _count(text: str, what: str, value: str, least: int = 1) -> int:
    if not value.isdigit() or int(value) < least:
        raise UsageError(f"{text}: {what} is {value!r}", f"give {least} or more")
    return int(value)


def _labels_of(text: str, value: str) -> str:
    if value in (ALL, NONE):
        return value
    number = _number(text, "labels", value, positive=True)
    if number >= 1 and not number.is_integer():
        raise UsageError(f"{text}: labels is {value!r}", "give a count, a share below 1, none or all")
    return value


@dataclass(frozen=True)
class MixedFraming:
    """Each record's own framing, by its id; the whole image for others.

    Attributes:
        by_id: framing and the annotation that it frames, (K, 2) in image pixels in the source's own set.
    """

    by_id: Mapping[str, tuple[Framing, np.ndarray]] = field(default_factory=dict)

    def letterbox(self, record: PoseRecord, image_size: Size, size: Size) -> Letterbox:
        """Where the record's image goes on a canvas of `size`; raises BadImage for an absurd box."""
        framing, points = self.by_id.get(record.id, (Framing(), record.keypoints_px))
        return framing.letterbox(replace(record, keypoints_px=points), image_size, size)

    def plain(self) -> str:
        """A hash over all of them, and over what they frame: labels that are not learnt from frame too."""
        digest = hashlib.sha256()
        for key, (framing, points) in self.by_id.items():
            digest.update(json.dumps([key, framing.plain()]).encode())
            digest.update(np.ascontiguousarray(points, np.float64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Group:
    """Frames that follow one another in a mixture, and what share of the drawn frames they have.

    Attributes:
        label: of the data set, as in a log.
        count: frames.
        weight: positive, against the other groups'.
    """

    label: str
    count: int
    weight: float


@dataclass(frozen=True)
class Mixture:
    """Several data sets, opened, in the network's keypoints.

    Attributes:
        dataset: all records of all splits, as one data set of the network's keypoint set.
        framing: of its records.
        groups: of `records`, in their order.
        records: to train on; those whose labels are not to be learnt from (`Source.labels`) have none.
        validation: by label of the source; only sources that have a frame to validate on.
        near, absent: keypoints matched by a nearly equal definition in a source, or known to no source.
        unlabelled: frames left out for want of one of the network's keypoints.
        shared: pictures left out of training since they are in another split too.
        untaught: ids of the records that a teacher is not asked about (`Source.teacher`).
    """

    dataset: Dataset
    framing: MixedFraming
    groups: tuple[Group, ...]
    records: tuple[PoseRecord, ...]
    validation: Mapping[str, tuple[PoseRecord, ...]]
    near: tuple[str, ...]
    absent: tuple[str, ...]
    unlabelled: int
    shared: tuple[str, ...]
    untaught: frozenset[str]


def open_mixture(
    sources: Sequence[Source],
    split: str,
    validation_split: str | None,
    keypoints: KeypointSet | None = None,
    near: bool = False,
    limit: int | None = None,
    drop_shared: bool = False,
) -> Mixture:
    """Open every source and read its frames in the network's keypoints.

    Args:
        keypoints: the network's set; None for the first source's.
        limit: take only the first so many frames of each source.
        drop_shared: leave pictures out of training that are also in another split, instead of refusing them.

    Raises:
        BadDataset: the same picture in training and in another split.
        UsageError: a source without any keypoint of the network.
    """
    datasets = [open_dataset(source.data, keypoints) for source in sources]
    wanted = keypoints or datasets[0].keypoints
    shared = _shared(datasets, split)
    if shared and not drop_shared:
        mine, theirs = next(iter(shared.items()))
        raise BadDataset(
            f"{len(shared)} pictures to train on are also in another split: {mine} is {theirs}",
            "add --drop-shared to leave them out: scores on pictures that were trained on are wrong",
        )
    views = [
        _View(label, source, dataset, mapping(dataset.keypoints, wanted, near), len(wanted))
        for label, source, dataset in zip(_labels(datasets), sources, datasets, strict=True)
    ]
    parts = [view.part(split, validation_split, limit, shared) for view in views]
    by_id = {key: framed for part in parts for key, framed in part.by_id.items()}
    records = tuple(record for part in parts for record in part.records)
    validation = {p.label: p.validation for p in parts if p.validation}
    whole = (*records, *(r for rows in validation.values() for r in rows))
    name, formats = (" + ".join(words) for words in zip(*((d.name, d.format) for d in datasets), strict=True))
    return Mixture(
        Dataset(name, formats, datasets[0].root, wanted, whole),
        MixedFraming(by_id),
        tuple(
            Group(view.label, len(p.records), view.source.weight)
            for view, p in zip(views, parts, strict=True)
        ),
        records,
        validation,
        tuple(n for n in wanted.names if any(n in view.mapping.near for view in views)),
        tuple(n for n in wanted.names if all(n in view.mapping.absent for view in views)),
        sum(part.unlabelled for part in parts),
        tuple(sorted(map(str, shared))),
        frozenset(
            r.id
            for source, p in zip(sources, parts, strict=True)
            if source.teacher == NONE
            for r in p.records
        ),
    )


@dataclass(frozen=True)
class _Part:
    """One source's share of a mixture; the fields are those of `Mixture`."""

    label: str
    records: tuple[PoseRecord, ...]
    validation: tuple[PoseRecord, ...]
    unlabelled: int
    by_id: dict[str, tuple[Framing, np.ndarray]]


@dataclass(frozen=True)
class _View:
    """A source's records as the network's K keypoints."""

    label: str
    source: Source
    dataset: Dataset
    mapping: KeypointMapping
    count: int

    def part(
        self, split: str, validation_split: str | None, limit: int | None, shared: Mapping[Path, Path]
    ) -> _Part:
        """Frames to train and to validate on; raises BadDataset where there is none to train on."""
        chosen = self.dataset.split(split)
        usable = [record for record in chosen if is_labelled(record, self.mapping)]
        mine = [record for record in usable if record.image not in shared][:limit]
        if not mine:
            raise BadDataset(
                f"{self.dataset.name} has no frame in split '{split}' with a keypoint of the network",
                "leave it out, or name another --split",
            )
        labelled = self.source.labelled(mine, self.dataset.name)
        low, high = self.source.margin
        margins = low + (high - low) * (np.arange(self.source.crops) + 0.5) / self.source.crops
        by_id: dict[str, tuple[Framing, np.ndarray]] = {}
        records = [
            self._as(r, m, f"#crop{c}", by_id, r.id in labelled)
            for c, m in enumerate(margins.tolist())
            for r in mine
        ]
        held_back = () if validation_split is None else self.dataset.split(validation_split)
        checked = [r for r in held_back if is_labelled(r, self.mapping)]
        return _Part(
            self.label, tuple(records), self._validation(checked, by_id), len(chosen) - len(usable), by_id
        )

    def _validation(
        self, records: Sequence[PoseRecord], by_id: dict[str, tuple[Framing, np.ndarray]]
    ) -> tuple[PoseRecord, ...]:
        """With each frame's ruler as its own head length; frames without one are left out."""
        if not records or self.source.labels == NONE:
            return ()
        lengths = ruler_lengths(records, self.dataset.keypoints, self.source.ruler).px
        middle = sum(self.source.margin) / 2
        return tuple(
            replace(self._as(record, middle, "#validation", by_id), head_length_px=float(px))
            for record, px in zip(records, lengths, strict=True)
            if np.isfinite(px)
        )

    def _as(
        self,
        record: PoseRecord,
        margin: float,
        suffix: str,
        by_id: dict[str, tuple[Framing, np.ndarray]],
        labelled: bool = True,
    ) -> PoseRecord:
        """The record in the network's keypoints, or without any; its framing is noted in `by_id`."""
        points = mapped_points(record, self.mapping, self.count)
        if not labelled:
            points = np.full_like(points, np.nan)
        key = f"{self.label}/{record.id}{suffix}"
        framing = Framing(self.source.crop, margin, self.source.turn, self.dataset.keypoints)
        by_id[key] = framing, record.keypoints_px
        video = f"{self.label}/{record.video}"
        return replace(record, id=key, keypoints_px=points, video=video, head_length_px=None)


def _labels(datasets: Sequence[Dataset]) -> list[str]:
    """Each set's label; one that comes again, framed otherwise, is numbered."""
    names = [dataset.label for dataset in datasets]
    times = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name}#{n}" for name, n in zip(names, times, strict=True)]


def _shared(datasets: Sequence[Dataset], split: str) -> dict[Path, Path]:
    """Pictures of `split` that are also in another split of any of the sets, by their bytes, and there."""
    mine = splits_named(split)
    if mine == SPLITS:
        return {}
    records = [record for dataset in datasets for record in dataset.records]
    hashes = {path: sha256_file(path) for path in {r.image for r in records} if path.is_file()}
    others = {hashes[r.image]: r.image for r in records if r.split not in mine and r.image in hashes}
    return {
        r.image: others[hashes[r.image]] for r in records if r.split in mine and hashes.get(r.image) in others
    }
