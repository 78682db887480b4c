"""A smaller network started from the weights of a larger one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import seeded

from edgepose.errors import BadCheckpoint
from edgepose.keypoints import keypoint_set, mapping
from edgepose.models.checkpoint import CheckpointInfo, build, load_weights, save_checkpoint, weights_of
from edgepose.models.shrink import can_shrink, channel_graph, shrunk
from edgepose.models.variants import VARIANTS
from edgepose.training.warm_start import start_from

LARGE = CheckpointInfo("rt-lite", "in-motion-19", 16, 32, "noise")
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def large() -> tuple[Any, Weights]:
    """RT Lite with weights like a trained network's."""
    model = seeded(build(LARGE), gain=0.65)
    return model, weights_of(model)


def outputs(model: Any, weights: Weights) -> list[np.ndarray]:
    load_weights(model, weights)
    images = np.random.default_rng(3).normal(size=(2, 32, 32, 3)).astype(np.float32)
    return [np.asarray(each) for each in model(images, training=False)]


def group(norm: str) -> str:
    """What batch normalisations of the same channels have in common: a block's inner ones, a residual's."""
    if found := re.fullmatch(r"(block\d[a-z])_(expand_)?bn_res1", norm):
        return found[1]
    if found := re.fullmatch(r"(block\d)[a-z]_project_bn_res1", norm):
        return found[1]
    return re.sub(r"_d?conv1_bn$", "_inner", norm)


def silenced(weights: Weights, widths: Weights) -> Weights:
    """With random channels that give nothing, so many that each layer of `widths` has room for the others."""
    rng, silent, changed = np.random.default_rng(4), {}, dict(weights)
    for name, gamma in weights.items():
        if name.endswith("/gamma") and name in widths:
            norm = name.split("/")[0]
            fewer = len(gamma) - len(widths[name])
            silent.setdefault(group(norm), rng.permutation(len(gamma))[:fewer])
            for each in (name, f"{norm}/beta"):
                changed[each] = weights[each].copy()
                changed[each][silent[group(norm)]] = 0
    return changed


@pytest.mark.parametrize("key", ["rt-lite-narrow", "rt-lite-half-head"])
def test_channels_that_give_nothing_are_those_left_out(large: tuple[Any, Weights], key: str) -> None:
    small = build(replace(LARGE, model=key))
    widths = weights_of(small)
    weights = silenced(large[1], widths)
    found = shrunk(weights, LARGE, key, "the checkpoint")
    assert {name: part.shape for name, part in found.items()} == {
        name: part.shape for name, part in widths.items()
    }
    ours, theirs = outputs(small, found), outputs(large[0], weights)
    for mine, its in zip(ours, theirs[: len(ours)], strict=True):
        assert np.abs(its[0] - its[1]).max() > 0.01 * its.std()  # images have a say
        np.testing.assert_allclose(mine, its, atol=1e-4 * its.std())


def test_two_passes_give_what_the_first_two_of_three_give(large: tuple[Any, Weights]) -> None:
    model, weights = large
    found = shrunk(weights, LARGE, "rt-lite-two-passes", "the checkpoint")
    assert all(part is weights[name] or np.array_equal(part, weights[name]) for name, part in found.items())
    ours = outputs(build(replace(LARGE, model="rt-lite-two-passes")), found)
    theirs = outputs(model, weights)
    assert (len(ours), len(theirs)) == (2, 3)
    for mine, its in zip(ours, theirs[:2], strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5 * its.std())


def test_of_larger_kernels_the_middle_is_taken(large: tuple[Any, Weights]) -> None:
    model, weights = large
    inner = dict(weights)
    for name in weights:
        if name.startswith("pass") and name.endswith("_dconv1/kernel"):
            assert weights[name].shape[:2] == (5, 5)
            inner[name] = np.zeros_like(weights[name])
            inner[name][1:4, 1:4] = weights[name][1:4, 1:4]
    ours = outputs(
        build(replace(LARGE, model="rt-lite-small")), shrunk(weights, LARGE, "rt-lite-small", "it")
    )
    theirs = outputs(model, inner)
    for mine, its in zip(ours, theirs[:2], strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5 * its.std())


