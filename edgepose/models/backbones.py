"""The backbones, each cut where the networks tap it.

Sources: EfficientNet, Tan & Le 2019, and its Lite variants (Liu 2020); DenseNet, Huang et al. 2017;
VGG, Simonyan & Zisserman 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edgeio import lookup
from edgepose.frameworks import Tensor
from edgepose.models.layers import Kit

DROP_CONNECT = 0.2


@dataclass(frozen=True)
class Stage:
    """One EfficientNet stage before scaling: `repeats` MBConv blocks of the same width."""

    kernel: int
    repeats: int
    filters: int
    expansion: int
    strides: int


EFFICIENTNET_STAGES = (
    Stage(3, 1, 16, 1, 1),
    Stage(3, 2, 24, 6, 2),
    Stage(5, 2, 40, 6, 2),
    Stage(3, 3, 80, 6, 2),
    Stage(5, 3, 112, 6, 1),
    Stage(5, 4, 192, 6, 2),
    Stage(3, 1, 320, 6, 1),
)


@dataclass(frozen=True)
class Scaling:
    """How a member of the EfficientNet family grows. Lite: ReLU6, no squeeze-and-excite, fixed ends."""

    width: float
    depth: float
    lite: bool = False

    @property
    def activation(self) -> str:
        return "relu6" if self.lite else "swish"

    def filters(self, base: int) -> int:
        """Scaled to the nearest multiple of 8, never more than a tenth below."""
        scaled = base * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded

    @property
    def stem_filters(self) -> int:
        return 32 if self.lite else self.filters(32)

    def stages(self) -> tuple[Stage, ...]:
        """The seven stages at this scale."""
        last = len(EFFICIENTNET_STAGES) - 1
        return tuple(
            replace(
                stage,
                filters=self.filters(stage.filters),
                repeats=stage.repeats
                if self.lite and i in (0, last)
                else math.ceil(stage.repeats * self.depth),
            )
            for i, stage in enumerate(EFFICIENTNET_STAGES)
        )


EFFICIENTNETS = {
    "efficientnet-b0": Scaling(1.0, 1.0),
    "efficientnet-b1": Scaling(1.0, 1.1),
    "efficientnet-b2": Scaling(1.1, 1.2),
    "efficientnet-b3": Scaling(1.2, 1.4),
    "efficientnet-b4": Scaling(1.4, 1.8),
    "efficientnet-b5": Scaling(1.6, 2.2),
    "efficientnet-b7": Scaling(2.0, 3.1),
    "efficientnet-lite0": Scaling(1.0, 1.0, lite=True),
    "efficientnet-lite0-narrow": Scaling(0.75, 1.0, lite=True),  # this project's own: 16, 24 and 32 channels
    "efficientnet-lite2": Scaling(1.1, 1.2, lite=True),
    "efficientnet-lite4": Scaling(1.4, 1.8, lite=True),
}


def efficientnet(kit: Kit, images: Tensor, key: str, blocks: int, last_residual: bool = True) -> list[Tensor]:
    """EfficientNet up to the end of block `blocks` (1..7).

    Args:
        last_residual: whether the very last residual is added; see `build_model`.

    Returns:
        The output of each block that was built, in order.
    """
    scaling = lookup(EFFICIENTNETS, "backbone", key)
    stages = scaling.stages()
    x = kit.conv(images, scaling.stem_filters, 3, "stem_conv", strides=2)
    x = kit.activation(kit.norm(x, "stem_bn"), scaling.activation, "stem_activation")
    outputs, done, total = [], 0, sum(stage.repeats for stage in stages)
    for number, stage in enumerate(stages[:blocks], start=1):
        for repeat in range(stage.repeats):
            strides = stage.strides if repeat == 0 else 1
            name = f"block{number}{chr(ord('a') + repeat)}"
            branch = _mbconv(kit, x, stage, strides, scaling, name)
            if strides == 1 and x.shape[-1] == stage.filters:
                branch = kit.drop_connect(branch, DROP_CONNECT * done / total, f"{name}_drop")
                is_last = number == blocks and repeat == stage.repeats - 1
                x = branch if is_last and not last_residual else kit.add([branch, x], f"{name}_add")
            else:
                x = branch
            done += 1
        outputs.append(x)
    return outputs


def _mbconv(kit: Kit, x: Tensor, stage: Stage, strides: int, scaling: Scaling, name: str) -> Tensor:
    width = x.shape[-1]
    if stage.expansion != 1:
        x = kit.norm(kit.conv(x, width * stage.expansion, 1, f"{name}_expand_conv"), f"{name}_expand_bn")
        x = kit.activation(x, scaling.activation, f"{name}_expand_activation")
    x = kit.norm(kit.depthwise(x, stage.kernel, f"{name}_dwconv", strides=strides), f"{name}_bn")
    x = kit.activation(x, scaling.activation, f"{name}_activation")
    if not scaling.lite:
        x = kit.squeeze_excite(x, max(1, width // 4), scaling.activation, f"{name}_se", "reduce", "expand")
    return kit.norm(kit.conv(x, stage.filters, 1, f"{name}_project_conv"), f"{name}_project_bn")


def densenet121(kit: Kit, images: Tensor) -> Tensor:
    """DenseNet-121 up to the 1x1 convolution of its third pooling: 256 channels at stride 8."""
    x = kit.conv(images, 64, 7, "conv1_conv", strides=2)
    x = kit.activation(kit.norm(x, "conv1_bn"), "relu", "conv1_relu")
    x = kit.keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    for number, layers in ((2, 6), (3, 12)):
        for layer in range(1, layers + 1):
            x = _dense_layer(kit, x, f"conv{number}_block{layer}")
        x = kit.activation(kit.norm(x, f"pool{number}_bn"), "relu", f"pool{number}_relu")
        x = kit.conv(x, x.shape[-1] // 2, 1, f"pool{number}_conv")
        if number == 2:
            x = kit.keras.layers.AveragePooling2D(2, name="pool2_pool")(x)
    return x


def _dense_layer(kit: Kit, x: Tensor, name: str) -> Tensor:
    new = kit.activation(kit.norm(x, f"{name}_0_bn"), "relu", f"{name}_0_relu")
    new = kit.norm(kit.conv(new, 128, 1, f"{name}_1_conv"), f"{name}_1_bn")
    new = kit.conv(kit.activation(new, "relu", f"{name}_1_relu"), 32, 3, f"{name}_2_conv")
    return kit.concat([x, new], f"{name}_concat")


def vgg19(kit: Kit, images: Tensor) -> Tensor:
    """VGG-19 through conv4_2: 512 channels at stride 8."""
    x = images
    for number, (filters, layers) in enumerate(((64, 2), (128, 2), (256, 4), (512, 2)), start=1):
        for layer in range(1, layers + 1):
            name = f"block{number}_conv{layer}"
            x = kit.activation(kit.conv(x, filters, 3, name, bias=True), "relu", f"{name}_relu")
        if number < 4:
            x = kit.keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    return x
