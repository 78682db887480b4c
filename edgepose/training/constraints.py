"""What is done to weights beside gradient descent: what a step may not undo, and what is cut before one.

Nothing of it is state of its own: which weights are cut, or shared, is read off the weights, so a saved state
holds it and a resumed run ends like one that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepose.frameworks import Tensor


@dataclass(frozen=True)
class WeightConstraint:
    """What every optimizer step keeps of a variable.

    Attributes:
        variable: a trainable one of the model.
        project: its value before the step and after it -> the value that it gets.
    """

    variable: Any
    project: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class WeightConstraints:
    """Of one run.

    Attributes:
        every_step: kept in every step.
        edits: step -> what changes the model's variables before it.
        best_from: the first epoch whose weights may be the best ones.
    """

    every_step: tuple[WeightConstraint, ...] = ()
    edits: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    best_from: int = 0


NO_CONSTRAINTS = WeightConstraints()


def kept_zeros(before: Tensor, after: Tensor) -> Tensor:
    """A weight that is zero stays zero, whatever the optimizer's momentum says."""
    from edgepose.frameworks import keras

    ops = keras().ops
    return ops.where(ops.equal(before, 0), ops.zeros_like(after), after)
