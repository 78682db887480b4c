"""What training minimises: terms by name, weighted over the run, on one network's outputs.

Every term is the mean over the batch, the map's cells and the channels, where a channel that is not
annotated counts as zero. So with complete annotation the ground truth's term is Keras's mean squared
error, summed over the outputs; and the mean over the parts of an accumulated batch is the batch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgepose.codec import CENTRES, confidence_maps, part_affinity_fields
from edgepose.frameworks import Tensor
from edgepose.geometry import Size
from edgepose.training.augmentation import Arrays
from edgepose.training.schedules import SigmaSchedule

# Far outside every map: a confidence map about it is zero.
_FAR = -1e6


def output_kinds(model: Any) -> tuple[str, ...]:
    """ "pafs" or "maps" for each of a training model's outputs, by the layers' names."""
    return tuple("pafs" if "pafs" in name else "maps" for name in model.output_names)


@dataclass(frozen=True)
class Targets:
    """What the outputs should be, computed in the graph by the codec's own functions.

    Attributes:
        input_size: (height, width) of the network's input, px.
        map_size: (height, width) of its maps, cells.
        segments: S pairs of keypoint indices.
        centre: one of `codec.CENTRES`.
    """

    input_size: Size
    map_size: Size
    segments: tuple[tuple[int, int], ...]
    centre: str = CENTRES[0]

    def cells(self, points_px: Tensor) -> Tensor:
        """Input pixels (..., 2) to cells."""
        scale = [self.map_size[1] / self.input_size[1], self.map_size[0] / self.input_size[0]]
        return points_px * np.array(scale, np.float32)

    def maps(self, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w, K) and the weight (B, K) of each: 1 where annotated.

        A keypoint that is annotated but lies outside the input has a zero map to learn: there is
        nothing to be found. One that is not annotated has no say.
        """
        from edgepose.frameworks import keras

        ops = keras().ops
        cells = ops.where(sample["present"][..., None], self.cells(sample["keypoints_px"]), _FAR)
        maps = confidence_maps(cells, self.map_size, sigma, self.centre, ops)
        return maps, ops.cast(sample["annotated"], "float32")

    def pafs(self, sample: Arrays, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Part affinity fields (B, h, w, 2 S), sigma / 2 wide to either side, and weights (B, 2 S).

        A segment has a say where both ends are annotated, and a field where both lie inside.
        """
        from edgepose.frameworks import keras

        ops = keras().ops
        first, second = np.array(self.segments).T
        cells = self.cells(sample["keypoints_px"])
        annotated, present = (
            ops.take(sample[key], first, axis=1) & ops.take(sample[key], second, axis=1)
            for key in ("annotated", "present")
        )
        start = ops.take(cells, first, axis=1)
        end = ops.where(present[..., None], ops.take(cells, second, axis=1), start)
        fields = part_affinity_fields(start, end, self.map_size, sigma / 2, ops)
        return fields, ops.repeat(ops.cast(annotated, "float32"), 2, axis=1)


def masked_mse(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean of weight x squared error.

    Args:
        predicted, target: (B, h, w, C).
        weight: (B, C).
    """
    from edgepose.frameworks import keras

    ops = keras().ops
    error = ops.cast(predicted, "float32") - target
    return ops.mean(ops.mean(error * error, axis=(1, 2)) * weight)


class Loss(Protocol):
    """One term: a scalar from the model's outputs, the augmented sample and sigma (a scalar tensor)."""

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class GroundTruth:
    """The paper's loss: mean squared error on every output, summed.

    For EfficientPose these are pass 1's fields and the maps of passes 2 and 3.

    Attributes:
        kinds: of the first outputs, see `output_kinds`; further ones are other terms' business.
    """

    targets: Targets
    kinds: tuple[str, ...]

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor:
        make = {"maps": self.targets.maps, "pafs": self.targets.pafs}
        wanted = {kind: make[kind](sample, sigma) for kind in sorted(set(self.kinds))}
        terms = [masked_mse(output, *wanted[kind]) for output, kind in zip(outputs, self.kinds, strict=False)]
        return sum(terms[1:], terms[0])


def always(done: float) -> float:
    """Weight 1 over the whole run."""
    return 1.0


def fading(start: float) -> Callable[[float], float]:
    """A weight that falls linearly from `start` to 0 at the end of the run."""
    return lambda done: start * (1.0 - done)


@dataclass(frozen=True)
class Term:
    """A named loss and its weight over the run.

    Attributes:
        weight: share of the run's epochs that is done (0..1) -> factor; constant in an epoch.
    """

    name: str
    loss: Loss
    weight: Callable[[float], float] = always


@dataclass(frozen=True)
class Objective:
    """The weighted sum of terms, at the epoch's sigma. Distillation adds a term; the loop stays.

    Attributes:
        map_width: cells of the network's maps, which scale sigma.
        epochs: of the whole run.
    """

    terms: tuple[Term, ...]
    sigma: SigmaSchedule
    map_width: int
    epochs: int

    def scalars(self, epoch: int) -> dict[str, float]:
        """What the epoch sets: `sigma`, and each term's weight by its name."""
        weights = {term.name: term.weight(epoch / self.epochs) for term in self.terms}
        return {"sigma": self.sigma.sigma(epoch, self.epochs, self.map_width), **weights}

    def __call__(self, outputs: list[Tensor], sample: Arrays, scalars: Arrays) -> Arrays:
        """Each term by name, unweighted, and `loss`, the weighted sum."""
        values = {term.name: term.loss(outputs, sample, scalars["sigma"]) for term in self.terms}
        weighted = [scalars[name] * value for name, value in values.items()]
        return {"loss": sum(weighted[1:], weighted[0]), **values}
