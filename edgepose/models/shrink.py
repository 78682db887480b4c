"""The first weights of a smaller network, out of those of a larger one that has the same layers and more.

Passes that the smaller network lacks are left out; what came before them is as it was. Where it has fewer
channels, the most important ones are kept, and each is kept or left out wherever it goes: through batch
normalisations and depthwise convolutions, into concatenations, and into sums, whose terms must agree. Of a
larger kernel the middle is taken.

Source: a channel's scale in batch normalisation as its importance, Liu et al. 2017 (network slimming); the
L1 norm of its weights, Li et al. 2017 (pruning filters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from edgepose.models.backbones import EFFICIENTNETS
from edgepose.models.checkpoint import CheckpointInfo, build, load_weights, weights_of
from edgepose.models.variants import Variant

Weights = dict[str, np.ndarray]
_INPUT, _CONV, _DEPTHWISE, _NORM = "InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization"
_CONCAT = "Concatenate"


@dataclass(frozen=True)
class Node:
    """A layer, and whose channels it gives.

    Attributes:
        kind: Keras's class.
        inputs: names of the layers that it reads.
        makers: of its output's channels, one after another: names of the convolutions that first made them.
            Convolutions whose outputs are added make the same channels, and go by the name of one of them.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    makers: tuple[str, ...]


@dataclass(frozen=True)
class ChannelGraph:
    """A network's layers by name, each after those that it reads, and how many channels each maker makes."""

    nodes: dict[str, Node]
    channels: dict[str, int]

    def read(self, node: Node) -> tuple[str, ...]:
        """Makers of the channels that a layer with one input reads."""
        return self.nodes[node.inputs[0]].makers


def can_shrink(large: Variant, small: Variant) -> bool:
    """Whether all layers of another network, `small`, are in `large`, with as many channels or more and
    kernels of the same size or larger."""
    if large.key == small.key or not large.family == small.family == "efficientpose":
        return False
    assert large.width is not None and small.width is not None
    return (
        small.width <= large.width
        and small.head_kernel <= large.head_kernel
        and small.blocks_per_pass == large.blocks_per_pass
        and small.passes == large.passes[: len(small.passes)]
        and len(small.backbones) == len(large.backbones)
        and all(map(_is_narrower, small.backbones, large.backbones))
    )


def shrunk(weights: Mapping[str, np.ndarray], info: CheckpointInfo, key: str, where: str) -> Weights:
    """What a smaller network takes of a checkpoint's weights, by the same names.

    Args:
        weights, info: as `read_checkpoint` gives them.
        key: of the smaller network; `can_shrink` must hold.
        where: what to call the checkpoint in errors.

    Raises:
        BadCheckpoint: the weights are not those of the network that `info` tells of.
    """
    large, small = build(info), build(replace(info, model=key))
    load_weights(large, weights, where)
    graph = channel_graph(large)
    counts = {layer.name: layer.output.shape[-1] for layer in small.layers}
    shapes = {name: array.shape for name, array in weights_of(small).items()}
    importance = _importance(graph, weights, set(counts))
    kept = {name: _most(importance[name], counts.get(name)) for name in graph.channels}
    found: Weights = {}
    for name, array in weights.items():
        node = graph.nodes[name.split("/")[0]]
        if node.name in counts:
            columns = _places(node.makers, graph, kept)
            rows = _places(graph.read(node), graph, kept)
            found[name] = _middle(_chosen(array, node.kind, rows, columns), shapes.get(name, array.shape))
    return found


