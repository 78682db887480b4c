"""A rounded network to its .tflite: integers throughout, no bias at its limit, near the float network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from edgepose.compression.graph import CannotQuantize
from edgepose.compression.network import Network
from edgepose.deploy import PoseMetadata
from edgepose.errors import UsageError
from edgepose.evaluation.runners import DECODE
from edgepose.exporting import VALIDATION_COUNT, Exported, model_name
from edgepose.models.checkpoint import CheckpointInfo
from edgepose.models.profile import inference_cost

OUTPUT = "maps"


@dataclass(frozen=True)
class Samples:
    """Calibration images as the network sees them.

    Attributes:
        inputs: N arrays (1, H, W, 3) float32, normalised.
        record: `export.calibration.Calibration`, for the sidecar.
    """

    inputs: Sequence[np.ndarray]
    record: Any


def target_path(checkpoint: Path, recipe: str, out: Path, overwrite: bool) -> Path:
    """Where the model of a checkpoint goes; raises UsageError where one is and must stay."""
    path = out / f"{model_name(checkpoint, recipe, OUTPUT)}.tflite"
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists", "give another --out, or --overwrite")
    return path


def write_model(
    rounded: Network,
    exact: Any,
    info: CheckpointInfo,
    recipe: str,
    path: Path,
    samples: Samples,
    how: dict[str, Any],
) -> Exported:
    """Convert, check, and write the model with its sidecar.

    Args:
        rounded: of the maps alone.
        exact: the float network that it stands for: (B, H, W, 3) -> maps.
        recipe: key in `export.recipe.SIMULATED_RECIPES`.
        how: what was done to it, as JSON, for the sidecar.

    Raises:
        CannotQuantize: a layer is left in float, or its bias does not fit; names it.
        ExportError: the converter refuses the network.
    """
    from export.convert import convert
    from export.recipe import SIMULATED_RECIPES
    from export.runtime import Session
    from export.validate import validate

    chosen = SIMULATED_RECIPES[recipe]
    parameters, flops = inference_cost(info)
    metadata = PoseMetadata(info.model, info.keypoints, OUTPUT, 0, DECODE[OUTPUT], parameters, flops)
    plain = metadata.to_json(edgepose.__version__) | {"quantization": how}
    converted = convert(
        rounded.model, chosen, path, (), samples.record, plain, _versions(), check=check_integer
    )
    report = validate(
        lambda x: np.asarray(exact(x, training=False)),
        Session(path),
        samples.inputs[:VALIDATION_COUNT],
        chosen.tolerance,
    )
    return Exported(path, converted.sidecar, report)


def check_integer(data: bytes) -> None:
    """Raise CannotQuantize for a model with a float operator, or a bias at the end of its 32 bits."""
    from export.biases import saturated_biases
    from export.flatbuffer import inspect

    info = inspect(data)
    if info.float_islands or not info.is_integer:
        names = [f"{island.tensor or '?'} ({island.op})" for island in info.float_islands[:5]]
        raise CannotQuantize(", ".join(names) or "the whole graph", "the converter left it in float")
    full = saturated_biases(data)
    if full:
        raise CannotQuantize(", ".join(full[:5]), "a bias does not fit into 32 bits: a channel is dead")


def _versions() -> dict[str, str]:
    from edgepose.frameworks import tf_keras, tfmot

    return {"tf_keras": tf_keras().__version__, "tensorflow_model_optimization": tfmot().__version__}
