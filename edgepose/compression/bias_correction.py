"""Bias correction: what rounding adds to a channel on average is taken off its bias.

Source: Nagel et al. 2019, section 4.2, by measurement on real images rather than from batch statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgepose.compression.graph import CONVOLUTIONS, BNFoldedModel, Node
from edgepose.compression.network import (
    FULL_INTEGER,
    MixedPrecision,
    Ranges,
    batches,
    build_fake_quantized,
    build_float,
)
from edgepose.frameworks import tensorflow

SAMPLES = 16


def bias_corrected(
    folded: BNFoldedModel, ranges: Ranges, inputs: Sequence[np.ndarray], mixed: MixedPrecision = FULL_INTEGER
) -> BNFoldedModel:
    """With biases for which every convolution of the quantized network has the float one's channel means.

    Both networks are computed side by side, one layer after the other, so that a layer is corrected for
    what the corrected layers before it still do to its input.

    Args:
        ranges: that the network will be quantized with.
        inputs: arrays (1, H, W, 3), normalised; the first SAMPLES are used.
        mixed: what will stay float.
    """
    tf = tensorflow()
    exact, fake_quantized = build_float(folded), build_fake_quantized(folded, ranges, mixed=mixed)
    images = next(batches(inputs, SAMPLES))
    wanted = exact.values(images)

    def correct_bias(node: Node, held: Mapping[str, Any]) -> None:
        _, value = next(wanted)
        if node.kind not in CONVOLUTIONS:
            return
        fake_quantized.compute(node, held)  # the wrapper puts the quantized kernel into its layer
        before_rounding = fake_quantized.layers[node.name].layer.call(held[node.inputs[0]])
        excess = tf.reduce_mean(before_rounding - value, axis=(0, 1, 2))
        fake_quantized.variables[f"{node.name}/bias"].assign_sub(excess)

    for _ in fake_quantized.values(images, before=correct_bias):
        pass
    biases = {name: value for name, value in fake_quantized.weights().items() if name.endswith("/bias")}
    return BNFoldedModel(folded.graph, folded.weights | biases)
