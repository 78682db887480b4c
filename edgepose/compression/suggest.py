"""Which layers are worth keeping in float: those that take most noise from the maps for the least work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, BNFoldedModel, Graph, Node
from edgepose.compression.mixed_precision import mixed_precision
from edgepose.compression.network import (
    FULL_INTEGER,
    MixedPrecision,
    Network,
    Ranges,
    batches,
    build_float,
    range_owners,
)
from edgepose.compression.sensitivity import (
    SAMPLES,
    LayerCost,
    all_values,
    decibels,
    fake_quantized_kernel,
    fake_quantized_output,
)
from edgepose.errors import UsageError

MOST = 5
# What takes less of the noise away than this is not worth a change between integers and float.
_LEAST_SAVED = 0.02
_EXTRA_BYTES = 3  # a weight takes four instead of one


@dataclass(frozen=True)
class Suggestion:
    """A layer to keep in float, on top of those suggested before it.

    Attributes:
        layer: as `--keep` takes it.
        saved: the share of the noise in the maps that goes with it, if single roundings add up.
        work: the share of the network's operations that become float with it.
        extra_bytes: that the kernels grow by.
        snr_db: of the quantized network's maps with this layer and those before it in float; not a sum.
    """

    layer: str
    saved: float
    work: float
    extra_bytes: int
    snr_db: float


def suggest(
    folded: BNFoldedModel,
    ranges: Ranges,
    costs: Sequence[LayerCost],
    inputs: Sequence[np.ndarray],
    mixed: MixedPrecision = FULL_INTEGER,
) -> list[Suggestion]:
    """At most MOST layers, each the one that then saves most for its work.

    Args:
        costs: of `layer_costs`, for the same network and the same `mixed`.
        inputs: arrays (1, H, W, 3), normalised; a few are enough.
        mixed: what stays float already.
    """
    network, graph = build_float(folded), folded.graph
    images = next(batches(inputs, SAMPLES))
    values = all_values(network, images)
    work = _work(folded, values)
    candidates = list(dict.fromkeys(c.layer for c in costs if graph[c.layer].kind != "input"))
    found: list[Suggestion] = []
    while len(found) < MOST:
        best = _best(graph, mixed, candidates, costs, work)
        if best is None:
            break
        layer, after = best
        grown = _bytes(folded, after) - _bytes(folded, mixed)
        spent = _float_work(after, work) - _float_work(mixed, work)
        saved = _saved(after, costs) - _saved(mixed, costs)
        found.append(Suggestion(layer, saved, spent, grown, _snr(network, values, ranges, after)))
        mixed = after
    return found


def _best(
    graph: Graph,
    mixed: MixedPrecision,
    candidates: Sequence[str],
    costs: Sequence[LayerCost],
    work: Mapping[str, float],
) -> tuple[str, MixedPrecision] | None:
    """The next layer, and what is kept with it; None where none is worth it."""
    rated = []
    saved, spent = _saved(mixed, costs), _float_work(mixed, work)
    for layer in candidates:
        try:
            after = mixed_precision(graph, [*mixed.named, layer])
        except UsageError:  # nothing would be left in integers
            continue
        gain = _saved(after, costs) - saved
        # Half a percent is what a change of type costs at the least: calls, and memory once more.
        price = max(_float_work(after, work) - spent, 0.005)
        if gain >= _LEAST_SAVED and gain > price:
            rated.append((gain / price, layer, after))
    if not rated:
        return None
    _, layer, after = max(rated, key=lambda each: each[0])
    return layer, after


def _saved(mixed: MixedPrecision, costs: Sequence[LayerCost]) -> float:
    """The share of the noise that is not made."""
    float_parts = {"weights": mixed.computed, "output": mixed.float_outputs}
    return sum(cost.share for cost in costs if cost.layer in float_parts[cost.part])


def _work(folded: BNFoldedModel, values: Mapping[str, Any]) -> dict[str, float]:
    """Of each node: its share of the network's multiplications and other operations on elements."""
    counts = {node.name: _operations(node, folded, values) for node in folded.graph.nodes}
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def _operations(node: Node, folded: BNFoldedModel, values: Mapping[str, Any]) -> float:
    if node.kind not in CONVOLUTIONS:
        return float(np.prod(values[node.name].shape[1:]) * len(node.inputs))
    swept = values[node.inputs[0] if node.kind == "deconv" else node.name]
    return float(folded.weights[f"{node.name}/kernel"].size * np.prod(swept.shape[1:3]))


def _float_work(mixed: MixedPrecision, work: Mapping[str, float]) -> float:
    return sum(work[name] for name in mixed.computed)


def _bytes(folded: BNFoldedModel, mixed: MixedPrecision) -> int:
    kernels = [f"{name}/kernel" for name in mixed.computed if folded.graph[name].kind in CONVOLUTIONS]
    return sum(_EXTRA_BYTES * folded.weights[name].size for name in kernels)


def _snr(network: Network, values: Mapping[str, Any], ranges: Ranges, mixed: MixedPrecision) -> float:
    """Of the maps when everything but `mixed` is rounded.

    Args:
        values: every node's output in float.
    """
    graph, owners = network.graph, range_owners(network.graph)
    now: dict[str, Any] = {}
    for node in graph.nodes:
        if node.kind == "input":
            value = values[node.name]
        elif node.kind in CONVOLUTIONS and node.name not in mixed.computed:
            value = fake_quantized_kernel(network, node.name, now)
        else:
            value = network.compute(node, now)
        is_quantized = node.name in owners and node.name not in mixed.float_outputs
        now[node.name] = fake_quantized_output(value, ranges[owners[node.name]]) if is_quantized else value
    maps, noisy = (np.asarray(each[graph.outputs[-1]], np.float64) for each in (values, now))
    return decibels(float(np.sum(maps**2)), float(np.sum((maps - noisy) ** 2)))
