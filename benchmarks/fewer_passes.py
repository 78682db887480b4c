"""A training step in fewer passes over memory beside the network as it was built; prints JSON.

Both train a network of the same first weights on the same batches, step by step in turns in one process, so
that a busy machine slows both alike. `ratio` is built / fewer of the medians, `ratio_of_least` of the least
disturbed steps, `losses` are each one's, step by step.

    python benchmarks/fewer_passes.py --model rt --batch 16 > reports/training/fewer-passes-rt.json
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from statistics import median
from typing import Any

from made_up import bench, timed

from edgeio import cores
from edgepose.frameworks import keras
from edgepose.training import steppers
from edgepose.training.fused_passes import in_fewer_passes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="rt")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    forms = {"built": lambda model: model, "fewer": in_fewer_passes}
    steps = {name: _steps(chosen, form) for name, form in forms.items()}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(chosen.turns + 2):  # two that compile and settle
        for name, step in steps.items():
            seconds[name].append(timed(lambda step=step, name=name: losses[name].append(step())))
    built, fewer = (seconds[name][2:] for name in forms)
    result = {
        **vars(chosen),
        "cores": cores(),
        "load": os.getloadavg()[1],
        "built_s": {"least": min(built), "median": median(built)},
        "fewer_s": {"least": min(fewer), "median": median(fewer)},
        "images_per_s": chosen.batch / median(fewer),
        "ratio": median(built) / median(fewer),
        "ratio_of_least": min(built) / min(fewer),
        "losses": losses,
    }
    print(json.dumps(result, indent=1))


def _steps(chosen: argparse.Namespace, form: Callable[[Any], Any]) -> Callable[[], float]:
    """Takes a step and gives its loss."""
    keras().utils.set_random_seed(0)
    made = bench(chosen.model, chosen.resolution, chosen.batch)
    steppers.in_fewer_passes = form  # type: ignore[assignment]
    stepper = steppers.make_stepper(made.stepper_setup)
    batches, scalars = made.stream.batches(0, chosen.turns + 2), made.goal.scalars(0)
    return lambda: float(stepper.step(next(batches).parts(1), scalars, 1e-3)[0]["loss"])


if __name__ == "__main__":
    main()
