"""Distil a teacher into a student: more terms in the loss of the one training loop.

Source: FPD, Zhang et al. 2019; frames without labels learn from the teacher alone.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeio import jobs, read_json, sha256_file, write_json
from edgepose.errors import UsageError
from edgepose.frameworks import keras
from edgepose.keypoints import Mapping, mapping
from edgepose.models.checkpoint import read_checkpoint
from edgepose.models.pretrained import default_weights, starting_model
from edgepose.models.variants import NORMALISATIONS, checked_resolution, variant
from edgepose.training.checkpoints import row_text
from edgepose.training.data import TrainingData, open_training_data
from edgepose.training.distill_request import DistillRequest
from edgepose.training.features import feature_loss, with_alignment
from edgepose.training.fit import fit_joined
from edgepose.training.hosts import agree, any_of, by_first, from_first, joined, leave, process_index
from edgepose.training.loop import Listener, heard
from edgepose.training.losses import GroundTruth, Term, fading
from edgepose.training.pipeline import Extras
from edgepose.training.request import FitRequest
from edgepose.training.runs import RunFolder
from edgepose.training.setup import TrainingSetup, open_setup
from edgepose.training.teacher import Teacher, open_teacher
from edgepose.training.teacher_cache import TeacherQuery, teacher_outputs
from edgepose.training.teacher_check import check_teacher
from edgepose.training.teacher_targets import TEACHER_TARGETS, TeacherContext, TeacherTargets, shared_targets

_GIB = 1024**3
_DONE = "done.json"  # in a teacher's run that is finished


def distill(request: DistillRequest, listener: Listener | None = None) -> Path:
    """Train a student towards a teacher, or go on training it; the teacher is trained first if need be.

    Returns:
        the student's checkpoint that scored best on the validation split, or the last one without
        validation.

    Raises:
        UserError: bad input, a loss that is no longer a number, or another process that is gone; says what
            and what to do.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    request.check()
    with joined(request.student.hosts):
        agree(request.route())
        return _distill_joined(request, heard(listener, request.student.hosts))


def _distill_joined(request: DistillRequest, listener: Listener) -> Path:
    training_data = request.training_data()
    # Before a teacher is trained: a kill then leaves no older run's stamp.
    if request.student.overwrite and process_index() == 0:
        folder = RunFolder(request.student.out)
        with jobs.locked(folder.path):
            folder.clear()
    student = _started(request, training_data, listener)
    if not request.listens_to.teacher:
        return _taught(request, student, training_data, None, listener)
    weights = request.weights or _default_teacher(request, training_data, listener)
    weights = weights or _trained_teacher(request, listener)
    teacher = open_teacher(weights, request.teacher, student.workers, request.flip)
    return _taught(request, student, training_data, teacher, listener)


def _started(request: DistillRequest, training_data: TrainingData, listener: Listener) -> FitRequest:
    """The student's run with the weights that it starts from."""
    student = request.student
    if student.init is not None:
        read_checkpoint(student.init)  # before hours are spent on a teacher
    if student.init is not None or not request.default_start:
        return student
    shipped = default_weights(starting_model(student.model), training_data.keypoints.key)
    if shipped is None:
        listener.say(
            f"no --init, and no weights of {student.model} for {training_data.keypoints.key} come with the "
            "project: the student starts from nothing"
        )
        return student
    listener.say(f"no --init: the student starts from the project's {shipped.name}, {shipped.trained}")
    return replace(student, init=shipped.path)


