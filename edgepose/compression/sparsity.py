"""Which weights of a network may become zero, which of them do, and how many are.

Left dense are convolutions whose few weights are worth little space and much accuracy: those that read the
image, depthwise ones (9 to 25 weights a channel), and those that give an output. Halved at once, untrained,
RT's 14 depthwise kernels cost its maps as much as its 27 pointwise ones, which have five times the weights;
its stem's 432 zeros cost what 26,000 in squeeze-and-excite do.

Plain magnitude is the measure: with the scale of the batch normalisation behind it, or as a share of its
channel's largest weight, the same number of zeros cost RT's maps 2 and 3 dB more.

Sources: magnitude as the measure, Han et al. 2015; the cubic rise, Zhu & Gupta 2017, equation 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# A trained kernel has no exact zero but by chance; one with this share of them was made sparse.
SPARSE_FROM = 0.1

_COLOURS = 3
_CONVOLUTIONS = {"Conv2D": 3, "Conv2DTranspose": 2, "DepthwiseConv2D": 2}  # axis of the output channels


@dataclass(frozen=True)
class ConvolutionKernel:
    """A convolution of a model.

    Attributes:
        name: of its layer.
        kernel: the variable.
        axis: of its output channels.
        dense: why it is left as it is, or None.
    """

    name: str
    kernel: Any
    axis: int
    dense: str | None


@dataclass(frozen=True)
class Zeros:
    """How many weights of a kernel are zero.

    Attributes:
        layer: its name.
        dense: why it was left as it is, or None.
    """

    layer: str
    weights: int
    zeros: int
    dense: str | None = None


def parts(model: Any) -> list[ConvolutionKernel]:
    """The convolutions of a Keras 3 model, in order."""
    found = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in _CONVOLUTIONS and layer.trainable:
            dense = _why_dense(layer, kind, model.output_names)
            found.append(ConvolutionKernel(layer.name, layer.kernel, _CONVOLUTIONS[kind], dense))
    return found


def _why_dense(layer: Any, kind: str, outputs: Iterable[str]) -> str | None:
    if kind == "DepthwiseConv2D":
        return "depthwise"
    if layer.name in outputs:
        return "gives an output"
    # A gate's pointwise kernel may read as few channels.
    height, _, channels, _ = layer.kernel.shape
    return "reads the image" if channels == _COLOURS and height > 1 else None


def rising(done: float, final: float) -> float:
    """The sparsity when a share `done` (0..1) of its rise is over: fast at first, while there is much that
    nobody misses, then ever slower."""
    return final * (1.0 - (1.0 - done) ** 3)


def cut(kernel: np.ndarray, sparsity: float) -> np.ndarray:
    """A kernel whose smallest weights are zero: so many that `sparsity` of all are, to the nearest weight."""
    found = kernel.copy()
    smallest = np.argsort(np.abs(kernel), axis=None, kind="stable")[: round(sparsity * kernel.size)]
    found.reshape(-1)[smallest] = 0.0
    return found


def is_sparse(kernel: np.ndarray) -> bool:
    """Whether zeros were made in it on purpose."""
    return bool(np.mean(kernel == 0) >= SPARSE_FROM)


def share(weights: Mapping[str, np.ndarray]) -> float:
    """Of all kernels' weights, those that are exactly zero.

    Args:
        weights: LAYER/kernel and others, as in a checkpoint.
    """
    kernels = [array for name, array in weights.items() if name.endswith("/kernel")]
    return sum(int(np.sum(array == 0)) for array in kernels) / max(1, sum(array.size for array in kernels))
