"""What a user asks of a distillation, checked before anything heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import lookup
from edgepose.data.mixture import Group
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.inference.peers import PEERS
from edgepose.models.variants import checked_resolution, variant
from edgepose.training.data import TrainingData, open_training_data
from edgepose.training.pipeline import Quota
from edgepose.training.request import FitRequest
from edgepose.training.teacher import check_teacher_name
from edgepose.training.teacher_targets import TEACHER_TARGETS

_SMOKE_FRAMES = 16


@dataclass(frozen=True)
class DistillLoss:
    """Whom the student listens to, and whether it also learns the teacher's features."""

    labels: bool
    teacher: bool
    features: bool = False


LOSSES = {
    "fpd": DistillLoss(labels=True, teacher=True),
    "features": DistillLoss(labels=True, teacher=True, features=True),
    "teacher-only": DistillLoss(labels=False, teacher=True),
    "ground-truth": DistillLoss(labels=True, teacher=False),
}


@dataclass(frozen=True)
class DistillRequest:
    """Who learns what from whom.

    Attributes:
        student: the run; its data's labelled frames, or with "teacher-only" all of the split's.
        teacher: key of the teacher's network, or of a peer (`inference.peers.PEERS`): a black box whose
            keypoints become rendered targets.
        weights: the teacher's checkpoint or .tflite. None for the one that comes with the project, where
            there is one for the keypoint set; else it is trained first, on the same data.
        default_start: start from the student's weights that come with the project, where there are any
            for the keypoint set and `student.init` is None.
        unlabelled: folder of images to learn from by the teacher's outputs alone, or None.
        unlabelled_limit: take only the first so many of them.
        loss: a name in LOSSES.
        share: of the teacher, beside labels, where a keypoint is annotated too, between 0 and 1; the labels
            have the rest. A keypoint that only one of them knows is learned from that one alone.
        labelled_share: of every batch that has labels, where some frames have none; None for half.
        gate: a keypoint that the teacher is less confident of has no say.
        flip: the teacher's output is the mean over each frame and its mirror image, see `inference.flipped`.
        feature_weight: of the features' term at the start of the run; see `features.FeatureLoss`.
        targets: a name in TEACHER_TARGETS.
        cache: folder of the teacher's outputs, which runs may share; None for one in the run's folder.
        cache_gib: bound of what is kept of the teacher on disk; on further frames it runs in every pass.
        teacher_resolution, teacher_epochs: of a teacher that is trained first, which either asks for; None
            for the network's own and for as many as the student's.
    """

    student: FitRequest
    teacher: str
    weights: Path | None = None
    default_start: bool = False
    unlabelled: Path | None = None
    unlabelled_limit: int | None = None
    loss: str = "fpd"
    share: float = 0.5
    labelled_share: float | None = None
    gate: float = 0.0
    flip: bool = False
    feature_weight: float = 0.01
    targets: str = "rendered"
    cache: Path | None = None
    cache_gib: float = 4.0
    teacher_resolution: int | None = None
    teacher_epochs: int | None = None

    @property
    def listens_to(self) -> DistillLoss:
        return lookup(LOSSES, "loss", self.loss)

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        self.student.check()
        checked_resolution(variant(self.student.model), self.student.resolution)
        check_teacher_name(self.teacher)
        lookup(LOSSES, "loss", self.loss)
        lookup(TEACHER_TARGETS, "kind of teacher targets", self.targets)
        if self.teacher in PEERS:
            self._check_peer(PEERS[self.teacher].name)
        else:
            checked_resolution(variant(self.teacher), self.teacher_resolution)
        if not 0 <= self.gate <= 1:
            raise UsageError(f"the teacher's confidence is {self.gate}", "give a number from 0 to 1")
        if self.gate and self.targets == "resized":
            raise UsageError("maps that are resized have no gate", "use --teacher-targets rendered")
        self._check_labelled_share()
        if not 0 < self.share < 1:
            raise UsageError(
                f"the teacher's share is {self.share}",
                "give a number between 0 and 1; for 1 use --loss teacher-only, for 0 --loss ground-truth",
            )
        if not 0 < self.feature_weight < float("inf"):
            raise UsageError(
                f"the features' weight is {self.feature_weight}",
                "give a positive number; for 0 use --loss fpd",
            )
        if not 0 <= self.cache_gib < float("inf"):
            raise UsageError(f"the cache's bound is {self.cache_gib} GiB", "give 0 or more")
        if self.listens_to.features and self.weights and self.weights.suffix.lower() != ".safetensors":
            raise UsageError(
                f"{self.weights} gives no features to learn from",
                "give the teacher's .safetensors checkpoint, or use --loss fpd",
            )
        if self.unlabelled is not None and not self.listens_to.teacher:
            raise UsageError(
                "frames without labels teach nothing without a teacher", "leave --unlabelled out"
            )
        if self.unlabelled is not None and self.student.data.crop != "none":
            raise UsageError("frames without labels have no person box to crop to", "use --crop none")
        if self.weights is not None and (self.teacher_resolution or self.teacher_epochs):
            raise UsageError(
                "--teacher-resolution and --teacher-epochs are of a teacher that is trained first",
                "leave them out, or --teacher-weights",
            )

    def _check_peer(self, name: str) -> None:
        if self.weights is None and self.listens_to.teacher:
            raise UsageError(
                f"{name} is not trained here",
                "import its file by `edgepose import-tflite` for --teacher-weights",
            )
        if self.flip:
            raise UsageError(
                f"{name} gives keypoints and no maps to take the mean of", "leave --teacher-flip out"
            )
        if self.listens_to.features or self.targets == "resized":
            raise UsageError(
                f"{name} is a black box that gives keypoints alone", "use --loss fpd, and rendered targets"
            )
        if self.teacher_resolution or self.teacher_epochs:
            raise UsageError(
                f"{name} is not trained here", "leave --teacher-resolution and --teacher-epochs out"
            )

    def _check_labelled_share(self) -> None:
        share, batch = self.labelled_share, self.student.batch
        if share is None:
            return
        if not 1 <= round(share * batch) <= batch - 1:
            raise UsageError(
                f"a share of {share} of {batch} frames leaves no place for frames with labels, or for others",
                "give a number between 0 and 1, or a larger --batch",
            )
        if not (self.listens_to.labels and self.listens_to.teacher):
            raise UsageError(
                f"--labelled-share has no effect with --loss {self.loss}", "leave it out, or use --loss fpd"
            )

    def route(self) -> dict[str, Any]:
        """What decides the steps to the result, as JSON; several processes must take the same."""
        return {
            "student": self.student.settings(),
            "overwrite": self.student.overwrite,
            "teacher": self.teacher if self.listens_to.teacher else None,
            "weights": self.weights is not None,
            "teacher_run": [self.teacher_resolution, self.teacher_epochs],
            "loss": self.loss,
        }

    def quota(self, training_data: TrainingData) -> Quota | None:
        """How many frames of every batch have labels; None where that is not asked, or all have.

        Raises:
            UsageError: a share is asked for, and every frame has labels.
        """
        has = training_data.has_labels
        mixed = any(has) and not all(has) and self.listens_to.labels and self.student.batch > 1
        if not mixed:
            if self.labelled_share is not None:
                raise UsageError(
                    "--labelled-share has no effect where every frame has labels",
                    "leave it out, or give --unlabelled, or labels=COUNT behind a --data",
                )
            return None
        share = 0.5 if self.labelled_share is None else self.labelled_share
        return Quota(min(max(round(share * self.student.batch), 1), self.student.batch - 1), has)

    def training_data(self) -> TrainingData:
        """The student's frames, those without labels last.

        Raises:
            BadDataset: no labelled frame where labels are asked for, or no frame at all.
        """
        listens = self.listens_to
        training_data = open_training_data(self.student.data, listens.labels, listens.teacher)
        if self.unlabelled is None:
            return training_data
        return _with_unlabelled(training_data, self.unlabelled, self.unlabelled_limit)

    def teacher_run(self) -> FitRequest:
        """The run that makes the teacher."""
        return replace(
            self.student,
            model=self.teacher,
            out=self.student.out / "teacher",
            init=None,
            resolution=self.teacher_resolution,
            epochs=self.teacher_epochs or self.student.epochs,
            sigma_schedule=None,
        )


