"""Batches without end: the same ones whenever the same seed is asked for the same step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from edgepose.data.mixture import Group
from edgepose.training.augmentation import BASE_DRAWS, DRAWS, Arrays, Augmentation
from edgepose.training.frames import Canvases, Frames
from edgepose.training.hosts import ALONE, Share

T = TypeVar("T")

# What distillation adds to a batch: indices of frames -> arrays (B, ...) by name.
Extras = Callable[[np.ndarray], Arrays]


@dataclass(frozen=True)
class Batch:
    """One optimizer step's frames.

    Attributes:
        step: from 0 over the whole run.
        indices: (B,) of the frames.
        arrays: what `augmentation.augmented` takes, each with B rows; or with this process's, where several
            train together.
    """

    step: int
    indices: np.ndarray
    arrays: Arrays

    def parts(self, count: int) -> list[Arrays]:
        """The arrays cut into `count` equal parts, for gradient accumulation."""
        size = len(self.arrays["images"]) // count
        rows = [slice(i * size, (i + 1) * size) for i in range(count)]
        return [{key: value[r] for key, value in self.arrays.items()} for r in rows]


@dataclass(frozen=True)
class Stream:
    """Frames in a random order, pass after pass, in batches of one size.

    There is no partial batch and no frame is left out: the batch in which a pass ends goes on with the
    next pass. Where there are fewer frames than a batch holds, one batch has a frame more than once,
    augmented differently as a rule.

    Attributes:
        frames: N frames.
        augmentation: how far they are changed.
        batch: frames a step.
        seed: not negative.
        extras: more arrays for the graph, by the frames' indices.
        groups: what shares of a pass the frames have, in their order; without, each frame comes once a pass.
        share: of each batch, which this process makes.
    """

    frames: Frames
    augmentation: Augmentation
    batch: int
    seed: int
    extras: Extras | None = None
    groups: tuple[Group, ...] = ()
    share: Share = ALONE

    @property
    def steps_per_pass(self) -> int:
        """Whole batches in one pass over the data, at least 1."""
        return max(len(self.frames.records) // self.batch, 1)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps `start` .. `stop` - 1."""
        plans = [self._plan(step) for step in range(start, stop)]
        mine = self.share.rows(self.batch)
        for step, canvases, (indices, draws) in zip(
            range(start, stop), self.frames.read(indices[mine] for indices, _ in plans), plans, strict=True
        ):
            yield Batch(step, indices, self.arrays(canvases, indices[mine], draws[mine]))

    def _plan(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices (B,) and draws (B, DRAWS) of a step."""
        positions = np.arange(step * self.batch, (step + 1) * self.batch)
        passes, places = np.divmod(positions, len(self.frames.records))
        indices, draws = np.empty(self.batch, np.int64), np.empty((self.batch, DRAWS))
        for number in np.unique(passes):
            rows = passes == number
            order, drawn = _pass(self.seed, int(number), len(self.frames.records), self.groups)
            indices[rows] = order[places[rows]]
            draws[rows] = drawn[places[rows] if self.groups else indices[rows]]
        return indices, draws

    def arrays(self, canvases: Canvases, indices: np.ndarray, draws: np.ndarray) -> Arrays:
        annotated = np.isfinite(canvases.keypoints_px).all(-1)
        points = np.where(annotated[..., None], canvases.keypoints_px, 0.0)
        return {
            "images": canvases.images,
            "keypoints_px": points.astype(np.float32),
            "annotated": annotated,
            **self.augmentation.arrays(draws, canvases.images.shape[1:3]),
            **(self.extras(indices) if self.extras else {}),
        }


@lru_cache(maxsize=2)
def _pass(seed: int, number: int, count: int, groups: tuple[Group, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The order (N,) of the frames in a pass over the data, and draws (N, DRAWS).

    The draws are the frames' own without groups, and the places' in the order with them, where a frame may
    come more than once in a pass.
    """
    rng = np.random.default_rng([seed, number])
    order = rng.permutation(_weighed(seed, number, count, groups) if groups else count)
    first, more = rng.random((count, BASE_DRAWS)), rng.random((count, DRAWS - BASE_DRAWS))
    return order, np.concatenate([first, more], axis=1)


def _weighed(seed: int, number: int, count: int, groups: tuple[Group, ...]) -> np.ndarray:
    """(N,) frames of a pass: each group has its share, and goes through all of its frames in turn."""
    shares = np.cumsum([0.0, *(group.weight for group in groups)])
    ends = np.round(count * shares / shares[-1]).astype(int)
    chosen, first = [], 0
    for k, (group, places) in enumerate(zip(groups, np.diff(ends), strict=True)):
        turns, within = np.divmod(np.arange(number * places, (number + 1) * places), group.count)
        for turn in np.unique(turns):
            order = np.random.default_rng([seed, k, int(turn)]).permutation(group.count)
            chosen.append(first + order[within[turns == turn]])
        first += group.count
    return np.concatenate(chosen)
