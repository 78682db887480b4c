"""An exponential moving average of a network's weights, which is validated and kept in the weights' place.

Batch statistics are averaged alike: those of the weights' last steps would not be the averages'. The first
steps count for more than the decay says, so that weights of the start are soon forgotten.

Source: mean teacher, Tarvainen and Valpola 2017; the decay's warm-up is TensorFlow's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgepose.training.hosts import assign


@dataclass(frozen=True)
class WeightAverage:
    """The average of some variables over the steps.

    Attributes:
        decay: of the average at every step, between 0 and 1.
        pairs: (variable of the network, its average).
    """

    decay: float
    pairs: tuple[tuple[Any, Any], ...]

    def decay_at(self, step: int) -> float:
        """The decay after a step, from 0."""
        return min(self.decay, (1 + step) / (10 + step))

    @property
    def by_name(self) -> dict[str, Any]:
        """The averages for a run's state."""
        return {f"average/{i}/{variable.path}": average for i, (variable, average) in enumerate(self.pairs)}

    def exchange(self) -> None:
        """Put the averages into the network and its weights aside; once more, and all is as before."""
        for variable, average in self.pairs:
            held = variable.numpy().copy()
            assign(variable, average.numpy())
            assign(average, held)


def weight_average(network: Any, decay: float) -> WeightAverage:
    """The average of a network's weights and batch statistics, which begins at what they are now."""
    from edgepose.frameworks import keras

    averaged = [v for v in network.variables if "float" in str(v.dtype)]
    new = keras().Variable
    return WeightAverage(
        decay,
        tuple(
            (v, new(v.numpy(), trainable=False, dtype="float32", name=f"average_{i}"))
            for i, v in enumerate(averaged)
        ),
    )
