"""A checkpoint to a .tflite with all that an app must know of it, checked against Keras on real images."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import edgepose
from edgeio import jobs, lookup, replacing, sha256_file
from edgeio.records import Mismatch, from_plain, to_plain
from edgepose.data.framing import DEFAULT_MARGIN, Framing, Input, prepare
from edgepose.data.mixture import Source, source_of
from edgepose.data.registry import open_dataset
from edgepose.errors import UsageError
from edgepose.geometry import Size
from edgepose.inference.decode import DECODE
from edgepose.inference.metadata import DETECTORS, OUTPUTS, DetectorFile, PoseMetadata
from edgepose.inference.peers import PEERS
from edgepose.inference.person_detector import check_detector
from edgepose.keypoints import keypoint_set
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant

if TYPE_CHECKING:
    from edgepose.models.checkpoint import CheckpointInfo
    from export.calibration import Calibration
    from export.recipe import Recipe

CALIBRATION_COUNT = 200
VALIDATION_COUNT = 8


@dataclass(frozen=True)
class Calibrate:
    """Where the samples come from that set the ranges of an integer model.

    Attributes:
        data: `FORMAT:PATH` or a path, and how its frames are taken (`mixture.source_of`); only the images
            matter.
        split: whose images; all of them where the data set has none in it.
        count: how many, chosen by `seed`.
        crop, margin: see `Framing`; should be as the app will frame its images.
        more: further data sets; each gives an equal share.
    """

    data: str
    split: str = "train"
    count: int = CALIBRATION_COUNT
    seed: int = 0
    crop: str = "none"
    margin: float = DEFAULT_MARGIN
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """One exported model.

    Attributes:
        path: of the .tflite; its sidecar lies beside it.
        sidecar: `export.sidecar.Sidecar`.
        validation: `export.validate.Validation` on the calibration images, or on noise where there are none.
        before: an earlier command had made it.
    """

    path: Path
    sidecar: Any
    validation: Any
    before: bool = False


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
    """Export a checkpoint by a recipe with an output, or find that it was done.

    Args:
        out: folder; the file is called after checkpoint, recipe and output.

    Raises:
        UsageError: the output makes no sense with the recipe, or calibration is missing.
        OtherJob: the file was made with other settings.
        BadCheckpoint, BadDataset, ExportError: as their names say.
    """
    from edgepose.models.checkpoint import read_checkpoint
    from export.recipe import RECIPES
    from export.sidecar import sidecar_path

    chosen = lookup(RECIPES, "recipe", recipe)
    lookup(dict.fromkeys(OUTPUTS), "output", output)
    _check(chosen, output, calibrate)
    info, _ = read_checkpoint(checkpoint)
    size: Size = (info.resolution, info.resolution)
    normalisation = NORMALISATIONS[variant(info.model).normalisation]
    samples = (
        sample_inputs(calibrate, size, normalisation) if calibrate else (_noise(size, normalisation), None)
    )
    path = out / f"{model_name(checkpoint, recipe, output)}.tflite"
    job = {
        "checkpoint_sha256": sha256_file(checkpoint),
        "recipe": recipe,
        "output": output,
        "calibration": asdict(samples[1]) if samples[1] else None,
    }
    with jobs.one_file(path, job, overwrite, [sidecar_path(path)]) as claimed:
        if claimed.before is not None:
            return exported_before(path, claimed.before)
        made = _exported(checkpoint, info, chosen, output, path, *samples)
        claimed.finish(validation=to_plain(made.validation))
        return made


def exported_before(path: Path, facts: Mapping[str, Any]) -> Exported:
    """A model that an earlier command finished.

    Raises:
        ExportError: its sidecar is of another file.
        UsageError: its stamp was altered.
    """
    from export.sidecar import read_sidecar
    from export.validate import Validation

    try:
        validation = from_plain(Validation, facts.get("validation"))
    except Mismatch as error:
        raise UsageError(
            f"the job of {path} is damaged ({error})", "add --overwrite to make it anew"
        ) from None
    return Exported(path, read_sidecar(path), validation, before=True)


def _exported(
    checkpoint: Path,
    info: CheckpointInfo,
    chosen: Recipe,
    output: str,
    path: Path,
    inputs: Sequence[np.ndarray],
    record: Calibration | None,
) -> Exported:
    from edgepose.models.checkpoint import load_model
    from edgepose.models.profile import inference_cost
    from export.convert import convert
    from export.recipe import Tolerance
    from export.runtime import Session
    from export.validate import validate

    model = load_model(checkpoint, output=output)
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

    variant(network), keypoint_set(keypoints), lookup(dict.fromkeys(OUTPUTS), "output", output)
    info = inspect(source)
    count = len(info.outputs)
    if not -count <= output_index < count:
        raise ExportError(
            f"{source} has {count} outputs, so none is number {output_index}", "see --output-index"
        )
    metadata = PoseMetadata(network, keypoints, output, output_index % count, DECODE[output], None, None)
    if check_image_input(source, info, size) and size is not None:
        return _adopt(source, out / source.name, metadata, None, overwrite, with_size(source, size))
    return _adopt(source, out / source.name, metadata, info, overwrite)


def import_peer(source: Path, kind: str, detector: Path | None, out: Path, overwrite: bool = False) -> Path:
    """Copy a pose network of others into `out` and describe it, so that it can be scored.

    Args:
        kind: key of a `Peer`.
        detector: its first stage; the copy is then called STEM-detected, and the detector lies in a folder
            beside it. None for a network that sees what it is given.

    Raises:
        UnknownName: no such kind.
        ExportError: not a .tflite.
        BadModel: a file with other inputs or outputs than its kind's.
        UsageError: the target exists, or the kind has no detector.
    """
    from export.inspect import inspect

    peer = lookup(PEERS, "output", kind)
    if detector is not None and not peer.has_detector:
        raise UsageError(f"{peer.name} has no detector", "leave --detector out")
    info = inspect(source)
    inputs, outputs = ([(t.shape, t.dtype) for t in side] for side in (info.inputs, info.outputs))
    index = peer.check(source, inputs, outputs)[0]
    path, named = out / source.name, None
    if detector is not None:
        check_detector(detector)
        path = out / f"{source.stem}-detected{source.suffix}"
        check_free(path, overwrite)
        named = _adopt_detector(detector, out / DETECTORS)
    metadata = PoseMetadata(None, peer.keypoints, kind, index, DECODE[kind], None, None, named)
    return _adopt(source, path, metadata, info, overwrite)


def _adopt(
    source: Path,
    path: Path,
    metadata: PoseMetadata,
    info: Any,
    overwrite: bool,
    content: bytes | None = None,
) -> Path:
    """Copy a .tflite that was inspected, or `content` in its place, and write its sidecar."""
    from export.sidecar import describe, sidecar_path, write_sidecar

    check_free(path, overwrite)
    sidecar_path(path).unlink(missing_ok=True)
    with replacing(path) as temporary:
        if content is None:
            shutil.copyfile(source, temporary)
        else:
            temporary.write_bytes(content)
    write_sidecar(path, describe(path, "unknown", metadata.to_json(edgepose.__version__), info=info))
    return path


def _adopt_detector(detector: Path, folder: Path) -> DetectorFile:
    """Copy a detector, once for all networks that have the same."""
    path, digest = folder / detector.name, sha256_file(detector)
    if path.exists() and sha256_file(path) != digest:
        raise UsageError(
            f"{path} is another detector of the same name", "rename the file, or give another --out"
        )
    if not path.exists():
        with replacing(path) as temporary:
            shutil.copyfile(detector, temporary)
    return DetectorFile(detector.name, digest)


def sample_inputs(
    calibrate: Calibrate, size: Size, normalisation: Normalisation
) -> tuple[list[np.ndarray], Any]:
    """Seeded, counted real images as normalised inputs (1, h, w, 3) float32, and the record of them.

    Unusable images are passed over for the next ones drawn.
    """
    from export.calibration import Calibration, sample

    texts = (calibrate.data, *calibrate.more)
    chosen: list[Input] = []
    named = []
    for k, text in enumerate(texts):
        count = calibrate.count * (k + 1) // len(texts) - len(chosen)  # an equal share of each set
        label, inputs = _inputs(source_of(text, calibrate.crop, calibrate.margin), calibrate, size, count)
        chosen += sample(inputs, count, calibrate.seed)  # refuses where there are fewer
        named.append(label)
    record = Calibration.of(" + ".join(named), calibrate.seed, [item.canvas for item in chosen])
    return [normalisation.apply(item.canvas[None]) for item in chosen], record


def _inputs(source: Source, calibrate: Calibrate, size: Size, count: int) -> tuple[str, list[Input]]:
    """Up to `count` usable images of one data set, in a seeded order, and what they are."""
    from export.calibration import sample

    dataset = open_dataset(source.data)
    records = dataset.split(calibrate.split) or dataset.records
    framing = Framing(source.crop, sum(source.margin) / 2, source.turn, dataset.keypoints)
    chosen: list[Input] = []
    for item in prepare(sample(records, len(records), calibrate.seed), size, framing):
        if isinstance(item, Input):
            chosen.append(item)
        if len(chosen) == count:
            break
    return f"{dataset.label}, split {calibrate.split}, crop {source.crop}", chosen


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
