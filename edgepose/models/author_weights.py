"""Start from the weights that the EfficientPose authors released.

Only weights are taken, by layer name and shape; see `hdf5.py` for what is never touched. Our layers
bear the authors' names but for two; the Lite files keep the backbone's original graph names, in network
order, so those are matched by kind and order, then by shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import sha256_file
from edgepose.errors import BadCheckpoint, UsageError
from edgepose.frameworks import set_random_seed
from edgepose.keypoints import MPII_16, keypoint_set
from edgepose.models.bn_folded import read_folded_layers, restore_norms, with_plain_norms
from edgepose.models.checkpoint import (
    UPSCALING_PREFIX,
    CheckpointInfo,
    build,
    load_weights,
    save_checkpoint,
    weights_of,
    weights_to_start_from,
)
from edgepose.models.hdf5 import Layers, read_layers
from edgepose.models.layers import bilinear_kernel
from edgepose.models.networks import HEAD_WIDTH
from edgepose.models.variants import VARIANTS, Variant, variant

AUTHORS_KEYPOINTS = MPII_16.key
_OURS_TO_THEIRS = (("_se_squeeze_conv", "_se_se_squeeze_conv"), ("_se_excite_conv", "_se_se_excite_conv"))
_HEAD = re.compile(r"pass\d_\w+_(pafs|confs)(_hidden)?")
_TRAINING_HEADS = ("pass1_skeleton_pafs", "pass2_detection1_confs")
_LITE_BACKBONE = re.compile(r"efficientnet-lite\d/")
_PROBE = "pass1_block1_mbconv1_skeleton_conv2"  # its filters are the variant's width
_PROBE_SE = "pass1_block1_mbconv1_skeleton_se_se_squeeze_conv"
_CANONICAL = {"depthwise_kernel": "kernel"}


@dataclass(frozen=True)
class ImportReport:
    """Where every layer with weights came from or went.

    Attributes:
        loaded: our layers whose weights are the file's.
        new: our layers with initial weights, to be trained.
        unused: the file's layers that our network has no place for.
    """

    file: str
    checkpoint: str
    model: str
    keypoints: str
    loaded: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]


def import_weights(
    path: Path,
    key: str,
    out: Path,
    keypoints: str = AUTHORS_KEYPOINTS,
    seed: int = 0,
    images: Sequence[np.ndarray] = (),
) -> ImportReport:
    """Write our checkpoint from an authors' Keras 2 .h5 file, or from their .tflite (EfficientPose II).

    With the authors' own 16 keypoints the network is theirs, map for map; of the Lite networks' heads
    only the last was released, and the two that serve training alone are new. With another set the
    backbone and the passes are loaded, and all heads are new: another number of maps, and the
    128-channel layer of the infant networks. New outputs are zero until they are trained.

    Args:
        key: of the variant; it must be an EfficientPose network.
        keypoints: key of the keypoint set.
        seed: of the new heads' initial weights; sets the global seeds of Keras, NumPy and Python.
        images: of a .tflite: N arrays (1, H, W, 3), normalised, at the network's resolution, by which its
            batch normalisations are restored (`folded`).

    Raises:
        BadCheckpoint: not a plain weights file, another network, or a layer missing or misshapen.
        ExportError: a damaged .tflite.
        UsageError: a network the authors released nothing for, or a .tflite without images.
    """
    chosen, points = variant(key), keypoint_set(keypoints)
    if chosen not in _released():
        allowed = ", ".join(v.key for v in _released())
        raise UsageError(f"the authors released no weights of {chosen.name}", f"use one of: {allowed}")
    folded = Path(path).suffix == ".tflite"
    if folded and not images:
        raise UsageError(
            f"{path} has its batch normalisations folded away; images are needed to restore them",
            "give --data DATA",
        )
    theirs = read_folded_layers(path) if folded else read_layers(path)
    _check_network(path, chosen, theirs)
    complete = points.key == AUTHORS_KEYPOINTS
    info = CheckpointInfo(
        model=key,
        keypoints=points.key,
        head_width=None if complete else HEAD_WIDTH,
        resolution=chosen.resolution,
        source=f"the EfficientPose authors' {Path(path).name}, sha256 {sha256_file(path)}",
        half_residual=len(chosen.backbones) == 1,  # the authors' half-resolution backbones lack it
    )
    set_random_seed(seed)
    model = build(info)
    if folded:
        theirs = with_plain_norms(theirs, model, _authors_name)
    ours = _by_layer(weights_to_start_from(model))
    new = tuple(layer for layer in ours if _is_new(layer, chosen, complete, theirs))
    names = _counterparts(ours, theirs, new)
    tensors = {f"{layer}/{name}": array for layer in new for name, array in ours[layer].items()}
    for layer, counterpart in names.items():
        tensors.update(_taken(path, layer, counterpart, ours[layer], theirs))
    upscaling = _check_upscaling(path, theirs)
    load_weights(model, tensors, str(path))
    if folded:
        restore_norms(model, images)
    save_checkpoint(out, weights_of(model), info)
    used = {*names.values(), *(upscaling if complete else ())}
    return ImportReport(
        file=str(path),
        checkpoint=str(out),
        model=key,
        keypoints=points.key,
        loaded=(*names, *(upscaling if complete else ())),
        new=new,
        unused=tuple(layer for layer in theirs if layer not in used),
    )


def _released() -> list[Variant]:
    """The authors' networks of which they released weights."""
    return [v for v in VARIANTS.values() if v.family == "efficientpose" and v.cut_from is None]


