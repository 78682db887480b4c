"""Magnitude pruning while the float network is trained on, by the one training loop.

The sparsity rises over the first part of the run; then the weights that are left recover. A weight that was
cut stays zero: the loop holds it there, against gradient and momentum. tensorflow-model-optimization's
pruning is not used: it wraps tf_keras layers, whose weights would have to come back by name, and the loop
trains Keras 3 models, on TensorFlow and JAX, with its own data, losses and resumption.

Source: Zhu & Gupta 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import write_json
from edgeio.records import to_plain
from edgepose.compression.finetune import FineTune
from edgepose.compression.sparsity import ConvolutionKernel, Zeros, cut, parts, rising
from edgepose.errors import UsageError
from edgepose.models.checkpoint import read_checkpoint
from edgepose.training.constraints import WeightConstraint, WeightConstraints, kept_zeros
from edgepose.training.loop import Listener
from edgepose.training.request import FitRequest
from edgepose.training.setup import open_setup

RISE = 0.6  # share of the steps after which the sparsity is reached
_CUTS = 20  # on the way there
REPORT_NAME = "pruning.json"


@dataclass(frozen=True, kw_only=True)
class PruneRequest(FineTune):
    """What to prune, on what, and how.

    Attributes:
        sparsity: share of each pruned kernel's weights that become zero, 0 up to but not 1.
    """

    sparsity: float = 0.5

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        super().check()
        if not 0 <= self.sparsity < 1:
            raise UsageError(
                f"the sparsity is {self.sparsity}", "give the share of weights to cut, from 0 to below 1: 0.5"
            )

    def settings(self) -> dict[str, Any]:
        return {"sparsity": self.sparsity, "rise": RISE, **super().settings()}


@dataclass(frozen=True)
class Pruned:
    """A network with zeros.

    Attributes:
        checkpoint: where it is.
        layers: of every convolution, in order.
    """

    checkpoint: Path
    layers: tuple[Zeros, ...]

    @property
    def share(self) -> float:
        """Of all convolutions' weights, those that are zero."""
        return sum(each.zeros for each in self.layers) / sum(each.weights for each in self.layers)

    def to_json(self) -> dict[str, Any]:
        return {"checkpoint": self.checkpoint.name, "share": self.share, "layers": to_plain(self.layers)}


def prune(request: PruneRequest, listener: Listener | None = None) -> Pruned:
    """Prune a network while training it on, or go on with that.

    OUT holds what `edgepose train` writes, and pruning.json, which lists every convolution. `best` is chosen
    among the epochs that end with the whole sparsity.

    Raises:
        UserError: bad input, or a loss that is no longer a number; says what and what to do.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    listener = listener or Listener()
    request.check()
    fit = request.fit
    with open_setup(fit, listener, {"pruning": request.settings()}, request.training_data()) as setup:
        model = setup.network()
        found = parts(model)
        goal = setup.objective(*request.terms(setup, model))
        path = setup.train(model, goal, constraints=_constraints(request, found))
    made = Pruned(path, _counted(path, found))
    write_json(fit.out / REPORT_NAME, made.to_json())
    return made


def _constraints(request: PruneRequest, found: Sequence[ConvolutionKernel]) -> WeightConstraints:
    kernels = [part.kernel for part in found if part.dense is None]
    last, length = _last_cut(request.fit), request.fit.steps_per_epoch
    assert length is not None
    # On a run so short that cuts fall on one step, the later one counts.
    edits = {
        round(last * number / (_CUTS - 1)): partial(
            _cut_all, kernels, rising((number + 1) / _CUTS, request.sparsity)
        )
        for number in range(_CUTS)
    }
    return WeightConstraints(
        tuple(WeightConstraint(kernel, kept_zeros) for kernel in kernels), edits, best_from=last // length
    )


def _last_cut(fit: FitRequest) -> int:
    """The step before which the sparsity is reached."""
    assert fit.steps_per_epoch is not None
    return int(RISE * fit.epochs * fit.steps_per_epoch)


def _cut_all(kernels: Sequence[Any], sparsity: float) -> None:
    for kernel in kernels:
        kernel.assign(cut(np.asarray(kernel), sparsity))


def _counted(path: Path, found: Sequence[ConvolutionKernel]) -> tuple[Zeros, ...]:
    _, weights = read_checkpoint(path)
    kernels = {part.name: weights[f"{part.name}/kernel"] for part in found}
    return tuple(
        Zeros(part.name, kernels[part.name].size, int(np.sum(kernels[part.name] == 0)), part.dense)
        for part in found
    )