def channel_graph(model: Any) -> ChannelGraph:
    """Whose channels go where in a Keras model of convolutions and layers that work channel by channel."""
    names = {id(layer.output): layer.name for layer in model.layers}
    inputs: dict[str, tuple[str, ...]] = {}
    makers: dict[str, tuple[str, ...]] = {}
    channels: dict[str, int] = {}
    same: dict[str, str] = {}
    for layer in model.layers:
        kind = type(layer).__name__
        inputs[layer.name] = () if kind == _INPUT else tuple(names[id(each)] for each in _read(layer))
        read = [makers[name] for name in inputs[layer.name]]
        if kind in (_INPUT, _CONV):
            makers[layer.name] = (layer.name,)
            channels[layer.name] = layer.output.shape[-1]
        elif kind == _CONCAT:
            makers[layer.name] = tuple(chain.from_iterable(read))
        else:
            makers[layer.name] = read[0]
            for other in read[1:]:
                _join(same, read[0], other)
    return ChannelGraph(
        {
            layer.name: Node(
                layer.name,
                type(layer).__name__,
                inputs[layer.name],
                tuple(_known_as(same, name) for name in makers[layer.name]),
            )
            for layer in model.layers
        },
        {name: count for name, count in channels.items() if name not in same},
    )


def _read(layer: Any) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _join(same: dict[str, str], first: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Note that two tensors' channels are the same ones."""
    for pair in zip(first, other, strict=True):
        name, alias = (_known_as(same, each) for each in pair)
        if name != alias:
            same[alias] = name


def _known_as(same: dict[str, str], name: str) -> str:
    while name in same:
        name = same[name]
    return name


def _is_narrower(small: str, large: str) -> bool:
    ours, theirs = EFFICIENTNETS[small], EFFICIENTNETS[large]
    return (ours.depth, ours.lite) == (theirs.depth, theirs.lite) and ours.width <= theirs.width


def _importance(graph: ChannelGraph, weights: Mapping[str, np.ndarray], layers: set[str]) -> Weights:
    """How much of a maker's channels (C,) arrives where they are read by the convolutions among `layers`.

    It is how far a channel spreads, by the scale of the last batch normalisation that it went through, times
    the absolute weights that read it. A channel that is always the same counts nothing.
    """
    spread: Weights = {}
    found = {name: np.zeros(count) for name, count in graph.channels.items()}
    for node in graph.nodes.values():
        read = [spread[name] for name in node.inputs]
        if node.kind == _INPUT:
            spread[node.name] = np.ones(graph.channels[node.name])
        elif node.kind == _CONV:
            kernel = np.abs(weights[f"{node.name}/kernel"])
            spread[node.name] = kernel.sum((0, 1, 2))
            if node.name in layers:
                _add_parts(found, graph.read(node), read[0] * kernel.sum((0, 1, 3)))
        elif node.kind == _NORM:
            spread[node.name] = np.abs(weights[f"{node.name}/gamma"])
        else:
            spread[node.name] = np.concatenate(read) if node.kind == _CONCAT else np.max(read, axis=0)
    return found


def _add_parts(found: Weights, makers: tuple[str, ...], values: np.ndarray) -> None:
    """Add values of concatenated channels to those of their makers."""
    start = 0
    for name in makers:
        end = start + len(found[name])
        found[name] += values[start:end]
        start = end


def _most(importance: np.ndarray, count: int | None) -> np.ndarray:
    """Which channels are kept, in order; all where no count is given. Of equals, the first."""
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def _places(makers: tuple[str, ...], graph: ChannelGraph, kept: Weights) -> np.ndarray:
    """Where among concatenated channels those are that are kept."""
    starts = np.cumsum([0, *(graph.channels[name] for name in makers)])
    return np.concatenate([start + kept[name] for start, name in zip(starts, makers, strict=False)])


def _chosen(array: np.ndarray, kind: str, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if array.ndim == 1:  # a bias, or a batch normalisation's
        return array[columns]
    return array[:, :, columns] if kind == _DEPTHWISE else array[:, :, rows][..., columns]


def _middle(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Of a kernel (h, w, ...), the middle that is as high and wide as `shape` says."""
    if array.ndim == 1 or array.shape[:2] == shape[:2]:
        return array
    top, left = ((large - small) // 2 for large, small in zip(array.shape[:2], shape[:2], strict=True))
    return array[top : top + shape[0], left : left + shape[1]]
