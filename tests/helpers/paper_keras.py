"""A namespace like Keras's in which a layer is a line of text: whole networks in milliseconds.

What a builder asks of Keras is written down layer by layer: class, name, inputs, settings, shapes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from math import ceil, prod
from types import SimpleNamespace
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of a network on paper.

    Attributes:
        kind: Keras's class.
        settings: as the builder gave them, without the name.
        inputs: names of the layers that it reads.
        shape: of its output, (None, height, width, channels).
        weights: shapes, in Keras's order.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]
    shape: Shape
    weights: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Tensor:
    """What a layer gives; `network` holds every layer made so far, in order."""

    shape: Shape
    name: str
    network: list[Layer]


@dataclass
class Model:
    input: Tensor
    outputs: list[Tensor]
    name: str
    layers: list[Layer] = field(init=False)
    input_shape: Shape = field(init=False)

    def __init__(self, inputs: Tensor, outputs: Any, name: str) -> None:
        self.input, self.name, self.input_shape = inputs, name, inputs.shape
        self.outputs = outputs if isinstance(outputs, list) else [outputs]
        read = {output.name for output in self.outputs}
        for layer in reversed(inputs.network):
            if layer.name in read:
                read.update(layer.inputs)
        self.layers = [layer for layer in inputs.network if layer.name in read]

    def parameters(self) -> int:
        return sum(prod(shape) for layer in self.layers for shape in layer.weights)

    def summary(self) -> dict[str, Any]:
        """Counts that tell a reader where two networks differ, and a digest that tells whether they do."""
        lines = "\n".join(map(str, self.layers))
        return {
            "layers": dict(sorted(Counter(layer.kind for layer in self.layers).items())),
            "parameters": self.parameters(),
            "sha256": hashlib.sha256(lines.encode()).hexdigest(),
        }


def _input(shape: tuple[int, int, int], name: str) -> Tensor:
    return Tensor((None, *shape), name, [Layer("Input", name, {}, (), (None, *shape), ())])


def _layer(kind: str) -> Any:
    def make(*positional: Any, name: str, **settings: Any) -> Any:
        asked = {**{f"{i}": value for i, value in enumerate(positional)}, **settings}

        def call(given: Tensor | list[Tensor]) -> Tensor:
            tensors = given if isinstance(given, list) else [given]
            shape, weights = _shapes(kind, positional, settings, [tensor.shape for tensor in tensors])
            network = tensors[0].network
            assert all(tensor.network is network for tensor in tensors)
            assert name not in {layer.name for layer in network}, f"two layers are called {name}"
            network.append(Layer(kind, name, asked, tuple(t.name for t in tensors), shape, weights))
            return Tensor(shape, name, network)

        return _Callable(call)

    return make


@dataclass(frozen=True)
class _Callable:
    call: Any

    def __call__(self, given: Any) -> Tensor:
        return self.call(given)

    def set_weights(self, weights: list[Any]) -> None:
        """Nothing holds them."""


def _shapes(
    kind: str, positional: tuple[Any, ...], settings: dict[str, Any], shapes: list[Shape]
) -> tuple[Shape, tuple[tuple[int, ...], ...]]:
    """Output shape and weights' shapes of a layer on inputs of these shapes."""
    batch, height, width, channels = shapes[0]
    assert height is not None and width is not None and channels is not None
    if kind in ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose"):
        kernel, stride = positional[-1], settings.get("strides", 1)
        assert settings["padding"] == "same"
        filters = channels if kind == "DepthwiseConv2D" else positional[0]
        form = {
            "Conv2D": (kernel, kernel, channels, filters),
            "DepthwiseConv2D": (kernel, kernel, channels, 1),
            "Conv2DTranspose": (kernel, kernel, filters, channels),
        }[kind]
        bias = ((filters,),) if settings.get("use_bias", True) else ()
        if kind == "Conv2DTranspose":
            return (batch, height * stride, width * stride, filters), (form, *bias)
        return (batch, ceil(height / stride), ceil(width / stride), filters), (form, *bias)
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        stride = settings.get("strides", positional[0])
        whole = ceil if settings.get("padding") == "same" else int
        return (batch, whole(height / stride), whole(width / stride), channels), ()
    if kind == "GlobalAveragePooling2D":
        assert settings["keepdims"]
        return (batch, 1, 1, channels), ()
    if kind == "Concatenate":
        assert len({shape[:3] for shape in shapes}) == 1, shapes
        return (batch, height, width, sum(shape[3] or 0 for shape in shapes)), ()
    if kind == "Multiply":
        assert all(shape[3] == channels and shape[1] in (1, height) for shape in shapes), shapes
    if kind == "Add":
        assert len(set(shapes)) == 1, shapes
    weights = {"BatchNormalization": ((channels,),) * 4, "PReLU": ((1, 1, channels),)}.get(kind, ())
    return shapes[0], weights


_KINDS = [
    "Activation",
    "Add",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "DepthwiseConv2D",
    "Dropout",
    "GlobalAveragePooling2D",
    "MaxPooling2D",
    "Multiply",
    "PReLU",
    "ReLU",
    "Rescaling",
]
PAPER: Any = SimpleNamespace(
    Input=_input, Model=Model, layers=SimpleNamespace(**{kind: _layer(kind) for kind in _KINDS})
)
