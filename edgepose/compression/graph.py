"""A network as a list of operators, read from a tf_keras model and folded to what an int8 runtime computes.

Batch normalisation goes into the convolution before it, E-swish's factor into the kernels behind it, and
drop-connect vanishes. What is left are convolutions with a bias, gates, sums, products and means. Both
foldings are exact; `weights_back` undoes them, so that trained weights make an ordinary checkpoint again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgepose.errors import EdgeposeError
from edgepose.models.checkpoint import weights_of

Weights = dict[str, np.ndarray]  # "layer/variable" -> float32

# Kinds of nodes by the class of their layer; those of no kind are folded away or cannot be quantized.
_KINDS = {
    "InputLayer": "input",
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "Conv2DTranspose": "deconv",
    "ReLU": "relu",
    "Multiply": "multiply",
    "Add": "add",
    "Concatenate": "concat",
    "GlobalAveragePooling2D": "mean",
    "AveragePooling2D": "pool",
}
_ACTIVATIONS = {"sigmoid": "sigmoid", "relu": "relu"}
CONVOLUTIONS = ("conv", "depthwise", "deconv")

# Axes of the kernels as Keras stores them; a depthwise one has a single channel axis.
OUT_AXIS = {"conv": 3, "depthwise": 2, "deconv": 2}
IN_AXIS = {"conv": 2, "depthwise": 2, "deconv": 3}


class CannotQuantize(EdgeposeError):
    """A layer that has no integer form here."""

    def __init__(self, layer: str, why: str, network: str = "") -> None:
        self.layer, self.why = layer, why
        super().__init__(
            f"layer {layer}{network and f' of {network}'} cannot be quantized ({why})",
            "use `edgepose export --recipe int8`, `weights-int8` or `fp16` for this network",
        )

    def of(self, network: str) -> CannotQuantize:
        """The same, naming the network too."""
        return CannotQuantize(self.layer, self.why, network)


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        name: of the layer that it comes from, and of the tensor that it gives.
        kind: see `_KINDS`; "sigmoid" besides.
        inputs: names of the nodes that it reads, in order.
        layer: class name and configuration of its Keras layer.
        channels: of its output.
        norm: the batch normalisation that was folded into it, or None.
        had_bias: whether the convolution had a bias of its own.
        factor: by which its kernel was multiplied to take over what Rescaling layers did.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    layer: tuple[str, dict[str, Any]]
    channels: int
    norm: str | None = None
    had_bias: bool = True
    factor: float = 1.0


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can be computed.

    Attributes:
        outputs: names of the nodes whose values the network gives; the last one are the maps.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """Of each node: the nodes that read it."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    def only(self, *outputs: str) -> Graph:
        """The part that computes these outputs."""
        wanted = set(outputs)
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return Graph(tuple(node for node in self.nodes if node.name in wanted), outputs)


@dataclass(frozen=True)
class BNFoldedModel:
    """A graph whose every convolution has a bias, and its weights.

    Attributes:
        weights: NODE/kernel and NODE/bias of every convolution.
    """

    graph: Graph
    weights: Weights


def fold_batch_norms(model: Any) -> BNFoldedModel:
    """Read a tf_keras model, with its weights, and fold it.

    Raises:
        CannotQuantize: a layer that has no integer form; names it.
    """
    weights = {name: value.astype(np.float64) for name, value in weights_of(model).items()}
    nodes: dict[str, Node] = {}
    stands_for: dict[str, tuple[str, float]] = {}  # layer -> node that computes it, and a factor to apply
    readers = _readers(model)
    for layer in model.layers:
        sources = [stands_for[name] for name in _inputs(layer)]
        stands_for[layer.name] = _folded_layer(layer, sources, nodes, weights, readers)
    outputs = tuple(_at_one(stands_for[name], name) for name in model.output_names)
    kept = {f"{n.name}/{v}" for n in nodes.values() if n.kind in CONVOLUTIONS for v in ("kernel", "bias")}
    graph = Graph(tuple(nodes.values()), outputs)
    return BNFoldedModel(graph, {name: weights[name].astype(np.float32) for name in sorted(kept)})


