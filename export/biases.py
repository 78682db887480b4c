"""Biases that an integer model cannot hold: they end at the limit of 32 bits, and the layer is wrong."""

from __future__ import annotations

import numpy as np

from export.flatbuffer import inspect

_LIMIT = 2**31 - 2


def saturated_biases(data: bytes) -> tuple[str, ...]:
    """Outputs of the operators with a bias at the end of its 32 bits; happens where a channel's weights are
    so small that their scale times the input's makes steps too fine for its bias.

    Args:
        data: of a .tflite file.

    Raises:
        ExportError: it is damaged.
    """
    inspect(data)  # everything below trusts it
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    found = []
    for i in range(graph.OperatorsLength()):
        op = graph.Operators(i)
        tensors = [graph.Tensors(int(j)) for j in op.InputsAsNumpy()[2:] if j >= 0]
        for tensor in tensors:
            if tensor.Type() != schema.TensorType.INT32:
                continue
            held = model.Buffers(tensor.Buffer())
            values = held.DataAsNumpy() if held.DataLength() else np.zeros(0, np.uint8)
            if (np.abs(values.view("<i4").astype(np.int64)) >= _LIMIT).any():
                found.append((graph.Tensors(int(op.OutputsAsNumpy()[0])).Name() or b"").decode())
    return tuple(found)
