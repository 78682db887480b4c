"""A .tflite of one convolution, written without TensorFlow: maps (1, h / 8, w / 8, K) of an image."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def tiny_tflite(
    keypoints: int = 19,
    size: int = 64,
    seed: int = 0,
    is_open: bool = False,
    image: tuple[int, ...] | None = None,
) -> bytes:
    """A float model with random weights: strides of 8, one map a keypoint.

    Args:
        is_open: height and width are stored as 1 and left open, as converters do.
        image: what the input claims to be, instead of (1, size, size, 3).
    """
    size = 1 if is_open else size
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.02, (keypoints, 8, 8, 3)).astype("<f4")
    bias = rng.normal(0, 0.1, keypoints).astype("<f4")
    model = schema.ModelT()
    model.version, model.description = 3, "one convolution"
    model.buffers = [_buffer(b""), _buffer(weights.tobytes()), _buffer(bias.tobytes())]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [
        _tensor("image", image or (1, size, size, 3), 0),
        _tensor("weights", weights.shape, 1),
        _tensor("bias", bias.shape, 2),
        _tensor("maps", (1, -(-size // 8), -(-size // 8), keypoints), 0),
    ]
    if is_open:
        for tensor in (graph.tensors[0], graph.tensors[3]):
            tensor.shapeSignature = [tensor.shape[0], -1, -1, tensor.shape[3]]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [_conv()]
    model.subgraphs = [graph]
    version = schema.MetadataT()
    version.name, version.buffer = "min_runtime_version", 0
    model.metadata = [version]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _conv() -> Any:
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, 2], [3]
    op.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    op.builtinOptions = schema.Conv2DOptionsT()
    op.builtinOptions.padding = schema.Padding.SAME
    op.builtinOptions.strideH = op.builtinOptions.strideW = 8
    return op


def _buffer(data: bytes) -> Any:
    buffer = schema.BufferT()
    buffer.data = list(data) if data else None
    return buffer


def _tensor(name: str, shape: tuple[int, ...], buffer: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = (
        name,
        list(shape),
        buffer,
        schema.TensorType.FLOAT32,
    )
    return tensor
