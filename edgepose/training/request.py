"""What a user asks of a training run, checked before anything heavy is imported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeio import lookup
from edgepose.codec import CENTRES
from edgepose.errors import UsageError
from edgepose.models.variants import variant
from edgepose.training.augmentation import AUGMENTATIONS
from edgepose.training.data import DataRequest
from edgepose.training.devices import AUTO
from edgepose.training.freezing import check_blocks
from edgepose.training.schedules import LEARNING_RATES, SIGMA_SCHEDULES


@dataclass(frozen=True)
class FitRequest:
    """What to train, on what, and how. The defaults are the paper's protocol.

    Attributes:
        model: key of the network.
        data: frames and keypoints.
        out: the run's folder.
        init: a checkpoint to start from, or None for random weights.
        resolution: height and width of the input, px; None for the network's own.
        freeze_blocks: blocks of the backbone that are not trained, the first ones and the stem; None to train
            all; see `freezing`.
        epochs: of `steps_per_epoch` steps each; None for one pass over the data.
        batch: frames an optimizer step.
        accumulate: parts that a batch is computed in where memory is short; batch statistics are then
            those of the parts.
        learning_rate, learning_rate_schedule: the highest rate, and a name in LEARNING_RATES.
        sigma_schedule: a name in SIGMA_SCHEDULES; None for the network's own.
        centre: where a target's peak lies, one of `codec.CENTRES`.
        augmentation: a name in AUGMENTATIONS.
        ema: decay of an exponential moving average of the weights, which is validated and kept in their
            place; None for none.
        precision: "auto" or a name in `devices.PRECISIONS`.
        seed: of weights, order, augmentation and dropout.
        checkpoint_every: steps between saved states, besides every epoch's end.
        memory_gib: frames (of the training split, or of the other) that take more are decoded anew in every
            pass.
        workers: threads that decode.
        tensorboard: log for TensorBoard too.
        overwrite: begin anew where `out` holds a run.
        hosts: which of several processes this is, see `hosts.parse_hosts`; None to train alone.
    """

    model: str
    data: DataRequest
    out: Path
    init: Path | None = None
    resolution: int | None = None
    freeze_blocks: int | None = None
    epochs: int = 100
    steps_per_epoch: int | None = None
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-3
    learning_rate_schedule: str = "constant"
    sigma_schedule: str | None = None
    centre: str = CENTRES[0]
    augmentation: str = "paper"
    ema: float | None = None
    precision: str = AUTO
    seed: int = 0
    checkpoint_every: int = 500
    memory_gib: float = 4.0
    workers: int = 2
    tensorboard: bool = False
    overwrite: bool = False
    hosts: str | None = None

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        variant(self.model)
        lookup(AUGMENTATIONS, "augmentation", self.augmentation)
        lookup(LEARNING_RATES, "learning-rate schedule", self.learning_rate_schedule)
        lookup(dict.fromkeys(CENTRES), "target centre", self.centre)
        if self.sigma_schedule is not None:
            lookup(SIGMA_SCHEDULES, "sigma schedule", self.sigma_schedule)
        counts = ("epochs", "steps_per_epoch", "batch", "accumulate", "checkpoint_every", "workers")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}", "give 1 or more")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(
                f"the learning rate is {self.learning_rate}", "give a positive number, such as 0.001"
            )
        if self.freeze_blocks is not None:
            check_blocks(variant(self.model), self.freeze_blocks)
        if self.ema is not None and not 0 < self.ema < 1:
            raise UsageError(
                f"the average's decay is {self.ema}", "give a number between 0 and 1, such as 0.999"
            )
        if self.seed < 0:
            raise UsageError(f"the seed is {self.seed}", "give 0 or more")
        if self.batch % self.accumulate:
            raise UsageError(
                f"a batch of {self.batch} cannot be cut into {self.accumulate} parts",
                "choose another --accumulate",
            )

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON; data and start are bound by their hashes instead."""
        plain = asdict(self)
        for name in _UNBOUND:
            del plain[name]
        plain["data"] = self.data.settings()
        return plain


# They decide how fast a run is and where things lie, not what comes out: a run that goes on may change them.
_UNBOUND = ("out", "init", "checkpoint_every", "memory_gib", "workers", "tensorboard", "overwrite", "hosts")
