"""A converted .tflite written anew: without quantization barriers, and in fewer bytes.

Weights in 8 bits. A float model's weights are stored as int8, a scale for each output channel, and a
DEQUANTIZE before each operator makes floats of them. The interpreter runs an operator that reads constants
only once, when it prepares the graph, so that every inference is the float model's: the same kernels, and the
same outputs on every processor to float's own rounding.

Barriers. The converter spreads the ranges that it finds: a convolution between two quantized tensors becomes
an integer one, and the parts of a concatenation get its range, whether the model quantizes them or not. An
operator that has no integer form stops that. Sine is one, and no network for poses has any: it is put in
before the conversion and taken out of the file afterwards.

Compacting. A per-channel tensor carries a zero point of 8 bytes for each channel, all of them 0, and the
converter names every tensor after all the operations that it was made of: a quarter of a small int8 model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.inspect import inspect

_BUFFER_ALIGNMENT = 16  # the schema's, for constants: kernels load whole registers
_IDENTIFIER = b"TFL3"
_BARRIER = "SIN"

# Operators whose second input is a weight, and the axis of its output channels (TFLite's quantization spec).
_CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
# A smaller weight saves fewer bytes than its scales and its operator take.
_FEWEST_WEIGHTS = 256
_PER_CHANNEL_DEQUANTIZE = 5  # the first version of DEQUANTIZE that takes a scale for each channel


def compact(data: bytes) -> bytes:
    """The same model with equal vectors stored once, and constants without names.

    Args:
        data: of a .tflite that the converter made.

    Returns:
        the same graph, constants and quantization. The inputs, the outputs and what operators give keep
        the first of their names; constants have none.
    """
    import flatbuffers
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    if len(model.subgraphs) != 1 or any(buffer.offset for buffer in model.buffers):
        return data  # control flow, or beyond 2 GB: not what we export
    _shorten_names(model.subgraphs[0], model.buffers)
    builder = _sharing(flatbuffers.Builder)(len(data))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _shorten_names(graph: Any, buffers: Any) -> None:
    ends = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index in ends or tensor.name is None:
            continue
        held = buffers[tensor.buffer].data
        first = tensor.name.split(b";")[0]
        tensor.name = b"" if held is not None and len(held) else first.split(b"/", 1)[-1]


def _sharing(base: type) -> type:
    """A builder that stores equal vectors and strings once."""

    class Sharing(base):  # type: ignore[misc]
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._known: dict[tuple[str, bytes], int] = {}

        def CreateString(self, s: Any, *args: Any) -> int:
            key = ("string", s.encode() if isinstance(s, str) else bytes(s))
            if key not in self._known:
                self._known[key] = super().CreateString(s, *args)
            return self._known[key]

        def CreateNumpyVector(self, x: np.ndarray) -> int:
            key = (x.dtype.str, x.tobytes())
            if key not in self._known:
                self._known[key] = self._aligned(x)
            return self._known[key]

        def _aligned(self, x: np.ndarray) -> int:
            alignment = _BUFFER_ALIGNMENT if x.dtype == np.uint8 else x.itemsize
            self.StartVector(x.itemsize, x.size, alignment)
            content = x.astype(x.dtype.newbyteorder("<")).tobytes()
            self.head -= len(content)
            self.Bytes[self.head : self.head + len(content)] = content
            return int(self.EndVector())

    return Sharing


def with_int8_weights(data: bytes) -> bytes:
    """The same float graph with the weights of its convolutions in 8 bits, made floats when it is opened.

    Args:
        data: of a float32 .tflite that the converter made.

    Returns:
        a model whose weights differ from those by half a step, max |w| of the channel / 127 / 2, at most.
        Biases, and matrices that are no weights (upsampling), stay as they are.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    names = {value: name for name, value in vars(flatbuffer_utils.BuiltinOperator).items()}
    kinds = [names.get(max(c.builtinCode, c.deprecatedBuiltinCode), "") for c in model.operatorCodes]
    graph = model.subgraphs[0]
    axes: dict[int, int] = {}  # of each weight
    for op in graph.operators:
        axis = _CHANNEL_AXES.get(kinds[op.opcodeIndex])
        if axis is not None and _is_large_float(graph.tensors[op.inputs[1]], graph, model.buffers):
            axes[int(op.inputs[1])] = axis
    before = [_dequantized(model, graph, weight, axis) for weight, axis in axes.items()]
    graph.operators = [*before, *graph.operators]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_large_float(weight: Any, graph: Any, buffers: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    held = buffers[weight.buffer].data
    if held is None or weight.type != schema.TensorType.FLOAT32:
        return False
    is_shared = sum(tensor.buffer == weight.buffer for tensor in graph.tensors) > 1
    return len(held) // 4 >= _FEWEST_WEIGHTS and not is_shared


def _dequantized(model: Any, graph: Any, weight: int, axis: int) -> Any:
    """Store a weight in 8 bits; returns the operator that makes the float tensor of it."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[weight]
    buffer = model.buffers[tensor.buffer]
    values = np.frombuffer(bytes(buffer.data), "<f4").reshape(tensor.shape)
    scales, steps = per_channel_int8(values, axis)
    buffer.data = np.frombuffer(steps.tobytes(), np.uint8)
    stored = schema.TensorT()
    stored.name, stored.shape, stored.hasRank = tensor.name, tensor.shape, tensor.hasRank
    stored.type, stored.buffer = schema.TensorType.INT8, tensor.buffer
    stored.quantization = schema.QuantizationParametersT()
    stored.quantization.scale = scales
    stored.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    stored.quantization.quantizedDimension = axis
    tensor.name, tensor.buffer = b"", 0  # the schema's empty buffer: no longer a constant
    graph.tensors.append(stored)
    op = schema.OperatorT()
    op.opcodeIndex = _dequantize_code(model)
    op.inputs = np.array([len(graph.tensors) - 1], np.int32)
    op.outputs = np.array([weight], np.int32)
    return op


def per_channel_int8(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales (C,) float32 and steps (values' shape) int8 in -127 to 127 of a weight; values = scale * step.

    Args:
        values: float32.
        axis: of its C channels.
    """
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others)
    # A channel of zeros takes any scale.
    scales = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    shape = [1] * values.ndim
    shape[axis] = -1
    steps = np.clip(np.rint(values / scales.reshape(shape)), -127, 127).astype(np.int8)
    return scales, steps


