"""A teacher's output on the student's grid, by name, and the loss towards it.

The teacher sees each frame once, without augmentation, on its own canvas of the same framing, or in the
region that its own detector finds in the whole picture. What it saw then moves with the labels: coordinates
exactly, maps by resampling. So the teacher has the easy view, and the student the augmented one.

Source: half of the error to the teacher, half to the ground truth, Zhang et al. 2019 (FPD).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgepose.data.framing import Input
from edgepose.frameworks import Tensor
from edgepose.geometry import Affine, Letterbox, Placement, Size, letterbox
from edgepose.training.augmentation import Arrays, move_points, resample, swap
from edgepose.training.losses import Targets, masked_mse
from edgepose.training.teacher import Teacher


@dataclass(frozen=True)
class TeacherContext:
    """What teacher and student have in common.

    Attributes:
        targets: the student's grid.
        kinds: of the student's outputs, see `losses.output_kinds`.
        swaps: the student's K, see `KeypointSet.swaps`.
        pairs: (teacher's keypoint, student's keypoint).
        share: weight of the teacher's target for a keypoint that is annotated too; 1 on any other.
        gate: a keypoint that the teacher is less confident of has no say; the labels' weight is then whole.
    """

    targets: Targets
    kinds: tuple[str, ...]
    swaps: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    share: float
    gate: float = 0.0

    @property
    def known(self) -> np.ndarray:
        """(K,) bool: the student's keypoints that the teacher has."""
        known = np.zeros(len(self.swaps), bool)
        known[[student for _, student in self.pairs]] = True
        return known

    def shares(self, annotated: Tensor) -> Tensor:
        """The teacher's weight beside labels, by whether there are any."""
        from edgepose.frameworks import keras

        return keras().ops.where(annotated, self.share, 1.0)

    def heard(self, confidence: Tensor) -> Tensor:
        """Which keypoints the teacher is confident enough of, (B, K) bool."""
        return (confidence > 0) & (confidence >= self.gate)


