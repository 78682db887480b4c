"""Bias correction: what rounding adds to a channel on average is taken off its bias.

Source: Nagel et al. 2019, section 4.2, by measurement on real images rather than from batch statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, Folded
from edgepose.compression.network import Ranges, batches, build_float, build_rounded
from edgepose.frameworks import tensorflow

SAMPLES = 16


def corrected(folded: Folded, ranges: Ranges, inputs: Sequence[np.ndarray]) -> Folded:
    """With biases for which every convolution of the rounded network has the float one's channel means.

    Both networks are computed side by side, one layer after the other, so that a layer is corrected for
    what the corrected layers before it still do to its input.

    Args:
        ranges: that the network will be rounded with.
        inputs: arrays (1, H, W, 3), normalised; the first SAMPLES are used.
    """
    tf = tensorflow()
    exact, rounded = build_float(folded), build_rounded(folded, ranges)
    images = next(batches(inputs, SAMPLES))
    side: dict[str, Any] = {}  # the rounded network's values
    for node, value in exact.values(images):
        if node.kind == "input":
            side[node.name] = rounded.layers[node.name](images)
            continue
        side[node.name] = rounded.compute(node, side)
        if node.kind in CONVOLUTIONS:
            # The wrapper has just put the rounded kernel into its layer; its output is not yet rounded.
            before = rounded.layers[node.name].layer.call(side[node.inputs[0]])
            excess = tf.reduce_mean(before - value, axis=(0, 1, 2))
            rounded.variables[f"{node.name}/bias"].assign_sub(excess)
            side[node.name] = rounded.compute(node, side)
        _forget(side, exact.graph.nodes, node)
    biases = {name: value for name, value in rounded.weights().items() if name.endswith("/bias")}
    return Folded(folded.graph, folded.weights | biases)


def _forget(side: dict[str, Any], nodes: Sequence[Any], now: Any) -> None:
    """Drop values that no later node reads."""
    later = {name for node in nodes[nodes.index(now) + 1 :] for name in node.inputs}
    for name in [name for name in side if name not in later]:
        del side[name]
