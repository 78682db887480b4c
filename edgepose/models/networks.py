"""One builder for every network in the table.

Each family's function returns its outputs in the order in which they are trained; the last one is the
confidence maps that are kept.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from edgepose.frameworks import Tensor, keras
from edgepose.models.backbones import densenet121, efficientnet, vgg19
from edgepose.models.layers import Kit
from edgepose.models.outputs import with_output
from edgepose.models.variants import Variant, checked_resolution, variant

HEAD_WIDTH = 128


def build_model(
    key: str,
    keypoints: int = 19,
    segments: int = 18,
    head_width: int | None = HEAD_WIDTH,
    resolution: int | None = None,
    output: str = "maps",
    namespace: ModuleType | None = None,
    half_residual: bool = True,
) -> Any:
    """Build a network with random weights.

    Args:
        key: of the variant.
        keypoints: K, channels of the confidence maps.
        segments: S; part affinity fields have 2S channels.
        head_width: channels of the 1x1 convolution before the outputs (EfficientPose); None for none.
        resolution: height and width of the input, px; None for the variant's own.
        output: "maps" (B, h, w, K); "upscaled" (B, H, W, K); "keypoints" (B, K, 3), see `with_output`;
            "training": every output that is trained, in order, the last one being the maps.
        namespace: `keras` (the default) or `tf_keras`.
        half_residual: whether the half-resolution backbone (EfficientPose I to IV) ends with its last
            residual added, as in the paper. The authors' released networks end just before.

    Raises:
        UnknownName: no such variant or output.
        UsageError: the network cannot take this resolution; names the nearest it can.
    """
    chosen = variant(key)
    size = checked_resolution(chosen, resolution)
    kit = Kit(namespace or keras())
    images = kit.keras.Input((size, size, 3), name="images")
    if chosen.family == "efficientpose":
        outputs = _efficientpose(kit, images, chosen, keypoints, segments, head_width, half_residual)
    elif chosen.family == "openpose":
        outputs = _openpose(kit, images, keypoints, segments)
    else:
        outputs = {"cima": _cima, "hourglass": _hourglass}[chosen.family](kit, images, keypoints)
    training = kit.keras.Model(images, outputs, name=key.replace("-", "_"))
    return with_output(training, output, kit.keras)


def _efficientpose(
    kit: Kit,
    images: Tensor,
    chosen: Variant,
    keypoints: int,
    segments: int,
    head_width: int | None,
    half_residual: bool,
) -> list[Tensor]:
    features = _features(kit, images, chosen, half_residual)
    channels = {"pafs": 2 * segments, "confs": keypoints}
    outputs: list[Tensor] = []
    x = features
    for number, kind in enumerate(chosen.passes, start=1):
        name = f"pass{number}"
        role = "skeleton" if kind == "pafs" else f"detection{chosen.passes[:number].count(kind)}"
        if outputs:
            x = kit.concat([x, features], f"{name}_input")
        x = _pass(kit, x, chosen, name, role)
        head = f"{name}_{role}_{kind}"
        hidden = x if head_width is None else kit.conv(x, head_width, 1, f"{head}_hidden", bias=True)
        outputs.append(kit.conv(hidden, channels[kind], 1, head, bias=True))
    return outputs


def _features(kit: Kit, images: Tensor, chosen: Variant, half_residual: bool) -> Tensor:
    full = efficientnet(Kit(kit.keras, "_res1"), images, chosen.backbones[0], chosen.backbone_blocks)[-1]
    if len(chosen.backbones) == 1:
        return full
    half = kit.keras.layers.AveragePooling2D(2, name="images_half")(images)
    low = efficientnet(Kit(kit.keras, "_res2"), half, chosen.backbones[1], 2, half_residual)[-1]
    return kit.concat([full, low], "features")


def _pass(kit: Kit, x: Tensor, chosen: Variant, name: str, role: str) -> Tensor:
    assert chosen.blocks_per_pass is not None
    previous = None
    for block in range(1, chosen.blocks_per_pass + 1):
        for conv in (1, 2, 3):
            layer = f"{name}_block{block}_mbconv{conv}_{role}"
            new = _detection_mbconv(kit, x, chosen, layer)
            x = new if conv == 1 else kit.concat([new, x], f"{layer}_dense")
        if previous is not None:
            x = kit.add([previous, x], f"{name}_block{block}_{role}_add")
        previous = x
    return x


def _detection_mbconv(kit: Kit, x: Tensor, chosen: Variant, name: str) -> Tensor:
    width = chosen.width
    assert width is not None
    kind, suffix = ("relu6", "relu6") if chosen.is_lite else ("e-swish", "eswish")
    x = kit.norm(kit.conv(x, 6 * width, 1, f"{name}_conv1"), f"{name}_conv1_bn")
    x = kit.activation(x, kind, f"{name}_conv1_{suffix}")
    x = kit.norm(kit.depthwise(x, chosen.head_kernel, f"{name}_dconv1"), f"{name}_dconv1_bn")
    x = kit.activation(x, kind, f"{name}_dconv1_{suffix}")
    if not chosen.is_lite:
        x = kit.squeeze_excite(x, 6 * width // 24, kind, f"{name}_se")
    return kit.norm(kit.conv(x, width, 1, f"{name}_conv2"), f"{name}_conv2_bn")


def _hourglass(kit: Kit, images: Tensor, keypoints: int) -> list[Tensor]:
    taps = efficientnet(kit, images, "efficientnet-b4", blocks=7)
    bridges = [_bridge(kit, taps[block - 1], f"bridge{block}") for block in (2, 3, 5)]
    x = taps[6]
    for number, bridge in enumerate(reversed(bridges), start=1):
        width, name = bridge.shape[-1], f"up{number}"
        x = kit.norm(kit.double(x, width, f"{name}_deconv"), f"{name}_bn")
        x = kit.add([kit.activation(x, "swish", f"{name}_swish"), bridge], f"{name}_add")
        x = kit.squeeze_excite(x, width // 24, "swish", f"{name}_se")
    return [kit.conv(x, keypoints, 1, "confs", bias=True)]


def _bridge(kit: Kit, x: Tensor, name: str) -> Tensor:
    width = x.shape[-1]
    x = kit.norm(kit.conv(x, 6 * width, 1, f"{name}_conv1", bias=True), f"{name}_conv1_bn")
    x = kit.activation(x, "swish", f"{name}_conv1_swish")
    x = kit.norm(kit.depthwise(x, 5, f"{name}_dconv1", bias=True), f"{name}_dconv1_bn")
    x = kit.activation(x, "swish", f"{name}_dconv1_swish")
    x = kit.squeeze_excite(x, 6 * width // 24, "swish", f"{name}_se")
    x = kit.norm(kit.conv(x, width, 1, f"{name}_conv2", bias=True), f"{name}_conv2_bn")
    return kit.activation(x, "swish", f"{name}_conv2_swish")


def _cima(kit: Kit, images: Tensor, keypoints: int) -> list[Tensor]:
    features = kit.conv(densenet121(kit, images), 128, 3, "features_conv", bias=True)
    features = kit.activation(features, "relu", "features_relu")
    outputs: list[Tensor] = []
    for stage in ("stage1", "stage2"):
        x = features if not outputs else kit.concat([outputs[-1], features], f"{stage}_input")
        convs = ((128, 3, 1), (64, 3, 1), (64, 3, 2), (64, 3, 4), (64, 1, 1))
        for number, (filters, kernel, dilation) in enumerate(convs, start=1):
            name = f"{stage}_conv{number}"
            x = kit.conv(x, filters, kernel, name, bias=True, dilation=dilation)
            x = kit.activation(x, "relu", f"{name}_relu")
        outputs.append(kit.conv(x, keypoints, 1, f"{stage}_confs", bias=True))
    return outputs


def _openpose(kit: Kit, images: Tensor, keypoints: int, segments: int) -> list[Tensor]:
    features = vgg19(kit, images)
    for number, filters in ((1, 256), (2, 128)):
        name = f"features_conv{number}"
        features = kit.prelu(kit.conv(features, filters, 3, name, bias=True), f"{name}_prelu")
    outputs: list[Tensor] = []
    for kind, channels, stages in (("pafs", 2 * segments, 4), ("confs", keypoints, 2)):
        for number in range(1, stages + 1):
            name = f"{kind}_stage{number}"
            x = features if not outputs else kit.concat([features, outputs[-1]], f"{name}_input")
            width, hidden = (96, 256) if number == 1 else (128, 512)
            outputs.append(_openpose_stage(kit, x, width, hidden, channels, name))
    return outputs


def _openpose_stage(kit: Kit, x: Tensor, width: int, hidden: int, channels: int, name: str) -> Tensor:
    for block in range(1, 6):
        parts = []
        for conv in range(1, 4):
            layer = f"{name}_block{block}_conv{conv}"
            x = kit.prelu(kit.conv(x, width, 3, layer, bias=True), f"{layer}_prelu")
            parts.append(x)
        x = kit.concat(parts, f"{name}_block{block}")
    x = kit.prelu(kit.conv(x, hidden, 1, f"{name}_hidden", bias=True), f"{name}_hidden_prelu")
    return kit.conv(x, channels, 1, name, bias=True)
