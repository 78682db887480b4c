"""What changes over a run: the targets' sigma and the learning rate, as tables.

Source: the EfficientPose authors' framework, as read by Groos et al. 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

# The length of the run that the sigma tables are written for.
PAPER_EPOCHS = 100


@dataclass(frozen=True)
class SigmaSchedule:
    """Sigma of the targets exp(-d^2 / sigma^2), falling in steps.

    Attributes:
        key: its one name.
        map_width: cells of the map that the table is written for.
        steps: (first epoch of 100, sigma in cells), in order of epochs.
    """

    key: str
    map_width: int
    steps: tuple[tuple[int, float], ...]

    def sigma(self, epoch: int, epochs: int, map_width: int) -> float:
        """Sigma in cells.

        The schedule is stretched to the run: epoch 5 of 10 has the sigma of epoch 50 of 100, so that
        a short run ends with narrow targets too. It is scaled to the map: half the cells, half sigma.

        Args:
            epoch: from 0.
            epochs: of the whole run.
            map_width: cells of the network's map.
        """
        position = epoch * PAPER_EPOCHS / epochs
        sigma = [value for first, value in self.steps if first <= position][-1]
        return sigma * map_width / self.map_width


SIGMA_SCHEDULES = {
    s.key: s
    for s in (
        SigmaSchedule(
            "efficientpose",
            28,
            (
                (0, 3.1),
                (2, 2.6),
                (6, 2.2),
                (14, 1.75),
                (22, 1.53),
                (30, 1.42),
                (38, 1.31),
                (46, 1.2),
                (54, 1.1),
            ),
        ),
        SigmaSchedule(
            "hourglass",
            32,
            (
                (0, 3.5),
                (2, 3.0),
                (6, 2.5),
                (10, 2.0),
                (17, 1.75),
                (25, 1.625),
                (33, 1.5),
                (44, 1.375),
                (55, 1.25),
                (67, 1.125),
                (79, 1.0),
            ),
        ),
        # The last sigma of the tables from the start: for short fine-tuning of a network that has
        # already learned to localise.
        # Wide to the end: for minutes of training, in which narrow targets teach a network to say nothing.
        SigmaSchedule("efficientpose-wide", 28, ((0, 3.1), (50, 2.2))),
        SigmaSchedule("efficientpose-final", 28, ((0, 1.1),)),
        SigmaSchedule("hourglass-final", 32, ((0, 1.0),)),
    )
}

# By family of networks (`Variant.family`); the others follow EfficientPose.
_FAMILY_SCHEDULES = {"hourglass": "hourglass"}


def default_sigma_schedule(family: str) -> str:
    """Key of the schedule that the paper trains a family of networks with."""
    return _FAMILY_SCHEDULES.get(family, "efficientpose")


def _constant(done: float) -> float:
    return 1.0


def _cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _step(done: float) -> float:
    return 1.0 if done < 0.6 else 0.1 if done < 0.85 else 0.01


# By name: share of the run's steps that is done (0..1) -> factor of the learning rate. The paper's is
# "constant"; "step" drops to a tenth at 60 % and at 85 %.
LEARNING_RATES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "step": _step,
}
