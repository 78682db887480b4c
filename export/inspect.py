"""What a .tflite file holds, read without TensorFlow and without trusting the file."""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import ExportError

_IDENTIFIER = b"TFL3"
_HINT = "export it again, or copy it again if it was moved"
_MOST_ELEMENTS = 2**26  # 67 M; a network for phones is wide at 300 x 300 x 192, which is 17 M
_LARGEST_SCALE = 2.0**20  # delegates crash on steps that no network has
_BIAS_LIMIT = 2**31 - 2
_FLOATS = {"float16": "<f2", "float32": "<f4"}
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
_WIDTHS = {
    "bool": 1,
    **{name: np.dtype(name).itemsize for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")},
    **{name: np.dtype(name).itemsize for name in ("int64", "uint64", "float16", "float32", "float64")},
}


class _Damaged(Exception):
    """What does not hold together."""


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
class TensorInfo:
    """A tensor; `constant_bytes` is 0 for activations, `dynamic` are the axes without a fixed length."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant_bytes: int
    dynamic: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Graph:
    tensors: list[TensorInfo]
    ops: list[Op]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: set[int]


@dataclass(frozen=True)
class FloatOperator:
    """A float operator in the middle of an integer model, by its operator and first output."""

    op: str
    tensor: str


@dataclass(frozen=True)
class GraphOperator:
    """An operator that runs with every inference.

    Attributes:
        kind: builtin name as in the schema, or the custom code.
        tensor: name of its first output.
        shape: of that output.
        sources: how many of its inputs are no constants.
    """

    kind: str
    tensor: str
    shape: tuple[int, ...]
    sources: int


@dataclass(frozen=True)
class ModelInfo:
    """A .tflite file, taken apart.

    Attributes:
        ops: operators by type, the most frequent first.
        custom_ops: names of operators that are not built in, flex among them.
        is_integer: activations are computed as integers.
        float_operators: float operators inside an integer model; the declared conversions of its inputs
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
    float_operators: tuple[FloatOperator, ...]
    dtypes: dict[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


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
    except _Damaged as error:
        raise ExportError(f"{name} is damaged ({error})", _HINT) from None
    except Exception:  # the generated reader raises nearly anything on damaged bytes
        raise ExportError(f"{name} is damaged (cut off, or changed)", _HINT) from None


def graph_operators(model: str | os.PathLike[str] | bytes) -> tuple[GraphOperator, ...]:
    """The main graph's operators in their order, but for those that only make constants of constants.

    Raises:
        ExportError: as `inspect`.
    """
    inspect(model)
    data = _read(model)[1]
    graph = _graphs(_sound(_schema().Model.GetRootAs(data, 0)), data)[1][0]
    constant = {i for i, tensor in enumerate(graph.tensors) if tensor.constant_bytes} | {-1}
    found = []
    for op in graph.ops:
        sources = [i for i in op.inputs if i not in constant]
        if not sources:
            constant.update(op.outputs)
            continue
        made = graph.tensors[op.outputs[0]]
        found.append(GraphOperator(op.name, made.name, made.shape, len(sources)))
    return tuple(found)


def tensors_with_data(data: bytes) -> Iterator[tuple[TensorInfo, bytes]]:
    """The main graph's constants and their bytes; `data` must have passed `inspect`."""
    model = _schema().Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    lengths = [int(buffer.DataLength()) for buffer in buffers]
    for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
        if lengths[tensor.Buffer()]:
            yield _tensor(tensor, lengths), buffers[tensor.Buffer()].DataAsNumpy().tobytes()


def _read(model: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    if isinstance(model, bytes):
        return "the model", model
    path = Path(model)
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is not a file", "check the path")
    data = path.read_bytes()
    if not data:
        raise ExportError(f"{path} is empty", _HINT)
    return str(path), data


def _take_apart(name: str, data: bytes) -> ModelInfo:
    model = _sound(_schema().Model.GetRootAs(data, 0))
    if model.SubgraphsLength() < 1:
        raise ExportError(f"{name} has no graph", _HINT)
    buffers, graphs = _graphs(model, data)
    main = graphs[0]
    if not main.ops or not main.inputs or not main.outputs:
        raise ExportError(f"{name} has no operator, no input or no output", _HINT)
    integer = any(_is_integer(graph) for graph in graphs)
    dtypes: Counter[str] = Counter()
    for tensor in (tensor for graph in graphs for tensor in graph.tensors if tensor.constant_bytes):
        dtypes[tensor.dtype] += tensor.constant_bytes
    ops = [op for graph in graphs for op in graph.ops]
    return ModelInfo(
        size_bytes=len(data),
        weight_bytes=sum(buffers[i] for i in set().union(*(graph.buffers for graph in graphs))),
        ops=dict(Counter(op.name for op in ops).most_common()),
        custom_ops=tuple(sorted({op.name for op in ops if op.is_custom})),
        is_integer=integer,
        float_operators=tuple(i for graph in graphs for i in _float_operators(graph)) if integer else (),
        dtypes=dict(dtypes.most_common()),
        inputs=tuple(main.tensors[i] for i in main.inputs),
        outputs=tuple(main.tensors[i] for i in main.outputs),
    )


def _graphs(model: Any, data: bytes) -> tuple[list[int], list[_Graph]]:
    """The bytes of every buffer, and every graph."""
    buffers = [_buffer_length(b, len(data)) for b in _tables(model, "Buffers", data)]
    codes = [_code(code) for code in _tables(model, "OperatorCodes", data)]
    return buffers, [_graph(graph, buffers, codes, data) for graph in _tables(model, "Subgraphs", data)]


@cache
def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@cache
def _names(enum: str) -> dict[int, str]:
    members = vars(getattr(_schema(), enum)).items()
    return {value: name for name, value in members if isinstance(value, int)}


def _sound(table: Any) -> Any:
    """The same table, once its field offsets are known to lie within the file.

    Python would read a negative position from the end of the file; the interpreter would crash on it.
    """
    inner = getattr(table, "_tab", table)
    data, at = inner.Bytes, inner.Pos
    fields = at - struct.unpack_from("<i", data, at)[0]
    if not 0 <= fields <= len(data) - 4:
        raise _Damaged("a table lies outside the file")
    fields_size, size = struct.unpack_from("<HH", data, fields)
    offsets = struct.unpack_from(f"<{fields_size // 2}H", data, fields)[2:]
    if fields_size < 4 or fields_size % 2 or at + size > len(data) or any(o >= size for o in offsets):
        raise _Damaged("a table lies outside the file")
    return table


def _tables(parent: Any, field: str, data: bytes) -> Iterator[Any]:
    """Every table of a vector of tables."""
    length = getattr(parent, f"{field}Length")()
    if length > len(data) // 4:  # an entry takes four bytes
        raise _Damaged("a vector is longer than the file")
    get = getattr(parent, field)
    return (_sound(get(i)) for i in range(length))


def _buffer_length(buffer: Any, limit: int) -> int:
    length = int(buffer.DataLength())
    if length > limit:
        raise _Damaged("a buffer is longer than the file")
    if length and len(buffer.DataAsNumpy()) != length:
        raise _Damaged("a buffer is cut off")
    if buffer.Size() and buffer.Offset() + buffer.Size() > limit:
        raise _Damaged("a buffer lies outside the file")
    return length or int(buffer.Size())


def _graph(graph: Any, buffers: list[int], codes: list[tuple[str, bool]], data: bytes) -> _Graph:
    held = list(_tables(graph, "Tensors", data))
    tensors = [_tensor(tensor, buffers) for tensor in held]
    ops = [_op(op, codes, len(tensors)) for op in _tables(graph, "Operators", data)]
    inputs, outputs = _indices(graph, "Inputs", len(tensors)), _indices(graph, "Outputs", len(tensors))
    constant = {i for i, t in enumerate(tensors) if t.constant_bytes or 0 in t.shape}
    ready = constant | set(inputs) | {i for i, t in enumerate(held) if t.IsVariable()} | {-1}
    for op in ops:  # the interpreter would compute on memory that nobody has written
        if not ready.issuperset(op.inputs) or constant.intersection(op.outputs):
            raise _Damaged("an operator reads what none has computed, or overwrites a constant")
        if op.name in CONVERSIONS and len({tensors[i].shape for i in op.inputs + op.outputs}) > 1:
            raise _Damaged("a conversion changes the shape")
        ready.update(op.outputs)
    if not ready.issuperset(outputs) or -1 in inputs + outputs:
        raise _Damaged("no operator computes an output")
    return _Graph(tensors, ops, inputs, outputs, {t.Buffer() for t in held})


def _tensor(tensor: Any, buffers: list[int]) -> TensorInfo:
    shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    dtype = _names("TensorType")[tensor.Type()].lower()
    constant_bytes = buffers[tensor.Buffer()]
    quantization = tensor.Quantization()
    if quantization is not None and _sound(quantization).ScaleLength():
        scales = np.atleast_1d(quantization.ScaleAsNumpy())
        if not ((scales >= 0) & (scales < _LARGEST_SCALE)).all():
            raise _Damaged("a tensor has an impossible scale")
    if any(n < 0 for n in shape) or math.prod(shape) > _MOST_ELEMENTS:
        raise _Damaged("a tensor has an impossible shape")
    # The kernels trust the shape, and would read beyond a smaller buffer.
    dense = constant_bytes and dtype in _WIDTHS and tensor.Sparsity() is None
    if dense and constant_bytes != math.prod(shape) * _WIDTHS[dtype]:
        raise _Damaged("a constant does not fill its shape")
    signature = np.atleast_1d(tensor.ShapeSignatureAsNumpy()) if tensor.ShapeSignatureLength() else ()
    dynamic = tuple(axis for axis, n in enumerate(signature) if n < 0)
    return TensorInfo((tensor.Name() or b"").decode(), shape, dtype, constant_bytes, dynamic)


def _code(code: Any) -> tuple[str, bool]:
    # Codes up to 127 stand in the deprecated field, as every reader must still understand.
    builtin = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
    name = _names("BuiltinOperator")[builtin]
    return ((code.CustomCode() or b"?").decode(), True) if name == "CUSTOM" else (name, False)


def _op(op: Any, codes: list[tuple[str, bool]], tensors: int) -> Op:
    name, custom = codes[op.OpcodeIndex()]
    for options in (op.BuiltinOptions(), op.BuiltinOptions2()):
        if options is not None:
            _sound(options)
    return Op(name, custom, _indices(op, "Inputs", tensors), _indices(op, "Outputs", tensors))


def _indices(table: Any, field: str, tensors: int) -> tuple[int, ...]:
    if not getattr(table, f"{field}Length")():
        return ()
    indices = tuple(int(i) for i in np.atleast_1d(getattr(table, f"{field}AsNumpy")()))
    if any(not -1 <= i < tensors for i in indices):
        raise _Damaged("an operator uses a tensor that is not there")
    return indices


def _activations(op: Op, tensors: list[TensorInfo]) -> tuple[list[int], list[int]]:
    """Indices of the operator's inputs and outputs that are no constants."""
    return (
        [i for i in op.inputs if i >= 0 and not tensors[i].constant_bytes],
        [i for i in op.outputs if i >= 0],
    )


def _is_integer(graph: _Graph) -> bool:
    """Whether any operator, conversions aside, computes on 8- or 16-bit activations."""
    return any(
        graph.tensors[i].dtype in ("int8", "uint8", "int16")
        for op in graph.ops
        if op.name not in CONVERSIONS
        for i in _activations(op, graph.tensors)[0]
    )


def _float_operators(graph: _Graph) -> Iterator[FloatOperator]:
    for op in graph.ops:
        sources, results = _activations(op, graph.tensors)
        declared = (op.name == "QUANTIZE" and set(sources) <= set(graph.inputs)) or (
            op.name == "DEQUANTIZE" and set(results) <= set(graph.outputs)
        )
        touches_float = any(graph.tensors[i].dtype in ("float32", "float16") for i in sources + results)
        if touches_float and not declared:
            yield FloatOperator(op.name, graph.tensors[results[0]].name if results else "")


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
            if (np.abs(values.view("<i4").astype(np.int64)) >= _BIAS_LIMIT).any():
                found.append((graph.Tensors(int(op.OutputsAsNumpy()[0])).Name() or b"").decode())
    return tuple(found)
