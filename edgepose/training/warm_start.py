"""Starting from another checkpoint's weights, as far as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepose.errors import BadCheckpoint
from edgepose.models.checkpoint import CheckpointInfo, load_weights, read_checkpoint, weights_of


@dataclass(frozen=True)
class Start:
    """What a network started from.

    Attributes:
        new: layers that keep their random weights.
        unused: layers of the checkpoint that the network does not have, or not in this shape.
    """

    new: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"new: {', '.join(self.new) or 'nothing'}"]
        return "; ".join(parts + ([f"not used: {', '.join(self.unused)}"] if self.unused else []))


def start_from(path: Path, model: Any, info: CheckpointInfo) -> Start:
    """Give a network the checkpoint's weights, layer by layer where all of a layer's shapes agree.

    The output layers of another keypoint set are new even where the shapes agree: their channels mean
    other keypoints.

    Args:
        info: of the network.

    Raises:
        BadCheckpoint: unreadable, or of another network.
    """
    theirs, weights = read_checkpoint(path)
    if theirs.model != info.model:
        raise BadCheckpoint(
            f"{path} is of network {theirs.model}, not {info.model}",
            f"use --model {theirs.model}, or another --init",
        )
    ours = weights_of(model)
    wanted, offered = _layers(ours), _layers(weights)
    other_outputs = set(model.output_names) if theirs.keypoints != info.keypoints else set()
    fits = {
        layer
        for layer, names in wanted.items()
        if layer not in other_outputs
        and all(name in weights and weights[name].shape == ours[name].shape for name in names)
    }
    taken = {name: weights[name] for layer in fits for name in wanted[layer]}
    load_weights(model, ours | taken, str(path))
    return Start(
        new=tuple(layer for layer in wanted if layer not in fits),
        unused=tuple(layer for layer in offered if layer not in fits and not layer.startswith("upscaled_")),
    )


def _layers(weights: dict[str, Any]) -> dict[str, list[str]]:
    """Names of weights by their layer."""
    found: dict[str, list[str]] = {}
    for name in weights:
        found.setdefault(name.split("/")[0], []).append(name)
    return found
