"""The fake-quantized network as the training loop sees a model: called, differentiated, saved, written."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgepose.compression.fake_quant import ends_of
from edgepose.compression.graph import CONVOLUTIONS, BNFoldedModel, weights_back
from edgepose.compression.network import Network, Ranges
from edgepose.compression.ranges import Range
from edgepose.geometry import Size


@dataclass(frozen=True)
class Named:
    """A variable under a name that is the same in the next session."""

    path: str
    variable: Any

    @property
    def shape(self) -> Any:
        return self.variable.shape

    def numpy(self) -> np.ndarray:
        return np.asarray(self.variable.numpy())

    def assign(self, value: Any) -> None:
        self.variable.assign(value)


@dataclass(frozen=True)
class FakeQuantizedModel:
    """A fake-quantized network of the training graph.

    To the loop it is a model. To checkpoints it is an ordinary network in float: the trained weights with
    every batch normalisation idle, so that `train`, `export` and `evaluate` take them as they take any.
    """

    network: Network

    @property
    def name(self) -> str:
        return str(self.network.model.name)

    @property
    def output_names(self) -> list[str]:
        return list(self.network.graph.outputs)

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        return self.network.model(inputs, training=training)

    @property
    def trainable_variables(self) -> list[Any]:
        shifts = [v.shift for v in self.network.ranges.values() if v.shift is not None]
        return [*self.network.variables.values(), *shifts]

    @property
    def variables(self) -> list[Named]:
        """All that training changes, and the ranges that it started from."""
        found = [Named(name, variable) for name, variable in self.network.variables.items()]
        for name, held in self.network.ranges.items():
            found.append(Named(f"{name}/range", held.ends))
            if held.shift is not None:
                found.append(Named(f"{name}/range_shift", held.shift))
        return found

    @property
    def layers(self) -> list[Any]:
        """As `checkpoint.weights_of` reads a model: layers with named weights, those of the float network."""
        found: dict[str, list[Any]] = {}
        for name, value in weights_back(self.folded()).items():
            layer, variable = name.split("/")
            found.setdefault(layer, []).append(_Weight(variable, value))
        return [SimpleNamespace(name=layer, weights=weights) for layer, weights in found.items()]

    def folded(self) -> BNFoldedModel:
        """The trained weights."""
        return BNFoldedModel(self.network.graph, self.network.weights())

    def ranges(self) -> Ranges:
        """The trained ranges."""
        ends = {name: ends_of(held).numpy() for name, held in self.network.ranges.items()}
        return {name: Range(float(low), float(high)) for name, (low, high) in ends.items()}


@dataclass(frozen=True)
class _Weight:
    name: str
    value: np.ndarray

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.value, dtype)


def deployed(folded: BNFoldedModel) -> BNFoldedModel:
    """The part of a training graph that gives the maps."""
    graph = folded.graph.only(folded.graph.outputs[-1])
    kept = [f"{n.name}/{v}" for n in graph.nodes if n.kind in CONVOLUTIONS for v in ("kernel", "bias")]
    return BNFoldedModel(graph, {name: folded.weights[name] for name in kept})


def label_weight(map_size: Size, sigma: float) -> float:
    """What makes the labels' mean squared error a share: one over that of a lone peak.

    Args:
        map_size: (height, width) in cells.
        sigma: of the peak exp(-d^2 / sigma^2), in cells.
    """
    return 2 * map_size[0] * map_size[1] / (np.pi * sigma**2)
