"""A checkpoint to a .tflite with all that an app must know of it, checked against Keras on real images."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from edgeio import lookup, replacing
from edgepose.data.framing import DEFAULT_MARGIN, Framing, Input, prepare
from edgepose.data.registry import open_dataset
from edgepose.errors import UsageError
from edgepose.geometry import Size
from edgepose.inference.decode import DECODE
from edgepose.inference.metadata import OUTPUTS, PoseMetadata
from edgepose.keypoints import keypoint_set
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant

CALIBRATION_COUNT = 200
VALIDATION_COUNT = 8


@dataclass(frozen=True)
class Calibrate:
    """Where the samples come from that set the ranges of an integer model.

    Attributes:
        data: `FORMAT:PATH` or a path; only the images matter.
        split: whose images; all of them where the data set has none in it.
        count: how many, chosen by `seed`.
        crop, margin: see `Framing`; should be as the app will frame its images.
    """

    data: str
    split: str = "train"
    count: int = CALIBRATION_COUNT
    seed: int = 0
    crop: str = "none"
    margin: float = DEFAULT_MARGIN


@dataclass(frozen=True)
class Exported:
    """One exported model.

    Attributes:
        path: of the .tflite; its sidecar lies beside it.
        sidecar: `export.sidecar.Sidecar`.
        validation: `export.validate.Validation` on the calibration images, or on noise where there are none.
    """

    path: Path
    sidecar: Any
    validation: Any


def model_name(checkpoint: Path, recipe: str, output: str) -> str:
    """The one name of an exported model: file stem and report row."""
    return f"{checkpoint.stem}-{recipe}-{output}"


def check_free(path: Path, overwrite: bool) -> None:
    """Raise UsageError where a file to be written is there and must stay."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists", "give another --out, or --overwrite")


def export_checkpoint(
    checkpoint: Path,
    recipe: str,
    output: str,
    out: Path,
    calibrate: Calibrate | None = None,
    overwrite: bool = False,
) -> Exported:
    """Export a checkpoint by a recipe with an output.

    Args:
        out: folder; the file is called after checkpoint, recipe and output.

    Raises:
        UsageError: the output makes no sense with the recipe, calibration is missing, or the file exists.
        BadCheckpoint, BadDataset, ExportError: as their names say.
    """
    from export.recipe import RECIPES, Tolerance
    from export.runtime import Session
    from export.validate import validate

    chosen = lookup(RECIPES, "recipe", recipe)
    lookup(dict.fromkeys(OUTPUTS), "output", output)
    _check(chosen, output, calibrate)
    path = out / f"{model_name(checkpoint, recipe, output)}.tflite"
    check_free(path, overwrite)

    from edgepose.models.checkpoint import load_model, read_checkpoint
    from edgepose.models.profile import inference_cost
    from export.convert import convert

    info, _ = read_checkpoint(checkpoint)
    out.mkdir(parents=True, exist_ok=True)  # a place that takes no file is told before minutes of work
    model = load_model(checkpoint, output=output)
    size: Size = tuple(model.input_shape[1:3])
    normalisation = NORMALISATIONS[variant(info.model).normalisation]
    inputs, record = (
        sample_inputs(calibrate, size, normalisation) if calibrate else (_noise(size, normalisation), None)
    )
    parameters, flops = inference_cost(info)
    metadata = PoseMetadata(info.model, info.keypoints, output, 0, DECODE[output], parameters, flops)
    converted = convert(
        model,
        chosen,
        path,
        inputs if chosen.calibrated else (),
        record if chosen.calibrated else None,
        metadata.to_json(edgepose.__version__),
    )
    report = validate(
        lambda x: np.asarray(model(x, training=False)),
        Session(path),
        inputs[:VALIDATION_COUNT],
        # Coordinates have another scale than maps, and may jump where two peaks are alike.
        Tolerance(None, chosen.tolerance.snr_db) if output == "keypoints" else chosen.tolerance,
    )
    return Exported(path, converted.sidecar, report)


def import_tflite(
    source: Path,
    network: str,
    keypoints: str,
    output: str,
    output_index: int,
    out: Path,
    overwrite: bool = False,
    size: Size | None = None,
) -> Path:
    """Copy a .tflite from elsewhere into `out` and describe it, so that it can be scored.

    Args:
        output_index: which of its outputs to read; negative counts from the last.
        size: (height, width) of its image, for a model that leaves it open.

    Raises:
        UnknownName: of the network, keypoint set or output.
        ExportError: not a .tflite, no such output, or an input that is no image as we give it.
        UsageError: the target exists.
    """
    from export.errors import ExportError
    from export.image_input import check_image_input, with_size
    from export.inspect import inspect
    from export.sidecar import describe, sidecar_path, write_sidecar

    variant(network), keypoint_set(keypoints), lookup(dict.fromkeys(OUTPUTS), "output", output)
    info = inspect(source)
    count = len(info.outputs)
    if not -count <= output_index < count:
        raise ExportError(
            f"{source} has {count} outputs, so none is number {output_index}", "see --output-index"
        )
    is_open = check_image_input(source, info, size)
    path = out / source.name
    check_free(path, overwrite)
    sidecar_path(path).unlink(missing_ok=True)
    with replacing(path) as temporary:
        if is_open and size is not None:
            temporary.write_bytes(with_size(source, size))
        else:
            shutil.copyfile(source, temporary)
    metadata = PoseMetadata(network, keypoints, output, output_index % count, DECODE[output], None, None)
    write_sidecar(path, describe(path, "unknown", metadata.to_json(edgepose.__version__)))
    return path


def sample_inputs(
    calibrate: Calibrate, size: Size, normalisation: Normalisation
) -> tuple[list[np.ndarray], Any]:
    """Seeded, counted real images as normalised inputs (1, h, w, 3) float32, and the record of them.

    Unusable images are passed over for the next ones drawn.
    """
    from export.calibration import Calibration, sample

    dataset = open_dataset(calibrate.data)
    records = dataset.split(calibrate.split) or dataset.records
    chosen: list[Input] = []
    for item in prepare(
        sample(records, len(records), calibrate.seed), size, Framing(calibrate.crop, calibrate.margin)
    ):
        if isinstance(item, Input):
            chosen.append(item)
        if len(chosen) == calibrate.count:
            break
    chosen = sample(chosen, calibrate.count, calibrate.seed)  # refuses where there are fewer
    source = f"{dataset.label}, split {calibrate.split}, crop {calibrate.crop}"
    record = Calibration.of(source, calibrate.seed, [item.canvas for item in chosen])
    return [normalisation.apply(item.canvas[None]) for item in chosen], record


def _check(recipe: Any, output: str, calibrate: Calibrate | None) -> None:
    if recipe.calibrated and calibrate is None:
        raise UsageError(f"recipe {recipe.key} needs real images to set its ranges", "give --calibrate DATA")
    if recipe.is_integer and output == "keypoints":
        raise UsageError(
            f"recipe {recipe.key} cannot give keypoints: a coordinate has more steps than an 8-bit number",
            "use --output maps; the host decodes them to a fraction of a cell",
        )


def _noise(size: Size, normalisation: Normalisation) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        normalisation.apply(rng.integers(0, 256, (1, *size, 3), np.uint8)) for _ in range(VALIDATION_COUNT)
    ]
