"""Which layers are worth keeping in float: those that take most noise from the maps for the least work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, Folded, Graph, Node
from edgepose.compression.mixed_precision import keep
from edgepose.compression.network import (
    NOTHING,
    Kept,
    Network,
    Ranges,
    batches,
    build_float,
    range_owners,
)
from edgepose.compression.sensitivity import (
    SAMPLES,
    Cost,
    all_values,
    decibels,
    rounded_kernel,
    rounded_output,
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
        snr_db: of the rounded network's maps with this layer and all before it kept: computed, not added up.
    """

    layer: str
    saved: float
    work: float
    extra_bytes: int
    snr_db: float


def suggest(
    folded: Folded,
    ranges: Ranges,
    costs: Sequence[Cost],
    inputs: Sequence[np.ndarray],
    kept: Kept = NOTHING,
) -> list[Suggestion]:
    """At most MOST layers, each the one that then saves most for its work.

    Args:
        costs: of `layer_costs`, for the same network and the same `kept`.
        inputs: arrays (1, H, W, 3), normalised; a few are enough.
        kept: what stays float already.
    """
    network, graph = build_float(folded), folded.graph
    images = next(batches(inputs, SAMPLES))
    values = all_values(network, images)
    work = _work(folded, values)
    candidates = list(dict.fromkeys(c.layer for c in costs if graph[c.layer].kind != "input"))
    found: list[Suggestion] = []
    while len(found) < MOST:
        best = _best(graph, kept, candidates, costs, work)
        if best is None:
            break
        layer, after = best
        grown = _bytes(folded, after) - _bytes(folded, kept)
        spent = _float_work(after, work) - _float_work(kept, work)
        saved = _saved(after, costs) - _saved(kept, costs)
        found.append(Suggestion(layer, saved, spent, grown, _snr(network, values, ranges, after)))
        kept = after
    return found


def _best(
    graph: Graph, kept: Kept, candidates: Sequence[str], costs: Sequence[Cost], work: Mapping[str, float]
) -> tuple[str, Kept] | None:
    """The next layer, and what is kept with it; None where none is worth it."""
    rated = []
    saved, spent = _saved(kept, costs), _float_work(kept, work)
    for layer in candidates:
        try:
            after = keep(graph, [*kept.named, layer])
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


def _saved(kept: Kept, costs: Sequence[Cost]) -> float:
    """The share of the noise that is not made."""
    float_parts = {"weights": kept.computed, "output": kept.unrounded}
    return sum(cost.share for cost in costs if cost.layer in float_parts[cost.part])


def _work(folded: Folded, values: Mapping[str, Any]) -> dict[str, float]:
    """Of each node: its share of the network's multiplications and other operations on elements."""
    counts = {node.name: _operations(node, folded, values) for node in folded.graph.nodes}
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def _operations(node: Node, folded: Folded, values: Mapping[str, Any]) -> float:
    if node.kind not in CONVOLUTIONS:
        return float(np.prod(values[node.name].shape[1:]) * len(node.inputs))
    swept = values[node.inputs[0] if node.kind == "deconv" else node.name]
    return float(folded.weights[f"{node.name}/kernel"].size * np.prod(swept.shape[1:3]))


def _float_work(kept: Kept, work: Mapping[str, float]) -> float:
    return sum(work[name] for name in kept.computed)


def _bytes(folded: Folded, kept: Kept) -> int:
    kernels = [f"{name}/kernel" for name in kept.computed if folded.graph[name].kind in CONVOLUTIONS]
    return sum(_EXTRA_BYTES * folded.weights[name].size for name in kernels)


def _snr(network: Network, values: Mapping[str, Any], ranges: Ranges, kept: Kept) -> float:
    """Of the maps when everything but `kept` is rounded.

    Args:
        values: every node's output in float.
    """
    graph, owners = network.graph, range_owners(network.graph)
    now: dict[str, Any] = {}
    for node in graph.nodes:
        if node.kind == "input":
            value = values[node.name]
        elif node.kind in CONVOLUTIONS and node.name not in kept.computed:
            value = rounded_kernel(network, node.name, now)
        else:
            value = network.compute(node, now)
        is_rounded = node.name in owners and node.name not in kept.unrounded
        now[node.name] = rounded_output(value, ranges[owners[node.name]]) if is_rounded else value
    maps, noisy = (np.asarray(each[graph.outputs[-1]], np.float64) for each in (values, now))
    return decibels(float(np.sum(maps**2)), float(np.sum((maps - noisy) ** 2)))
