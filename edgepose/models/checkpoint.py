"""Our checkpoint: one .safetensors file that holds a training graph's weights and what they belong to.

Tensors are called `layer/variable`, the same for both Keras namespaces, so a checkpoint written by one
loads in the other. The frozen upscaling layers are not stored: they are made again, exactly. Nothing in
the file is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

import edgepose
from edgeio import replacing
from edgeio.records import parse_record
from edgepose.errors import BadCheckpoint
from edgepose.keypoint_file import BadKeypoints, set_from_plain, set_to_plain
from edgepose.keypoints import KEYPOINT_SETS, is_own, keypoint_set, remember
from edgepose.models.networks import build_model
from edgepose.models.outputs import with_output
from edgepose.models.variants import VARIANTS

METADATA_KEY = "edgepose"
OWN_KEYPOINTS = "keypoint_set"  # of a user: the whole set, beside its key
UPSCALING_PREFIX = "upscaled_"
_CANONICAL = {"depthwise_kernel": "kernel"}  # tf_keras's name for it
_SHOWN = 5


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint's tensors belong to.

    Attributes:
        model: key of the variant.
        keypoints: key of the keypoint set, which gives K and the segments.
        head_width: hidden channels of the heads; None for none.
        resolution: height and width of the input it was trained at, px.
        source: where the weights come from, as text.
        half_residual: False for the authors' released networks; see `build_model`.
    """

    model: str
    keypoints: str
    head_width: PositiveInt | None
    resolution: PositiveInt
    source: str
    half_residual: bool = True
    created_by: str = f"edgepose {edgepose.__version__}"
    schema_version: Literal[1] = field(default=1, kw_only=True)


def build(
    info: CheckpointInfo,
    output: str = "training",
    namespace: ModuleType | None = None,
    resolution: int | None = None,
) -> Any:
    """The network that a checkpoint is of, with random weights; see `build_model`.

    Args:
        resolution: another than the checkpoint's, px.
    """
    points = keypoint_set(info.keypoints)
    return build_model(
        info.model,
        keypoints=len(points),
        segments=len(points.segments),
        head_width=info.head_width,
        resolution=info.resolution if resolution is None else resolution,
        output=output,
        namespace=namespace,
        half_residual=info.half_residual,
    )


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Every weight of a model of either namespace, as `layer/variable` -> array."""
    return {name: np.asarray(variable) for name, variable in _variables(model).items()}


def weights_to_start_from(model: Any) -> dict[str, np.ndarray]:
    """`weights_of` a network that others' weights are put into, with outputs of zero.

    Noise in a new output is an error that dwarfs all others, and training unlearns what was put in to lessen
    it: RT Lite fell from PCKh@0.5 64 to 48 in its first epoch so.
    """
    weights = weights_of(model)
    kernels = [f"{layer}/kernel" for layer in model.output_names]
    return weights | {kernel: np.zeros_like(weights[kernel]) for kernel in kernels}


def save_checkpoint(
    path: Path, weights: Mapping[str, np.ndarray], info: CheckpointInfo, half: bool = False
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        weights: `weights_of` a training graph (`build_model(..., output="training")`).
        half: as float16, in half the space, but for tensors that float16 has no numbers for.
    """
    from safetensors.numpy import save

    tensors = {
        name: np.ascontiguousarray(_halved(name, array) if half else array)
        for name, array in weights.items()
        if not name.startswith(UPSCALING_PREFIX)
    }
    plain = asdict(info)
    if is_own(info.keypoints):
        plain[OWN_KEYPOINTS] = set_to_plain(keypoint_set(info.keypoints))
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(plain)}))


