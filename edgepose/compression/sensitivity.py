"""Which layers cost what: each kernel and each tensor rounded alone, everything else in float.

The noise that single roundings leave in the maps adds up nearly like their powers, so a row's share tells
what keeping that part in float would save.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeio import Progress
from edgepose.compression.fake_quant import quantized_kernel
from edgepose.compression.graph import CONVOLUTIONS, BNFoldedModel
from edgepose.compression.network import (
    FULL_INTEGER,
    MixedPrecision,
    Network,
    Ranges,
    batches,
    build_float,
    range_owners,
)
from edgepose.compression.ranges import Range
from edgepose.frameworks import tensorflow

SAMPLES = 8
PARTS = ("output", "weights")


@dataclass(frozen=True)
class LayerCost:
    """What rounding one part of a layer costs.

    Attributes:
        layer: name of the node.
        part: "weights" or "output".
        low, high: the output's range, or the kernel's largest weight to either side.
        snr_db: of the maps, when this part alone is rounded.
        share: of the noise that all parts together would make if each acted alone.
        peak_shift_px: how far this moves the maps' highest cells on average, in input pixels.
    """

    layer: str
    part: str
    low: float
    high: float
    snr_db: float
    share: float
    peak_shift_px: float


def layer_costs(
    folded: BNFoldedModel,
    ranges: Ranges,
    inputs: Sequence[np.ndarray],
    progress: Progress | None = None,
    mixed: MixedPrecision = FULL_INTEGER,
) -> list[LayerCost]:
    """What every part costs, the dearest first.

    Args:
        folded: of the maps alone.
        ranges: of every tensor that is rounded.
        inputs: arrays (1, H, W, 3), normalised; a few are enough.
        mixed: what stays float, and costs nothing.
    """
    network = build_float(folded)
    images = next(batches(inputs, SAMPLES))
    values = all_values(network, images)
    maps = np.asarray(values[folded.graph.outputs[-1]], np.float64)
    owners = range_owners(folded.graph)
    quantized = [n for n in folded.graph.nodes if n.name not in mixed.computed]
    parts = [(n.name, "weights") for n in quantized if n.kind in CONVOLUTIONS]
    parts += [(n, "output") for n in owners if n not in mixed.float_outputs]
    found = []
    for done, (name, part) in enumerate(parts):
        changed = (
            fake_quantized_kernel(network, name, values)
            if part == "weights"
            else fake_quantized_output(values[name], ranges[owners[name]])
        )
        noisy = np.asarray(_rest(network, values, name, changed), np.float64)
        limits = _limits(folded, name, part, ranges, owners)
        found.append((name, part, *limits, *_damage(maps, noisy, images.shape[1])))
        if progress:
            progress(done + 1, len(parts))
    total = max(sum(row[4] for row in found), 1e-30)
    power = float(np.sum(maps**2))
    costs = [
        LayerCost(name, part, low, high, decibels(power, noise), noise / total, shift)
        for name, part, low, high, noise, shift in found
    ]
    return sorted(costs, key=lambda cost: -cost.share)


def all_values(network: Network, images: np.ndarray) -> dict[str, Any]:
    """Every node's output, all of them held."""
    values: dict[str, Any] = {}
    for node in network.graph.nodes:
        values[node.name] = images if node.kind == "input" else network.compute(node, values)
    return values


def fake_quantized_output(value: Any, found: Range) -> Any:
    """A tensor as 8 bits keep it."""
    return tensorflow().quantization.fake_quant_with_min_max_args(value, found.low, found.high)


def fake_quantized_kernel(network: Network, name: str, values: Mapping[str, Any]) -> Any:
    """A convolution's output with its kernel rounded; the kernel is put back."""
    kernel, node = network.variables[f"{name}/kernel"], network.graph[name]
    exact = kernel.numpy()
    kernel.assign(quantized_kernel(kernel, node.kind))
    changed = network.compute(node, values)
    kernel.assign(exact)
    return changed


def _rest(network: Network, values: Mapping[str, Any], name: str, changed: Any) -> Any:
    """The maps when one node's output has changed: only what depends on it is computed again."""
    new = {name: changed}
    for node in network.graph.nodes:
        if node.name not in new and any(source in new for source in node.inputs):
            new[node.name] = network.compute(node, {s: new.get(s, values[s]) for s in node.inputs})
    return new[network.graph.outputs[-1]]


def _limits(
    folded: BNFoldedModel, name: str, part: str, ranges: Ranges, owners: Mapping[str, str]
) -> tuple[float, float]:
    if part == "weights":
        largest = float(np.abs(folded.weights[f"{name}/kernel"]).max())
        return -largest, largest
    return ranges[owners[name]].low, ranges[owners[name]].high


def _damage(maps: np.ndarray, noisy: np.ndarray, size: int) -> tuple[float, float]:
    """Power of the noise, and the mean shift of the highest cells in input pixels."""

    def peaks(planes: np.ndarray) -> np.ndarray:
        flat = planes.reshape(len(planes), -1, planes.shape[-1]).argmax(1)
        return np.stack(np.unravel_index(flat, planes.shape[1:3]), -1)

    shift = np.linalg.norm(peaks(maps) - peaks(noisy), axis=-1).mean() * size / maps.shape[1]
    return float(np.sum((maps - noisy) ** 2)), float(shift)


def decibels(signal: float, noise: float) -> float:
    """Signal to noise, of two powers; 200 where there is none."""
    return float(min(200.0, 10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30))))
