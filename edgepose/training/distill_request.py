"""What a user asks of a distillation, checked before anything heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeio import lookup
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.models.variants import checked_resolution, variant
from edgepose.training.data import TrainingData, open_training_data
from edgepose.training.request import FitRequest
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
        teacher: key of the teacher's network.
        weights: the teacher's checkpoint or .tflite. None for the one that comes with the project, where
            there is one for the keypoint set; else it is trained first, on the same data.
        default_start: start from the student's weights that come with the project, where there are any
            for the keypoint set and `student.init` is None.
        unlabelled: folder of images to learn from by the teacher's outputs alone, or None.
        unlabelled_limit: take only the first so many of them.
        loss: a name in LOSSES.
        share: of the teacher, beside labels, where a keypoint is annotated too, between 0 and 1; the labels
            have the rest. A keypoint that only one of them knows is learned from that one alone.
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
        checked_resolution(variant(self.teacher), self.teacher_resolution)
        lookup(LOSSES, "loss", self.loss)
        lookup(TEACHER_TARGETS, "kind of teacher targets", self.targets)
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

    def training_data(self) -> TrainingData:
        """The student's frames, those without labels last.

        Raises:
            BadDataset: no labelled frame where labels are asked for, or no frame at all.
        """
        training_data = open_training_data(self.student.data, labelled=self.listens_to.labels)
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
    return replace(training_data, records=training_data.records + more)
