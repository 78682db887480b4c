"""What is scored: the question as it was asked, and the data set's side of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeio import lookup
from edgepose.data.collect import reason_kind
from edgepose.data.fingerprint import data_sha256
from edgepose.data.framing import DEFAULT_MARGIN, FOUND
from edgepose.data.head_length import HeadLengths
from edgepose.data.human_spread import HumanSpread, spread_of
from edgepose.data.records import Dataset, PoseRecord, splits_named
from edgepose.data.registry import open_dataset, open_dataset_as
from edgepose.data.rulers import RULERS, ruler_lengths
from edgepose.errors import BadDataset, UsageError
from edgepose.inference.predictor import Predicted
from edgepose.inference.spec import ModelSpec
from edgepose.keypoint_file import named_set
from edgepose.keypoints import KEYPOINT_GROUPS, Mapping, mapping
from edgepose.results.predictions import Predictions
from edgepose.results.results import DESKTOP, Excluded

_NOT_ANNOTATED = "not annotated"  # a reason to leave an image out that is no fault


@dataclass(frozen=True)
class Request:
    """What to score on, and how.

    Attributes:
        data: `FORMAT:PATH` or a path.
        split: "train", "val", "test" or "all".
        crop, margin, turn: see `Framing`; crop and turn may be `FOUND` too.
        ruler: what distances are divided by, a key of `RULERS`; None for the data set's own.
        score: which keypoints are scored, a key of `KEYPOINT_GROUPS`.
        decode: a decoder's name, or None for the one the model is meant for.
        flip: with the flip test, twice the work an image; on this machine only.
        near: also match keypoints that other sets define slightly differently (hip and pelvis).
        fallback: for images without a head length: "exclude" or "median".
        human: a raters' file, or a human.json made of one, that replaces the published human spread.
        limit: score only the first so many images.
        strict: stop at the first unusable image.
        speed: measure latency and memory too; on an emulated device instructions instead of latency.
        keypoints: the set that the data set is read by, a key or a .toml file; None for the model's where the
            data set has its names, and else the data set's own.
        target: where the model runs: "desktop", or a device (`device_runner.open_target`).
        delegate: of a phone: "xnnpack", "none", "gpu" or "nnapi".
    """

    data: str
    split: str = "test"
    crop: str = "none"
    margin: float = DEFAULT_MARGIN
    turn: str = "none"
    ruler: str | None = None
    score: str = "all"
    decode: str | None = None
    near: bool = False
    fallback: str = "exclude"
    human: Path | None = None
    limit: int | None = None
    strict: bool = False
    speed: bool = True
    threads: int = 1
    workers: int = 2
    seed: int = 0
    keypoints: str | None = None
    target: str = DESKTOP
    delegate: str = "xnnpack"
    flip: bool = False

    @property
    def finds(self) -> bool:
        """Whether the network finds the infant, or its turn, itself.

        Raises:
            UsageError: one of them is to be found and the other taken from the labels.
        """
        by_labels = self.crop == "person" or self.turn == "upright"
        found = FOUND in (self.crop, self.turn)
        if found and by_labels:
            raise UsageError(
                f"--crop {self.crop} with --turn {self.turn}: one is found, the other taken from the labels",
                "take both from the labels, or neither",
            )
        return found


@dataclass(frozen=True)
class Subject:
    """The data side of a run: what is scored, by which keypoints, with which rulers."""

    dataset: Dataset
    records: tuple[PoseRecord, ...]
    mapping: Mapping
    human: HumanSpread | None
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """Scored keypoints, in the data set's order."""
        return tuple(self.dataset.keypoints.names[target] for _, target in self.mapping.pairs)


@dataclass(frozen=True)
class Scorable:
    """Predictions beside annotations, of the images that can be scored.

    Attributes:
        heads: rulers of all images of the subject.
        excluded: what cannot be scored, and why.
    """

    predictions: Predictions
    heads: HeadLengths
    excluded: tuple[Excluded, ...]