def smoke(request: DistillRequest) -> DistillRequest:
    """The same in miniature: it shows that everything works, and the figures mean nothing."""
    data = replace(request.student.data, limit=_SMOKE_FRAMES)
    student = replace(request.student, data=data, resolution=64, epochs=1, steps_per_epoch=3, batch=4)
    pixels = None if request.weights else 64
    return replace(request, student=student, unlabelled_limit=_SMOKE_FRAMES, teacher_resolution=pixels)


def _with_unlabelled(training_data: TrainingData, folder: Path, limit: int | None) -> TrainingData:
    """With the images of a folder behind the data set's own frames."""
    found = open_dataset(f"images:{folder}")
    nothing = np.full((len(training_data.dataset.keypoints), 2), np.nan)
    more = tuple(replace(r, id=f"unlabelled/{r.id}", keypoints_px=nothing) for r in found.records[:limit])
    known = {record.image.resolve() for record in (*training_data.records, *training_data.validation)}
    twice = sum(record.image.resolve() in known for record in more)
    if twice:
        raise BadDataset(
            f"{folder} holds {twice} images that are among the labelled or validation frames",
            "give a folder of others",
        )
    groups = training_data.groups
    if groups:  # of which a folder of images is one more, of the others' mean weight
        weight = sum(group.weight for group in groups) / len(groups)
        groups = (*groups, Group(found.label, len(more), weight))
    return replace(training_data, records=training_data.records + more, groups=groups)