def _dequantize_code(model: Any) -> int:
    """The index of DEQUANTIZE among a model's operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    wanted = schema.BuiltinOperator.DEQUANTIZE
    index = next((i for i, code in enumerate(model.operatorCodes) if code.builtinCode == wanted), None)
    if index is None:
        index = len(model.operatorCodes)
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = wanted
        model.operatorCodes.append(made)
    code = model.operatorCodes[index]
    code.version = max(code.version, _PER_CHANNEL_DEQUANTIZE)
    return index


def barrier(tensor: Any) -> Any:
    """A Keras tensor that the converter takes for another than what it is made of.

    Until `without_barriers` has seen the file, it is another: a model with barriers is there to be converted.
    """
    import tensorflow as tf

    return tf.math.sin(tensor)


def without_barriers(data: bytes) -> bytes:
    """A model whose operators read straight what stands before the barriers.

    Args:
        data: of a .tflite that the converter made.
    """
    if _BARRIER not in inspect(data).ops:
        return data
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    sine = flatbuffer_utils.BuiltinOperator.SIN
    code = next(i for i, c in enumerate(model.operatorCodes) if c.builtinCode == sine)
    del model.operatorCodes[code]
    for graph in model.subgraphs:
        _take_out(graph, code)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _take_out(graph: Any, code: int) -> None:
    barriers = {int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if op.opcodeIndex == code}
    graph.operators = [op for op in graph.operators if op.opcodeIndex != code]
    kept = [i for i in range(len(graph.tensors)) if i not in barriers]
    place = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]

    def place_of(index: int) -> int:
        while index in barriers:
            index = barriers[index]
        return place[index]

    def moved(indices: Any) -> list[int]:
        return [place_of(int(index)) for index in indices]

    graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
    for op in graph.operators:
        op.opcodeIndex -= op.opcodeIndex > code
        op.inputs, op.outputs = moved(op.inputs), moved(op.outputs)
