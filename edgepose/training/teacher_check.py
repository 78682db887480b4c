"""How well a teacher knows the labels, told before a student spends hours on its outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgepose.data.framing import Framing, Input, prepare
from edgepose.data.records import PoseRecord
from edgepose.errors import UsageError
from edgepose.inference.keras_runner import BATCH
from edgepose.inference.person_detector import PersonDetector
from edgepose.keypoints import mapping
from edgepose.training.checkpoints import LogRow
from edgepose.training.data import TrainingData
from edgepose.training.teacher import Teacher
from edgepose.training.validation import validator

_FRAMES = 32  # enough to tell a teacher from a lump of noise, few enough for the largest one on a CPU
_POOR = 50.0  # PCKh@0.5 in percent: half of its keypoints are not even near the joint


def check_teacher(teacher: Teacher, training_data: TrainingData, workers: int) -> str | None:
    """The teacher's scores on a few validation frames, in words, with a warning where they are poor.

    Returns:
        None without validation frames, or where teacher and data set share no keypoint.

    Raises:
        BadDataset: no frame to validate on has a head length.
    """
    if not training_data.validation:
        return None
    try:
        back = mapping(teacher.keypoints, training_data.dataset.keypoints, training_data.near)
    except UsageError:  # the student's keypoint set stands between theirs
        return None
    count = min(_FRAMES, len(training_data.validation))
    spread = np.linspace(0, len(training_data.validation) - 1, count).astype(int)
    records = tuple(training_data.validation[i] for i in spread)
    frames = training_data.reader(teacher.input_size, workers).open(records, 0, lambda done, total: None)
    validate = validator(training_data.dataset, records, frames, back, teacher.decode, BATCH)
    if teacher.detector is None:
        return _words(teacher, count, 0, validate(teacher.run))
    found = _found(teacher, teacher.detector, records, workers)
    nobody = int(np.isnan(found).all(axis=(1, 2)).sum())
    return _words(teacher, count, nobody, validate.score(found, allow_missing=True))


def _found(
    teacher: Teacher, detector: PersonDetector, records: Sequence[PoseRecord], workers: int
) -> np.ndarray:
    """(N, K, 2) in pixels of the pictures; NaN where nobody is found, or for an unusable one."""
    found = np.full((len(records), len(teacher.keypoints), 2), np.nan)
    for i, item in enumerate(prepare(records, teacher.input_size, Framing(), workers, detector)):
        if isinstance(item, Input):
            points, _ = teacher.decode(teacher.run(item.canvas[None]))
            found[i] = item.placed.to_image.apply(points[0])
    return found


def _words(teacher: Teacher, count: int, nobody: int, scores: LogRow) -> str:
    coarse, fine, error = scores["pckh@0.5"], scores["pckh@0.1"], scores["me"]
    assert coarse is not None and fine is not None and error is not None
    rest = f"nobody found in {nobody} of them" if nobody else f"ME {error:.3f}"
    said = f"the teacher on {count} validation frames: PCKh@0.5 {coarse:.1f}, PCKh@0.1 {fine:.1f}, {rest}"
    if coarse >= _POOR:
        return said
    return (
        f"{said}. WARNING: a student learns such a teacher's mistakes; train {teacher.network} longer, give "
        "other --teacher-weights, or use --loss ground-truth"
    )
