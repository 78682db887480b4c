"""Bias correction: what rounding adds to a channel on average is taken off its bias.

Source: Nagel et al. 2019, section 4.2, by measurement on real images rather than from batch statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, Folded, Node
from edgepose.compression.network import NOTHING, Kept, Ranges, batches, build_float, build_rounded
from edgepose.frameworks import tensorflow

SAMPLES = 16


def corrected(folded: Folded, ranges: Ranges, inputs: Sequence[np.ndarray], kept: Kept = NOTHING) -> Folded:
    """With biases for which every convolution of the rounded network has the float one's channel means.

    Both networks are computed side by side, one layer after the other, so that a layer is corrected for
    what the corrected layers before it still do to its input.

    Args:
        ranges: that the network will be rounded with.
        inputs: arrays (1, H, W, 3), normalised; the first SAMPLES are used.
        kept: what will stay float.
    """
    tf = tensorflow()
    exact, rounded = build_float(folded), build_rounded(folded, ranges, kept=kept)
    images = next(batches(inputs, SAMPLES))
    wanted = exact.values(images)

    def correct(node: Node, held: Mapping[str, Any]) -> None:
        _, value = next(wanted)
        if node.kind not in CONVOLUTIONS:
            return
        rounded.compute(node, held)  # the wrapper puts the rounded kernel into its layer
        unrounded = rounded.layers[node.name].layer.call(held[node.inputs[0]])
        excess = tf.reduce_mean(unrounded - value, axis=(0, 1, 2))
        rounded.variables[f"{node.name}/bias"].assign_sub(excess)

    for _ in rounded.values(images, before=correct):
        pass
    biases = {name: value for name, value in rounded.weights().items() if name.endswith("/bias")}
    return Folded(folded.graph, folded.weights | biases)
