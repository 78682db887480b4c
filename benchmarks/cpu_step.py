"""What makes a training step faster on a CPU and what does not, beside the network as it was built.

Each way is measured in a process of its own, since some are settings of a process; the processes take turns,
round by round. All train from the same weights on the same batches: `losses` shows whether the curve stays
the same. `ratio` is how many times as many images a second as `built`, of the medians over rounds.

    python benchmarks/cpu_step.py --model b4 --resolution 256 --out reports/training/cpu-step-b4.json

An allocator is tried where its library is named: `--allocator jemalloc=/usr/lib/.../libjemalloc.so.2`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from edgeio import cores, write_json


@dataclass(frozen=True)
class Way:
    """One way to take a step.

    Attributes:
        environment: of its process.
        fewer_passes: whether the training form of `fused_passes` is used.
        freeze: blocks of the backbone that are not trained, or None.
        precision: a name in `devices.PRECISIONS`.
        accumulate: parts that a batch is computed in.
    """

    what: str
    environment: dict[str, str] = field(default_factory=dict)
    fewer_passes: bool = True
    freeze: int | None = None
    precision: str = "float32"
    accumulate: int = 1


_ONE_BY_ONE = {"TF_NUM_INTEROP_THREADS": "1"}
WAYS = {
    "built": Way("the network as it was built", fewer_passes=False),
    "fewer-passes": Way("what `train` does unasked"),
    "freeze-3": Way("--freeze-blocks 3", freeze=3),
    "products": Way("--precision bfloat16_products", precision="bfloat16_products"),
    "freeze-3-products": Way("both", freeze=3, precision="bfloat16_products"),
    "mixed": Way("--precision mixed_bfloat16", precision="mixed_bfloat16"),
    "accumulate-2": Way("--accumulate 2", accumulate=2),
    "one-by-one": Way("operators one after another", _ONE_BY_ONE),
    "without-onednn": Way("TF_ENABLE_ONEDNN_OPTS=0", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="b4")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="timed, after two that compile and settle")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--allocator", action="append", default=[], metavar="NAME=LIBRARY")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_steps(chosen, WAYS[chosen.child])))
        return
    result = _measured(chosen)
    if chosen.out:
        write_json(chosen.out, result)
    _show(result)


def _measured(chosen: argparse.Namespace) -> dict[str, Any]:
    """Rounds of one process a way, and an allocator each."""
    processes = {name: (name, WAYS[name].environment) for name in dict.fromkeys(("built", *chosen.ways))}
    for allocator in chosen.allocator:
        name, _, library = allocator.partition("=")
        processes[name] = ("fewer-passes", {"LD_PRELOAD": library})
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in processes}
    for _ in range(chosen.rounds):
        for name, (way, environment) in processes.items():
            found[name].append(_run(way, environment))
            print(f"{name}: {chosen.batch / found[name][-1]['step_s']:.2f} images/s", file=sys.stderr)
    first = median(turn["step_s"] for turn in found["built"])
    ways = {}
    for name, turns in found.items():
        step = median(turn["step_s"] for turn in turns)
        ways[name] = {
            "what": WAYS[name].what if name in WAYS else f"fewer-passes with {name}",
            "step_s": step,
            "images_per_s": chosen.batch / step,
            "ratio": first / step,
            "rounds_s": [turn["step_s"] for turn in turns],
            "losses": turns[0]["losses"],
        }
    return {
        "model": chosen.model,
        "resolution": found["built"][0]["resolution"],
        "batch": chosen.batch,
        "cores": cores(),
        "processor": _processor(),
        "load": os.getloadavg()[1],
        "ways": ways,
    }


def _run(way: str, environment: dict[str, str]) -> dict[str, Any]:
    """The same command with `--child`, alone in a process."""
    done = subprocess.run(
        [sys.executable, *sys.argv, "--child", way],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{way} ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _steps(chosen: argparse.Namespace, way: Way) -> dict[str, Any]:
    """Median seconds of a step, and the loss of every one."""
    from made_up import bench, timed

    from edgepose.frameworks import keras
    from edgepose.training import steppers
    from edgepose.training.devices import computing
    from edgepose.training.freezing import freeze_blocks

    keras().utils.set_random_seed(0)
    with computing(way.precision):
        made = bench(chosen.model, chosen.resolution, chosen.batch, accumulate=way.accumulate)
        if way.freeze is not None:
            freeze_blocks(made.stepper_setup.model, way.freeze)
        if not way.fewer_passes:
            setattr(steppers, "in_fewer_passes", lambda model: model)  # noqa: B010 - its own, taken away
        stepper = steppers.make_stepper(made.stepper_setup)
        batches, scalars = made.stream.batches(0, chosen.steps + 2), made.goal.scalars(0)
        losses: list[float] = []

        def step() -> None:
            found = stepper.step(next(batches).parts(way.accumulate), scalars, 1e-3)
            losses.append(sum(float(part["loss"]) for part in found) / len(found))

        seconds = [timed(step) for _ in range(chosen.steps + 2)][2:]
    return {
        "step_s": median(seconds),
        "losses": losses,
        "resolution": made.stepper_setup.model.input_shape[1],
    }


def _processor() -> str:
    """What multiplies: the vector extensions that matter here."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    return (
        " ".join(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags)
        or "unknown"
    )


def _show(result: dict[str, Any]) -> None:
    print(f"{result['model']} at {result['resolution']} px, batch {result['batch']}, {result['processor']}")
    for name, way in result["ways"].items():
        print(f"{name:18} {way['images_per_s']:6.2f} images/s  {way['ratio']:5.2f} x  {way['what']}")


if __name__ == "__main__":
    main()
