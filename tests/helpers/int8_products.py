"""A .tflite that multiplies integers, or takes their mean, and little else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

Scale = tuple[float, int]  # with its zero point
E_SWISH = (0.1, -125, 1.25 / 255, -128, 0.1, -125)  # a scale and zero point each of a, b, output: b is 1.25


def product(
    scales: tuple[float, int, float, int, float, int], constant: int | None = None, before: str = "ADD"
) -> bytes:
    """image + image, then times another input or a constant: (1, 4, 4, 3) of int8."""
    a, za, b, zb, out, zo = scales
    return products([(a, za), (out, zo)], [(b, zb)], constant, before)


def products(
    results: Sequence[Scale], others: Sequence[Scale], constant: int | None = None, before: str = "ADD"
) -> bytes:
    """image + image, times one input after another: (1, 4, 4, 3) of int8.

    Args:
        results: of the sum, and of each product.
        others: of the inputs by which is multiplied, one a product.
        constant: stands in place of these inputs.
        before: what is in place of the sum.
    """
    model = schema.ModelT()
    model.version, model.description = 3, "products"
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.array([0 if constant is None else constant], np.int8).view(np.uint8)
    model.operatorCodes = [_code(before), _code("MUL")]
    graph = schema.SubGraphT()
    whole = (1, 4, 4, 3)
    second = ((1,), 1) if constant is not None else (whole, 0)
    graph.tensors = [_tensor("image", whole, results[0], 0), _tensor("sum", whole, results[0], 0)]
    graph.operators = [_operator(0, [0, 0], 1)]
    graph.inputs = [0]
    if before == "ADD":
        _set(graph.operators[0], "Add")
    for result, other in zip(results[1:], others, strict=True):
        last, place = len(graph.tensors) - 1, len(graph.tensors)
        shape, buffer = second
        graph.tensors += [_tensor("other", shape, other, buffer), _tensor("product", whole, result, 0)]
        graph.operators.append(_operator(1, [last, place], place + 1))
        _set(graph.operators[-1], "Mul")
        if constant is None:
            graph.inputs.append(place)
    graph.outputs = [len(graph.tensors) - 1]
    model.subgraphs = [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def mean(source: Scale, result: Scale, side: int, biases: Sequence[float] = ()) -> bytes:
    """image (1, side, side, 3) of int8, its mean over both sides, then an equal convolution for each bias.

    Without biases the mean is the graph's output. The convolutions hand on each channel, in steps of 1, and
    all biases are the same tensor.
    """
    model = schema.ModelT()
    model.version, model.description = 3, "mean"
    weight_scale = 1 / 64
    held = [np.array([1, 2], np.int32), np.eye(3, dtype=np.int8) * 64, np.zeros(3, np.int32)]
    if biases:
        held[2] = np.rint(np.full(3, biases[0]) / (result[0] * weight_scale)).astype(np.int32)
    model.buffers = [schema.BufferT() for _ in range(4)]
    for buffer, values in zip(model.buffers[1:], held, strict=True):
        buffer.data = values.ravel().view(np.uint8)
    model.operatorCodes = [_code("MEAN"), _code("CONV_2D")]
    graph = schema.SubGraphT()
    small = (1, 1, 1, 3)
    graph.tensors = [
        _tensor("image", (1, side, side, 3), source, 0),
        _tensor("axes", (2,), None, 1, schema.TensorType.INT32),
        _tensor("mean", small, result, 0),
        _tensor("weights", (3, 1, 1, 3), (weight_scale, 0), 2),
        _tensor("bias", (3,), (result[0] * weight_scale, 0), 3, schema.TensorType.INT32),
    ]
    graph.operators = [_operator(0, [0, 1], 2)]
    _set(graph.operators[0], "Reducer")
    graph.operators[0].builtinOptions.keepDims = True
    graph.inputs, graph.outputs = [0], [] if biases else [2]
    for _ in biases:
        graph.outputs.append(len(graph.tensors))
        graph.tensors.append(_tensor("convolved", small, (1.0, 0), 0))
        graph.operators.append(_operator(1, [2, 3, 4], graph.outputs[-1]))
        _set(graph.operators[-1], "Conv2D")
        options = graph.operators[-1].builtinOptions
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    model.subgraphs = [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _operator(code: int, inputs: list[int], output: int) -> Any:
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = code, inputs, [output]
    return op


def _set(op: Any, kind: str) -> None:
    op.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
    op.builtinOptions = getattr(schema, f"{kind}OptionsT")()


def _code(name: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = 2
    return code


def _tensor(
    name: str, shape: tuple[int, ...], scale: Scale | None, buffer: int, of: int = schema.TensorType.INT8
) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name, list(shape), buffer, of
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array([scale[0]], np.float32)
        tensor.quantization.zeroPoint = np.array([scale[1]], np.int64)
    return tensor
