"""The same .tflite in fewer bytes: equal vectors stored once, constants without names.

A per-channel tensor carries a zero point of 8 bytes for each channel, all of them 0, and the converter names
every tensor after all the operations that it was made of: a quarter of a small int8 model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_BUFFER_ALIGNMENT = 16  # the schema's, for constants: kernels load whole registers
_IDENTIFIER = b"TFL3"


def slim(data: bytes) -> bytes:
    """Write a model again.

    Args:
        data: of a .tflite that the converter made.

    Returns:
        the same graph, constants and quantization. The inputs, the outputs and what operators give keep
        the first of their names; constants have none.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
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
