"""Weight clustering: the weights of a kernel share a few values, so that its file deflates well.

What is clustered are weights as shares of the largest in their output channel. Batch normalisation scales
whole channels when it is folded, and 8-bit kernels are stored in units of their channel's largest weight: so
the shares, and nothing else, come through to the file, where a kernel holds no more levels than clusters.
Clusters of the plain weights would be scaled apart again, channel by channel, as those of a float file are.
The shares -1, 0 and 1 are clusters of their own, which keeps the channels' scales and the zeros of a pruned
network exactly. Evening out channels (`quantize --equalize`) or training afterwards undoes the clusters.

Source: Han et al. 2016 (Deep Compression), with its linear start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import jobs, sha256_file
from edgepose.compression.finetune import FineTune
from edgepose.compression.sparsity import Part, parts
from edgepose.errors import UsageError
from edgepose.models.checkpoint import load_model, read_checkpoint, save_checkpoint
from edgepose.training.constraints import WeightConstraint, WeightConstraints
from edgepose.training.loop import Listener
from edgepose.training.setup import assembled

FEWEST, MOST = 4, 128  # clusters of a kernel; 8 bits have 255 levels
_ROUNDS = 50
_PINNED = (-1.0, 0.0, 1.0)

Tensor = Any


@dataclass(frozen=True)
class Clusters:
    """A kernel as a few values.

    Attributes:
        index: which cluster each weight is of, shaped like the kernel.
        shares: of the clusters, rising; the first is -1, the last 1, and one is 0.
        scales: of the output channels, shaped to multiply the kernel.
    """

    index: np.ndarray
    shares: np.ndarray
    scales: np.ndarray

    @property
    def kernel(self) -> np.ndarray:
        """The weights that they stand for, float32."""
        return np.asarray(self.shares[self.index] * self.scales, np.float32)


def clusters(kernel: np.ndarray, count: int, axis: int) -> Clusters:
    """K-means in one dimension.

    Args:
        count: of clusters, FEWEST..MOST.
        axis: of the output channels.
    """
    axes = tuple(i for i in range(kernel.ndim) if i != axis % kernel.ndim)
    scales = np.abs(kernel).max(axes, keepdims=True)
    values = (kernel / np.maximum(scales, np.finfo(np.float32).tiny)).astype(np.float64)
    shares = np.linspace(-1.0, 1.0, count)
    shares[np.abs(shares).argmin()] = 0.0
    pinned = np.isin(shares, _PINNED)
    for _ in range(_ROUNDS):
        index = _nearest(values, shares)
        sizes = np.bincount(index.ravel(), minlength=count)
        means = np.bincount(index.ravel(), values.ravel(), count) / np.maximum(sizes, 1)
        moved = np.where(pinned | (sizes == 0), shares, means)
        if np.array_equal(moved, shares):
            break
        shares = moved
    return Clusters(_nearest(values, shares), shares, scales)


def _nearest(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Which of the rising `shares` is nearest; a value that is pinned is its own cluster, being its mean."""
    return np.searchsorted((shares[1:] + shares[:-1]) / 2, values)


@dataclass(frozen=True, kw_only=True)
class ClusterRequest(FineTune):
    """What to cluster, and how to train it on.

    Attributes:
        count: clusters of each kernel.
    """

    count: int = 32

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        check_count(self.count)
        super().check()

    def settings(self) -> dict[str, Any]:
        return {"count": self.count, **super().settings()}


def check_count(count: int) -> None:
    """Raise UsageError for too few clusters to mean anything, or more than 8 bits can tell apart."""
    if not FEWEST <= count <= MOST:
        raise UsageError(f"a kernel cannot have {count} clusters", f"give {FEWEST} to {MOST}")


def cluster(
    checkpoint: Path, count: int, out: Path, overwrite: bool = False, listener: Listener | None = None
) -> Path:
    """Cluster a network as it is, without training: OUT/CHECKPOINT-COUNT-clusters.safetensors.

    Raises:
        UsageError: no such count.
        OtherJob: the file was made of another checkpoint.
        BadCheckpoint: unreadable.
    """
    check_count(count)
    path = out / f"{checkpoint.stem}-{count}-clusters.safetensors"
    info, weights = read_checkpoint(checkpoint)
    job = {"checkpoint_sha256": sha256_file(checkpoint), "clusters": count}
    with jobs.one_file(path, job, overwrite) as claimed:
        if claimed.before is not None:
            (listener or Listener()).say(jobs.said_before(path))
            return path
        for part in _clustered(load_model(checkpoint, "training")):
            name = f"{part.name}/kernel"
            weights[name] = clusters(weights[name], count, part.axis).kernel
        save_checkpoint(path, weights, replace(info, source=f"{info.source}; {count} clusters a kernel"))
        claimed.finish()
    return path


def cluster_and_train(request: ClusterRequest, listener: Listener | None = None) -> Path:
    """Cluster a network and train the clusters on, or go on with that.

    OUT holds what `edgepose train` writes.

    Returns:
        the checkpoint that scored best on the validation split, or the last one without validation.

    Raises:
        UserError: bad input, or a loss that is no longer a number; says what and what to do.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    listener = listener or Listener()
    request.check()
    binding = {"clustering": request.settings()}
    with assembled(request.fit, listener, binding, request.material()) as assembly:
        model = assembly.network()
        goal = assembly.objective(*request.terms(assembly, model))
        return assembly.train(model, goal, shaping=_shaping(request, model))


def _clustered(model: Any) -> list[Part]:
    return [part for part in parts(model) if part.dense is None]


def _shaping(request: ClusterRequest, model: Any) -> WeightConstraints:
    """A resumed run finds the clusters again in the checkpoint that it started from."""
    _, weights = read_checkpoint(request.checkpoint)
    pairs = [
        (part.kernel, clusters(weights[f"{part.name}/kernel"], request.count, part.axis))
        for part in _clustered(model)
    ]
    return WeightConstraints(
        holds=tuple(WeightConstraint(kernel, partial(shared, found)) for kernel, found in pairs),
        edits={0: partial(_assign, pairs)},
    )


def _assign(pairs: Sequence[tuple[Any, Clusters]]) -> None:
    for kernel, found in pairs:
        kernel.assign(found.kernel)


def shared(found: Clusters, before: Tensor, after: Tensor) -> Tensor:
    """Weights after a step whose clusters moved as a whole: by the mean of what their members' steps were.

    The pinned clusters stay. A step of the shared values themselves would sum gradients before the
    optimizer sees them; the mean of the members' steps needs no optimizer of its own.
    """
    from edgepose.frameworks import keras

    ops, count = keras().ops, len(found.shares)
    index = found.index.ravel().astype(np.int32)
    sizes = np.maximum(np.bincount(index, minlength=count), 1).astype(np.float32)
    scales = np.maximum(found.scales, np.finfo(np.float32).tiny).astype(np.float32)
    moves = ops.segment_sum(ops.reshape((after - before) / scales, (-1,)), index, count) / sizes
    free = 1.0 - np.isin(found.shares, _PINNED).astype(np.float32)
    kept = ops.reshape(ops.take(moves * free, index), found.index.shape)
    return before + kept * found.scales.astype(np.float32)