def test_whose_channels_go_where(large: tuple[Any, Weights]) -> None:
    graph = channel_graph(large[0])
    # The second block's output is added to the first's: they are the same channels.
    added = graph.nodes["block3b_add_res1"]
    assert added.makers == graph.nodes["block3a_project_bn_res1"].makers
    assert added.makers == graph.nodes["block3b_project_bn_res1"].makers
    blocks = [name for name in graph.channels if name.startswith("block3") and "project" in name]
    assert blocks == list(added.makers) and graph.channels[blocks[0]] == 40 and graph.channels["images"] == 3
    assert graph.nodes["block3a_bn_res1"].makers == ("block3a_expand_conv_res1",)
    newest_first = tuple(f"pass1_block1_mbconv{n}_skeleton_conv2" for n in (3, 2, 1))
    assert graph.read(graph.nodes["pass2_block1_mbconv1_detection1_conv1"]) == newest_first + added.makers


def test_a_network_shrinks_into_those_with_the_same_layers_only() -> None:
    found = {
        (large, small)
        for large in VARIANTS
        for small in VARIANTS
        if can_shrink(VARIANTS[large], VARIANTS[small])
    }
    own = {key for key, v in VARIANTS.items() if v.cut_from}
    assert found == {("rt-lite", key) for key in own} | {("rt-lite-two-passes", "rt-lite-small")}


def test_a_start_tells_what_was_left_out(large: tuple[Any, Weights], tmp_path: Path) -> None:
    """At another resolution, and for other keypoints: those in common keep their maps' weights."""
    path = tmp_path / "large.safetensors"
    save_checkpoint(path, large[1], LARGE)
    info = CheckpointInfo("rt-lite-small", "mpii-16", 16, 48, "")
    small = build(info)
    start = start_from(path, small, info)
    outs = ("pass1_skeleton_pafs", "pass2_detection1_confs")
    assert start.new == () and set(start.translated) == set(outs)
    assert {name[:5] for name in start.unused} == {"pass3"} and "pass3_detection2_confs" in start.unused
    assert {name[:5] for name in start.shrunk} == {"pass1", "pass2"}
    assert "pass2_detection1_confs" not in start.shrunk  # its hidden layer has as many channels as before
    assert "; cut smaller: pass1_block1_mbconv1_skeleton_dconv1, " in str(start)
    same, places = np.array(mapping(keypoint_set("in-motion-19"), keypoint_set("mpii-16"), near=True).pairs).T
    after = weights_of(small)
    kernel = "pass2_detection1_confs/kernel"
    np.testing.assert_array_equal(after[kernel][..., places], large[1][kernel][..., same])
    np.testing.assert_array_equal(after["stem_conv_res1/kernel"], large[1]["stem_conv_res1/kernel"])


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    info = replace(LARGE, model="i-lite")
    save_checkpoint(tmp_path / "i.safetensors", {"stem_conv_res1/kernel": np.zeros(1, np.float32)}, info)
    wanted = r"is of network i-lite, not rt-lite-small, and their backbones differ.*such as default:rt-lite$"
    with pytest.raises(BadCheckpoint, match=wanted):
        start_from(tmp_path / "i.safetensors", None, replace(LARGE, model="rt-lite-small"))
    # It has the whole backbone, and half the channels behind it.
    half = replace(LARGE, model="rt-lite-half-head")
    save_checkpoint(tmp_path / "half.safetensors", {"stem_conv_res1/kernel": np.zeros(1, np.float32)}, half)
    with pytest.raises(BadCheckpoint, match="is of network rt-lite-half-head, not rt-lite-narrow"):
        start_from(tmp_path / "half.safetensors", None, replace(LARGE, model="rt-lite-narrow"))


def test_a_checkpoint_that_is_not_what_it_says_is_refused(large: tuple[Any, Weights], tmp_path: Path) -> None:
    weights = {name: part for name, part in large[1].items() if not name.startswith("block3b_bn")}
    with pytest.raises(BadCheckpoint, match=r"large\.safetensors lacks block3b_bn_res1/gamma"):
        shrunk(weights, LARGE, "rt-lite-small", str(tmp_path / "large.safetensors"))
