"""Labelled frames as the network's canvases: held in memory where they fit, else decoded as they come.

Canvases have the network's own input size, drawn as for prediction, so that an unaugmented training
input equals the prediction's to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from edgeio import Progress
from edgepose.data.framing import Input, Placing, prepare
from edgepose.data.records import PoseRecord, mapped_points
from edgepose.errors import BadImage
from edgepose.geometry import Affine, Size
from edgepose.keypoints import Mapping


@dataclass(frozen=True)
class Canvases:
    """Some frames on their canvases.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        keypoints_px: (B, K, 2) float64 in canvas pixels; NaN where not annotated.
        to_image: (B, 2, 3) float64, from canvas pixels to the original image's.
    """

    images: np.ndarray
    keypoints_px: np.ndarray
    to_image: np.ndarray

    def take(self, indices: np.ndarray) -> Canvases:
        """Copies of the frames at `indices`."""
        return Canvases(self.images[indices], self.keypoints_px[indices], self.to_image[indices])


class Frames(Protocol):
    """Frames that can be read in any order, again and again."""

    @property
    def records(self) -> Sequence[PoseRecord]: ...

    def read(self, batches: Iterable[np.ndarray]) -> Iterator[Canvases]:
        """The frames at each array of indices in turn."""
        ...


@dataclass(frozen=True)
class Reader:
    """How a record becomes a canvas.

    Attributes:
        size: (height, width) of the canvases: the network's input.
        framing: which part of an image is drawn.
        mapping: from the data set's keypoints to the network's K.
        keypoints: K.
        workers: threads that decode.
    """

    size: Size
    framing: Placing
    mapping: Mapping
    keypoints: int
    workers: int = 2

    def open(self, records: Sequence[PoseRecord], budget_bytes: int, progress: Progress) -> Frames:
        """Keep the frames in memory if they take at most `budget_bytes`, else decode them each time.

        Raises:
            BadImage: an unusable image, now or, when decoded each time, once it is met.
        """
        if len(records) * self.size[0] * self.size[1] * 3 > budget_bytes:
            return DecodedFrames(records, self)
        return HeldFrames(records, self.draw(records, progress))

    def draw(self, records: Sequence[PoseRecord], progress: Progress) -> Canvases:
        """All records' canvases at once."""
        images = np.empty((len(records), *self.size, 3), np.uint8)
        points = np.empty((len(records), self.keypoints, 2))
        matrices = np.empty((len(records), 2, 3))
        for i, item in enumerate(self.inputs(records)):
            images[i] = item.canvas
            points[i], matrices[i] = self._points(item), item.placed.to_image.matrix
            progress(i + 1, len(records))
        return Canvases(images, points, matrices)

    def inputs(self, records: Sequence[PoseRecord]) -> Iterator[Input]:
        """Decoded and letterboxed on threads, in order; raises BadImage for the first unusable one."""
        for item in prepare(records, self.size, self.framing, self.workers):
            if not isinstance(item, Input):
                raise BadImage(item[1].what, f"{item[1].hint}, or take it out of the data set")
            yield item

    def stack(self, items: Sequence[Input]) -> Canvases:
        """Inputs side by side."""
        return Canvases(
            np.stack([item.canvas for item in items]),
            np.stack([self._points(item) for item in items]),
            np.stack([item.placed.to_image.matrix for item in items]),
        )

    def _points(self, item: Input) -> np.ndarray:
        return item.placed.to_canvas.apply(mapped_points(item.record, self.mapping, self.keypoints))


@dataclass(frozen=True)
class HeldFrames:
    """Frames in memory."""

    records: Sequence[PoseRecord]
    canvases: Canvases

    def read(self, batches: Iterable[np.ndarray]) -> Iterator[Canvases]:
        for indices in batches:
            yield self.canvases.take(indices)


@dataclass(frozen=True)
class DecodedFrames:
    """Frames that are decoded each time, a few ahead of the caller."""

    records: Sequence[PoseRecord]
    reader: Reader

    def read(self, batches: Iterable[np.ndarray]) -> Iterator[Canvases]:
        wanted = list(batches)
        inputs = self.reader.inputs([self.records[i] for indices in wanted for i in indices])
        for indices in wanted:
            yield self.reader.stack(list(islice(inputs, len(indices))))


def map_points(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Each frame's points (B, K, 2) through its own matrix (B, 2, 3)."""
    return np.stack([Affine(m).apply(p) for m, p in zip(matrices, points, strict=True)])
