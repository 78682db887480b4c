"""The float network on calibration images: how each tensor's values are spread, and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgepose.compression.graph import BNFoldedModel, Graph
from edgepose.compression.network import (
    Network,
    Ranges,
    batches,
    build_float,
    effects,
    fixed_ranges,
    range_owners,
)
from edgepose.compression.ranges import BINS, Histogram, Range, choose
from edgepose.errors import EdgeposeError
from edgepose.frameworks import tensorflow

_BATCH = 4


def histograms(network: Network, inputs: Sequence[np.ndarray], seed: int = 0) -> dict[str, Histogram]:
    """Of every tensor whose range is to be found.

    Args:
        network: in float.
        inputs: N arrays (1, H, W, 3), normalised.
        seed: of the random directions in which the maps' gradients are taken.

    Raises:
        EdgeposeError: a layer gives NaN or infinity.
    """
    wanted = _wanted(network.graph)
    ends = _ends(network, inputs, set(wanted))
    counts = {name: np.zeros(BINS) for name in wanted}
    stakes = {name: np.zeros(BINS) for name in wanted}
    rng = np.random.default_rng(seed)
    for images in batches(inputs, _BATCH):
        values, gradients = _with_gradients(network, images, set(wanted) | set(wanted.values()), rng)
        for name, stage in wanted.items():
            bins = _bins(values[name].numpy(), *ends[name])
            # A head that only training has is judged by itself.
            slopes = None if gradients[stage] is None else gradients[stage].numpy().ravel() ** 2
            counts[name] += np.bincount(bins, minlength=BINS)
            stakes[name] += np.bincount(bins, slopes, BINS)
    return {name: Histogram(*ends[name], counts[name], stakes[name]) for name in wanted}


def calibrated(
    folded: BNFoldedModel, inputs: Sequence[np.ndarray], input_range: Range, method: str
) -> Ranges:
    """A range for every tensor that is rounded.

    Args:
        inputs: N arrays (1, H, W, 3), normalised.
        input_range: of the network's input.
        method: a name in `ranges.METHODS`.
    """
    found = histograms(build_float(folded), inputs)
    made_of = effects(folded.graph)
    chosen = {name: choose(found[name], method, made_of[name]) for name in sorted(found)}
    return chosen | fixed_ranges(folded.graph, input_range)


def _wanted(graph: Graph) -> dict[str, str]:
    """Each tensor that needs a range, with the node behind whose output its error is judged."""
    fixed = fixed_ranges(graph, Range(-1.0, 1.0))
    consumers, made_of = graph.consumers(), effects(graph)
    kinds = {"swish": "multiply", "sigmoid": "sigmoid"}
    return {
        name: next((r.name for r in consumers[name] if r.kind == kinds.get(made_of[name])), name)
        for name in dict.fromkeys(range_owners(graph).values())
        if name not in fixed
    }


def _ends(network: Network, inputs: Sequence[np.ndarray], wanted: set[str]) -> dict[str, tuple[float, float]]:
    tf = tensorflow()
    found: dict[str, tuple[float, float]] = {}
    for images in batches(inputs, _BATCH):
        for node, value in network.values(images):
            if node.name not in wanted:
                continue
            low, high = float(tf.reduce_min(value)), float(tf.reduce_max(value))
            if not np.isfinite([low, high]).all():
                raise EdgeposeError(f"layer {node.name} gives NaN or infinity", "train the network again")
            before = found.get(node.name, (low, high))
            found[node.name] = min(low, before[0]), max(high, before[1])
    return found


def _with_gradients(
    network: Network, images: np.ndarray, kept: set[str], rng: np.random.Generator
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Values of the `kept` nodes, and the gradients there of the maps' sum with random signs: the
    expectation of their squares is what a squared error there becomes in the maps."""
    tf = tensorflow()
    values = {}
    with tf.GradientTape() as tape:
        for node, value in network.values(images):
            if node.name in kept:
                values[node.name] = value
        maps = values[network.graph.outputs[-1]]
        signs = rng.choice([-1.0, 1.0], maps.shape).astype(np.float32)
        projected = tf.reduce_sum(maps * signs)
    return values, tape.gradient(projected, values)


def _bins(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The bin of each value, flat."""
    width = max(high - low, 1e-9) / BINS
    return np.asarray(np.clip((values.ravel() - low) / width, 0, BINS - 1).astype(np.int32))
