"""The float constants of a .tflite file: its weights, as data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from export.errors import ExportError
from export.flatbuffer import inspect, tensors_with_data

_FLOATS = {"float16": "<f2", "float32": "<f4"}


def float_constants(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every float16 and float32 constant of the main graph, by the tensor's name, as float32.

    Raises:
        ExportError: not a .tflite file, damaged, or with weights that are no numbers.
    """
    inspect(path)  # nothing of the file is believed before this
    found = {}
    for tensor, data in tensors_with_data(Path(path).read_bytes()):
        if tensor.dtype not in _FLOATS:
            continue
        values = np.frombuffer(data, _FLOATS[tensor.dtype]).astype(np.float32)
        if values.size != np.prod(tensor.shape):  # sparse ones are shorter
            raise ExportError(f"{path} holds {tensor.name} in sparse form", "export it without sparsity")
        if not np.isfinite(values).all():
            raise ExportError(
                f"{path} has NaN or infinite values in {tensor.name}", "copy or export it again"
            )
        found[tensor.name] = values.reshape(tensor.shape)
    return found