def read_checkpoint(path: Path) -> tuple[CheckpointInfo, dict[str, np.ndarray]]:
    """Read a checkpoint; float16 tensors come back as float32. Its own keypoint set is remembered.

    Raises:
        BadCheckpoint: missing, damaged, not ours, of another schema, or with weights that are no numbers.
        UsageError: another keypoint set of the same name was met before.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise BadCheckpoint(f"{path} does not exist or is not a file", "give a .safetensors checkpoint")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, TypeError, ValueError) as error:
        raise BadCheckpoint(
            f"{path} is damaged or is no .safetensors file ({error})", "copy or create it again"
        ) from None
    info = _parse_info(path, metadata)
    return info, {name: _checked_tensor(path, name, tensor) for name, tensor in tensors.items()}


def load_weights(
    model: Any, tensors: Mapping[str, np.ndarray], where: str = "the checkpoint", within: Any = None
) -> None:
    """Set every weight of `model`, strictly by name and shape.

    Args:
        where: what to call the tensors' file in errors.
        within: the larger model whose other weights `tensors` may hold too; None for none.

    Raises:
        BadCheckpoint: tensors that are missing, misshapen or of no layer; names the first ones. The
            model is then unchanged.
    """
    variables = {n: v for n, v in _variables(model).items() if not n.startswith(UPSCALING_PREFIX)}
    known = variables if within is None else _variables(within)
    hint = "it is of another network: check its --model, keypoints and head width"
    missing = [name for name in variables if name not in tensors]
    if missing:
        raise BadCheckpoint(f"{where} lacks {_first(missing)}", hint)
    unknown = [name for name in tensors if name not in known]
    if unknown:
        raise BadCheckpoint(
            f"{where} holds {_first(unknown)}, which {model.name.replace('_', '-')} does not have", hint
        )
    misshapen = [
        f"{name} (expected {list(variable.shape)}, found {list(tensors[name].shape)})"
        for name, variable in variables.items()
        if tuple(variable.shape) != tensors[name].shape
    ]
    if misshapen:
        raise BadCheckpoint(f"{where} has misshapen weights: {_first(misshapen)}", hint)
    for name, variable in variables.items():
        variable.assign(tensors[name])


def load_model(
    path: Path,
    output: str = "maps",
    namespace: ModuleType | None = None,
    resolution: int | None = None,
) -> Any:
    """Build a checkpoint's network and load its weights.

    Args:
        output: as in `build_model`.
        resolution: another input resolution than the checkpoint's, px.

    Raises:
        BadCheckpoint: as `read_checkpoint` and `load_weights`.
        UsageError: the network cannot take this resolution.
    """
    info, tensors = read_checkpoint(path)
    training = build(info, "training", namespace, resolution)
    model = with_output(training, output, namespace)
    load_weights(model, tensors, str(path), within=training)
    return model


def _variables(model: Any) -> dict[str, Any]:
    found = {}
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.name.split("/")[-1].split(":")[0]
            found[f"{layer.name}/{_CANONICAL.get(name, name)}"] = variable
    return found


def _halved(name: str, array: np.ndarray) -> np.ndarray:
    """float16, unless numbers are too large for it, or are variances too small for its full precision:
    those are divided by, so that their relative error counts."""
    limits = np.finfo(np.float16)
    least = array.min() if name.endswith("/moving_variance") else limits.tiny
    if np.abs(array).max() > limits.max or least < limits.tiny:
        return array
    return array.astype(np.float16)


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _checked_tensor(path: Path, name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype not in (np.float32, np.float16):
        raise BadCheckpoint(f"{path} holds {name} as {tensor.dtype}", "store weights as float32 or float16")
    if not np.isfinite(tensor).all():
        raise BadCheckpoint(
            f"{path} has NaN or infinite values in {name}", "go back to an earlier checkpoint"
        )
    return tensor.astype(np.float32)


def _parse_info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    hint = "make it with `edgepose import-weights` or by training"
    if METADATA_KEY not in metadata:
        raise BadCheckpoint(f"{path} is a .safetensors file, but not an edgepose checkpoint", hint)
    try:
        values = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path} has unreadable metadata ({error})", hint) from None
    own = values.pop(OWN_KEYPOINTS, None) if isinstance(values, dict) else None
    info = parse_record(CheckpointInfo, values, str(path), hint, BadCheckpoint)
    sets = dict(KEYPOINT_SETS)
    if own is not None:
        try:
            found = set_from_plain(own, str(path))
        except BadKeypoints as error:
            raise BadCheckpoint(error.what, hint) from None
        sets[found.key] = found
    for kind, known, name in (("model", VARIANTS, info.model), ("keypoints", sets, info.keypoints)):
        if name not in known:
            raise BadCheckpoint(f"{path}: {kind} {name!r} is unknown", hint)
    if info.resolution % VARIANTS[info.model].multiple:
        raise BadCheckpoint(f"{path}: {info.model} has no resolution {info.resolution}", hint)
    if own is not None:
        remember(found)
    return info
