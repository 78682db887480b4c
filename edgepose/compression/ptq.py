"""A trained network to full int8 without training it: ranges, cross-layer equalization, bias correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import jobs, lookup, sha256_file
from edgeio.records import to_plain
from edgepose.compression.convert import Samples, target_path, write_model
from edgepose.compression.graph import BNFoldedModel, CannotQuantize, fold_batch_norms
from edgepose.compression.network import FULL_INTEGER, MixedPrecision, Ranges
from edgepose.compression.ranges import METHODS, Range
from edgepose.compression.sensitivity import LayerCost
from edgepose.compression.suggest import Suggestion
from edgepose.deploy.export import Calibrate, Exported, exported_before, sample_inputs
from edgepose.geometry import Size
from edgepose.models.checkpoint import CheckpointInfo, load_model, read_checkpoint
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant
from edgepose.training.loop import Listener

RECIPE = "int8-ptq"
MIXED = "int8-mixed"


@dataclass(frozen=True)
class PostTraining:
    """What is done before the conversion.

    Attributes:
        ranges: how the activations' ranges are set, a name in `ranges.METHODS`.
        equalize: cross-layer equalization of linear tensors first.
        bias_correction: take the mean error of every convolution off its bias.
    """

    ranges: str = "mse"
    equalize: bool = True
    bias_correction: bool = False

    def check(self) -> None:
        """Raise UnknownName for what can never work."""
        lookup(METHODS, "way to set ranges", self.ranges)


@dataclass(frozen=True)
class Quantized:
    """A model made smaller.

    Attributes:
        exported: the .tflite, its sidecar, and how near it is to the float network.
        costs: of every layer, the dearest first; empty unless asked for.
        suggestions: the layers to keep in float; empty unless asked for.
    """

    exported: Exported
    costs: tuple[LayerCost, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()


def quantize(
    checkpoint: Path,
    calibrate: Calibrate,
    how: PostTraining,
    out: Path,
    overwrite: bool = False,
    report_layers: bool = False,
    listener: Listener | None = None,
    keep_layers: Sequence[str] = (),
) -> Quantized:
    """Write OUT/CHECKPOINT-int8-ptq-maps.tflite and its sidecar; int8-mixed where layers are kept.

    Args:
        calibrate: whose images set the ranges; their annotations do not matter.
        report_layers: find out what each layer costs, into `layers` of the same name.
        keep_layers: names of layers that stay float, or patterns of names.

    Returns:
        what was made, now or by the same job before.

    Raises:
        OtherJob: the file was made with other settings.
        CannotQuantize: a layer that has no integer form; names it.
        CannotKeep: a layer that the converter rounds although it was to be kept.
        UserError: bad input; says what and what to do.
    """
    from edgepose.compression.layer_report import read_layer_report, report_paths
    from export.sidecar import sidecar_path

    listener = listener or Listener()
    how.check()
    info, _ = read_checkpoint(checkpoint)
    listener.say("reading the calibration images")
    samples, inputs = calibration(calibrate, info)
    path = target_path(checkpoint, MIXED if keep_layers else RECIPE, out)
    job = {
        "checkpoint_sha256": sha256_file(checkpoint),
        "quantization": {**asdict(how), "keep": list(keep_layers)},
        "calibration": asdict(samples.record),
        "report_layers": report_layers,
    }
    reports = report_paths(path) if report_layers else ()
    with jobs.one_file(path, job, overwrite, [sidecar_path(path), *reports]) as claimed:
        if claimed.before is not None:
            exported = exported_before(path, claimed.before)
            return Quantized(exported, *(read_layer_report(path) if report_layers else ()))
        made = _quantized(checkpoint, info, how, path, samples, inputs, keep_layers, report_layers, listener)
        claimed.finish(validation=to_plain(made.exported.validation))
        return made


def _quantized(
    checkpoint: Path,
    info: CheckpointInfo,
    how: PostTraining,
    path: Path,
    samples: Samples,
    pixels: Range,
    keep_layers: Sequence[str],
    report_layers: bool,
    listener: Listener,
) -> Quantized:
    from edgepose.compression.mixed_precision import mixed_precision
    from edgepose.compression.network import build_fake_quantized

    exact, folded = float_network(checkpoint)
    mixed = mixed_precision(folded.graph, keep_layers)
    prepared, ranges = prepare(folded, samples.inputs, pixels, how, listener, mixed)
    listener.say("converting")
    fake_quantized = build_fake_quantized(prepared, ranges, mixed=mixed, barriers=True)
    plain = {"method": "post-training", **asdict(how), "kept": list(mixed.named)}
    recipe = MIXED if keep_layers else RECIPE
    exported = write_model(fake_quantized, exact, info, recipe, path, samples, plain, mixed)
    if not report_layers:
        return Quantized(exported)
    return Quantized(exported, *_reported(path, prepared, ranges, samples, mixed, listener))


def _reported(
    path: Path,
    prepared: BNFoldedModel,
    ranges: Ranges,
    samples: Samples,
    mixed: MixedPrecision,
    listener: Listener,
) -> tuple[tuple[LayerCost, ...], tuple[Suggestion, ...]]:
    from edgepose.compression.layer_report import write_layer_report
    from edgepose.compression.sensitivity import layer_costs
    from edgepose.compression.suggest import suggest

    listener.say("rounding layer by layer")
    costs = layer_costs(prepared, ranges, samples.inputs, listener.step, mixed)
    suggestions = suggest(prepared, ranges, costs, samples.inputs, mixed)
    write_layer_report(path, costs, suggestions)
    return tuple(costs), tuple(suggestions)


def float_network(checkpoint: Path, output: str = "maps") -> tuple[Any, BNFoldedModel]:
    """A checkpoint's network in tf_keras with an output as in `build_model`; and the same, folded.

    Raises:
        CannotQuantize: a layer that has no integer form; names it and the network.
        BadCheckpoint: as `load_model`.
    """
    from edgepose.frameworks import tf_keras

    model = load_model(checkpoint, output, tf_keras())
    try:
        return model, fold_batch_norms(model)
    except CannotQuantize as error:
        info, _ = read_checkpoint(checkpoint)
        raise error.of(variant(info.model).name) from None


def calibration(calibrate: Calibrate, info: CheckpointInfo) -> tuple[Samples, Range]:
    """The images that set the ranges, and the range of the network's input."""
    normalisation = NORMALISATIONS[variant(info.model).normalisation]
    size: Size = (info.resolution, info.resolution)
    inputs, record = sample_inputs(calibrate, size, normalisation)
    from export.calibration import representative_dataset

    representative_dataset(inputs, inputs[0].shape)  # refuses images that say nothing about ranges
    return Samples(inputs, record), input_range(normalisation)


def input_range(normalisation: Normalisation) -> Range:
    """What pixels become, in the channel that goes furthest."""
    extremes = np.zeros((2, 1, 1, 3), np.uint8)
    extremes[1] = 255
    found = normalisation.apply(extremes)
    return Range(float(found.min()), float(found.max()))


def prepare(
    folded: BNFoldedModel,
    inputs: Any,
    pixels: Range,
    how: PostTraining,
    listener: Listener,
    mixed: MixedPrecision = FULL_INTEGER,
) -> tuple[BNFoldedModel, Ranges]:
    """The network as it will be quantized, and its ranges.

    Args:
        inputs: arrays (1, H, W, 3), normalised.
        pixels: range of the network's input.
        mixed: what will stay float.
    """
    from edgepose.compression.bias_correction import bias_corrected
    from edgepose.compression.calibration import calibrated
    from edgepose.compression.equalization import equalized

    if how.equalize:
        listener.say("equalizing channels")
        folded = equalized(folded, inputs)
    listener.say(f"setting ranges by {how.ranges}")
    ranges = calibrated(folded, inputs, pixels, how.ranges)
    if how.bias_correction:
        listener.say("correcting biases")
        folded = bias_corrected(folded, ranges, inputs, mixed)
    return folded, ranges
