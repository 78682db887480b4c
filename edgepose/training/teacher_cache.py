"""A teacher's outputs by frame, computed once and kept on disk up to a bound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import Progress, replacing, write_json
from edgepose.data.framing import Framing, Input, prepare
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage, BadModel, NobodyFound
from edgepose.geometry import Letterbox
from edgepose.inference.keras_runner import BATCH
from edgepose.training.augmentation import Arrays
from edgepose.training.frames import Reader
from edgepose.training.hosts import process_count, process_index, wait_for_all
from edgepose.training.teacher import Teacher
from edgepose.training.teacher_targets import TeacherTargets

PART = 64  # frames a part: what a kill can cost
_NAME = 16  # hexadecimal digits of the job's hash that name its folder


@dataclass(frozen=True)
class TeacherQuery:
    """A teacher and the frames that it is to run on.

    Attributes:
        reader: draws the teacher's canvases, and knows the student's framing. A teacher with a detector sees
            the whole picture instead.
        records: N frames.
        targets: what is kept of an output.
        untaught: ids of records that the teacher is not asked about; zeros stand for them, which have no say.
    """

    teacher: Teacher
    reader: Reader
    records: Sequence[PoseRecord]
    targets: TeacherTargets
    untaught: frozenset[str] = frozenset()

    def __call__(self, indices: Sequence[int]) -> Arrays:
        """Arrays (B, ...) for the frames at `indices`, at least one.

        Raises:
            BadImage: an unusable image.
            BadModel: the teacher's output holds NaN or infinities.
        """
        records = [self.records[i] for i in indices]
        asked = [i for i, record in enumerate(records) if record.id not in self.untaught]
        found = self._ask([records[i] for i in asked]) if asked else {}
        whole = self._zeros(len(records))
        for name, array in found.items():
            whole[name][asked] = array
        return whole

    def _zeros(self, count: int) -> Arrays:
        return {
            name: np.zeros((count, *shape), kind) for name, (shape, kind) in self.targets.shapes().items()
        }

    def _ask(self, records: Sequence[PoseRecord]) -> Arrays:
        if self.teacher.detector is not None:
            return _stacked([self._detected(record, item) for record, item in self._regions(records)])
        items, found = self.reader.inputs(records), []
        while batch := list(islice(items, BATCH)):
            output = self.teacher.run(np.stack([item.canvas for item in batch]))
            self._check(output, batch)
            found.append(self.targets.arrays(self.teacher, batch, output))
        return _stacked(found)

    def _regions(self, records: Sequence[PoseRecord]) -> Iterator[tuple[PoseRecord, Input | None]]:
        """Each record with what the teacher's detector shows of its whole picture; None: it finds nobody."""
        teacher, workers = self.teacher, self.reader.workers
        found = prepare(records, teacher.input_size, Framing(), workers, teacher.detector)
        for record, item in zip(records, found, strict=True):
            if isinstance(item, Input):
                yield record, item
            elif isinstance(item[1], NobodyFound):
                yield record, None
            else:
                raise BadImage(item[1].what, f"{item[1].hint}, or take it out of the data set")

    def _detected(self, record: PoseRecord, item: Input | None) -> Arrays:
        """Arrays of one frame; zeros, which have no say, where nobody is found."""
        if item is None:
            return self._zeros(1)
        output = self.teacher.run(item.canvas[None])
        self._check(output, [item])
        size = self.targets.context.targets.input_size
        framed: Letterbox = self.reader.framing.letterbox(record, item.image_size, size)
        return self.targets.arrays(self.teacher, [item], output, [framed])

    def _check(self, output: np.ndarray, batch: Sequence[Input]) -> None:
        if not np.isfinite(output).all():
            names = ", ".join(str(item.record.image) for item in batch[:3])
            raise BadModel(
                f"{self.teacher.path} gives NaN or infinity on {names} or one of its batch",
                "do not use this teacher: train or export it again",
            )


def _stacked(found: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


@dataclass(frozen=True)
class TeacherOutputs:
    """The teacher's outputs by frame: of the first frames from disk, of the rest computed each time.

    Attributes:
        parts: memory-mapped arrays of PART frames each, the last of fewer.
        cached: frames in them.
    """

    query: TeacherQuery
    parts: tuple[Arrays, ...]
    cached: int

    def __call__(self, indices: np.ndarray) -> Arrays:
        """`pipeline.Extras`: arrays (B, ...) for the frames at `indices`."""
        late = np.unique(indices[indices >= self.cached])
        asked = self.query([int(i) for i in late]) if len(late) else {}
        row_of = {int(index): row for row, index in enumerate(late)}

        def one(name: str, index: int) -> np.ndarray:
            if index < self.cached:
                return np.asarray(self.parts[index // PART][name][index % PART])
            return np.asarray(asked[name][row_of[index]])

        return {name: np.stack([one(name, int(i)) for i in indices]) for name in self.query.targets.shapes()}


def teacher_outputs(
    query: TeacherQuery, folder: Path, job: Mapping[str, Any], budget_bytes: float, progress: Progress
) -> TeacherOutputs:
    """Compute as many as may be kept, or read those of an earlier run.

    Args:
        folder: of the cache; each job has its own in it, so that runs can share one.
        job: all that the outputs depend on, as JSON.
        budget_bytes: of this job: frames beyond it are not kept, and the teacher runs on them in every pass.
    """
    own = _claimed(folder, job)
    shapes = query.targets.shapes()
    per_frame = sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes.values())
    cached = min(len(query.records), int(budget_bytes / per_frame))
    ranges = [range(start, min(start + PART, cached)) for start in range(0, cached, PART)]

    def part(indices: range) -> Arrays:
        found = _part(own / f"part-{indices.start:07d}", shapes, len(indices), partial(query, indices))
        progress(indices.stop, cached)
        return found

    if process_count() > 1:  # each makes its share first, and finds the others' where they share storage
        for indices in ranges[process_index() :: process_count()]:
            part(indices)
        wait_for_all()
    return TeacherOutputs(query, tuple(part(indices) for indices in ranges), cached)


def _part(
    stem: Path,
    shapes: Mapping[str, tuple[tuple[int, ...], type]],
    count: int,
    ask: Callable[[], Arrays],
) -> Arrays:
    """A part from disk, computed and written first where it is not there, whole."""
    paths = {name: stem.with_name(f"{stem.name}-{name}.npy") for name in shapes}
    found = {name: _mapped(paths[name], (count, *shape), kind) for name, (shape, kind) in shapes.items()}
    if any(array is None for array in found.values()):
        for name, array in ask().items():
            with replacing(paths[name]) as temporary:
                np.save(temporary, array)
            found[name] = np.load(paths[name], mmap_mode="r")
    return found


def _mapped(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray | None:
    """A file of an earlier run, or None where it is missing, damaged or of other frames."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == kind else None


def _claimed(folder: Path, job: Mapping[str, Any]) -> Path:
    """The job's own folder in a cache that other jobs, and runs at the same time, may share."""
    plain = json.dumps(dict(job), sort_keys=True)
    own = folder / hashlib.sha256(plain.encode()).hexdigest()[:_NAME]
    stamp = own / "job.json"
    if not stamp.is_file():
        write_json(stamp, dict(job))
    return own
