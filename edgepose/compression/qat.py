"""Quantization-aware training: the network learns to live with 8 bits, by the one training loop.

It starts where post-training quantization ends (ranges by their cost, channels equalized) and learns weights
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
from edgepose.compression.graph import BNFoldedModel
from edgepose.compression.network import (
    Network,
    Ranges,
    build_fake_quantized,
    build_float,
    fixed_ranges,
    range_owners,
)
from edgepose.compression.ptq import PostTraining, calibration, float_network, prepare
from edgepose.compression.ranges import Range
from edgepose.compression.sparsity import is_sparse, share
from edgepose.deploy.export import Calibrate, Exported, check_free
from edgepose.models.checkpoint import read_checkpoint
from edgepose.training.constraints import NO_CONSTRAINTS, WeightConstraint, WeightConstraints, kept_zeros
from edgepose.training.loop import Listener
from edgepose.training.runs import RunFolder
from edgepose.training.setup import open_setup

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
    training_data = request.training_data()
    # Before OUT is claimed: what is refused here must not leave a run behind that nobody can go on with.
    exact, folded = float_network(request.checkpoint, "training")
    samples, pixels = calibration(_calibrate(request), read_checkpoint(request.checkpoint)[0])
    with open_setup(fit, listener, {"quantization": request.settings()}, training_data) as setup:
        model = FakeQuantizedModel(_start(request, folded, samples, pixels, listener))
        goal = setup.objective(*request.terms(setup, model, lambda: build_float(folded).model))
        setup.train(model, goal, constraints=_constraints(request, model, listener))
        return _write(model, exact, request, path, samples)


def _calibrate(request: QatRequest) -> Calibrate:
    data = request.fit.data
    return Calibrate(
        data.data, data.split, request.count, request.fit.seed, data.crop, data.margin, data.more
    )


def _start(
    request: QatRequest, folded: BNFoldedModel, samples: Samples, pixels: Range, listener: Listener
) -> Network:
    """The fake-quantized network before its first step; a run that goes on replaces its state."""
    if RunFolder(request.fit.out).state.exists():
        return build_fake_quantized(folded, _any_ranges(folded, pixels), learned=True)
    prepared, ranges = prepare(folded, samples.inputs, pixels, request.start, listener)
    return build_fake_quantized(prepared, ranges, learned=True)


def _any_ranges(folded: BNFoldedModel, pixels: Range) -> Ranges:
    owners = set(range_owners(folded.graph).values())
    return dict.fromkeys(sorted(owners), Range(-1.0, 1.0)) | fixed_ranges(folded.graph, pixels)


def _constraints(request: QatRequest, model: FakeQuantizedModel, listener: Listener) -> WeightConstraints:
    """Holds the zeros of kernels that were pruned, unless they shall be filled."""
    weights = model.network.weights()
    kernels = [name for name in weights if name.endswith("/kernel") and is_sparse(weights[name])]
    if not kernels or not request.keep_zeros:
        return NO_CONSTRAINTS
    listener.say(
        f"zeros stay zero in {len(kernels)} kernels; of all kernels' weights {share(weights):.0%} are"
    )
    return WeightConstraints(
        tuple(WeightConstraint(model.network.variables[name], kept_zeros) for name in kernels)
    )


def _write(
    model: FakeQuantizedModel, exact: Any, request: QatRequest, path: Path, samples: Samples
) -> Exported:
    ranges, part = model.ranges(), deployed(model.folded())
    owners = set(range_owners(part.graph).values())
    fake_quantized = build_fake_quantized(part, {name: ranges[name] for name in owners})
    how = {"method": "quantization-aware training", **request.settings(), **request.fit.settings()}
    how["zeros"] = share(part.weights)
    info, _ = read_checkpoint(request.checkpoint)
    return write_model(
        fake_quantized,
        lambda x, training: exact(x, training=training)[-1],
        info,
        RECIPE,
        path,
        samples,
        how,
    )