def _taught(
    request: DistillRequest,
    student: FitRequest,
    training_data: TrainingData,
    teacher: Teacher | None,
    listener: Listener,
) -> Path:
    pairs = _pairs(request, training_data, teacher, listener) if teacher else None
    quota = request.quota(training_data) if teacher else None
    with open_setup(student, listener, _binding(request, teacher), training_data) as setup:
        model = setup.network()
        truth = setup.ground_truth(model)
        if teacher is None or pairs is None:
            return setup.train(model, setup.objective(Term("ground_truth", truth)))
        if said := check_teacher(teacher, training_data, student.workers):
            listener.say(said)
        if quota is not None:
            alone = len(quota.has_labels) - sum(quota.has_labels)
            listener.say(
                f"{alone} of {len(quota.has_labels)} frames are without labels, and the teacher's alone; "
                f"{quota.labelled} of the {student.batch} of every batch have labels"
            )
        taught, terms = _terms(request, truth, pairs, training_data.keypoints.swaps)
        whole = model
        if request.listens_to.features:
            features = feature_loss(teacher.path, NORMALISATIONS[setup.variant.normalisation])
            whole = with_alignment(model, features.channels)
            terms.append(Term("features", features, fading(request.feature_weight)))
        extras = _extras(request, setup, teacher, taught)
        maps = len(model.outputs) - 1
        goal = setup.objective(*terms)
        return setup.train(whole, goal, network=model, maps=maps, extras=extras, quota=quota)


def _terms(
    request: DistillRequest, truth: GroundTruth, pairs: Mapping, swaps: tuple[int, ...]
) -> tuple[TeacherTargets, list[Term]]:
    """The teacher's maps on the student's grid, and the terms towards them and towards the labels."""
    share = request.share if request.listens_to.labels else 1.0
    taught = TEACHER_TARGETS[request.targets](
        TeacherContext(truth.targets, truth.kinds, swaps, pairs.pairs, share, request.gate)
    )
    said = Term("teacher", taught)
    if not request.listens_to.labels:
        return taught, [said]
    labels = GroundTruth(shared_targets(truth.targets, taught, 1 - share), truth.kinds)
    return taught, [Term("ground_truth", labels), said]


def _pairs(
    request: DistillRequest, training_data: TrainingData, teacher: Teacher, listener: Listener
) -> Mapping:
    """From the teacher's keypoints to the student's.

    Raises:
        UsageError: nothing in common; some that the teacher lacks, with no labels to learn them from; a
            teacher without maps to resize; or resized maps and frames that it is not to be asked about.
    """
    if request.targets == "resized" and teacher.map_size is None:
        raise UsageError(
            f"{teacher.path} gives keypoints and no maps to resize", "use --teacher-targets rendered"
        )
    if request.targets == "resized" and training_data.untaught:
        raise UsageError(
            "maps that are resized have a say on every frame, and one data set says teacher=none",
            "use --teacher-targets rendered",
        )
    data = request.student.data
    found = mapping(teacher.keypoints, training_data.keypoints, data.near)
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


def _extras(
    request: DistillRequest, setup: TrainingSetup, teacher: Teacher, taught: TeacherTargets
) -> Extras:
    """The teacher's outputs on every frame: computed now, or read from the cache."""
    training_data, listener = setup.training_data, setup.listener
    workers = request.student.workers
    query = TeacherQuery(
        teacher,
        training_data.reader(teacher.input_size, workers),
        training_data.records,
        taught,
        training_data.untaught,
    )
    job = {
        "teacher_sha256": teacher.sha256,
        "frames_sha256": training_data.frames_sha256(workers),
        "targets": request.targets,
        "pairs": [list(pair) for pair in taught.context.pairs],
        "framing": training_data.framing.plain(),
        "input_size": list(setup.input_size),
        "map_size": list(setup.map_size),
        "backend": keras().backend.backend(),
        "untaught_sha256": hashlib.sha256("\n".join(sorted(training_data.untaught)).encode()).hexdigest(),
        jobs.CODE: jobs.code_sha256(),
    }
    started = time.monotonic()
    cache = request.cache or setup.folder.path / "teacher-cache"
    found = teacher_outputs(query, cache, job, request.cache_gib * _GIB, listener.step)
    late = len(training_data.records) - found.cached
    more = f"; {late} more do not fit into --cache-gib and are asked in every pass" if late else ""
    seconds = time.monotonic() - started
    listener.say(f"the teacher's outputs on {found.cached} frames are on disk after {seconds:.0f} s{more}")
    return found


