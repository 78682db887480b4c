"""The int8 kernels of a .tflite, read from its flatbuffer."""

from __future__ import annotations

import numpy as np


def integer_kernels(data: bytes) -> list[np.ndarray]:
    """The int8 constants of a model with four axes, as convolutions keep them: (o, h, w, i)."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    tensors = model.subgraphs[0].tensors
    held = [(tensor, model.buffers[tensor.buffer].data) for tensor in tensors]
    return [
        np.asarray(data, np.uint8).view(np.int8).reshape(tensor.shape)
        for tensor, data in held
        if data is not None and tensor.type == schema.TensorType.INT8 and len(tensor.shape) == 4
    ]
