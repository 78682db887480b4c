"""What the input pipeline costs beside the training step that it feeds; prints JSON.

One process measures, turn by turn: making a batch on the host; augmentation and targets in the graph; and
a training step of the same network on inputs and targets that lie ready. `share` is (host + graph) / step
of the medians: turn by turn, so that a busy machine slows all three alike.

    python benchmarks/pipeline.py --model rt --batch 16
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import numpy as np
from made_up import Bench, asked, timed

from edgepose.frameworks import tensorflow


def main() -> None:
    chosen, made = asked(__doc__)
    host, graph, step = measure(made, chosen.turns)
    result = {
        **vars(chosen),
        "resolution": made.stepper_setup.model.input_shape[1],
        "host_ms": 1000 * host,
        "graph_ms": 1000 * graph,
        "step_ms": 1000 * step,
        "share": (host + graph) / step,
    }
    print(json.dumps(result, indent=1))


def measure(made: Bench, turns: int) -> tuple[float, float, float]:
    """Median seconds of host, graph and step, after one turn that compiles."""
    prepare, train = _graphs(made)
    batches = made.stream.batches(0, turns + 1)
    ready: dict[str, Any] = {}

    def make() -> None:
        ready["batch"] = next(batches)

    def compute() -> None:
        ready["made"] = prepare(ready["batch"].arrays)
        ready["made"][-1].numpy()

    found = [
        (timed(make), timed(compute), timed(lambda: train(*ready["made"][:2]).numpy()))
        for _ in range(turns + 1)
    ]
    host, graph, step = (median(column) for column in zip(*found[1:], strict=True))
    return host, graph, step


def _graphs(made: Bench) -> tuple[Any, Any]:
    """Augmentation and targets, and a training step on their results, as two functions."""
    tf, stepper_setup, targets = tensorflow(), made.stepper_setup, made.truth.targets
    stepper_setup.optimizer.build(stepper_setup.model.trainable_variables)
    sigma = np.float32(made.goal.scalars(0)["sigma"])
    kinds = made.truth.kinds

    def prepare(arrays: Any) -> Any:
        sample = stepper_setup.augment(arrays)
        wanted = {kind: getattr(targets, kind)(sample, sigma) for kind in sorted(set(kinds))}
        everything = [sample["inputs"], *(each for pair in wanted.values() for each in pair)]
        return sample["inputs"], wanted, sum(tf.reduce_sum(each) for each in everything)

    def train(inputs: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = stepper_setup.model(inputs, training=True)
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            errors = [output - wanted[kind][0] for output, kind in zip(outputs, kinds, strict=True)]
            loss = sum(tf.reduce_mean(error * error) for error in errors)
        gradients = tape.gradient(loss, stepper_setup.model.trainable_variables)
        stepper_setup.optimizer.apply(gradients, stepper_setup.model.trainable_variables)
        return loss

    return tf.function(prepare, jit_compile=False), tf.function(train, jit_compile=False)


if __name__ == "__main__":
    main()