def _folded_layer(
    layer: Any,
    sources: list[tuple[str, float]],
    nodes: dict[str, Node],
    weights: dict[str, np.ndarray],
    readers: Mapping[str, int],
) -> tuple[str, float]:
    """Add the layer's node, unless an earlier one takes it over; which node that is, and what factor its
    value still lacks."""
    kind = type(layer).__name__
    if kind == "Dropout":
        return sources[0]
    if kind == "Rescaling":
        if np.any(layer.offset):
            raise CannotQuantize(layer.name, "it shifts its input")
        return sources[0][0], sources[0][1] * float(layer.scale)
    if kind == "BatchNormalization":
        node, before = nodes[sources[0][0]], _inputs(layer)[0]
        # Through a Rescaling its statistics would be of other values, through a Dropout others might read
        # the convolution too.
        if before != node.name or node.kind not in CONVOLUTIONS or readers[before] > 1:
            raise CannotQuantize(layer.name, "it does not follow a convolution of its own")
        nodes[node.name] = replace(node, norm=layer.name)
        _absorb_norm(node, layer, weights)
        return node.name, 1.0
    node = _node(layer, tuple(name for name, _ in sources))
    factor = 1.0
    factors = [f for _, f in sources]
    if node.kind in CONVOLUTIONS:
        node = replace(node, factor=factors[0])
        _take_weights(node, layer, weights)
    elif node.kind in ("mean", "pool"):
        factor = factors[0]
    elif node.kind == "multiply":
        factor = float(np.prod(factors))
    elif any(f != 1.0 for f in factors):
        raise CannotQuantize(layer.name, "the scaling of its input cannot move behind it")
    nodes[node.name] = node
    return node.name, factor


def _node(layer: Any, inputs: tuple[str, ...]) -> Node:
    name = type(layer).__name__
    kind = _ACTIVATIONS.get(layer.activation.__name__) if name == "Activation" else _KINDS.get(name)
    if kind is None:
        raise CannotQuantize(layer.name, f"it is a {name}")
    if kind == "input":
        return Node(layer.name, kind, (), (name, layer.get_config()), int(layer.output.shape[-1]))
    own = getattr(layer, "activation", None)
    if name != "Activation" and own is not None and own.__name__ != "linear":
        raise CannotQuantize(layer.name, "it has an activation of its own")
    if name == "ReLU" and (layer.negative_slope or layer.threshold):
        raise CannotQuantize(layer.name, "it is a leaky ReLU")
    had_bias = bool(getattr(layer, "use_bias", True))
    return Node(
        layer.name, kind, inputs, (name, layer.get_config()), int(layer.output.shape[-1]), had_bias=had_bias
    )


def _inputs(layer: Any) -> list[str]:
    """Names of the layers that a layer reads."""
    if type(layer).__name__ == "InputLayer":
        return []
    if len(layer.inbound_nodes) != 1:
        raise CannotQuantize(layer.name, "it is used more than once")
    found = layer.inbound_nodes[0].inbound_layers
    return [each.name for each in (found if isinstance(found, list) else [found])]


def _readers(model: Any) -> dict[str, int]:
    counts = {layer.name: 0 for layer in model.layers}
    for layer in model.layers:
        for name in _inputs(layer):
            counts[name] += 1
    for name in model.output_names:
        counts[name] += 1
    return counts


def _at_one(found: tuple[str, float], layer: str) -> str:
    if found[1] != 1.0:
        raise CannotQuantize(layer, "an output would have to be scaled")
    return found[0]


def along(vector: np.ndarray, axis: int) -> np.ndarray:
    """A vector shaped so that it multiplies a kernel (4 axes) along one of them."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return vector.reshape(shape)


def _take_weights(node: Node, layer: Any, weights: dict[str, np.ndarray]) -> None:
    weights[f"{node.name}/kernel"] = weights[f"{node.name}/kernel"] * node.factor
    weights.setdefault(f"{node.name}/bias", np.zeros(node.channels))


def _absorb_norm(node: Node, layer: Any, weights: dict[str, np.ndarray]) -> None:
    gamma, beta, mean, variance = (
        weights[f"{layer.name}/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + layer.epsilon)
    kernel, bias = f"{node.name}/kernel", f"{node.name}/bias"
    weights[kernel] = weights[kernel] * along(scale, OUT_AXIS[node.kind])
    weights[bias] = beta + (weights[bias] - mean) * scale


def weights_back(folded: BNFoldedModel, epsilon: float = 1e-3) -> Weights:
    """An ordinary checkpoint's weights that compute the same: every batch normalisation adds its beta and
    does nothing else.

    Args:
        epsilon: of the batch normalisations.
    """
    found: Weights = {}
    for node in folded.graph.nodes:
        if node.kind not in CONVOLUTIONS:
            continue
        kernel, bias = (folded.weights[f"{node.name}/{name}"] for name in ("kernel", "bias"))
        found[f"{node.name}/kernel"] = (kernel / node.factor).astype(np.float32)
        if node.norm is None:
            found[f"{node.name}/bias"] = bias
            continue
        if node.had_bias:
            found[f"{node.name}/bias"] = np.zeros_like(bias)
        ones = np.ones_like(bias)
        found[f"{node.norm}/gamma"], found[f"{node.norm}/beta"] = ones, bias
        found[f"{node.norm}/moving_mean"] = np.zeros_like(bias)
        found[f"{node.norm}/moving_variance"] = ones * np.float32(1 - epsilon)
    return found
