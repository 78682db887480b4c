"""A rounded network to its .tflite: integers throughout, no bias at its limit, near the float network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from edgepose.compression.graph import CannotQuantize
from edgepose.compression.mixed_precision import FloatIslands, islands
from edgepose.compression.network import NOTHING, Kept, Network
from edgepose.deploy.export import VALIDATION_COUNT, Exported, model_name
from edgepose.errors import EdgeposeError
from edgepose.inference.decode import DECODE
from edgepose.inference.metadata import PoseMetadata
from edgepose.models.checkpoint import CheckpointInfo
from edgepose.models.profile import inference_cost

OUTPUT = "maps"
_NONE = FloatIslands(frozenset(), {}, 0)
_SHOWN = 5


class CannotKeep(EdgeposeError):
    """A layer that the converter rounds although it should not."""

    def __init__(self, layers: str) -> None:
        super().__init__(
            f"the converter rounds {layers}, which was to stay in float",
            "keep the layers before and behind it too, or leave it out of --keep",
        )


@dataclass(frozen=True)
class Samples:
    """Calibration images as the network sees them.

    Attributes:
        inputs: N arrays (1, H, W, 3) float32, normalised.
        record: `export.calibration.Calibration`, for the sidecar.
    """

    inputs: Sequence[np.ndarray]
    record: Any


def target_path(checkpoint: Path, recipe: str, out: Path) -> Path:
    """Where the model of a checkpoint goes."""
    return out / f"{model_name(checkpoint, recipe, OUTPUT)}.tflite"


def write_model(
    rounded: Network,
    exact: Any,
    info: CheckpointInfo,
    recipe: str,
    path: Path,
    samples: Samples,
    how: dict[str, Any],
    kept: Kept = NOTHING,
) -> Exported:
    """Convert, check, and write the model with its sidecar.

    Args:
        rounded: of the maps alone; with marks where layers are kept.
        exact: the float network that it stands for: (B, H, W, 3) -> maps.
        recipe: key in `export.recipe.SIMULATED_RECIPES`.
        how: what was done to it, as JSON, for the sidecar.
        kept: what stays float in it.

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
    floats = [node.name for node in rounded.graph.nodes if node.name in kept.computed]
    plain = metadata.to_json(edgepose.__version__) | {"quantization": {**how, "float_layers": floats}}
    check = partial(check_integer, expected=islands(rounded.graph, kept))
    converted = convert(rounded.model, chosen, path, (), samples.record, plain, _versions(), check)
    report = validate(
        lambda x: np.asarray(exact(x, training=False)),
        Session(path),
        samples.inputs[:VALIDATION_COUNT],
        chosen.tolerance,
    )
    return Exported(path, converted.sidecar, report)


def check_integer(data: bytes, expected: FloatIslands = _NONE) -> None:
    """Raise for a model with other float operators than expected, or a bias at the end of its 32 bits.

    Raises:
        CannotQuantize: a layer is in float and should not be, or its bias does not fit; names it.
        CannotKeep: a layer should be in float and is not; names it.
    """
    from export.inspect import CONVERSIONS, inspect, saturated_biases

    info = inspect(data)
    conversions = [each for each in info.float_islands if each.op in CONVERSIONS]
    operators = [each for each in info.float_islands if each.op not in CONVERSIONS]
    found = {node_of(each.tensor, expected) for each in operators}
    stray = [each for each in operators if node_of(each.tensor, expected) not in expected.operators]
    if not stray and len(conversions) > expected.conversions:
        stray = conversions
    if stray or not info.is_integer:
        names = [f"{island.tensor or '?'} ({island.op})" for island in stray[:_SHOWN]]
        raise CannotQuantize(", ".join(names) or "the whole graph", "the converter left it in float")
    if expected.operators - found:
        raise CannotKeep(", ".join(sorted(expected.operators - found)[:_SHOWN]))
    full = saturated_biases(data)
    if full:
        raise CannotQuantize(", ".join(full[:_SHOWN]), "a bias does not fit into 32 bits: a channel is dead")


def node_of(tensor: str, expected: FloatIslands) -> str:
    """The node whose operator gives a tensor, by the name that the converter gave it."""
    layer = tensor.split(";")[0].removeprefix("network/").split("/")[0].removeprefix("quant_")
    return expected.joined.get(layer, layer)


def _versions() -> dict[str, str]:
    from edgepose.frameworks import tf_keras, tfmot

    return {"tf_keras": tf_keras().__version__, "tensorflow_model_optimization": tfmot().__version__}
