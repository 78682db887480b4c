"""How each kind of layer is quantized in training, in tensorflow-model-optimization's terms.

Weights: 8 bits, symmetric, a scale for every output channel. Activations: 8 bits, a range for every tensor,
which training moves along with the weights.

Sources: Jacob et al. 2018; learned ranges after LSQ, Esser et al. 2020, and LSQ+, Bhalgat et al. 2020.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from edgepose.compression.ranges import STEPS, Range
from edgepose.frameworks import Tensor, tensorflow, tfmot
from export.rewrite import barrier

# No channel's scale is smaller than this share of the layer's largest. A dead channel (all weights tiny)
# would else get a step so fine that its bias, counted in such steps, overflows 32 bits.
SCALE_FLOOR = 0.01
# A range learns in units of itself; so many of Adam's steps of 1e-4 change it by about 1 %.
RANGE_RATE = 100.0

_KERNELS = {"conv": "kernel", "depthwise": "depthwise_kernel", "deconv": "kernel"}


class RangeVariable(NamedTuple):
    """A range as training moves it: ends * exp(RANGE_RATE * shift).

    Attributes:
        ends: (2,) the range that it started with, low and high.
        shift: (2,) variable, or None where the range is given once and for all.
    """

    ends: Any
    shift: Any


def range_variable(name: str, found: Range, learned: bool) -> RangeVariable:
    """A range that starts as `found`."""
    tf = tensorflow()
    ends = tf.Variable([found.low, found.high], trainable=False, dtype=tf.float32, name=f"{name}_range")
    shift = tf.Variable([0.0, 0.0], dtype=tf.float32, name=f"{name}_range_shift") if learned else None
    return RangeVariable(ends, shift)


def ends_of(variable: RangeVariable) -> Tensor:
    """(2,) low and high as they are now."""
    if variable.shift is None:
        return variable.ends
    return variable.ends * tensorflow().exp(RANGE_RATE * variable.shift)


def _fake_quantized(x: Tensor, ends: Tensor) -> Tensor:
    """Fake quantization whose gradient also tells the ends how the rounding error depends on them."""
    tf = tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def quantize(values: Tensor, ends: Tensor) -> tuple[Tensor, Any]:
        kept = tf.quantization.fake_quant_with_min_max_vars(values, ends[0], ends[1])

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            past, low, high = tf.quantization.fake_quant_with_min_max_vars_gradient(
                upstream, values, ends[0], ends[1]
            )
            # Within the range, `past` is the upstream gradient; beyond it, zero.
            step = (ends[1] - ends[0]) / STEPS
            rounding = tf.reduce_sum(past * (kept - values)) / (step * STEPS)
            return past, tf.stack([low - rounding, high + rounding])

        return kept, gradient

    return quantize(x, ends)


@cache
def _classes() -> tuple[type, type, type]:
    """tfmot's base classes are only there once it is imported."""
    keras = tfmot().quantization.keras

    class TensorQuantizer(keras.quantizers.Quantizer):  # type: ignore[name-defined, misc]
        """Of an activation: one range, that several layers may share."""

        def __init__(self, variable: RangeVariable, barriers: bool = False) -> None:
            self._variable, self._barriers = variable, barriers

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            found = {"ends": self._variable.ends}
            return found if self._variable.shift is None else found | {"shift": self._variable.shift}

        def __call__(self, inputs: Tensor, training: bool, weights: Any, **_: Any) -> Tensor:
            ends = ends_of(self._variable)
            if self._barriers:
                inputs = barrier(inputs)
            if training and self._variable.shift is not None:
                return _fake_quantized(inputs, ends)
            return tensorflow().quantization.fake_quant_with_min_max_vars(inputs, ends[0], ends[1])

        def get_config(self) -> dict[str, Any]:
            return {}

    class KernelQuantizer(keras.quantizers.Quantizer):  # type: ignore[name-defined, misc]
        """Of a kernel: each output channel's largest weight is its range."""

        def __init__(self, kind: str) -> None:
            self._kind = kind

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            return {}

        def __call__(self, inputs: Tensor, training: bool, weights: Any, **_: Any) -> Tensor:
            return quantized_kernel(inputs, self._kind)

        def get_config(self) -> dict[str, Any]:
            return {"kind": self._kind}

    class NodeConfig(keras.QuantizeConfig):  # type: ignore[name-defined, misc]
        """Of one node: its kernel if it has one, and its output if it is rounded."""

        def __init__(self, kind: str, output: RangeVariable | None, barriers: bool) -> None:
            self._kind, self._output, self._barriers = kind, output, barriers

        def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
            kernel = _KERNELS.get(self._kind)
            return [(getattr(layer, kernel), KernelQuantizer(self._kind))] if kernel else []

        def set_quantize_weights(self, layer: Any, quantize_weights: list[Tensor]) -> None:
            if quantize_weights:
                setattr(layer, _KERNELS[self._kind], quantize_weights[0])

        def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
            pass

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return [TensorQuantizer(self._output, self._barriers)] if self._output else []

        def get_config(self) -> dict[str, Any]:
            return {"kind": self._kind}

    return TensorQuantizer, KernelQuantizer, NodeConfig


def quantized_kernel(kernel: Tensor, kind: str) -> Tensor:
    """A kernel as 8 bits keep it: (h, w, i, o), (h, w, c, 1) or (h, w, o, i) by its kind."""
    tf = tensorflow()
    shape = kernel.shape
    if kind == "deconv":
        return _fake_quantized_deconv(kernel)
    # TensorFlow's operator wants the channels last; the converter sees through the detour.
    if kind == "depthwise":
        kernel = tf.reshape(kernel, (shape[0], shape[1], shape[3], shape[2]))
    limits = _limits(kernel, (0, 1, 2), False)
    kept = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -limits, limits, num_bits=8, narrow_range=True
    )
    return tf.reshape(kept, shape) if kind == "depthwise" else kept


def _fake_quantized_deconv(kernel: Tensor) -> Tensor:
    """The same in plain arithmetic: the converter refuses a quantized kernel that is transposed.

    It folds the arithmetic to a constant, and gives that one the 8-bit scales that it was rounded to.
    """
    tf = tensorflow()
    step = _limits(kernel, (0, 1, 3), True) / (STEPS // 2)
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


def _limits(kernel: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Each channel's largest weight, but for the floor; no gradient goes through it."""
    tf = tensorflow()
    found = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=keepdims)
    return tf.stop_gradient(tf.maximum(found, tf.maximum(SCALE_FLOOR * tf.reduce_max(found), 1e-9)))


def wrapped(layer: Any, kind: str, output: RangeVariable | None, barriers: bool = False) -> Any:
    """A Keras layer with quantization.

    Args:
        kind: of its node; "" where its kernel stays float.
        output: the range that its output is rounded to, if it is.
        barriers: put a quantization barrier (`export.rewrite`) between the layer and that rounding.
    """
    return tfmot().quantization.keras.QuantizeWrapperV2(layer, _classes()[2](kind, output, barriers))


def input_layer(variable: RangeVariable, name: str) -> Any:
    """A layer that rounds the network's input."""
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

    return QuantizeLayer(_classes()[0](variable), name=name)