def _default_teacher(request: DistillRequest, training_data: TrainingData, listener: Listener) -> Path | None:
    """The checkpoint that comes with the project; None where there is none, or another is asked for."""
    if request.teacher_resolution or request.teacher_epochs:
        return None
    shipped = default_weights(request.teacher, training_data.keypoints.key)
    if shipped is None:
        return None
    listener.say(f"no --teacher-weights: the project's {shipped.name}, {shipped.trained}")
    return shipped.path


def _trained_teacher(request: DistillRequest, listener: Listener) -> Path:
    """The checkpoint of RUN/teacher, trained now if it was not before; all processes must ask.

    Raises:
        UsageError: process 0 writes where another process does not see it.
    """
    run = request.teacher_run()
    facts = from_first(by_first(lambda: _trained_before(run)))
    if facts is None:
        facts = from_first(_train_teacher(run, listener))
    path = run.out / facts["checkpoint"]
    if any_of(not _holds(path, facts)):
        leave()
        raise UsageError(
            f"process 0 trained the teacher, and another process does not see it as {path}",
            "give an --out on storage that all of them see, or the teacher to each as --teacher-weights",
        )
    return path


def _holds(path: Path, facts: dict[str, Any]) -> bool:
    return path.is_file() and sha256_file(path) == facts["sha256"]


def _trained_before(run: FitRequest) -> dict[str, Any] | None:
    """What `_train_teacher` gave of a run that is finished, and whose checkpoint is there."""
    done = run.out / _DONE
    if run.overwrite or not done.exists():
        return None
    begun = read_json(RunFolder(run.out).description, jobs.OTHERS)
    job = {
        "settings": run.settings(),
        "data_sha256": open_training_data(run.data).sha256(run.workers),
        jobs.CODE: jobs.code_sha256(),
    }
    jobs.check_same(run.out, {name: begun.get(name) for name in job}, job)
    facts: dict[str, Any] = read_json(done, "choose another --out")
    return facts if _holds(run.out / facts["checkpoint"], facts) else None


def _train_teacher(run: FitRequest, listener: Listener) -> dict[str, Any]:
    """Train it; which checkpoint was kept, and its hash, as they stand in RUN/teacher."""
    pixels = checked_resolution(variant(run.model), run.resolution)
    listener.say(
        f"no --teacher-weights: first the teacher, {variant(run.model).name} at {pixels} px for "
        f"{run.epochs} epochs from nothing on the same frames, into {run.out}; how long that takes is told "
        "after its first steps"
    )

    def tell(text: str) -> None:
        listener.say(f"teacher: {text}")

    started = time.monotonic()
    leads = process_index() == 0
    if leads:
        (run.out / _DONE).unlink(missing_ok=True)
    path = fit_joined(run, Listener(listener.step, lambda row: tell(row_text(row)), tell))
    if not leads:
        return {}
    seconds = round(time.monotonic() - started, 1)
    facts = {"checkpoint": path.name, "sha256": sha256_file(path), "seconds": seconds}
    write_json(run.out / _DONE, facts)
    listener.say(f"the teacher took {seconds / 60:.1f} minutes: {path}")
    return facts


def _binding(request: DistillRequest, teacher: Teacher | None) -> dict[str, Any]:
    """What decides the result beside the student's own settings; a run that goes on is held to it."""
    return {
        "distillation": {
            "teacher": request.teacher if teacher else None,
            "teacher_sha256": teacher.sha256 if teacher else None,
            "loss": request.loss,
            "share": request.share if teacher and request.listens_to.labels else None,
            "feature_weight": request.feature_weight if request.listens_to.features else None,
            "targets": request.targets if teacher else None,
            "confidence": request.gate if teacher else None,
            "labelled_share": request.labelled_share,
        }
    }
