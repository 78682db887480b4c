"""A network of one keypoint set started from a checkpoint of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepose.errors import BadCheckpoint
from edgepose.frameworks import keras
from edgepose.keypoints import keypoint_set, mapping
from edgepose.models.checkpoint import CheckpointInfo, build, save_checkpoint, weights_of
from edgepose.training.warm_start import start_from

MPII, PAPER = keypoint_set("mpii-16"), keypoint_set("in-motion-19")
PAIRS = mapping(MPII, PAPER, near=True).pairs


@pytest.fixture(scope="module")
def paper() -> Any:
    keras().utils.set_random_seed(1)
    return build(CheckpointInfo("rt-lite", PAPER.key, 128, 64, "test"), "training")


@pytest.mark.parametrize("head_width", [None, 128])
def test_keypoints_in_common_keep_their_maps(paper: Any, tmp_path: Path, head_width: int | None) -> None:
    info = CheckpointInfo("rt-lite", MPII.key, head_width, 64, "test")
    keras().utils.set_random_seed(2)
    authors = build(info, "training")
    rng = np.random.default_rng(0)
    for name in authors.output_names:  # random networks' maps are next to nothing
        layer = authors.get_layer(name)
        layer.set_weights([rng.normal(size=part.shape, scale=100.0) for part in layer.get_weights()])
    save_checkpoint(tmp_path / "mpii.safetensors", weights_of(authors), info)
    start = start_from(
        tmp_path / "mpii.safetensors", paper, CheckpointInfo("rt-lite", PAPER.key, 128, 64, "")
    )
    assert start.new == ()
    assert set(start.translated) >= {"pass1_skeleton_pafs", "pass3_detection2_confs"}
    images = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    theirs, ours = authors.predict_on_batch(images), paper.predict_on_batch(images)
    sources, places = np.array(PAIRS).T
    assert len(PAIRS) == 16
    for before, after in zip(theirs[1:], ours[1:], strict=True):
        np.testing.assert_allclose(after[..., places], before[..., sources], rtol=1e-4, atol=1e-3)
        assert np.ptp(before, axis=(0, 1, 2)).min() > 0.01
    new = [i for i in range(len(PAPER.names)) if i not in places]
    assert len(new) == 3 and not any(after[..., new].any() for after in ours[1:])
    # right elbow to right wrist: segment 3 of MPII's; in the paper's order it is another one
    there = PAPER.segments.index(("right_elbow", "right_wrist"))
    here = MPII.segments.index(("right_elbow", "right_wrist"))
    assert here != there
    np.testing.assert_allclose(
        ours[0][..., 2 * there : 2 * there + 2], theirs[0][..., 2 * here : 2 * here + 2], rtol=1e-4, atol=1e-3
    )


def test_a_set_with_nothing_in_common_keeps_new_channels(
    paper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from edgepose import keypoints

    other = replace(
        MPII, key="other", names=tuple(f"other_{i}" for i in range(16)), segments=(), head_segment=None
    )
    monkeypatch.setitem(keypoints.KEYPOINT_SETS, "other", other)
    info = CheckpointInfo("rt-lite", "other", 128, 64, "test")
    network = build(CheckpointInfo("rt-lite", MPII.key, 128, 64, "test"), "training")
    save_checkpoint(tmp_path / "other.safetensors", weights_of(network), info)
    start = start_from(
        tmp_path / "other.safetensors", paper, CheckpointInfo("rt-lite", PAPER.key, 128, 64, "")
    )
    assert start.translated == ()
    assert set(start.new) == {"pass1_skeleton_pafs", "pass2_detection1_confs", "pass3_detection2_confs"}
    after = weights_of(paper)
    assert not any(after[f"{layer}/kernel"].any() for layer in start.new)
    assert all(after[f"{layer}_hidden/kernel"].any() for layer in start.new)


@pytest.mark.long
def test_another_network_gives_its_backbone(tmp_path: Path) -> None:
    """EfficientPose II and the hourglass begin with the same EfficientNet-B4."""
    rng = np.random.default_rng(0)
    info = CheckpointInfo("b4", PAPER.key, None, 32, "test")
    keras().utils.set_random_seed(4)
    hourglass = build(info)
    ours = weights_of(hourglass)
    shared_names = [name for name in ours if name.startswith(("stem", "block1", "block2a"))]
    theirs = {
        name.replace("/", "_res1/"): rng.normal(size=ours[name].shape).astype(np.float32)
        for name in shared_names
    }
    other = {"stem_conv_res2/kernel": np.zeros((3, 3, 3, 32), np.float32)}
    other["pass1_skeleton_pafs/bias"] = np.zeros(28, np.float32)
    save_checkpoint(
        tmp_path / "ii.safetensors", theirs | other, CheckpointInfo("ii", MPII.key, None, 368, "")
    )
    start = start_from(tmp_path / "ii.safetensors", hourglass, info)
    after = weights_of(hourglass)
    for name in shared_names:
        assert np.array_equal(after[name], theirs[name.replace("/", "_res1/")])
    zero = {f"{layer}/kernel" for layer in hourglass.output_names}
    assert not any(after[name].any() for name in zero)
    rest = [name for name in ours if name not in {*shared_names, *zero}]
    assert rest and all(np.array_equal(after[name], ours[name]) for name in rest)
    assert "block7a_project_conv" in start.new and "block1a_dwconv" not in start.new
    assert len(str(start)) < 500


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    info = CheckpointInfo("i", PAPER.key, None, 64, "test")
    save_checkpoint(tmp_path / "i.safetensors", {"stem_conv_res1/kernel": np.zeros(1, np.float32)}, info)
    with pytest.raises(BadCheckpoint, match="backbones differ"):
        start_from(tmp_path / "i.safetensors", None, CheckpointInfo("rt", PAPER.key, 128, 64, ""))