def _check_network(path: Path, chosen: Variant, theirs: Layers) -> None:
    """Say which network a file is of before complaining about its layers one by one."""
    probe = theirs.get(_PROBE, {}).get("kernel")
    if probe is None:
        raise BadCheckpoint(
            f"{path} lacks layer {_PROBE}, which every EfficientPose network has",
            "give the authors' .h5 file",
        )
    width, lite = probe.shape[-1], _PROBE_SE not in theirs
    if (width, lite) == (chosen.width, chosen.is_lite):
        return
    fits = [v.key for v in _released() if (v.width, v.is_lite) == (width, lite)]
    hint = f"use --model {fits[0]}" if fits else "give the authors' .h5 file"
    raise BadCheckpoint(f"{path} does not hold {chosen.name}", hint)


def _by_layer(weights: Mapping[str, np.ndarray]) -> Layers:
    layers: Layers = {}
    for name, array in weights.items():
        layer, variable = name.split("/")
        layers.setdefault(layer, {})[variable] = array
    return layers


def _counterparts(ours: Layers, theirs: Layers, new: Iterable[str]) -> dict[str, str]:
    """Our layer -> the authors' name for it."""
    names = {layer: _authors_name(layer) for layer in ours if layer not in new}
    lite = sorted((layer for layer in theirs if _LITE_BACKBONE.match(layer)), key=_natural)
    if lite:
        for kind in ("conv", "depthwise", "norm"):
            order = [layer for layer in ours if layer.endswith("_res1") and _kind(layer, ours[layer]) == kind]
            released = [layer for layer in lite if _kind(layer, theirs[layer]) == kind]
            names.update(zip(order, released, strict=False))
    return names


def _authors_name(layer: str) -> str:
    for mine, authors in _OURS_TO_THEIRS:
        layer = layer.replace(mine, authors)
    return layer


def _kind(layer: str, variables: Mapping[str, Any]) -> str:
    if "gamma" in variables:
        return "norm"
    return "depthwise" if "depthwise_kernel" in variables or layer.endswith("_dwconv_res1") else "conv"


def _is_new(layer: str, chosen: Variant, complete: bool, theirs: Layers) -> bool:
    """Heads for other keypoints are new; so are those that the Lite files, inference graphs, leave out."""
    if complete:
        return chosen.is_lite and layer in _TRAINING_HEADS and layer not in theirs
    return _HEAD.fullmatch(layer) is not None


def _natural(name: str) -> tuple[bool, list[Any]]:
    """Sort key for network order: the stem first, then by number rather than by digit."""
    parts = re.split(r"(\d+)", name)
    return "/stem/" not in name, [int(part) if part.isdigit() else part for part in parts]


def _taken(
    path: Path, layer: str, counterpart: str, wanted: Mapping[str, np.ndarray], theirs: Layers
) -> dict[str, np.ndarray]:
    """One layer's tensors from the file, checked against the shapes that our layer has."""
    hint = "give the authors' own .h5 file of this --model, unchanged"
    if counterpart not in theirs:
        raise BadCheckpoint(f"{path} lacks layer {counterpart} (ours: {layer})", hint)
    found = {_CANONICAL.get(name, name): array for name, array in theirs[counterpart].items()}
    if set(found) != set(wanted):
        raise BadCheckpoint(
            f"{path}: layer {counterpart}: expected {', '.join(sorted(wanted))}, "
            f"found {', '.join(sorted(found)) or 'nothing'}",
            hint,
        )
    for name, array in wanted.items():
        if found[name].shape != array.shape:
            raise BadCheckpoint(
                f"{path}: layer {counterpart}, {name}: expected shape {list(array.shape)}, "
                f"found {list(found[name].shape)}",
                hint,
            )
    return {f"{layer}/{name}": array for name, array in found.items()}


def _check_upscaling(path: Path, theirs: Layers) -> tuple[str, ...]:
    """The file's upscaling layers; ours are frozen, so theirs must be the same bilinear kernels."""
    names = tuple(layer for layer in theirs if layer.startswith(UPSCALING_PREFIX))
    expected = bilinear_kernel(len(MPII_16))
    for name in names:
        kernel, bias = theirs[name].get("kernel"), theirs[name].get("bias", np.zeros(1))
        if kernel is None or not np.array_equal(kernel, expected) or np.any(bias):
            raise BadCheckpoint(
                f"{path}: layer {name} is not the bilinear upscaling of the paper",
                "give the authors' own .h5 file",
            )
    return names
