"""A converted .tflite written anew: without quantization barriers, and in fewer bytes.

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
