"""Distil a teacher into a student: one more term in the loss of the one training loop.

Source: FPD, Zhang et al. 2019; frames without labels learn from the teacher alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import lookup, read_json, sha256_file, write_json
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoints import Mapping, mapping
from edgepose.models.checkpoint import read_checkpoint
from edgepose.models.variants import checked_resolution, variant
from edgepose.training.assembly import Assembly, assembled
from edgepose.training.checkpoints import Row
from edgepose.training.fit import fit
from edgepose.training.loop import Listener
from edgepose.training.losses import GroundTruth, Term
from edgepose.training.material import Material, open_material
from edgepose.training.pipeline import Extras
from edgepose.training.request import FitRequest
from edgepose.training.runs import RunFolder, claim
from edgepose.training.teacher import Teacher, open_teacher
from edgepose.training.teacher_cache import Asking, answers
from edgepose.training.teacher_maps import TEACHER_TARGETS, Lesson, TeacherTargets, shared_targets

_GIB = 1024**3


@dataclass(frozen=True)
class DistillLoss:
    """Whom the student listens to."""

    labels: bool
    teacher: bool


LOSSES = {
    "fpd": DistillLoss(labels=True, teacher=True),
    "teacher-only": DistillLoss(labels=False, teacher=True),
    "ground-truth": DistillLoss(labels=True, teacher=False),
}


@dataclass(frozen=True)
class DistillRequest:
    """Who learns what from whom.

    Attributes:
        student: the run; its data's labelled frames, or with "teacher-only" all of the split's.
        teacher: key of the teacher's network.
        weights: the teacher's checkpoint or .tflite; None to train it first on the same data.
        unlabelled: folder of images to learn from by the teacher's word alone, or None.
        loss: a name in LOSSES.
        share: of the teacher in "fpd" where a keypoint is annotated too, between 0 and 1; the labels
            have the rest. A keypoint that only one of them knows is learned from that one alone.
        targets: a name in TEACHER_TARGETS.
        cache_gib: bound of what is kept of the teacher on disk; it is asked again for further frames.
        teacher_resolution, teacher_epochs: of a teacher that is trained first; None for the network's own
            and for as many as the student's.
    """

    student: FitRequest
    teacher: str
    weights: Path | None = None
    unlabelled: Path | None = None
    loss: str = "fpd"
    share: float = 0.5
    targets: str = "rendered"
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
        if not 0 <= self.cache_gib < float("inf"):
            raise UsageError(f"the cache's bound is {self.cache_gib} GiB", "give 0 or more")
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

    def material(self) -> Material:
        """The student's frames, those without labels last.

        Raises:
            BadDataset: no labelled frame where labels are asked for, or no frame at all.
        """
        material = open_material(self.student.data, labelled=self.listens_to.labels)
        return _with_unlabelled(material, self.unlabelled) if self.unlabelled else material

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
    data = replace(request.student.data, limit=16)
    student = replace(request.student, data=data, resolution=64, epochs=1, steps_per_epoch=3, batch=4)
    return replace(request, student=student, teacher_resolution=None if request.weights else 64)


def distill(request: DistillRequest, listener: Listener | None = None) -> Path:
    """Train a student towards a teacher, or go on training it; the teacher is trained first if need be.

    Returns:
        the student's checkpoint that scored best on the validation split, or the last one without
        validation.

    Raises:
        UserError: bad input, or a loss that is no longer a number; says what and how to mend it.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    listener = listener or Listener()
    request.check()
    material = request.material()
    student, folder = request.student, RunFolder(request.student.out)
    if folder.description.exists() and not student.resume:
        raise UsageError(
            f"{folder.path} holds a run", "add --resume to go on with it, or choose another --out"
        )
    if student.init is not None:
        read_checkpoint(student.init)  # before hours are spent on a teacher
    if not request.listens_to.teacher:
        return _taught(request, student, material, None, listener)
    weights = request.weights or _trained_teacher(request, listener)
    if student.resume and request.weights is None:  # it may have been stopped while the teacher was trained
        student = replace(student, resume=folder.description.exists())
    teacher = open_teacher(weights, request.teacher, student.workers)
    return _taught(request, student, material, teacher, listener)


def _taught(
    request: DistillRequest,
    student: FitRequest,
    material: Material,
    teacher: Teacher | None,
    listener: Listener,
) -> Path:
    pairs = _pairs(request, material, teacher, listener) if teacher else None
    with assembled(student, listener, _binding(request, teacher), material) as assembly:
        model = assembly.network()
        truth = assembly.ground_truth(model)
        if teacher is None or pairs is None:
            return assembly.train(model, assembly.objective(Term("ground_truth", truth)))
        share = request.share if request.listens_to.labels else 1.0
        lesson = Lesson(truth.targets, truth.kinds, material.keypoints.swaps, pairs.pairs, share)
        taught = TEACHER_TARGETS[request.targets](lesson)
        terms = [Term("teacher", taught)]
        if request.listens_to.labels:
            labels = GroundTruth(shared_targets(truth.targets, taught, 1 - share), truth.kinds)
            terms.insert(0, Term("ground_truth", labels))
        extras = _extras(request, assembly, teacher, taught)
        return assembly.train(model, assembly.objective(*terms), extras=extras)


