"""Shorthand for the few layer groups that the networks are made of, in either Keras namespace.

A layer's name is its key in checkpoints, in per-layer reports and in quantization's layer selection:
it must be the same in both namespaces and must never change. Only stock layers are used, since others
do not survive `tf_keras.models.clone_model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from edgepose.frameworks import Tensor
from edgepose.upsampling import BILINEAR_TAPS

E_SWISH_BETA = 1.25


@dataclass(frozen=True)
class Kit:
    """Layers of one namespace, called by name.

    Attributes:
        keras: `keras` or `tf_keras`.
        suffix: ends every name, to tell apart two copies of a backbone.
    """

    keras: ModuleType
    suffix: str = ""

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: int,
        name: str,
        *,
        strides: int = 1,
        bias: bool = False,
        dilation: int = 1,
    ) -> Tensor:
        """'Same' padded convolution."""
        return self.keras.layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="same",
            use_bias=bias,
            dilation_rate=dilation,
            kernel_initializer="he_normal",
            name=name + self.suffix,
        )(x)

    def depthwise(self, x: Tensor, kernel: int, name: str, *, strides: int = 1, bias: bool = False) -> Tensor:
        """'Same' padded depthwise convolution."""
        return self.keras.layers.DepthwiseConv2D(
            kernel,
            strides=strides,
            padding="same",
            use_bias=bias,
            depthwise_initializer="he_normal",
            name=name + self.suffix,
        )(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation with Keras's defaults."""
        return self.keras.layers.BatchNormalization(name=name + self.suffix)(x)

    def activation(self, x: Tensor, kind: str, name: str) -> Tensor:
        """`kind`: "relu", "relu6", "sigmoid", "swish", or "e-swish" (Alcaide 2018).

        The swishes are spelt out, so that quantization can set each step's range.
        """
        if kind == "relu6":
            return self.keras.layers.ReLU(max_value=6.0, name=name + self.suffix)(x)
        if kind in ("relu", "sigmoid"):
            return self.keras.layers.Activation(kind, name=name + self.suffix)(x)
        scaled = kind == "e-swish"
        gate = self.keras.layers.Activation("sigmoid", name=f"{name}_sigmoid{self.suffix}")(x)
        product = f"{name}_swish{self.suffix}" if scaled else name + self.suffix
        x = self.keras.layers.Multiply(name=product)([x, gate])
        return self.keras.layers.Rescaling(E_SWISH_BETA, name=name + self.suffix)(x) if scaled else x

    def prelu(self, x: Tensor, name: str) -> Tensor:
        """PReLU with one slope a channel."""
        return self.keras.layers.PReLU(shared_axes=[1, 2], name=name + self.suffix)(x)

    def add(self, tensors: list[Tensor], name: str) -> Tensor:
        return self.keras.layers.Add(name=name + self.suffix)(tensors)

    def concat(self, tensors: list[Tensor], name: str) -> Tensor:
        return self.keras.layers.Concatenate(name=name + self.suffix)(tensors)

    def squeeze_excite(
        self,
        x: Tensor,
        reduced: int,
        kind: str,
        name: str,
        reduce: str = "squeeze_conv",
        expand: str = "excite_conv",
    ) -> Tensor:
        """Scale the channels by a gate read from their global means (Hu et al. 2018)."""
        means = self.keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze{self.suffix}")(
            x
        )
        hidden = self.conv(means, reduced, 1, f"{name}_{reduce}", bias=True)
        hidden = self.activation(hidden, kind, f"{name}_{reduce}_act")
        gate = self.conv(hidden, x.shape[-1], 1, f"{name}_{expand}", bias=True)
        gate = self.activation(gate, "sigmoid", f"{name}_gate")
        return self.keras.layers.Multiply(name=f"{name}_excite{self.suffix}")([x, gate])

    def drop_connect(self, x: Tensor, rate: float, name: str) -> Tensor:
        """Leave out whole residual branches, image by image, in training (Huang et al. 2016)."""
        if rate == 0:
            return x
        return self.keras.layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=name + self.suffix)(x)

    def double(self, x: Tensor, filters: int, name: str) -> Tensor:
        """4x4 stride-2 transposed convolution."""
        return self.keras.layers.Conv2DTranspose(
            filters, 4, strides=2, padding="same", kernel_initializer="he_normal", name=name + self.suffix
        )(x)

    def upscale(self, maps: Tensor, steps: int) -> Tensor:
        """Bilinear upscaling by 2**steps as the paper counts it: frozen transposed convolutions."""
        names = [f"upscaled_deconv{step + 1}" for step in range(steps - 1)] + ["upscaled_confs"]
        channels = maps.shape[-1]
        for name in names:
            layer = self.keras.layers.Conv2DTranspose(
                channels, 4, strides=2, padding="same", trainable=False, name=name
            )
            maps = layer(maps)
            layer.set_weights([bilinear_kernel(channels), np.zeros(channels, np.float32)])
        return maps


def bilinear_kernel(channels: int) -> np.ndarray:
    """(4, 4, channels, channels) float32 kernel that doubles each channel bilinearly."""
    taps = np.asarray(BILINEAR_TAPS, np.float32)
    return np.einsum("y,x,io->yxio", taps, taps, np.eye(channels, dtype=np.float32))
