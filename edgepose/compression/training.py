"""Quantization-aware training: the network learns to live with 8 bits, by the one training loop.

It starts where post-training quantization ends (ranges by their cost, channels evened) and learns weights
and ranges together, from what the float network says of augmented frames, from labels, or from both.

Sources: Jacob et al. 2018; self-distillation of the quantized network, Mishra & Marr 2018.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgeio import lookup, sha256_file
from edgepose.compression.deploy import Samples, target_path, write_model
from edgepose.compression.graph import Folded
from edgepose.compression.network import (
    Network,
    Ranges,
    build_float,
    build_rounded,
    fixed_ranges,
    range_owners,
)
from edgepose.compression.post_training import PostTraining, calibration, float_network, prepare
from edgepose.compression.quantizers import RANGE_RATE
from edgepose.compression.ranges import Range
from edgepose.compression.twin import Likeness, Twin, deployed, label_weight
from edgepose.errors import UsageError
from edgepose.exporting import Calibrate, Exported
from edgepose.models.checkpoint import CheckpointInfo, load_model, read_checkpoint
from edgepose.models.variants import variant
from edgepose.training.assembly import Assembly, assembled
from edgepose.training.loop import Listener
from edgepose.training.losses import GroundTruth, Term, output_kinds
from edgepose.training.material import DataRequest, open_material
from edgepose.training.request import FitRequest
from edgepose.training.runs import RunFolder
from edgepose.training.schedules import SIGMA_SCHEDULES

RECIPE = "int8-qat"
STEPS_PER_VALIDATION = 50


@dataclass(frozen=True)
class QatLoss:
    """Whom the rounded network listens to: a float network, labels, or both in equal parts."""

    likeness: bool
    labels: bool


LOSSES = {
    "float": QatLoss(likeness=True, labels=False),
    "labels": QatLoss(likeness=False, labels=True),
    "both": QatLoss(likeness=True, labels=True),
}


@dataclass(frozen=True)
class QatRequest:
    """What to train for int8, on what, and how.

    Attributes:
        checkpoint: the float network.
        fit: data, length, learning rate and seed; its network and resolution are the checkpoint's.
        start: what is done before training.
        count: images that set the ranges at the start.
        loss: a name in LOSSES.
        teacher: checkpoint of the float network to be like; None for `checkpoint` itself.
    """

    checkpoint: Path
    fit: FitRequest
    start: PostTraining
    count: int = 64
    loss: str = "float"
    teacher: Path | None = None

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        self.fit.check()
        self.start.check()
        lookup(LOSSES, "loss", self.loss)
        if self.teacher is not None and not LOSSES[self.loss].likeness:
            raise UsageError("a teacher has no say in the loss from labels", "use --loss float or both")


def request_for(
    checkpoint: Path,
    data: DataRequest,
    out: Path,
    steps: int,
    batch: int,
    learning_rate: float,
    **more: Any,
) -> FitRequest:
    """A run of at least `steps` steps for a checkpoint, validated about every STEPS_PER_VALIDATION."""
    info, _ = read_checkpoint(checkpoint)
    family = variant(info.model).family
    epochs = max(1, round(steps / STEPS_PER_VALIDATION))
    return FitRequest(
        model=info.model,
        data=replace(data, keypoints=info.keypoints, partial=True),
        out=out,
        init=checkpoint,
        resolution=info.resolution,
        epochs=epochs,
        steps_per_epoch=math.ceil(steps / epochs),
        batch=batch,
        learning_rate=learning_rate,
        learning_rate_schedule="cosine",
        sigma_schedule="hourglass-final" if family == "hourglass" else "efficientpose-final",
        precision="float32",
        **more,
    )


def train(request: QatRequest, listener: Listener | None = None) -> Exported:
    """Train for int8, or go on with it, and write OUT/CHECKPOINT-int8-qat-maps.tflite with its sidecar.

    OUT holds what `edgepose train` writes: `last.safetensors` is the trained network in float.

    Raises:
        CannotQuantize: a layer that has no integer form; names it.
        UserError: bad input, or a loss that is no longer a number.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    listener = listener or Listener()
    request.check()
    fit = request.fit
    path = target_path(request.checkpoint, RECIPE, fit.out, overwrite=fit.resume)
    material = open_material(fit.data, labelled=LOSSES[request.loss].labels)
    binding = {"quantization": _binding(request)}
    with assembled(fit, listener, binding, material) as assembly:
        exact, folded = float_network(request.checkpoint, "training")
        samples, pixels = calibration(_calibrate(request), assembly.info)
        twin = Twin(_start(request, folded, samples, pixels, listener))
        goal = assembly.objective(*_terms(request, assembly, twin, folded))
        assembly.train(twin, goal)
        return _write(twin, exact, request, path, samples)