def _pairs(request: DistillRequest, material: Material, teacher: Teacher, listener: Listener) -> Mapping:
    """From the teacher's keypoints to the student's.

    Raises:
        UsageError: nothing in common; some that the teacher lacks, with no labels to learn them from; or
            a teacher without maps to resize.
    """
    if request.targets == "resized" and teacher.map_size is None:
        raise UsageError(
            f"{teacher.path} gives keypoints and no maps to resize", "use --teacher-targets rendered"
        )
    data = request.student.data
    found = mapping(teacher.keypoints, material.keypoints, data.near)
    if not found.absent:
        return found
    lacking = f"the teacher ({found.source}) lacks keypoints of {found.target}: {', '.join(found.absent)}"
    if not request.listens_to.labels and not data.partial:
        raise UsageError(
            lacking, "give --partial to train the others only, --near to take nearly the same ones, or labels"
        )
    alone = "learn from labels alone" if request.listens_to.labels else "learn nothing"
    listener.say(f"{lacking}; these {alone}")
    return found


def _extras(request: DistillRequest, assembly: Assembly, teacher: Teacher, taught: TeacherTargets) -> Extras:
    """The teacher's word on every frame: asked now, or read from the run's cache."""
    material, listener = assembly.material, assembly.listener
    workers = request.student.workers
    asking = Asking(teacher, material.reader(teacher.input_size, workers), material.records, taught)
    job = {
        "teacher_sha256": teacher.sha256,
        "data_sha256": read_json(assembly.folder.description, "choose another --out")["data_sha256"],
        "targets": request.targets,
        "pairs": [list(pair) for pair in taught.lesson.pairs],
        "framing": vars(material.framing),
        "input_size": list(assembly.input_size),
        "map_size": list(assembly.map_size),
    }
    started = time.monotonic()
    found = answers(
        asking, assembly.folder.path / "teacher-cache", job, request.cache_gib * _GIB, listener.step
    )
    late = len(material.records) - found.cached
    more = f"; {late} more do not fit into --cache-gib and are asked in every pass" if late else ""
    seconds = time.monotonic() - started
    listener.say(f"the teacher's word on {found.cached} frames is on disk after {seconds:.0f} s{more}")
    return found


def _trained_teacher(request: DistillRequest, listener: Listener) -> Path:
    """The checkpoint of RUN/teacher, trained now if it was not before."""
    run = request.teacher_run()
    done = run.out / "done.json"
    if done.exists() and run.resume:
        claim(RunFolder(run.out), {"settings": run.settings()}, {}, resume=True)
        facts = read_json(done, "choose another --out")
        path = run.out / facts["checkpoint"]
        if path.is_file() and sha256_file(path) == facts["sha256"]:
            return path
    pixels = checked_resolution(variant(run.model), run.resolution)
    listener.say(
        f"no --teacher-weights: first the teacher, {variant(run.model).name} at {pixels} px for "
        f"{run.epochs} epochs from nothing on the same frames, into {run.out}; the bar tells the time left"
    )
    started = time.monotonic()
    run = replace(run, resume=run.resume and RunFolder(run.out).description.exists())
    path = fit(run, replace(listener, epoch=lambda row: listener.say(_told(row))))
    seconds = round(time.monotonic() - started, 1)
    write_json(done, {"checkpoint": path.name, "sha256": sha256_file(path), "seconds": seconds})
    listener.say(f"the teacher took {seconds / 60:.1f} minutes: {path}")
    return path


def _told(row: Row) -> str:
    texts = (f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    return f"teacher: {', '.join(texts)}"


def _binding(request: DistillRequest, teacher: Teacher | None) -> dict[str, Any]:
    """What decides the result beside the student's own settings; a resumed run is held to it."""
    return {
        "distillation": {
            "teacher": request.teacher if teacher else None,
            "teacher_sha256": teacher.sha256 if teacher else None,
            "loss": request.loss,
            "share": request.share if request.loss == "fpd" else None,
            "targets": request.targets if teacher else None,
        }
    }


def _with_unlabelled(material: Material, folder: Path) -> Material:
    """With the images of a folder behind the data set's own frames."""
    found = open_dataset(f"images:{folder}")
    nothing = np.full((len(material.dataset.keypoints), 2), np.nan)
    more = tuple(replace(r, id=f"unlabelled/{r.id}", keypoints_px=nothing) for r in found.records)
    known = {record.image.resolve() for record in (*material.records, *material.validation)}
    twice = sum(record.image.resolve() in known for record in more)
    if twice:
        raise BadDataset(
            f"{folder} holds {twice} images that are among the labelled or validation frames",
            "give a folder of others",
        )
    return replace(material, records=material.records + more)