class TeacherTargets(Protocol):
    """One way from a teacher's output to a loss; called, it is that loss (see `losses.Loss`)."""

    @property
    def context(self) -> TeacherContext: ...

    def shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shape and type of what is kept of one frame, by name."""
        ...

    def arrays(
        self, teacher: Teacher, items: Sequence[Input], output: np.ndarray, framed: Sequence[Letterbox] = ()
    ) -> Arrays:
        """What is kept of B frames, from the teacher's output (B, ...) on them.

        Args:
            framed: where the frames lie on the student's canvas; without, where the teacher's box does.
        """
        ...

    def taught(self, kind: str) -> np.ndarray:
        """Which channels of an output of this kind have a target from the teacher."""
        ...

    def heard(self, sample: Arrays) -> Tensor | None:
        """Of which keypoints (B, K) of augmented frames the teacher is confident enough; None for all."""
        ...

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Rendered:
    """Decoded keypoints, drawn anew at the student's sigma and weighted by the teacher's confidence.

    Part affinity fields are drawn between them, weighted by the less certain end, so that a teacher
    without any teaches them too. A keypoint that augmentation moves out of the input has a zero map.
    """

    context: TeacherContext

    def shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        count = len(self.context.swaps)
        return {"teacher_px": ((count, 2), np.float32), "teacher_confidence": ((count,), np.float32)}

    def arrays(
        self, teacher: Teacher, items: Sequence[Input], output: np.ndarray, framed: Sequence[Letterbox] = ()
    ) -> Arrays:
        """Keypoints in px of the student's canvas, and confidence 0..1: 0 where the teacher lacks one.

        What a teacher that looks at the whole picture sees beside the student's canvas is somebody else's, or
        nothing that the student can see: its confidence is 0.
        """
        theirs, certainty = teacher.decode(output)
        count, size = len(self.context.swaps), self.context.targets.input_size
        points, confidence = np.zeros((len(items), count, 2)), np.zeros((len(items), count))
        sources, places = np.array(self.context.pairs).T
        confidence[:, places] = np.clip(certainty[:, sources], 0.0, 1.0)
        for i, item in enumerate(items):
            points[i, places] = self._to_student(item.placed, framed[i] if framed else None).apply(
                theirs[i, sources]
            )
            if framed:
                inside = ((points[i] >= 0) & (points[i] <= size[::-1])).all(-1)
                confidence[i] = np.where(inside, confidence[i], 0.0)
        return {
            "teacher_px": points.astype(np.float32),
            "teacher_confidence": confidence.astype(np.float32),
        }

    def _to_student(self, placed: Placement, framed: Letterbox | None) -> Affine:
        if framed is not None:
            return placed.to_image.then(framed.to_canvas)
        assert isinstance(placed, Letterbox), "only a network's own first stage places otherwise"
        return between(placed, self.context.targets.input_size)

    def taught(self, kind: str) -> np.ndarray:
        known = self.context.known
        if kind == "maps":
            return known
        return np.repeat(known[np.array(self.context.targets.segments)].all(-1), 2)

    def heard(self, sample: Arrays) -> Tensor:
        confidence = swap(sample["teacher_confidence"], sample["flipped"], self.context.swaps)
        return self.context.heard(confidence)

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor:
        told = self._told(sample)
        make = {"maps": self._maps, "pafs": self._pafs}
        wanted = {kind: make[kind](told, sample, sigma) for kind in sorted(set(self.context.kinds))}
        terms = [masked_mse(o, *wanted[kind]) for o, kind in zip(outputs, self.context.kinds, strict=False)]
        return sum(terms[1:], terms[0])

    def _told(self, sample: Arrays) -> Arrays:
        """The teacher's keypoints in the augmented input, in the form of labels, and their confidence."""
        from edgepose.frameworks import keras

        ops, swaps = keras().ops, self.context.swaps
        height, width = self.context.targets.input_size
        points = move_points(sample["teacher_px"], sample["to_input"], sample["flipped"], swaps)
        confidence = swap(sample["teacher_confidence"], sample["flipped"], swaps)
        inside = ops.all((points >= 0) & (points <= np.array([width, height], np.float32)), axis=-1)
        annotated = self.context.heard(confidence)
        return {
            "keypoints_px": points,
            "annotated": annotated,
            "present": annotated & inside,
            "confidence": ops.where(annotated, confidence, 0.0),
        }

    def _maps(self, told: Arrays, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        maps, _ = self.context.targets.maps(told, sigma)
        return maps, told["confidence"] * self.context.shares(sample["annotated"])

    def _pafs(self, told: Arrays, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        from edgepose.frameworks import keras

        ops = keras().ops
        first, second = np.array(self.context.targets.segments).T
        fields, _ = self.context.targets.pafs(told, sigma)
        confidence = ops.minimum(*(ops.take(told["confidence"], end, axis=1) for end in (first, second)))
        labelled = ops.take(sample["annotated"], first, axis=1) & ops.take(
            sample["annotated"], second, axis=1
        )
        return fields, ops.repeat(confidence * self.context.shares(labelled), 2, axis=1)


@dataclass(frozen=True)
class Resized:
    """The teacher's maps, averaged over each of the student's cells, then resampled with the frame.

    Their sigma is the teacher's, whatever the epoch, and scaling a frame scales it too. Averaging and
    resampling flatten them: a bump one cell wide comes out half as high. Fields have no
    teacher. Meant for a teacher whose cells are finer than the student's: coarser ones become blocks.
    """

    context: TeacherContext

    def shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        return {"teacher_maps": ((*self.context.targets.map_size, len(self.context.swaps)), np.float16)}

    def arrays(
        self, teacher: Teacher, items: Sequence[Input], output: np.ndarray, framed: Sequence[Letterbox] = ()
    ) -> Arrays:
        """Maps (B, h, w, K) on the student's canvas, in half precision: 0.0005 of a map's value."""
        assert teacher.map_size is not None, "refused before the run began"
        targets = self.context.targets
        maps = np.zeros((len(items), *targets.map_size, len(self.context.swaps)), np.float16)
        sources, places = np.array(self.context.pairs).T
        for i, item in enumerate(items):
            assert isinstance(item.placed, Letterbox), "only a network's own first stage places otherwise"
            rows, columns = _averages(item.placed, teacher.map_size, targets)
            maps[i][..., places] = np.einsum(
                "yh,hwk,xw->yxk", rows, output[i][..., sources], columns, optimize=True
            )
        return {"teacher_maps": maps}

    def taught(self, kind: str) -> np.ndarray:
        targets = self.context.targets
        return self.context.known if kind == "maps" else np.zeros(2 * len(targets.segments), bool)

    def heard(self, sample: Arrays) -> None:
        """All: a map says itself where nothing is."""

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor:
        maps = self._maps(sample)
        weight = self.context.known.astype(np.float32) * self.context.shares(sample["annotated"])
        pairs = zip(outputs, self.context.kinds, strict=False)
        terms = [masked_mse(output, maps, weight) for output, kind in pairs if kind == "maps"]
        return sum(terms[1:], terms[0])

    def _maps(self, sample: Arrays) -> Tensor:
        """The maps of the augmented frames: the images' own affine, in cells."""
        from edgepose.frameworks import keras

        ops, targets = keras().ops, self.context.targets
        cell = targets.input_size[0] / targets.map_size[0]  # square, as inputs are
        to_canvas = sample["to_canvas"] * np.array([1.0, 1.0, 1.0 / cell], np.float32)
        maps = resample(sample["teacher_maps"], to_canvas)
        mirrored = ops.take(maps, np.array(self.context.swaps), axis=-1)
        return ops.where(ops.reshape(sample["flipped"], (-1, 1, 1, 1)), mirrored, maps)


TEACHER_TARGETS: dict[str, type[Rendered] | type[Resized]] = {"rendered": Rendered, "resized": Resized}


@dataclass(frozen=True)
class SharedTargets(Targets):
    """The labels' part beside a teacher: a share where the teacher has a say too, all of the rest.

    Attributes:
        map_shares: K weights.
        paf_shares: 2 S weights.
        heard: see `TeacherTargets.heard`.
    """

    map_shares: tuple[float, ...] = ()
    paf_shares: tuple[float, ...] = ()
    heard: Callable[[Arrays], Tensor | None] = lambda sample: None

    def maps(self, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        maps, weight = super().maps(sample, sigma)
        return maps, weight * self._shares(self.map_shares, self.heard(sample))

    def pafs(self, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        from edgepose.frameworks import keras

        fields, weight = super().pafs(sample, sigma)
        heard = self.heard(sample)
        if heard is not None:
            ops = keras().ops
            first, second = (ops.take(heard, end, axis=1) for end in np.array(self.segments).T)
            heard = ops.repeat(first & second, 2, axis=1)
        return fields, weight * self._shares(self.paf_shares, heard)

    def _shares(self, shares: tuple[float, ...], heard: Tensor | None) -> Tensor:
        from edgepose.frameworks import keras

        own = np.array(shares, np.float32)
        return own if heard is None else keras().ops.where(heard, own, np.float32(1.0))


def shared_targets(targets: Targets, taught: TeacherTargets, share: float) -> SharedTargets:
    """The labels' targets with `share` of the weight where a teacher has the rest."""
    maps, pafs = (np.where(taught.taught(kind), share, 1.0) for kind in ("maps", "pafs"))
    return SharedTargets(**vars(targets), map_shares=tuple(maps), paf_shares=tuple(pafs), heard=taught.heard)


def between(placed: Letterbox, size: Size) -> Affine:
    """From one canvas's px to those of a canvas of `size` that the same box was drawn on.

    Both canvases round the scaled box to whole pixels, each in its own way; this knows both. Both are turned
    alike.
    """
    there = letterbox(placed.image_size, size, placed.box, placed.turns)
    return placed.to_image.then(there.to_canvas)


def _averages(placed: Letterbox, map_size: Size, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (h, H) and (w, W) from a teacher's map of `map_size` (H, W) to the student's (h, w)."""
    to_student = between(placed, targets.input_size).matrix
    found = []
    for axis, (theirs, ours) in enumerate(zip(map_size[::-1], targets.map_size[::-1], strict=True)):
        their_cell = placed.size[1 - axis] / theirs
        our_cell = targets.input_size[1 - axis] / ours
        scale = our_cell / (their_cell * to_student[axis, axis])  # of our cells, in their cells
        start = -to_student[axis, 2] / (their_cell * to_student[axis, axis])
        found.append(_overlaps(theirs, ours, scale, start))
    return found[1], found[0]


def _overlaps(count: int, wanted: int, scale: float, start: float) -> np.ndarray:
    """(wanted, count): how much of the interval start + scale x [j, j + 1] each cell [i, i + 1] covers."""
    low = start + scale * np.arange(wanted)[:, None]
    cells = np.arange(count)
    covered = np.minimum(low + scale, cells + 1) - np.maximum(low, cells)
    return np.maximum(covered, 0.0) / scale
