"""Batches without end: the same ones whenever the same seed is asked for the same step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np

from edgepose.data.mixture import Group
from edgepose.training.augmentation import BASE_DRAWS, CUT_DRAWS, DRAWS, Arrays, Augmentation
from edgepose.training.frames import Canvases, Frames
from edgepose.training.hosts import ALONE, Share

T = TypeVar("T")

_LONG = 1000  # frames a pass, so that rounding changes a group's share by a thousandth at most

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
class Quota:
    """How many frames of every batch have labels, where others have none.

    Attributes:
        labelled: places of a batch; at least one is left to the others.
        has_labels: of each frame.
    """

    labelled: int
    has_labels: tuple[bool, ...]


@dataclass(frozen=True)
class _Lane:
    """Frames that go through passes of their own, of some length, and have so many places in every batch."""

    places: int
    frames: np.ndarray
    groups: tuple[Group, ...]
    seed: tuple[int, ...]
    length: int

    def plan(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices (places,) and draws (places, DRAWS) of a step."""
        positions = np.arange(step * self.places, (step + 1) * self.places)
        passes, places = np.divmod(positions, self.length)
        indices, draws = np.empty(self.places, np.int64), np.empty((self.places, DRAWS))
        for number in np.unique(passes):
            rows = passes == number
            order, drawn = _pass(self.seed, int(number), self.length, self.groups)
            indices[rows] = order[places[rows]]
            draws[rows] = drawn[places[rows] if self.groups else indices[rows]]
        return self.frames[indices], draws


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
        quota: labelled frames in every batch; they and the others then pass by in turns of their own, in
            which the groups' shares hold. None leaves the batch to chance.
        share: of each batch, which this process makes.
    """

    frames: Frames
    augmentation: Augmentation
    batch: int
    seed: int
    extras: Extras | None = None
    groups: tuple[Group, ...] = ()
    quota: Quota | None = None
    share: Share = ALONE

    @cached_property
    def _lanes(self) -> tuple[_Lane, ...]:
        count = len(self.frames.records)
        if self.quota is None:
            return (_Lane(self.batch, np.arange(count), self.groups, (self.seed,), count),)
        has = np.array(self.quota.has_labels)
        places = self.quota.labelled, self.batch - self.quota.labelled
        return tuple(
            self._lane(n, np.flatnonzero(mine), _part(self.groups, mine), (self.seed, lane))
            for lane, (n, mine) in enumerate(zip(places, (has, ~has), strict=True))
        )

    def _lane(
        self, places: int, frames: np.ndarray, groups: tuple[Group, ...], seed: tuple[int, ...]
    ) -> _Lane:
        # A few frames cannot have the groups' shares in one turn: their pass is made of several.
        turns = -(-_LONG // len(frames)) if groups else 1
        return _Lane(places, frames, groups, seed, turns * len(frames))

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
        plans = [lane.plan(step) for lane in self._lanes]
        # Each lane is spread over the batch, so that parts of it have their share.
        order = np.argsort(
            np.concatenate([(np.arange(lane.places) + 0.5) / lane.places for lane in self._lanes])
        )
        indices, draws = (np.concatenate(each)[order] for each in zip(*plans, strict=True))
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
def _pass(
    seed: tuple[int, ...], number: int, count: int, groups: tuple[Group, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The order (N,) of the frames in a pass over the data, and draws (N, DRAWS).

    The draws are the frames' own without groups, and the places' in the order with them, where a frame may
    come more than once in a pass.
    """
    rng = np.random.default_rng([*seed, number])
    order = rng.permutation(_weighed(seed, number, count, groups) if groups else count)
    # One call a kind, so that a new kind changes no earlier one's numbers.
    kinds = BASE_DRAWS, DRAWS - BASE_DRAWS - CUT_DRAWS, CUT_DRAWS
    return order, np.concatenate([rng.random((count, n)) for n in kinds], axis=1)


def _part(groups: Sequence[Group], mine: np.ndarray) -> tuple[Group, ...]:
    """The groups with those of their frames (N,) alone that are `mine`; empty ones are gone."""
    ends = np.cumsum([0, *(group.count for group in groups)])
    counts = [int(mine[a:b].sum()) for a, b in pairwise(ends)]
    return tuple(replace(g, count=n) for g, n in zip(groups, counts, strict=True) if n)


def _weighed(seed: tuple[int, ...], number: int, count: int, groups: tuple[Group, ...]) -> np.ndarray:
    """(N,) frames of a pass: each group has its share, and goes through all of its frames in turn."""
    shares = np.cumsum([0.0, *(group.weight for group in groups)])
    ends = np.round(count * shares / shares[-1]).astype(int)
    chosen, first = [], 0
    for k, (group, places) in enumerate(zip(groups, np.diff(ends), strict=True)):
        turns, within = np.divmod(np.arange(number * places, (number + 1) * places), group.count)
        for turn in np.unique(turns):
            order = np.random.default_rng([*seed, k, int(turn)]).permutation(group.count)
            chosen.append(first + order[within[turns == turn]])
        first += group.count
    return np.concatenate(chosen)
