"""Take back a .tflite's batch normalisations, which its converter folded into the convolutions.

A folded network says the same, but cannot be trained on: normalisation in training divides by the batch's
own spread, and the folded weights no longer know the one they were trained with. Images of the kind that
the network was made for tell it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.errors import BadCheckpoint
from edgepose.frameworks import keras
from edgepose.models.hdf5 import Layers
from export.inspect import float_constants

_VARIABLES = {
    "kernel": "kernel",
    "convolution_bias": "bias",
    "depthwise_kernel": "kernel",
    "depthwise_bias": "bias",
}


def read_folded_layers(path: Path) -> Layers:
    """Layer name -> variable name -> float32 array in Keras' order, as `hdf5.read_layers` gives them.

    Raises:
        ExportError: not a .tflite file, or damaged.
        BadCheckpoint: its tensors do not bear their layers' names.
    """
    layers: Layers = {}
    for name, array in float_constants(path).items():
        layer, _, variable = name.rpartition("/")
        if layer and variable in _VARIABLES:
            kernel = array.ndim == 4  # (out, height, width, in), or (1, height, width, channels)
            layers.setdefault(layer, {})[_VARIABLES[variable]] = (
                array.transpose(1, 2, 3, 0) if kernel else array
            )
    if not layers:
        raise BadCheckpoint(f"{path} names no layer's weights", "give the authors' own .tflite, unchanged")
    return layers


def with_plain_norms(layers: Layers, model: Any, name_of: Callable[[str], str]) -> Layers:
    """The same network with normalisations again: they only add what were the convolutions' biases.

    Args:
        model: ours, whose layers say which convolution each normalisation follows.
        name_of: our layer's name -> the file's.

    Raises:
        BadCheckpoint: a convolution has no bias, where one was folded into it.
    """
    found = {layer: dict(variables) for layer, variables in layers.items()}
    for norm, convolution in _normalised(model).items():
        source = found.get(name_of(convolution), {})
        if "bias" not in source:
            raise BadCheckpoint(f"the file lacks the bias of {name_of(convolution)}", "give another --model")
        bias = source.pop("bias")
        unit = np.ones_like(bias)
        found[name_of(norm)] = {
            "gamma": unit * np.sqrt(1 + model.get_layer(norm).epsilon),
            "beta": bias,
            "moving_mean": 0 * unit,
            "moving_variance": unit,
        }
    return found


def restore_norms(model: Any, images: Sequence[np.ndarray]) -> None:
    """Give every normalisation the mean and the spread that its input has on images; the maps stay the same.

    Args:
        images: N arrays (1, H, W, 3), normalised.
    """
    ops = keras().ops
    norms = [model.get_layer(name) for name in _normalised(model)]
    moments = [[ops.mean(power, (0, 1, 2)) for power in (n.input, n.input * n.input)] for n in norms]
    reader = keras().Model(model.inputs[0], moments)
    sums = [np.zeros((2, norm.gamma.shape[0])) for norm in norms]
    for image in images:
        found = reader.predict_on_batch(image)
        sums = [total + np.asarray(part, np.float64) for total, part in zip(sums, found, strict=True)]
    for norm, total in zip(norms, sums, strict=True):
        mean, square = total / len(images)
        variance = np.maximum(square - mean**2, 0.0)
        gamma, beta, old_mean, old_variance = (np.asarray(w, np.float64) for w in norm.get_weights())
        slope = gamma / np.sqrt(old_variance + norm.epsilon)
        norm.set_weights(
            [slope * np.sqrt(variance + norm.epsilon), beta + slope * (mean - old_mean), mean, variance]
        )


def _normalised(model: Any) -> dict[str, str]:
    """Each batch normalisation, and the layer before it."""
    return {
        layer.name: layer.input._keras_history.operation.name
        for layer in model.layers
        if isinstance(layer, keras().layers.BatchNormalization)
    }
