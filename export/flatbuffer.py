"""What a .tflite file holds, read without TensorFlow and without trusting the file."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import ExportError

_IDENTIFIER = b"TFL3"
_MEND = "export it again, or copy it again if it was moved"


@dataclass(frozen=True)
class Op:
    """An operator in the graph.

    Attributes:
        name: builtin name as in the schema, or the custom code.
        inputs, outputs: indices of tensors; -1 where an optional input is absent.
    """

    name: str
    is_custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A tensor; `constant_bytes` is 0 for activations."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant_bytes: int


@dataclass(frozen=True)
class FloatIsland:
    """A float operator in the middle of an integer model, by its operator and first output."""

    op: str
    tensor: str


@dataclass(frozen=True)
class ModelInfo:
    """A .tflite file, taken apart.

    Attributes:
        ops: operators by type, the most frequent first.
        custom_ops: names of operators that are not built in, flex among them.
        is_integer: activations are computed as integers.
        float_islands: float operators inside an integer model; the declared conversions of its inputs
            and outputs are none.
        dtypes: constant bytes by type.
        weight_bytes: bytes of constants; the other `size_bytes` are the graph and its metadata.
        inputs, outputs: tensors.
    """

    size_bytes: int
    weight_bytes: int
    ops: dict[str, int]
    custom_ops: tuple[str, ...]
    is_integer: bool
    float_islands: tuple[FloatIsland, ...]
    dtypes: dict[str, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def inspect(model: str | os.PathLike[str] | bytes) -> ModelInfo:
    """Take a .tflite file apart, walking every table of it.

    Raises:
        ExportError: missing, empty, not a .tflite file, or damaged.
    """
    name, data = _read(model)
    if len(data) < 16 or data[4:8] != _IDENTIFIER:
        raise ExportError(f"{name} is not a .tflite file", "give a file that the exporter wrote")
    try:
        return _take_apart(name, data)
    except ExportError:
        raise
    except Exception as error:  # the generated reader raises nearly anything on damaged bytes
        raise ExportError(f"{name} is damaged ({type(error).__name__})", _MEND) from None


def _read(model: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    if isinstance(model, bytes):
        return "the model", model
    path = Path(model)
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is not a file", "check the path")
    data = path.read_bytes()
    if not data:
        raise ExportError(f"{path} is empty", _MEND)
    return str(path), data


def _take_apart(name: str, data: bytes) -> ModelInfo:
    schema = _schema()
    model = schema.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() < 1:
        raise ExportError(f"{name} has no graph", _MEND)
    graph = model.Subgraphs(0)
    buffers = [
        _buffer_length(model.Buffers(i), len(data)) for i in range(_count(model.BuffersLength(), data))
    ]
    tensors = [_tensor(graph.Tensors(i), buffers) for i in range(_count(graph.TensorsLength(), data))]
    codes = [_code(model.OperatorCodes(i)) for i in range(_count(model.OperatorCodesLength(), data))]
    ops = [_op(graph.Operators(i), codes, len(tensors)) for i in range(_count(graph.OperatorsLength(), data))]
    inputs, outputs = _indices(graph, "Inputs", len(tensors)), _indices(graph, "Outputs", len(tensors))
    if not ops or not inputs or not outputs:
        raise ExportError(f"{name} has no operator, no input or no output", _MEND)
    integer = _is_integer(ops, tensors)
    dtypes: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.constant_bytes:
            dtypes[tensor.dtype] += tensor.constant_bytes
    return ModelInfo(
        size_bytes=len(data),
        weight_bytes=sum(buffers),
        ops=dict(Counter(op.name for op in ops).most_common()),
        custom_ops=tuple(sorted({op.name for op in ops if op.is_custom})),
        is_integer=integer,
        float_islands=_float_islands(ops, tensors, inputs, outputs) if integer else (),
        dtypes=dict(dtypes.most_common()),
        inputs=tuple(tensors[i] for i in inputs),
        outputs=tuple(tensors[i] for i in outputs),
    )


@cache
def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@cache
def _names(enum: str) -> dict[int, str]:
    members = vars(getattr(_schema(), enum)).items()
    return {value: name for name, value in members if isinstance(value, int)}


def _count(length: int, data: bytes) -> int:
    if length > len(data) // 4:  # a vector of tables takes four bytes an entry
        raise ValueError("a vector is longer than the file")
    return length


def _buffer_length(buffer: Any, limit: int) -> int:
    length = int(buffer.DataLength())
    if length > limit:
        raise ValueError("a buffer is longer than the file")
    if length and len(buffer.DataAsNumpy()) != length:
        raise ValueError("a buffer is cut off")
    if buffer.Size() and buffer.Offset() + buffer.Size() > limit:
        raise ValueError("a buffer lies outside the file")
    return length or int(buffer.Size())


def _tensor(tensor: Any, buffers: list[int]) -> Tensor:
    shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    dtype = _names("TensorType")[tensor.Type()].lower()
    return Tensor((tensor.Name() or b"").decode(), shape, dtype, buffers[tensor.Buffer()])


def _code(code: Any) -> tuple[str, bool]:
    # Codes up to 127 stand in the deprecated field, as every reader must still understand.
    builtin = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
    name = _names("BuiltinOperator")[builtin]
    return ((code.CustomCode() or b"?").decode(), True) if name == "CUSTOM" else (name, False)


def _op(op: Any, codes: list[tuple[str, bool]], tensors: int) -> Op:
    name, custom = codes[op.OpcodeIndex()]
    return Op(name, custom, _indices(op, "Inputs", tensors), _indices(op, "Outputs", tensors))


def _indices(table: Any, field: str, tensors: int) -> tuple[int, ...]:
    if not getattr(table, f"{field}Length")():
        return ()
    indices = tuple(int(i) for i in np.atleast_1d(getattr(table, f"{field}AsNumpy")()))
    if any(not -1 <= i < tensors for i in indices):
        raise ValueError("an operator uses a tensor that is not there")
    return indices


def _activations(op: Op, tensors: list[Tensor]) -> tuple[list[int], list[int]]:
    """Indices of the operator's inputs and outputs that are no constants."""
    return (
        [i for i in op.inputs if i >= 0 and not tensors[i].constant_bytes],
        [i for i in op.outputs if i >= 0],
    )


def _is_integer(ops: list[Op], tensors: list[Tensor]) -> bool:
    """Whether any operator, conversions aside, computes on 8- or 16-bit activations."""
    return any(
        tensors[i].dtype in ("int8", "uint8", "int16")
        for op in ops
        if op.name not in ("QUANTIZE", "DEQUANTIZE")
        for i in _activations(op, tensors)[0]
    )


def _float_islands(
    ops: list[Op], tensors: list[Tensor], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> tuple[FloatIsland, ...]:
    islands = []
    for op in ops:
        sources, results = _activations(op, tensors)
        declared = (op.name == "QUANTIZE" and set(sources) <= set(inputs)) or (
            op.name == "DEQUANTIZE" and set(results) <= set(outputs)
        )
        touches_float = any(tensors[i].dtype in ("float32", "float16") for i in sources + results)
        if touches_float and not declared:
            islands.append(FloatIsland(op.name, tensors[results[0]].name if results else ""))
    return tuple(islands)
