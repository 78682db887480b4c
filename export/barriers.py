"""Marks that keep the converter from rounding across them, taken out of the file when it has done its work.

The converter spreads the ranges that it finds: a convolution between two rounded tensors becomes an integer
one, and the parts of a concatenation get its range, whether the model rounds them or not. An operator that
has no integer form stops that. Sine is one, and no network for poses has any.
"""

from __future__ import annotations

from typing import Any

from export.flatbuffer import inspect

_OPERATOR = "SIN"
_IDENTIFIER = b"TFL3"


def mark(tensor: Any) -> Any:
    """A Keras tensor that the converter takes for another than what it is made of.

    Until `without_marks` has seen the file, it is another: a model with marks is there to be converted.
    """
    import tensorflow as tf

    return tf.math.sin(tensor)


def without_marks(data: bytes) -> bytes:
    """A model whose operators read straight what stands before the marks.

    Args:
        data: of a .tflite that the converter made.
    """
    if _OPERATOR not in inspect(data).ops:
        return data
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    code = next(i for i, c in enumerate(model.operatorCodes) if c.builtinCode == schema.BuiltinOperator.SIN)
    del model.operatorCodes[code]
    for graph in model.subgraphs:
        _take_out(graph, code)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _take_out(graph: Any, code: int) -> None:
    marks = {int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if op.opcodeIndex == code}
    graph.operators = [op for op in graph.operators if op.opcodeIndex != code]
    kept = [i for i in range(len(graph.tensors)) if i not in marks]
    place = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]

    def place_of(index: int) -> int:
        while index in marks:
            index = marks[index]
        return place[index]

    def moved(indices: Any) -> list[int]:
        return [place_of(int(index)) for index in indices]

    graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
    for op in graph.operators:
        op.opcodeIndex -= op.opcodeIndex > code
        op.inputs, op.outputs = moved(op.inputs), moved(op.outputs)
