"""Channels of the linear tensors brought to like sizes, so that one 8-bit range serves them all.

Where nothing but convolutions, sums and concatenations touches a channel, dividing it in those that make it
and multiplying it in those that read it changes nothing. A swish allows no such thing: it is not
homogeneous, so its tensors stay as they are. In EfficientPose that leaves the projections of the inverted
bottlenecks, with everything that is joined to them by residual sums and dense concatenations.

Sources: Nagel et al. 2019 (cross-layer equalization); the trade between tensor and kernel, Xiao et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, IN_AXIS, OUT_AXIS, BNFoldedModel, Graph, along
from edgepose.compression.network import Network, batches, build_float
from edgepose.frameworks import tensorflow

# How much of a channel's excess goes from the tensor into the kernels behind it.
_SHARE = 0.5
_LARGEST_FACTOR = 32.0
_BATCH = 8
_LINEAR = (*CONVOLUTIONS, "add", "concat")


def equalized(folded: BNFoldedModel, inputs: Sequence[np.ndarray]) -> BNFoldedModel:
    """The same function with equalized channels.

    Args:
        inputs: N arrays (1, H, W, 3), normalised, to see the channels' sizes on.
    """
    graph = folded.graph
    groups = channel_groups(graph)
    sizes = _sizes(build_float(folded), inputs, set(groups))
    count = 1 + max((int(group.max()) for group in groups.values()), default=-1)
    tensor, kernel = np.zeros(count), np.zeros(count)
    for name, group in groups.items():
        free = group >= 0
        np.maximum.at(tensor, group[free], sizes[name][free])
    for name, group, weight in _readers(folded, groups):
        free = group >= 0
        np.maximum.at(kernel, group[free], _relative(weight, graph[name].kind)[free])
    return BNFoldedModel(graph, _scaled(folded, groups, _factors(tensor, kernel)))


def channel_groups(graph: Graph) -> dict[str, np.ndarray]:
    """Of each linear tensor: (C,) the group that each channel belongs to, or -1 where it must stay.

    The channels of a group are made of each other by sums and concatenations, and only scale together.
    """
    consumers = graph.consumers()
    linear = [node for node in graph.nodes if node.kind in _LINEAR]
    start, total = {}, 0
    for node in linear:
        start[node.name], total = total, total + node.channels
    parent = np.arange(total)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    stuck: set[int] = set()
    for node in linear:
        if node.name in graph.outputs or any(r.kind not in _LINEAR for r in consumers[node.name]):
            stuck.update(range(start[node.name], start[node.name] + node.channels))
        offset = 0
        for source in node.inputs if node.kind in ("add", "concat") else ():
            width = graph[source].channels
            for c in range(width):
                here = start[node.name] + offset + c
                if source in start:
                    parent[root(here)] = root(start[source] + c)
                else:
                    stuck.add(here)
            offset += width if node.kind == "concat" else 0
    roots = np.array([root(i) for i in range(total)])
    fixed = {int(roots[i]) for i in stuck}
    numbers = {r: n for n, r in enumerate(sorted(set(roots.tolist()) - fixed))}
    found = np.array([numbers.get(r, -1) for r in roots.tolist()])
    return {node.name: found[start[node.name] : start[node.name] + node.channels] for node in linear}


def _sizes(network: Network, inputs: Sequence[np.ndarray], wanted: set[str]) -> dict[str, np.ndarray]:
    """Of each tensor: (C,) the largest magnitude in an image, averaged over the images."""
    tf = tensorflow()
    sums: dict[str, np.ndarray] = {}
    for images in batches(inputs, _BATCH):
        for node, value in network.values(images):
            if node.name in wanted:
                largest = tf.reduce_sum(tf.reduce_max(tf.abs(value), axis=(1, 2)), axis=0).numpy()
                sums[node.name] = sums.get(node.name, 0.0) + largest
    return {name: total / len(inputs) for name, total in sums.items()}


def _readers(
    folded: BNFoldedModel, groups: dict[str, np.ndarray]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Each convolution that reads a linear tensor: its name, the tensor's groups, its kernel."""
    return [
        (node.name, groups[node.inputs[0]], folded.weights[f"{node.name}/kernel"])
        for node in folded.graph.nodes
        if node.kind in CONVOLUTIONS and node.inputs[0] in groups
    ]


def _relative(kernel: np.ndarray, kind: str) -> np.ndarray:
    """(C,) of each input channel: its largest weight, as a share of its output channel's largest."""
    if kind == "depthwise":
        return np.zeros(kernel.shape[2])  # each channel has its own scale: nothing to lose
    axes = tuple(i for i in range(4) if i != OUT_AXIS[kind])
    share = np.abs(kernel) / np.maximum(np.abs(kernel).max(axes, keepdims=True), 1e-12)
    return np.asarray(share.max(tuple(i for i in range(4) if i != IN_AXIS[kind])))


def _factors(tensor: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What each group is divided by, about 1 in the mean."""
    if not len(tensor):
        return tensor
    low = np.maximum(tensor, 1e-3 * tensor.max() + 1e-12)
    raw = low**_SHARE / np.maximum(kernel, 1e-2) ** (1 - _SHARE)
    return np.clip(raw / np.exp(np.log(raw).mean()), 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)


def _scaled(
    folded: BNFoldedModel, groups: dict[str, np.ndarray], factors: np.ndarray
) -> dict[str, np.ndarray]:
    weights = dict(folded.weights)
    by_channel = {name: _of(group, factors) for name, group in groups.items()}
    for node in folded.graph.nodes:
        if node.kind not in CONVOLUTIONS:
            continue
        kernel, bias = f"{node.name}/kernel", f"{node.name}/bias"
        if node.inputs[0] in by_channel:
            weights[kernel] = weights[kernel] * along(by_channel[node.inputs[0]], IN_AXIS[node.kind])
        made = by_channel[node.name]
        weights[kernel] = (weights[kernel] / along(made, OUT_AXIS[node.kind])).astype(np.float32)
        weights[bias] = (weights[bias] / made).astype(np.float32)
    return weights


def _of(group: np.ndarray, factors: np.ndarray) -> np.ndarray:
    found = np.ones(len(group))
    found[group >= 0] = factors[group[group >= 0]]
    return found
