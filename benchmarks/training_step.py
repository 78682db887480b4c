"""The training loop's steps beside a bare Keras loop's on the same network; prints JSON.

The loop makes batches on its thread, augments, computes targets and losses, reads the losses. The bare
loop is `train_on_batch` with Keras's own mean squared error on inputs and targets that lie ready. They
take turns in one process; `ratio` is loop / bare of the medians.

    python benchmarks/training_step.py --model rt --batch 16
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import numpy as np
from made_up import Bench, asked, timed

from edgeio.ahead import ahead
from edgepose.frameworks import keras
from edgepose.training.steppers import make_stepper


def main() -> None:
    chosen, made = asked(__doc__)
    loop, bare = measure(made, chosen.batch, chosen.turns)
    result = {
        **vars(chosen),
        "resolution": made.stepper_setup.model.input_shape[1],
        "backend": keras().backend.backend(),
        "loop_ms": 1000 * loop,
        "bare_ms": 1000 * bare,
        "loop_images_per_s": chosen.batch / loop,
        "ratio": loop / bare,
    }
    print(json.dumps(result, indent=1))


def measure(made: Bench, batch: int, turns: int) -> tuple[float, float]:
    """Median seconds of a step of the loop and of a bare one, after two turns that compile and settle."""
    stepper = make_stepper(made.stepper_setup)
    batches = ahead(made.stream.batches(0, turns + 2))
    scalars = made.goal.scalars(0)

    def loop() -> None:
        losses = stepper.step(next(batches).parts(1), scalars, 1e-3)
        float(losses[0]["loss"])

    bare = _bare(made, batch)
    found = [(timed(loop), timed(bare)) for _ in range(turns + 2)][2:]
    batches.close()
    ours, theirs = (median(column) for column in zip(*found, strict=True))
    return ours, theirs


def _bare(made: Bench, batch: int) -> Any:
    """Keras's own step of a copy of the network."""
    model = keras().models.clone_model(made.stepper_setup.model)
    optimizer = keras().optimizers.Adam(1e-3, amsgrad=True)
    model.compile(optimizer, loss=["mse"] * len(model.outputs), jit_compile=False)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, *model.input_shape[1:])).astype(np.float32)
    targets = [rng.random((batch, *output.shape[1:])).astype(np.float32) for output in model.outputs]
    return lambda: model.train_on_batch(inputs, targets)


if __name__ == "__main__":
    main()
