"""A BN-folded graph as a tf_keras network: in float, or fake-quantized as int8 kernels round every tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.compression.fake_quant import RangeVariable, input_layer, range_variable, wrapped
from edgepose.compression.graph import CONVOLUTIONS, BNFoldedModel, Graph, Node
from edgepose.compression.ranges import SIGMOID, Range
from edgepose.frameworks import tf_keras
from export.rewrite import barrier

Ranges = dict[str, Range]  # by the node that owns the range


@dataclass(frozen=True)
class MixedPrecision:
    """What stays float in a fake-quantized network; see `mixed_precision.mixed_precision`.

    Attributes:
        named: the layers that were asked for.
        computed: the nodes that compute in float: those, and all that has to follow them.
        float_outputs: the nodes whose outputs are float.
    """

    named: tuple[str, ...] = ()
    computed: frozenset[str] = frozenset()
    float_outputs: frozenset[str] = frozenset()


FULL_INTEGER = MixedPrecision()


def range_owners(graph: Graph) -> dict[str, str]:
    """Of each node whose output is rounded: the node whose range it takes, mostly its own.

    A convolution before a ReLU is not rounded, since the kernels join the two. A tensor that is read by
    a concatenation alone takes the concatenation's range, and a pooled one that of what is pooled: the
    kernels ask for equal scales there. What counts is the graph that gives the maps; heads that only
    training has change nothing.
    """
    consumers, owners = graph.only(graph.outputs[-1]).consumers(), dict[str, str]()
    for node in reversed(graph.nodes):
        readers = consumers.get(node.name, [])
        kind = readers[0].kind if len(readers) == 1 else ""
        if kind == "relu" and node.kind in CONVOLUTIONS:
            continue
        joined = kind == "concat" and node.kind != "sigmoid"
        owners[node.name] = owners[readers[0].name] if joined else node.name
    for node in graph.nodes:
        if node.kind == "pool":
            owners[node.name] = owners[node.inputs[0]]
    return {node.name: owners[node.name] for node in graph.nodes if node.name in owners}


def effects(graph: Graph) -> dict[str, str]:
    """What is made of each node's output: a name in `ranges.EFFECTS`."""
    consumers = graph.consumers()
    found = {}
    for node in graph.nodes:
        readers = consumers[node.name]
        gates = [reader.name for reader in readers if reader.kind == "sigmoid"]
        products = [
            r for r in readers if r.kind == "multiply" and gates and set(r.inputs) == {node.name, gates[0]}
        ]
        if len(readers) == 2 and len(gates) == 1 and products:
            found[node.name] = "swish"
        elif len(readers) == 1 and gates:
            found[node.name] = "sigmoid"
        else:
            found[node.name] = "maps" if node.name == graph.outputs[-1] and not readers else "plain"
    return found