def subject_of(spec: ModelSpec, request: Request) -> Subject:
    """What a model is scored on.

    Raises:
        UnknownName: no such split.
        UsageError: no keypoint in common.
        BadDataset: unreadable, no image in the split, or an unusable one where `strict` forbids it.
    """
    splits_named(request.split)  # before the data set is read
    if request.ruler is not None:
        lookup(RULERS, "ruler", request.ruler)
    group = lookup(KEYPOINT_GROUPS, "group of keypoints", request.score)
    if request.keypoints is None:
        dataset = open_dataset(request.data, spec.keypoints)
    else:
        dataset = open_dataset_as(request.data, named_set(request.keypoints))
    left_out = dataset.left_out_of(request.split)
    bad = [entry for entry in left_out if reason_kind(entry.reason) != _NOT_ANNOTATED]
    if request.strict and bad:
        raise BadDataset(
            f"{dataset.name}: {bad[0].name} ({bad[0].reason})", "correct it, or leave --strict out"
        )
    records = dataset.split(request.split)[: request.limit]
    if not records:
        raise BadDataset(f"{dataset.name} has no image in split '{request.split}'", "choose another --split")
    return Subject(
        dataset,
        records,
        group.of(mapping(spec.keypoints, dataset.keypoints, request.near), dataset.keypoints),
        _human(dataset, request.human),
        data_sha256(records, request.workers),
    )


def _human(dataset: Dataset, raters: Path | None) -> HumanSpread | None:
    """The raters' own spread where given; else the keypoint set's: the published one for In-Motion's only."""
    if raters is not None:
        from edgepose.evaluation.raters import human_spread

        return human_spread(raters, dataset.keypoints)
    return spread_of(dataset.keypoints)


def scorable(subject: Subject, request: Request, predicted: Predicted) -> Scorable:
    """Set predictions beside annotations; raises BadDataset where no image can be scored."""
    sources, targets = (list(side) for side in zip(*subject.mapping.pairs, strict=True))
    annotated = np.stack([record.keypoints_px for record in subject.records]).astype(np.float64)
    heads = ruler_lengths(subject.records, subject.dataset.keypoints, request.ruler, request.fallback)
    reasons = _reasons(predicted, heads, annotated[:, targets])
    rows = [i for i, reason in enumerate(reasons) if not reason]
    if not rows:
        raise BadDataset(
            f"no image of {subject.dataset.name} could be scored (the first: {reasons[0]})",
            "see `edgepose data info` for what the data set holds",
        )
    records = [subject.records[i] for i in rows]
    predictions = Predictions(
        ids=np.array([record.id for record in records]),
        videos=np.array([record.video for record in records]),
        keypoints=np.array(subject.names),
        predicted_px=predicted.keypoints_px[rows][:, sources],
        annotated_px=annotated[rows][:, targets],
        head_length_px=heads.px[rows],
        confidence=predicted.confidence[rows][:, sources].astype(np.float64),
        image_paths=np.array([str(record.image) for record in records]),
        columns=_columns(records),
    )
    root = f"{subject.dataset.root}/"  # results travel; this machine's paths stay here
    left_out = subject.dataset.left_out_of(request.split)
    excluded = [Excluded(e.name, e.reason.replace(root, "")) for e in left_out]
    excluded += [Excluded(r.id, reason) for r, reason in zip(subject.records, reasons, strict=True) if reason]
    return Scorable(predictions, heads, tuple(excluded))


def _columns(records: list[PoseRecord]) -> dict[str, np.ndarray]:
    """What the data set says of each image, by column; empty where it says nothing."""
    names = dict.fromkeys(name for record in records for name in record.columns)
    return {name: np.array([record.columns.get(name, "") for record in records], dtype=str) for name in names}


def _reasons(predicted: Predicted, heads: HeadLengths, annotated: np.ndarray) -> list[str]:
    """Why each image is not scored; empty where it is."""
    labelled = np.isfinite(annotated).all(-1).any(-1)
    missing = "no head length" if heads.ruler == "head" else f"no length by the ruler {heads.ruler}"
    return [
        reason
        or ("no scored keypoint is annotated" if not any_label else "")
        or (missing if np.isnan(head) else "")
        for reason, any_label, head in zip(predicted.reasons, labelled, heads.px, strict=True)
    ]
