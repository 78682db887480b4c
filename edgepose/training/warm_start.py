"""Starting from another checkpoint's weights, as far as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.errors import BadCheckpoint, UsageError
from edgepose.keypoints import KeypointSet, keypoint_set, mapping
from edgepose.models.checkpoint import CheckpointInfo, load_weights, read_checkpoint, weights_to_start_from
from edgepose.models.pretrained import DEFAULT_WEIGHTS, PREFIX
from edgepose.models.shrink import can_shrink, shrunk
from edgepose.models.variants import variant

Weights = dict[str, Any]
_SUFFIX = {"efficientpose": "_res1"}  # of the layers of the first of several backbones; see `build_model`
_BACKBONE_LAYERS = ("stem", "block")  # EfficientNet's; no two other networks share theirs
_SHOWN = 12


@dataclass(frozen=True)
class Start:
    """What a network started from.

    Attributes:
        new: layers that keep their random weights; those that give an output are zero.
        translated: output layers of another keypoint set, whose channels were taken by keypoint.
        unused: layers of the checkpoint that the network does not have, or not in this shape.
        shrunk: layers of a larger network that were cut smaller, to their most important channels or the
            middle of their kernels.
    """

    new: tuple[str, ...]
    translated: tuple[str, ...]
    unused: tuple[str, ...]
    shrunk: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"new: {_listed(self.new) or 'nothing'}"]
        if self.translated:
            parts.append(f"by keypoint: {_listed(self.translated)}")
        if self.shrunk:
            parts.append(f"cut smaller: {_listed(self.shrunk)}")
        return "; ".join(parts + ([f"not used: {_listed(self.unused)}"] if self.unused else []))


def start_from(path: Path, model: Any, info: CheckpointInfo) -> Start:
    """Give a network the checkpoint's weights, layer by layer where all of a layer's shapes agree.

    Channels of output layers mean keypoints. Those of another keypoint set are taken where the sets have
    the keypoint in common, or nearly (`mapping`); the others are new, and zero. Of a larger network with the
    same layers, the most important channels are taken (`shrunk`); of another one on the same backbone, the
    backbone's layers.

    Args:
        info: of the network.

    Raises:
        BadCheckpoint: unreadable, or of a network on another backbone.
    """
    theirs, whole = read_checkpoint(path)
    if theirs.model == info.model:
        weights = whole
    elif can_shrink(variant(theirs.model), variant(info.model)):
        weights = shrunk(whole, theirs, info.model, str(path))
    else:
        weights = whole = _backbone(path, whole, theirs, info)
    ours = weights_to_start_from(model)
    wanted, offered = _layers(ours), _layers(whole)
    other_outputs = set(model.output_names) if theirs.keypoints != info.keypoints else set()
    fits = {
        layer
        for layer, names in wanted.items()
        if layer not in other_outputs
        and all(name in weights and weights[name].shape == ours[name].shape for name in names)
    }
    taken = {name: weights[name] for layer in fits for name in wanted[layer]}
    for layer in sorted(other_outputs):
        taken |= _translated(layer, weights, ours, theirs, info)
    load_weights(model, ours | taken, str(path))
    layers = {name.split("/")[0] for name in taken}
    return Start(
        new=tuple(layer for layer in wanted if layer not in layers),
        translated=tuple(layer for layer in wanted if layer in layers - fits),
        unused=tuple(layer for layer in offered if layer not in layers and not layer.startswith("upscaled_")),
        shrunk=tuple(
            layer
            for layer, names in offered.items()
            if layer in layers and any(weights[name].shape != whole[name].shape for name in names)
        ),
    )


def _backbone(path: Path, weights: Weights, theirs: CheckpointInfo, info: CheckpointInfo) -> Weights:
    """The weights of the backbone that both networks begin with, by our names."""
    there, here = variant(theirs.model), variant(info.model)
    if there.backbones[0] != here.backbones[0]:
        raise BadCheckpoint(
            f"{path} is of network {there.key}, not {here.key}, and their backbones differ",
            f"use --model {there.key}, or another --init"
            + (f", such as {PREFIX}{here.cut_from}" if here.cut_from in DEFAULT_WEIGHTS else ""),
        )
    end, ours = (f"{_SUFFIX.get(v.family, '')}/" for v in (there, here))
    return {
        name.replace(end, ours): array
        for name, array in weights.items()
        if end in name and name.startswith(_BACKBONE_LAYERS)
    }


def _translated(
    layer: str, weights: Weights, ours: Weights, theirs: CheckpointInfo, info: CheckpointInfo
) -> Weights:
    """Weights of an output layer, and of its hidden one, by which channels in common start as they were.

    A checkpoint without hidden channels is written through them: the first ones compute the channels in
    common, and the output layer passes them on. Nothing lies between the two, so the maps are the same.
    """
    names = f"{layer}/kernel", f"{layer}/bias"
    channels = _channels(layer, keypoint_set(theirs.keypoints), keypoint_set(info.keypoints))
    if not channels or any(name not in weights for name in names):
        return {}
    sources, places = (np.array(side) for side in zip(*channels, strict=True))
    kernel, bias = ours[names[0]].copy(), ours[names[1]].copy()
    offered = weights[names[0]][..., sources]
    bias[places] = weights[names[1]][sources]
    if kernel.shape[:-1] == offered.shape[:-1]:
        kernel[..., places] = offered
        return {names[0]: kernel, names[1]: bias}
    hidden = f"{layer}_hidden/kernel"
    if (
        hidden not in ours
        or ours[hidden].shape[:-1] != offered.shape[:-1]
        or len(channels) > kernel.shape[-2]
    ):
        return {}
    first = np.arange(len(channels))
    through = ours[hidden].copy()
    through[..., first] = offered
    kernel[..., places] = 0.0
    kernel[..., first, places] = 1.0
    hidden_bias = f"{layer}_hidden/bias"
    return {hidden: through, hidden_bias: np.zeros_like(ours[hidden_bias]), names[0]: kernel, names[1]: bias}


def _channels(layer: str, source: KeypointSet, target: KeypointSet) -> list[tuple[int, int]]:
    """(channel of the source's output, channel of the target's) that mean the same."""
    try:
        pairs = mapping(source, target, near=True).pairs
    except UsageError:  # nothing in common
        return []
    if "pafs" not in layer:  # as in `losses.output_kinds`
        return list(pairs)
    there = dict(pairs)
    known = {
        (there[first], there[second]): index
        for index, (first, second) in enumerate(source.segment_indices)
        if first in there and second in there
    }
    return [
        (2 * known[segment] + axis, 2 * index + axis)
        for index, segment in enumerate(target.segment_indices)
        if segment in known
        for axis in (0, 1)
    ]


def _listed(layers: tuple[str, ...]) -> str:
    more = len(layers) - _SHOWN
    return ", ".join(layers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _layers(weights: Weights) -> dict[str, list[str]]:
    """Names of weights by their layer."""
    found: dict[str, list[str]] = {}
    for name in weights:
        found.setdefault(name.split("/")[0], []).append(name)
    return found