@dataclass(frozen=True)
class Network:
    """A BN-folded graph built in tf_keras.

    Attributes:
        model: images (B, H, W, 3) normalised -> the graph's outputs.
        layers: what computes each node but the input's; in a fake-quantized one, the input's too.
        variables: kernel and bias of each convolution, by NODE/kernel and NODE/bias.
        ranges: of the nodes that own one; empty in float.
    """

    graph: Graph
    model: Any
    layers: Mapping[str, Any]
    variables: Mapping[str, Any]
    ranges: Mapping[str, RangeVariable]

    def weights(self) -> dict[str, np.ndarray]:
        """As they are now."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def compute(self, node: Node, values: Mapping[str, Any]) -> Any:
        """One node's output from its inputs' outputs."""
        read = [values[name] for name in node.inputs]
        return self.layers[node.name](read[0] if len(read) == 1 else read)

    def values(
        self, images: np.ndarray, before: Callable[[Node, Mapping[str, Any]], None] = lambda node, held: None
    ) -> Iterator[tuple[Node, Any]]:
        """Every node's output in turn; each is forgotten once nothing needs it any more.

        Args:
            before: called ahead of each node with the values that are held, its inputs' among them; may
                change the node's weights.
        """
        held: dict[str, Any] = {}
        last = {name: node.name for node in self.graph.nodes for name in node.inputs}
        for node in self.graph.nodes:
            before(node, held)
            if node.kind == "input":
                held[node.name] = self.layers[node.name](images) if node.name in self.layers else images
            else:
                held[node.name] = self.compute(node, held)
            yield node, held[node.name]
            for name in node.inputs:
                if last[name] == node.name:
                    held.pop(name, None)


def build_float(folded: BNFoldedModel) -> Network:
    """The BN-folded graph in float."""
    return _build(folded, lambda node, layer: layer, {}, None)


def build_fake_quantized(
    folded: BNFoldedModel,
    ranges: Ranges,
    learned: bool = False,
    mixed: MixedPrecision = FULL_INTEGER,
    barriers: bool = False,
) -> Network:
    """The BN-folded graph with quantizers.

    Args:
        ranges: of every owner in `range_owners`.
        learned: whether training may move them.
        mixed: what stays float.
        barriers: put quantization barriers (`export.rewrite`) around that. The network is then good for
            conversion alone.
    """
    owners = range_owners(folded.graph)
    variables = {
        name: range_variable(name, found, learned and _may_move(folded.graph[name]))
        for name, found in sorted(ranges.items())  # the same order in every session: saved states rely on it
    }

    def wrap(node: Node, layer: Any) -> Any:
        owner = None if node.name in mixed.float_outputs else owners.get(node.name)
        kind = "" if node.name in mixed.computed else node.kind
        return wrapped(layer, kind, variables[owner] if owner else None, barriers and not kind)

    def borders(node: Node, source: str) -> bool:
        return (
            barriers
            and node.name in mixed.computed
            and source in owners
            and source not in mixed.float_outputs
        )

    return _build(folded, wrap, variables, variables[folded.graph.nodes[0].name], borders)


def _may_move(node: Node) -> bool:
    """The kernels prescribe a sigmoid's range, and the input's is known."""
    return node.kind not in ("sigmoid", "input")


def fixed_ranges(graph: Graph, inputs: Range) -> Ranges:
    """The ranges that no calibration needs to find."""
    fixed = {node.name: SIGMOID for node in graph.nodes if node.kind == "sigmoid"}
    return fixed | {node.name: inputs for node in graph.nodes if node.kind == "input"}


def _build(
    folded: BNFoldedModel,
    wrap: Callable[[Node, Any], Any],
    ranges: Mapping[str, RangeVariable],
    input_range: RangeVariable | None,
    needs_barrier: Callable[[Node, str], bool] = lambda node, source: False,
) -> Network:
    keras, graph = tf_keras(), folded.graph
    tensors: dict[str, Any] = {}
    layers: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for node in graph.nodes:
        name, config = node.layer
        if node.kind == "input":
            images = keras.Input(config["batch_input_shape"][1:], name=node.name)
            tensors[node.name] = images
            if input_range is not None:
                layers[node.name] = input_layer(input_range, f"{node.name}_fake_quantized")
                tensors[node.name] = layers[node.name](images)
            continue
        if node.kind in CONVOLUTIONS:
            config = {**config, "use_bias": True}
        layer = getattr(keras.layers, name).from_config(config)
        read = [barrier(tensors[s]) if needs_barrier(node, s) else tensors[s] for s in node.inputs]
        if node.kind in CONVOLUTIONS:
            variables |= _with_weights(layer, node, read[0].shape, folded.weights)
        layers[node.name] = wrap(node, layer)
        tensors[node.name] = layers[node.name](read[0] if len(read) == 1 else read)
    model = keras.Model(images, [tensors[name] for name in graph.outputs], name="network")
    return Network(graph, model, layers, variables, ranges)


def _with_weights(layer: Any, node: Node, shape: Any, weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Build the layer and fill it; its variables by name. The wrapper will put tensors in their place."""
    layer.build(shape)
    kernel = layer.depthwise_kernel if node.kind == "depthwise" else layer.kernel
    found = {f"{node.name}/kernel": kernel, f"{node.name}/bias": layer.bias}
    for name, variable in found.items():
        variable.assign(weights[name])
    return found


def batches(inputs: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Inputs (1, H, W, 3) joined to (B, H, W, 3), B at most `size`."""
    held: list[np.ndarray] = []
    for each in inputs:
        held.append(each)
        if len(held) == size:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