def _binding(request: QatRequest) -> dict[str, Any]:
    """What decides the result beside the run's own settings; a resumed run is held to it."""
    return {
        "start": asdict(request.start),
        "count": request.count,
        "loss": request.loss,
        "range_rate": RANGE_RATE,
        "teacher_sha256": sha256_file(request.teacher) if request.teacher else None,
    }


def _calibrate(request: QatRequest) -> Calibrate:
    data = request.fit.data
    return Calibrate(data.data, data.split, request.count, request.fit.seed, data.crop, data.margin)


def _start(
    request: QatRequest, folded: Folded, samples: Samples, pixels: Range, listener: Listener
) -> Network:
    """The rounded network before its first step; a resumed run will put its own state in the place of it."""
    if RunFolder(request.fit.out).state.exists():
        return build_rounded(folded, _any_ranges(folded, pixels), learned=True)
    prepared, ranges = prepare(folded, samples.inputs, pixels, request.start, listener)
    return build_rounded(prepared, ranges, learned=True)


def _any_ranges(folded: Folded, pixels: Range) -> Ranges:
    owners = set(range_owners(folded.graph).values())
    return dict.fromkeys(sorted(owners), Range(-1.0, 1.0)) | fixed_ranges(folded.graph, pixels)


def _terms(request: QatRequest, assembly: Assembly, twin: Twin, folded: Folded) -> list[Term]:
    loss = LOSSES[request.loss]
    terms = []
    if loss.labels:
        truth = GroundTruth(assembly.ground_truth(twin).targets, output_kinds(twin))
        sigma = SIGMA_SCHEDULES[str(request.fit.sigma_schedule)].sigma(0, 1, assembly.map_size[1])
        weight = label_weight(assembly.map_size, sigma)
        terms.append(Term("ground_truth", truth, lambda done: weight))
    if loss.likeness:
        teacher = (
            build_float(folded).model if request.teacher is None else _teacher(request.teacher, assembly.info)
        )
        terms.append(Term("likeness", Likeness(teacher)))
    return terms


def _teacher(path: Path, info: CheckpointInfo) -> Any:
    """Another float network, built for the student's input.

    Raises:
        UsageError: its maps are not on the student's grid, or not of its keypoints, or it wants its input
            otherwise.
    """
    theirs, _ = read_checkpoint(path)
    mine, other = variant(info.model), variant(theirs.model)
    told = [
        f"{what} {found}, not {wanted}"
        for what, found, wanted in (
            ("keypoints", theirs.keypoints, info.keypoints),
            ("normalisation", other.normalisation, mine.normalisation),
            ("stride", other.stride, mine.stride),
        )
        if found != wanted
    ]
    if told:
        raise UsageError(
            f"{path} cannot teach {mine.name}: its {', its '.join(told)}",
            "distil with `edgepose distill` first, then quantize without --teacher",
        )
    return load_model(path, "maps", resolution=info.resolution)


def _write(twin: Twin, exact: Any, request: QatRequest, path: Path, samples: Samples) -> Exported:
    ranges, part = twin.ranges(), deployed(twin.folded())
    owners = set(range_owners(part.graph).values())
    rounded = build_rounded(part, {name: ranges[name] for name in owners})
    how = {"method": "quantization-aware training", **_binding(request), **request.fit.settings()}
    info, _ = read_checkpoint(request.checkpoint)
    return write_model(
        rounded,
        lambda x, training: exact(x, training=training)[-1],
        info,
        RECIPE,
        path,
        samples,
        how,
    )
