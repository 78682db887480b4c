"""A network's training form on a CPU: the same layers and variables, in fewer passes over memory.

Most of a training step of these networks on a CPU goes into reading and writing maps, not into arithmetic.
Keras spells out batch normalisation and our builders spell out swish (`edgepose.models.layers`), so that
each is five to ten passes over a map, forward and backward. Here a batch normalisation is TensorFlow's one
kernel, and a swish one function whose gradient is computed anew from its input. Numbers differ by
float32's rounding only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from edgepose.frameworks import Tensor, keras, tensorflow

# Elements from which on compiling a swish's gradient pays: below, compiling takes longer than it saves.
_COMPILED_FROM = 1 << 16


def in_fewer_passes(model: Any) -> Any:
    """A model on the same layers and variables, to call where `model` would be called in training.

    Returns:
        The rewritten model; `model` itself where the rewriting was not found to pay: on a backend other
        than TensorFlow, with a GPU, or where the model is not a graph of layers.
    """
    kr = keras()
    if kr.backend.backend() != "tensorflow" or not _is_graph(model):
        return model
    if tensorflow().config.list_physical_devices("GPU"):
        return model
    return kr.models.clone_model(model, clone_function=lambda layer: layer, call_function=_call)


def _is_graph(model: Any) -> bool:
    return bool(getattr(model, "inputs", None)) and not isinstance(model, keras().Sequential)


def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a layer, or what takes its place."""
    kr = keras()
    kind = type(layer)
    if len(args) != 1 or any(value is not None for value in kwargs.values()):
        return layer(*args, **kwargs)
    if kind is kr.layers.BatchNormalization and _is_plain(layer, args[0]):
        return _replacements()["normalisation"](layer)(args[0])
    if kind is kr.layers.GlobalAveragePooling2D and layer.keepdims and _is_float32(layer):
        return _replacements()["means"]()(args[0])
    if kind is kr.layers.Multiply and _is_float32(layer) and _is_swish(args[0]):
        return _replacements()["swish"](1.0)(args[0][0])
    if kind is kr.layers.Rescaling and _is_float32(layer) and np.isscalar(layer.scale) and not layer.offset:
        maker, source = _made_by(args[0])
        if type(maker) is _replacements()["swish"]:
            return _replacements()["swish"](layer.scale)(source)
    return layer(*args, **kwargs)


def _is_plain(norm: Any, x: Tensor) -> bool:
    """Whether TensorFlow's kernel does what this batch normalisation does."""
    usual = norm.scale and norm.center and not norm.renorm and not norm.synchronized
    return bool(usual and len(x.shape) == 4 and norm.axis in (-1, 3) and _is_float32(norm))


def _is_float32(layer: Any) -> bool:
    return bool(layer.compute_dtype == "float32" and getattr(layer, "data_format", None) != "channels_first")


def _is_swish(factors: Any) -> bool:
    """Whether the two tensors are x and sigmoid(x), in this order."""
    if not isinstance(factors, list | tuple) or len(factors) != 2:
        return False
    maker, source = _made_by(factors[1])
    activation = getattr(maker, "activation", None)
    return source is factors[0] and activation is keras().activations.sigmoid


def _made_by(tensor: Any) -> tuple[Any, Any]:
    """The layer that made a tensor, and what it made it of; (None, None) where that is not one tensor."""
    maker, node, _ = tensor._keras_history
    sources = maker._inbound_nodes[node].input_tensors
    return (maker, sources[0]) if len(sources) == 1 else (None, None)


def swish(x: Tensor, scale: float = 1.0) -> Tensor:
    """scale x sigmoid(x), float32, whose gradient keeps nothing but x."""
    tf = tensorflow()

    def call(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        value = tf.sigmoid(x) * x
        return value if scale == 1.0 else value * scale, lambda change: _swish_gradient(x, change, scale)

    return tf.custom_gradient(call)(x)


def _swish_gradient(x: Tensor, change: Tensor, scale: float) -> Tensor:
    tf = tensorflow()
    size = x.shape.num_elements()
    if size is None or size < _COMPILED_FROM:
        return _slope(x, change, scale)
    # Flat, so that maps of one size share what is compiled, whatever their shape.
    flat = _compiled_slope()(tf.reshape(x, [-1]), tf.reshape(change, [-1]), scale)
    return tf.reshape(flat, x.shape)


def _slope(x: Tensor, change: Tensor, scale: float) -> Tensor:
    gate = tensorflow().sigmoid(x)
    return change * scale * (gate * (1.0 + x * (1.0 - gate)))


@cache
def _compiled_slope() -> Callable[..., Tensor]:
    """`_slope` as one pass: XLA is slow at convolutions on a CPU, and good at this."""
    return tensorflow().function(_slope, jit_compile=True)


def means(x: Tensor) -> Tensor:
    """(B, h, w, C) to its means over h and w, (B, 1, 1, C): by the pooling kernel, which Keras's is not."""
    tf = tensorflow()
    height, width = x.shape[1:3]

    def call(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        pooled = tf.nn.avg_pool2d(x, (height, width), 1, "VALID")
        return pooled, lambda change: tf.broadcast_to(change / (height * width), tf.shape(x))

    return tf.custom_gradient(call)(x)


@cache
def _replacements() -> dict[str, type]:
    """The layers that take others' places; made late, since Keras is imported late."""
    kr, tf = keras(), tensorflow()

    class Swish(kr.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, scale: float) -> None:
            super().__init__(dtype="float32")
            self.scale = float(scale)

        def call(self, x: Tensor) -> Tensor:
            return swish(x, self.scale)

    class Means(kr.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Tensor) -> Tensor:
            return means(x)

    class Normalisation(kr.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, norm: Any) -> None:
            super().__init__(dtype="float32")
            self.norm = norm

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            norm = self.norm
            if not training or not norm.trainable:
                return norm(x, training=training)
            normed, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=tf.convert_to_tensor(norm.gamma),
                offset=tf.convert_to_tensor(norm.beta),
                mean=[],
                variance=[],
                epsilon=norm.epsilon,
                is_training=True,
            )
            # The kernel's variance is the estimate for a population; Keras keeps the sample's.
            count = tf.cast(tf.size(x) // x.shape[-1], "float32")
            for kept, new in ((norm.moving_mean, mean), (norm.moving_variance, variance * (1 - 1 / count))):
                kept.assign(kept * norm.momentum + new * (1.0 - norm.momentum))
            return normed

    return {"swish": Swish, "means": Means, "normalisation": Normalisation}
