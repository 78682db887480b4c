"""What training a network for its size has in common, whatever is done to it: its length, and whom it
listens to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeio import lookup, sha256_file
from edgepose.compression.fake_quantized import label_weight
from edgepose.errors import UsageError
from edgepose.frameworks import Tensor
from edgepose.models.checkpoint import load_model, read_checkpoint
from edgepose.models.variants import variant
from edgepose.training.augmentation import Arrays
from edgepose.training.data import DataRequest, TrainingData, open_training_data
from edgepose.training.losses import Term
from edgepose.training.request import FitRequest
from edgepose.training.schedules import SIGMA_SCHEDULES
from edgepose.training.setup import TrainingSetup

STEPS_PER_VALIDATION = 50


@dataclass(frozen=True)
class FineTuneLoss:
    """Whom the smaller network listens to: a float network, labels, or both in equal parts."""

    self_distillation: bool
    labels: bool


LOSSES = {
    "float": FineTuneLoss(self_distillation=True, labels=False),
    "labels": FineTuneLoss(self_distillation=False, labels=True),
    "both": FineTuneLoss(self_distillation=True, labels=True),
}


@dataclass(frozen=True)
class FineTune:
    """A network that is trained on for its size: which, on what, and whom it listens to.

    Attributes:
        checkpoint: the float network.
        fit: data, length, learning rate and seed; its network and resolution are the checkpoint's.
        loss: a name in LOSSES.
        teacher: checkpoint of the float network to be like; None for `checkpoint` itself.
    """

    checkpoint: Path
    fit: FitRequest
    loss: str = "float"
    teacher: Path | None = None

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work, a teacher that has no say or does not
        fit among it."""
        self.fit.check()
        loss = lookup(LOSSES, "loss", self.loss)
        if self.teacher is None:
            return
        if not loss.self_distillation:
            raise UsageError("a teacher has no say in the loss from labels", "use --loss float or both")
        _check_teacher(self.teacher, self.checkpoint)

    def settings(self) -> dict[str, Any]:
        """What of this decides the result beside the run's own settings; a resumed run is held to it."""
        return {
            "loss": self.loss,
            "teacher_sha256": sha256_file(self.teacher) if self.teacher else None,
        }

    def training_data(self) -> TrainingData:
        return open_training_data(self.fit.data, labelled=LOSSES[self.loss].labels)

    def exact(self) -> Any:
        """The network to be like, built for the checkpoint's input: the teacher, or the checkpoint's own."""
        if self.teacher is None:
            return load_model(self.checkpoint, "training")
        return load_model(self.teacher, "maps", resolution=read_checkpoint(self.checkpoint)[0].resolution)

    def terms(self, setup: TrainingSetup, model: Any, own: Callable[[], Any] | None = None) -> list[Term]:
        """The terms of the loss, alike in size.

        Args:
            model: what is trained.
            own: makes what `exact` gives without a teacher, for who has it at hand.
        """
        found = []
        if LOSSES[self.loss].labels:
            sigma = SIGMA_SCHEDULES[str(self.fit.sigma_schedule)].sigma(0, 1, setup.map_size[1])
            weight = label_weight(setup.map_size, sigma)
            found.append(Term("ground_truth", setup.ground_truth(model), lambda done: weight))
        if LOSSES[self.loss].self_distillation:
            exact = own() if own and self.teacher is None else self.exact()
            found.append(Term("self_distillation", SelfDistillationLoss(exact)))
        return found


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


def _check_teacher(path: Path, checkpoint: Path) -> None:
    """Raise UsageError for a teacher whose maps are not on the student's grid, or not of its keypoints, or
    that wants its input otherwise."""
    (theirs, _), (info, _) = read_checkpoint(path), read_checkpoint(checkpoint)
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
            "distil with `edgepose distill` first, then go on without --teacher",
        )


@dataclass(frozen=True)
class SelfDistillationLoss:
    """A term of the loss: the squared error to what a float network says of the same images, as a share of
    the squared value there, summed over the outputs.

    As a share, since Adam cannot tell gradients apart that are smaller than its epsilon, and a quantized
    network's mean squared error is some 1e-5.

    Attributes:
        network: images (B, H, W, 3) normalised -> outputs like the trained network's, or fewer: its last.
    """

    network: Any

    def __call__(self, outputs: Sequence[Tensor], sample: Arrays, sigma: Tensor) -> Tensor:
        from edgepose.frameworks import keras

        ops = keras().ops
        said = self.network(sample["inputs"], training=False)
        wanted = [ops.stop_gradient(each) for each in (said if isinstance(said, list | tuple) else [said])]
        shares = [
            ops.mean(ops.square(mine - theirs)) / (ops.mean(ops.square(theirs)) + 1e-9)
            for mine, theirs in zip(outputs[-len(wanted) :], wanted, strict=True)
        ]
        return sum(shares[1:], shares[0])
