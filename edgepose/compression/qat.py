"""Quantization-aware training: the network learns to live with 8 bits, by the one training loop.

It starts where post-training quantization ends (ranges by their cost, channels evened) and learns weights
and ranges together, from what the float network says of augmented frames, from labels, or from both.

Sources: Jacob et al. 2018; self-distillation of the quantized network, Mishra & Marr 2018.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgepose.compression.convert import Samples, target_path, write_model
from edgepose.compression.fake_quant import RANGE_RATE
from edgepose.compression.fake_quantized import FakeQuantizedModel, deployed
from edgepose.compression.finetune import FineTune
from edgepose.compression.graph import Folded
from edgepose.compression.network import (
    Network,
    Ranges,
    build_float,
    build_rounded,
    fixed_ranges,
    range_owners,
)
from edgepose.compression.ptq import PostTraining, calibration, float_network, prepare
from edgepose.compression.ranges import Range
from edgepose.compression.sparsity import is_sparse, share
from edgepose.deploy.export import Calibrate, Exported, check_free
from edgepose.models.checkpoint import read_checkpoint
from edgepose.training.constraints import NO_SHAPING, WeightConstraint, WeightConstraints, kept_zeros
from edgepose.training.loop import Listener
from edgepose.training.runs import RunFolder
from edgepose.training.setup import assembled

RECIPE = "int8-qat"


@dataclass(frozen=True, kw_only=True)
class QatRequest(FineTune):
    """What to train for int8, on what, and how.

    Attributes:
        start: what is done before training.
        count: images that set the ranges at the start.
        keep_zeros: weights that were pruned stay zero.
    """

    start: PostTraining
    count: int = 64
    keep_zeros: bool = True

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        self.start.check()
        super().check()

    def settings(self) -> dict[str, Any]:
        return {
            "start": asdict(self.start),
            "count": self.count,
            "keep_zeros": self.keep_zeros,
            "range_rate": RANGE_RATE,
            **super().settings(),
        }


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
    path = target_path(request.checkpoint, RECIPE, fit.out)
    if not (fit.overwrite or RunFolder(fit.out).description.exists()):
        check_free(path, overwrite=False)
    material = request.material()
    # Before OUT is claimed: what is refused here must not leave a run behind that nobody can go on with.
    exact, folded = float_network(request.checkpoint, "training")
    samples, pixels = calibration(_calibrate(request), read_checkpoint(request.checkpoint)[0])
    with assembled(fit, listener, {"quantization": request.settings()}, material) as assembly:
        twin = FakeQuantizedModel(_start(request, folded, samples, pixels, listener))
        goal = assembly.objective(*request.terms(assembly, twin, lambda: build_float(folded).model))
        assembly.train(twin, goal, shaping=_shaping(request, twin, listener))
        return _write(twin, exact, request, path, samples)


def _calibrate(request: QatRequest) -> Calibrate:
    data = request.fit.data
    return Calibrate(data.data, data.split, request.count, request.fit.seed, data.crop, data.margin)


def _start(
    request: QatRequest, folded: Folded, samples: Samples, pixels: Range, listener: Listener
) -> Network:
    """The rounded network before its first step; a run that goes on puts its own state in its place."""
    if RunFolder(request.fit.out).state.exists():
        return build_rounded(folded, _any_ranges(folded, pixels), learned=True)
    prepared, ranges = prepare(folded, samples.inputs, pixels, request.start, listener)
    return build_rounded(prepared, ranges, learned=True)


def _any_ranges(folded: Folded, pixels: Range) -> Ranges:
    owners = set(range_owners(folded.graph).values())
    return dict.fromkeys(sorted(owners), Range(-1.0, 1.0)) | fixed_ranges(folded.graph, pixels)


def _shaping(request: QatRequest, twin: FakeQuantizedModel, listener: Listener) -> WeightConstraints:
    """Holds the zeros of kernels that were pruned, unless they shall be filled."""
    weights = twin.network.weights()
    kernels = [name for name in weights if name.endswith("/kernel") and is_sparse(weights[name])]
    if not kernels or not request.keep_zeros:
        return NO_SHAPING
    listener.say(
        f"zeros stay zero in {len(kernels)} kernels; of all kernels' weights {share(weights):.0%} are"
    )
    return WeightConstraints(
        tuple(WeightConstraint(twin.network.variables[name], kept_zeros) for name in kernels)
    )


def _write(
    twin: FakeQuantizedModel, exact: Any, request: QatRequest, path: Path, samples: Samples
) -> Exported:
    ranges, part = twin.ranges(), deployed(twin.folded())
    owners = set(range_owners(part.graph).values())
    rounded = build_rounded(part, {name: ranges[name] for name in owners})
    how = {"method": "quantization-aware training", **request.settings(), **request.fit.settings()}
    how["zeros"] = share(part.weights)
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
