"""Weight clustering: k-means that spares scales and zeros, what reaches the file, and training clusters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integer_kernels import integer_kernels
from small_network import SIZE, photos, seeded, small
from tiny_runs import Crash, crash_at, make_data, same_state, use
from typer.testing import CliRunner

from edgeio.jobs import OtherJob
from edgepose import cli
from edgepose.compression.clustering import (
    FEWEST,
    MOST,
    ClusterRequest,
    cluster,
    cluster_and_train,
    clusters,
    shared,
)
from edgepose.compression.finetune import request_for
from edgepose.compression.sparsity import cut, parts
from edgepose.errors import BadCheckpoint, UsageError
from edgepose.frameworks import keras
from edgepose.models.checkpoint import (
    CheckpointInfo,
    load_model,
    read_checkpoint,
    save_checkpoint,
    weights_of,
)
from edgepose.training.data import DataRequest
from edgepose.training.loop import Listener
from export.convert import to_bytes
from export.recipe import RECIPES

NET = partial(small, stride=8, whole=False)


def kernel(shape: tuple[int, ...] = (1, 1, 40, 12)) -> np.ndarray:
    """Channels of very different sizes."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) * np.exp(rng.normal(size=shape[-1]))).astype(np.float32)


def levels(found: np.ndarray, axis: int) -> int:
    """How many shares of its channel's largest weight occur, told apart if float32 can after some steps."""
    axes = tuple(i for i in range(4) if i != axis)
    rising = np.sort(found / np.abs(found).max(axes, keepdims=True), axis=None)
    return 1 + int((np.diff(rising) > 1e-4).sum())


@pytest.mark.parametrize("count", [FEWEST, 15, 32])
def test_a_kernel_gets_so_many_values_and_keeps_its_scales(count: int) -> None:
    before = kernel()
    copy = before.copy()
    found = clusters(before, count, 3)
    np.testing.assert_array_equal(before, copy)
    assert levels(found.kernel, 3) <= count == len(found.shares)
    assert {-1.0, 0.0, 1.0} <= set(found.shares) and (np.diff(found.shares) > 0).all()
    np.testing.assert_allclose(np.abs(found.kernel).max((0, 1, 2)), np.abs(before).max((0, 1, 2)), rtol=1e-6)
    largest = np.abs(before) == np.abs(before).max((0, 1, 2))
    assert (np.sign(found.kernel[largest]) == np.sign(before[largest])).all()


def test_clusters_move_to_where_the_weights_are() -> None:
    before = kernel((1, 1, 200, 12))
    scales = np.abs(before).max((0, 1, 2))
    grid = np.linspace(-1, 1, 16)
    evenly = grid[np.abs(before[..., None] / scales[:, None] - grid).argmin(-1)] * scales
    found = clusters(before, 16, 3).kernel
    squares = [float((((each - before) / scales) ** 2).mean()) for each in (found, evenly)]
    assert squares[0] < 0.8 * squares[1]


def test_zeros_and_dead_channels_stay_what_they_are() -> None:
    pruned = cut(kernel(), 0.5)
    pruned[..., 3] = 0
    found = clusters(pruned, 16, 3).kernel
    assert (found[pruned == 0] == 0).all() and np.isfinite(found).all()
    transposed = clusters(pruned.transpose(0, 1, 3, 2), 16, 2).kernel  # a deconvolution's axes
    np.testing.assert_array_equal(transposed.transpose(0, 1, 3, 2), found)


def test_members_of_a_cluster_move_together() -> None:
    ops = keras().ops
    found = clusters(kernel(), 8, 3)
    before = ops.convert_to_tensor(found.kernel)
    steps = np.random.default_rng(1).normal(0, 0.01, found.kernel.shape).astype(np.float32)
    after = np.asarray(shared(found, before, before + steps * found.scales))
    moved = (after - found.kernel) / found.scales
    for number, where in enumerate(found.shares):
        mine = found.index == number
        wanted = 0.0 if where in (-1, 0, 1) else steps[mine].mean()
        np.testing.assert_allclose(moved[mine], wanted, atol=1e-5)


# --- networks ---------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(monkeypatch, NET)
    info = CheckpointInfo("rt", "in-motion-19", None, SIZE, "noise")
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, weights_of(seeded(NET(info))), info)
    return path


def check_levels(path: Path, before: Path, count: int) -> None:
    """Each clustered kernel has at most `count` levels; every other tensor that is no kernel is as it was."""
    info, weights = read_checkpoint(path)
    _, old = read_checkpoint(before)
    for part in parts(NET(info)):
        found = weights[f"{part.name}/kernel"]
        assert (levels(found, part.axis) <= count) == (part.dense is None), part.name
    assert weights.keys() == old.keys()


def test_an_integer_file_holds_no_more_levels_than_clusters(checkpoint: Path, tmp_path: Path) -> None:
    path = cluster(checkpoint, 6, tmp_path / "out")
    assert path.name == "small-6-clusters.safetensors"
    check_levels(path, checkpoint, 6)
    assert read_checkpoint(path)[0].source == "noise; 6 clusters a kernel"
    data = to_bytes(load_model(path, "maps"), RECIPES["int8"], photos(2))
    few = [k.shape for k in integer_kernels(data) if len(np.unique(k)) <= 6]
    assert len(few) == 4  # the bottleneck's convolutions, and those of its gate
    said: list[str] = []
    assert cluster(checkpoint, 6, tmp_path / "out", listener=Listener(say=said.append)) == path
    assert said == [f"{path} was made before by the same job; --overwrite makes it anew"]
    info, weights = read_checkpoint(checkpoint)
    save_checkpoint(checkpoint, weights, replace(info, source="other noise"))
    with pytest.raises(OtherJob, match="checkpoint_sha256: was"):
        cluster(checkpoint, 6, tmp_path / "out")
    cluster(checkpoint, 6, tmp_path / "out", overwrite=True)


def test_clusters_are_trained_as_clusters_and_resumed_as_the_same(checkpoint: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")

    def asked(name: str, **more: Any) -> ClusterRequest:
        frames = DataRequest(str(data), validation_split="none")
        fit = request_for(checkpoint, frames, tmp_path / name, 4, 4, 1e-2, checkpoint_every=2, **more)
        return ClusterRequest(checkpoint, fit, count=6)

    path = cluster_and_train(asked("whole"))
    check_levels(path, checkpoint, 6)
    start = read_checkpoint(cluster(checkpoint, 6, tmp_path))[1]
    assert not np.allclose(read_checkpoint(path)[1]["one_conv1/kernel"], start["one_conv1/kernel"])
    with pytest.raises(Crash):
        cluster_and_train(asked("again"), crash_at(3, 4))
    cluster_and_train(asked("again"))
    assert same_state(tmp_path / "whole", tmp_path / "again")


def refused(*words: Any) -> BaseException | None:
    return CliRunner().invoke(cli.app, ["cluster", *map(str, words)]).exception


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    for count in (FEWEST - 1, MOST + 1):
        error = refused(tmp_path / "a.safetensors", "--out", tmp_path, "--clusters", count)
        assert isinstance(error, UsageError) and f"cannot have {count} clusters" in str(error)
    error = refused(tmp_path / "a.safetensors", "--out", tmp_path)
    assert isinstance(error, BadCheckpoint) and "does not exist" in str(error)
    assert isinstance(refused(tmp_path, "--out", tmp_path), BadCheckpoint)
