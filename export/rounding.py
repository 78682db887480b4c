"""What in a .tflite comes out otherwise on another processor, and how that is avoided.

Under XNNPACK, float arithmetic on x86 and Arm differs by its own rounding, 1e-7 of a value. Integer operators
of convolutional networks agree to the bit, but for products and means. `benchmarks/first_difference.py` shows
all of it.

**A product of integers.** MUL is p * m to the nearest integer, p being the product of the stored integers and
m = scale * scale / scale. x86 computes it in float32 and takes a half to the even neighbour; Arm computes it
in fixed point and takes a half up. All 65,536 pairs of operands with each of 26 scales said so, without an
exception. A common m has no product at a half; a round one has many: EfficientPose's E-swish multiplies by
1.25, so that every eighth value differs by a step. A scale that is longer by 2^-22 has none of them left.

**A mean of integers.** MEAN is m * (sum - count * zero point), to the nearest integer, m = scale / (scale *
count). Both processors take it through a float32, not in the same order of steps, so that either may be a
step off where the mean lies within that rounding of a half: of RT's 14 means with every sum beside a half,
39 sums gave other bits on an A76 than on x86. Scales that calibration found have several such sums, and one
of them upsets the whole picture, since squeeze-and-excite multiplies by it. With m = p / q and an odd q, no
sum comes nearer to a half than 1 / 2q, which is far more; the output's scale is made longer until m is such
a number, by some thousandths at most, and the bias of the convolution behind it is stored in the new steps.
For large q even 1 / 2q is within the rounding, as for a mean of 112 x 112 values that fills its range: then
m is 1 / q with a smaller q. The scale gets shorter by 5 % at most, and what lay above is clipped.

**Activations that are rounded as the model runs.** An operator with float activations and int8 weights
finds the range of its input in every inference, and rounds the input by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.inspect import inspect

SCALED = ("MUL", "MEAN")  # whose rounding hangs on their scales, which another export may find
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# Operators that take any scale on either side; concatenation, for one, wants the same on both.
_ANY_SCALE = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "ADD", "SUB", "MEAN", "LOGISTIC"}
_FIXED_OUTPUT = {"LOGISTIC"}  # its output's scale is 1 / 256 by definition
_NUDGE = 2.0**-22  # relative; float32 tells numbers apart that differ by 2^-23
_MOST_NUDGES = 16
_LARGEST_NUMERATOR = 16  # of a mean's multiplier
_MOST_SHORTER = 0.05  # of a mean's scale; RT's range of its first mean leaves 4 % unused on 400 pictures


@dataclass(frozen=True)
class ProcessorDependent:
    """An operator that gives other bits on x86 than on Arm.

    Attributes:
        op: its name.
        tensor: its output's.
        why: a clause.
    """

    op: str
    tensor: str
    why: str


@dataclass(frozen=True)
class _Product:
    """An int8 MUL: indices of its operands and its output."""

    operands: tuple[int, int]
    output: int

    @property
    def tensors(self) -> tuple[int, int, int]:
        return (*self.operands, self.output)


@dataclass(frozen=True)
class _Mean:
    """An int8 MEAN: indices of its input and output, and of how many integers it is the mean."""

    source: int
    output: int
    count: int


def processor_dependent(data: bytes) -> tuple[ProcessorDependent, ...]:
    """Operators whose rounding differs between processors by more than a float's, the worst of a kind first.

    Args:
        data: of a .tflite file.

    Raises:
        ExportError: it is damaged.
    """
    graph = _Graph(data)
    products = [(graph.rounded_apart(each), graph.name(each.output)) for each in graph.products()]
    means = [(graph.near_halves(each), graph.name(each.output)) for each in graph.means()]
    found = [
        *_worst_first("MUL", products, "products of its integers lie at a half, and come out a step apart"),
        *_worst_first("MEAN", means, "sums of its integers have a mean next to a half"),
    ]
    for op, kind in graph.operators():
        if kind in _WEIGHTED and graph.rounds_its_input(op):
            why = "it rounds its float input to 8 bits as it runs"
            found.append(ProcessorDependent(kind, graph.name(int(op.outputs[0])), why))
    return tuple(found)


def _worst_first(op: str, counted: list[tuple[int, str]], what: str) -> list[ProcessorDependent]:
    """The tensors of which more than none is counted, by how many."""
    ordered = sorted(counted, key=lambda row: -row[0])
    return [ProcessorDependent(op, name, f"{count} {what}") for count, name in ordered if count]


def without_halves(data: bytes) -> bytes:
    """The same model with scales at which no product of int8 lies at a half, and no mean next to one.

    A product's scale gets longer by up to 4e-6, a mean's by up to some thousandths; where that does not do,
    shorter by up to 5 %.

    Args:
        data: of a .tflite that the converter made.

    Returns:
        a model of the same weights. A product or a mean stays at its halves where each tensor that could be
        changed is read or written by an operator that wants equal scales.
    """
    graph = _Graph(data)
    products = list(graph.products())
    changed = [graph.nudge(product, products) for product in products]
    changed += [graph.rescale(mean, products) for mean in graph.means()]  # which a nudge would move again
    return graph.packed() if any(changed) else data


class _Graph:
    """The main graph of a .tflite, its scales to be changed."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert.tools import flatbuffer_utils

        inspect(data)  # everything below trusts it
        self._model = flatbuffer_utils.convert_bytearray_to_object(data)
        self._graph = self._model.subgraphs[0]
        names = {value: name for name, value in vars(flatbuffer_utils.BuiltinOperator).items()}
        codes = self._model.operatorCodes
        self._kinds = [names.get(max(c.builtinCode, c.deprecatedBuiltinCode), "") for c in codes]
        self._touching: dict[int, set[str]] = {}  # the operators that read or write a tensor
        self._fixed = {int(i) for i in (*self._graph.inputs, *self._graph.outputs)}
        for op, kind in self.operators():
            for i in (*op.inputs, *op.outputs):
                self._touching.setdefault(int(i), set()).add(kind)
            if kind in _FIXED_OUTPUT:
                self._fixed.update(int(i) for i in op.outputs)

    def operators(self) -> Iterator[tuple[Any, str]]:
        return ((op, self._kinds[op.opcodeIndex]) for op in self._graph.operators)

    def name(self, tensor: int) -> str:
        return (self._graph.tensors[tensor].name or b"").decode(errors="replace")

    def products(self) -> Iterator[_Product]:
        """Every MUL of two int8 tensors."""
        for op, kind in self.operators():
            touched = [int(i) for i in (*op.inputs, *op.outputs)]
            if kind == "MUL" and len(touched) == 3 and all(self._is_int8(i) for i in touched):
                yield _Product((touched[0], touched[1]), touched[2])

    def means(self) -> Iterator[_Mean]:
        """Every MEAN of an int8 tensor over constant axes."""
        for op, kind in self.operators():
            if kind != "MEAN" or len(op.inputs) != 2:
                continue
            source, axes, output = (int(i) for i in (*op.inputs, op.outputs[0]))
            held, shape = self._held(axes), self._graph.tensors[source].shape
            if held is not None and self._is_int8(source) and self._is_int8(output):
                along = [int(shape[i]) for i in _int32(held) if -len(shape) <= i < len(shape)]
                if along and min(along) > 0:
                    yield _Mean(source, output, math.prod(along))

    def rounds_its_input(self, op: Any) -> bool:
        source, weight = (self._graph.tensors[int(i)] for i in op.inputs[:2])
        schema = _schema()
        return bool(
            source.type == schema.TensorType.FLOAT32
            and weight.type == schema.TensorType.INT8
            and self._held(int(op.inputs[1])) is not None
        )

    def rounded_apart(self, product: _Product) -> int:
        """How many products of the integers that its operands may hold are rounded otherwise."""
        (a, za), (b, zb), (out, zo) = (self._quantization(i) for i in product.tensors)
        multiplier = np.float32(np.float32(a * b) / out)
        left, right = (self._possible(i) for i in product.operands)
        products = np.unique(np.multiply.outer(left - za, right - zb))
        even = np.rint(products.astype(np.float32) * multiplier)
        up = np.floor(products * np.float64(multiplier) + 0.5)
        lowest, highest = -128 - zo, 127 - zo
        return int((np.clip(even, lowest, highest) != np.clip(up, lowest, highest)).sum())

    def nudge(self, product: _Product, products: Sequence[_Product]) -> bool:
        """Change a scale until no product lies at a half; whether that was needed and could be done.

        Args:
            products: all of the graph's, of which those that have no half get none.
        """
        if not self.rounded_apart(product):
            return False
        # A constant concerns nobody else.
        constant_first = sorted(product.operands, key=lambda i: self._held(i) is None)
        for index in (*constant_first, product.output):
            if index in self._fixed or not self._touching[index] <= _ANY_SCALE:
                continue
            sharing = [p for p in products if index in p.tensors and not self.rounded_apart(p)]
            quantization = self._graph.tensors[index].quantization
            before = quantization.scale
            for k in range(1, _MOST_NUDGES + 1):
                quantization.scale = (np.asarray(before) * (1 + k * _NUDGE)).astype(np.float32)
                if not any(self.rounded_apart(p) for p in (product, *sharing)):
                    return True
            quantization.scale = before
        return False

    def near_halves(self, mean: _Mean) -> int:
        """How many sums have a mean that a float's rounding may carry over a half."""
        (scale, zero), (out, zero_out) = (self._quantization(i) for i in (mean.source, mean.output))
        multiplier = float(scale) / (float(out) * mean.count)
        # Of the largest number that a processor adds up: sum and zero point, each in steps of the output.
        rounding = 2.0**-23 * (128 * float(scale) / float(out) + 256)
        halves = np.arange(-128, 127) + 0.5
        sums = (halves - zero_out) / multiplier + mean.count * zero
        nearest = np.rint(sums)
        possible = (nearest >= -128 * mean.count) & (nearest <= 127 * mean.count)
        return int((possible & (np.abs(nearest - sums) * multiplier < rounding)).sum())

    def rescale(self, mean: _Mean, products: Sequence[_Product]) -> bool:
        """Change a mean's output scale until no mean lies next to a half; whether that was needed and done.

        Args:
            products: all of the graph's, of which those that have no half get none.
        """
        if not self.near_halves(mean):
            return False
        index = mean.output
        if index in self._fixed or not self._touching[index] <= _ANY_SCALE:
            return False
        if not all(self._is_bias(int(op.inputs[2])) for op in self._biased(index)):
            return False
        sharing = [p for p in products if index in p.tensors and not self.rounded_apart(p)]
        quantization = self._graph.tensors[index].quantization
        before, scale = quantization.scale, float(self._quantization(mean.source)[0])
        target = scale / (float(before[0]) * mean.count)
        odd = [(p, math.ceil(p / target) | 1) for p in range(1, _LARGEST_NUMERATOR + 1)]
        longer = sorted(odd, key=lambda pair: -pair[0] / pair[1])
        smallest, largest = math.ceil((1 - _MOST_SHORTER) / target), math.floor(1 / target)
        shorter = [(1, q) for q in range(largest, smallest - 1, -1) if q % 2]
        for p, q in (*longer, *shorter):  # the least change of its kind first
            quantization.scale = np.array([scale * q / (p * mean.count)], np.float32)
            if not self.near_halves(mean) and not any(map(self.rounded_apart, sharing)):
                self._rescale_biases(index, float(quantization.scale[0]) / float(before[0]))
                return True
        quantization.scale = before
        return False

    def _biased(self, index: int) -> list[Any]:
        """The layers with a bias that read a tensor."""
        reading = [op for op, kind in self.operators() if kind in _WEIGHTED and int(op.inputs[0]) == index]
        return [op for op in reading if len(op.inputs) > 2 and op.inputs[2] >= 0]

    def _rescale_biases(self, index: int, longer: float) -> None:
        """Store the biases of the layers that read a tensor in steps of its new scale."""
        for op in self._biased(index):
            tensor = copy(self._graph.tensors[int(op.inputs[2])])
            tensor.quantization = copy(tensor.quantization)
            tensor.quantization.scale = (np.asarray(tensor.quantization.scale) * longer).astype(np.float32)
            buffer = copy(self._model.buffers[tensor.buffer])
            buffer.data = np.rint(_int32(buffer.data) / longer).astype(np.int32).view(np.uint8)
            # Others may share the tensor or its buffer.
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
            op.inputs = np.array(op.inputs, np.int32)
            op.inputs[2] = len(self._graph.tensors)
            self._graph.tensors.append(tensor)

    def packed(self) -> bytes:
        from ai_edge_litert.tools import flatbuffer_utils

        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    def _is_int8(self, index: int) -> bool:
        scale = self._scale(index)
        one = scale is not None and len(scale) == 1 and scale[0] > 0
        return bool(self._graph.tensors[index].type == _schema().TensorType.INT8 and one)

    def _is_bias(self, index: int) -> bool:
        is_int32 = self._graph.tensors[index].type == _schema().TensorType.INT32
        return bool(is_int32 and self._scale(index) is not None and self._held(index) is not None)

    def _scale(self, index: int) -> Any:
        quantization = self._graph.tensors[index].quantization
        return None if quantization is None else quantization.scale

    def _quantization(self, index: int) -> tuple[np.float32, int]:
        quantization = self._graph.tensors[index].quantization
        return np.float32(quantization.scale[0]), int(quantization.zeroPoint[0])

    def _held(self, index: int) -> np.ndarray | None:
        """A constant's bytes as int8, else None."""
        held = self._model.buffers[self._graph.tensors[index].buffer].data
        return None if held is None or len(held) == 0 else np.frombuffer(bytes(held), np.int8)

    def _possible(self, index: int) -> np.ndarray:
        """What a tensor's integers may be: a constant's own, else all."""
        values = self._held(index)
        return np.arange(-128, 128) if values is None else np.unique(values).astype(np.int64)


def _int32(held: Any) -> np.ndarray:
    """A constant's bytes as int32; a last part of one is left out."""
    raw = bytes(held)
    return np.frombuffer(raw[: len(raw) // 4 * 4], np.int32)


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated
