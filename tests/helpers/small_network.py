"""A network with all that makes quantization hard, in either Keras, and noise to run it on."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from edgepose.compression.calibration import calibrated
from edgepose.compression.fake_quantized import deployed
from edgepose.compression.graph import BNFoldedModel, fold_batch_norms
from edgepose.compression.network import Ranges
from edgepose.compression.ranges import Range
from edgepose.frameworks import keras, tf_keras
from edgepose.keypoints import keypoint_set
from edgepose.models.checkpoint import CheckpointInfo, load_weights, weights_of
from edgepose.models.layers import Kit

SIZE = 32
PIXELS = Range(-2.5, 2.5)


def bottleneck(kit: Kit, x: Any, name: str, width: int = 8) -> Any:
    """One of EfficientPose's, with all that makes them hard: E-swish, squeeze-and-excite, a linear end."""
    x = kit.activation(
        kit.norm(kit.conv(x, 12, 1, f"{name}_conv1"), f"{name}_conv1_bn"), "e-swish", f"{name}_a"
    )
    x = kit.activation(
        kit.norm(kit.depthwise(x, 3, f"{name}_dconv1"), f"{name}_dconv1_bn"), "e-swish", f"{name}_b"
    )
    x = kit.squeeze_excite(x, 3, "e-swish", f"{name}_se")
    return kit.norm(kit.conv(x, width, 1, f"{name}_conv2"), f"{name}_conv2_bn")


def small(
    info: CheckpointInfo | None = None,
    _: str = "",
    namespace: Any = None,
    *__: Any,
    stride: int = 4,
    whole: bool = True,
) -> Any:
    """Fields and maps from dense bottlenecks, in either Keras: three, or one, which takes less time."""
    kr = namespace or keras()
    kit, points = Kit(kr), keypoint_set(info.keypoints if info else "in-motion-19")
    size = info.resolution if info else SIZE
    images = kr.Input((size, size, 3), name="images")
    x = kit.conv(images, 8, 3, "stem_conv", strides=stride)
    x = kit.activation(kit.norm(x, "stem_bn"), "swish", "stem_activation")
    first = bottleneck(kit, x, "one")
    second = kit.concat([bottleneck(kit, first, "two"), first], "two_dense") if whole else first
    second = kit.drop_connect(second, 0.2, "drop")
    summed = kit.add([bottleneck(kit, second, "three", 16), second], "three_add") if whole else second
    pafs = kit.conv(second, 2 * len(points.segments), 1, "pass1_skeleton_pafs", bias=True)
    maps = kit.conv(summed, len(points), 1, "pass3_detection2_confs", bias=True)
    return kr.Model(images, [pafs, maps], name="small")


def seeded(model: Any, seed: int = 0, gain: float = 1.0) -> Any:
    """With weights and batch statistics like a trained network's.

    Args:
        gain: of every batch normalisation. With 1, a deep network makes of a rounding error what it likes.
    """
    rng = np.random.default_rng(seed)

    def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
        spread = rng.normal(size=shape)
        if name.endswith(("gamma", "moving_variance")):
            spread = np.exp(0.5 * spread) * (gain if name.endswith("gamma") else 1.0)
        elif name.endswith("kernel"):
            spread *= np.sqrt(2 / np.prod(shape[:2] if shape[-1] == 1 else shape[:-1]))
        else:
            spread *= 0.3
        return spread.astype(np.float32)

    load_weights(model, {name: drawn(name, value.shape) for name, value in weights_of(model).items()})
    return model


def photos(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.uniform(-2.2, 2.4, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(count)]


# Built once for all tests; none may change them.


@cache
def whole_small() -> BNFoldedModel:
    """The seeded network, folded."""
    return fold_batch_norms(seeded(small(namespace=tf_keras())))


@cache
def folded_small() -> BNFoldedModel:
    """The same, of the maps alone."""
    return deployed(whole_small())


@cache
def small_ranges() -> Ranges:
    """Of every tensor of `folded_small`: lowest and highest on the photos."""
    return calibrated(folded_small(), photos(), PIXELS, "minmax")
