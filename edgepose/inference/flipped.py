"""The flip test: a picture and its mirror image through one network, and the mean of both outputs.

Twice the work of one inference. It is how published figures of pose networks are often made, Newell et al.
2016 (stacked hourglasses) among the first; the paper's are without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgepose.errors import UsageError
from edgepose.inference.spec import ReplicableRunner, Runner, StreamRunner


def with_flip(runner: Runner, flip: bool) -> Runner:
    """The runner itself, or that of the mean of the maps of each input and of its mirror image, turned back.

    Raises:
        UsageError: the model gives keypoints and no maps.
    """
    if not flip:
        return runner
    if not runner.spec.gives_maps:
        raise UsageError(
            f"{runner.spec.path} gives keypoints, no maps to take the mean of", "leave --flip out"
        )
    if isinstance(runner, ReplicableRunner):
        return _Replicable(runner)
    return _Streaming(runner) if isinstance(runner, StreamRunner) else _Flipped(runner)


def flipped(
    run: Callable[[np.ndarray], np.ndarray], swaps: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """The flip test of a function from inputs (B, H, W, 3) to maps (B, h, w, K)."""
    return lambda inputs: _mean(run(inputs), run(_mirrored(inputs)), swaps)


class _Flipped:
    """Any runner's flip test; left and right of the mirror image's maps are exchanged."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.spec = replace(runner.spec, flip=True)
        self.detector = runner.detector

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return flipped(self._runner.run, self.spec.keypoints.swaps)(inputs)


class _Replicable(_Flipped):
    def replica(self) -> Runner:
        assert isinstance(self._runner, ReplicableRunner)
        return _Replicable(self._runner.replica())


class _Streaming(_Flipped):
    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        assert isinstance(self._runner, StreamRunner)
        found = self._runner.stream(view for each in inputs for view in (each, _mirrored(each)))
        swaps = self.spec.keypoints.swaps
        return (_mean(straight, mirrored, swaps) for straight, mirrored in zip(found, found, strict=True))


def _mean(straight: np.ndarray, mirrored: np.ndarray, swaps: Sequence[int]) -> np.ndarray:
    return (straight + _mirrored(mirrored)[..., list(swaps)]) / 2


def _mirrored(batch: np.ndarray) -> np.ndarray:
    """(B, h, w, C), left for right; a map's cells mirror onto cells, since its edges are the input's."""
    return np.ascontiguousarray(batch[:, :, ::-1])
