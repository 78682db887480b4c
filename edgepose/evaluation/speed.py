"""What a model costs on this machine: latency, memory, and the host's share around it.

Measured in a fresh process, so that neither the scorer's threads nor its memory show.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgepose.errors import BadModel

if TYPE_CHECKING:
    from edgepose.inference.spec import Runner

RUNS, WARM_UP = 30, 5
_FRAME = (480, 640)  # what the letterbox is timed on: a phone video's frame, small


@dataclass(frozen=True)
class SpeedMeasurement:
    """Times in ms of one frame at batch 1; memory in bytes.

    Attributes:
        latency_median, latency_p90: one inference, normalised input to raw output; where the network has a
            detector of its own, one of each; with the flip test, two.
        letterbox_median: a 640 x 480 frame to the normalised input, the detector's too.
        decode_median: the raw output to keypoints, the detector's to a region too.
        peak_memory: from what the process used before the model was opened to its peak up to the last
            run; libraries that only the model needs are in it.
    """

    latency_median: float
    latency_p90: float
    letterbox_median: float
    decode_median: float
    peak_memory: int
    runs: int
    warm_up: int
    threads: int
    processor: str


def measure(
    model: Path,
    decode: str,
    threads: int = 1,
    flip: bool = False,
    runs: int = RUNS,
    warm_up: int = WARM_UP,
) -> SpeedMeasurement:
    """Measure in a child process.

    Raises:
        BadModel: the child failed; carries its last line.
    """
    command = [sys.executable, "-m", "edgepose.evaluation.speed", str(model), decode]
    command += map(str, (threads, runs, warm_up, int(flip)))
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
    }
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise BadModel(f"{model} could not be timed ({last})", "score it with --no-speed to leave timing out")
    return SpeedMeasurement(**json.loads(child.stdout.splitlines()[-1]))


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def quantiles_ms(call: Callable[[], object], runs: int, warm_up: int) -> tuple[float, float]:
    """Median and 90th percentile of `runs` calls after `warm_up` calls, in ms."""
    times = []
    for turn in range(warm_up + runs):
        start = time.perf_counter()
        call()
        if turn >= warm_up:
            times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times)), float(np.quantile(times, 0.9))


def _measure_here(
    model: Path, decode: str, threads: int, runs: int, warm_up: int, flip: int
) -> SpeedMeasurement:
    from edgepose.inference.flipped import with_flip
    from edgepose.inference.runners import open_runner

    frame = np.random.default_rng(0).integers(0, 256, (*_FRAME, 3), np.uint8)
    before = _reset_peak_memory()
    steps = _steps(with_flip(open_runner(model, threads), bool(flip)), decode, frame)
    latency = quantiles_ms(steps.infer, runs, warm_up)
    return SpeedMeasurement(
        latency_median=latency[0],
        latency_p90=latency[1],
        letterbox_median=quantiles_ms(steps.prepare, runs, warm_up)[0],
        decode_median=quantiles_ms(steps.decode, runs, warm_up)[0],
        peak_memory=_peak_memory() - before,
        runs=runs,
        warm_up=warm_up,
        threads=threads,
        processor=processor(),
    )


@dataclass(frozen=True)
class _Steps:
    """What is timed, each by itself, of both stages where there are two."""

    prepare: Callable[[], object]
    infer: Callable[[], object]
    decode: Callable[[], object]


def _steps(runner: Runner, decode: str, frame: np.ndarray) -> _Steps:
    from edgepose.geometry import Placement, RotatedSquare, letterbox
    from edgepose.inference.decode import PoseDecoder
    from edgepose.inference.person_detector import alignment_points

    spec, detector, decoder = runner.spec, runner.detector, PoseDecoder(runner.spec, decode)
    size = (frame.shape[0], frame.shape[1])
    whole = letterbox(size, spec.input_size)
    placed: Placement = whole
    if detector is not None:  # noise shows nobody: any region does for the time
        placed = RotatedSquare((size[1] / 2, size[0] / 2), max(size), 30.0, spec.input_size, whole.box)

    def prepare() -> np.ndarray:
        return spec.normalisation.apply(placed.draw(frame)[None])

    inputs = prepare()
    output = runner.run(inputs)
    own = _Steps(prepare, lambda: runner.run(inputs), lambda: decoder(output))
    if detector is None:
        return own
    first, looked = detector, letterbox(size, detector.input_size)
    seen = first.prepare(frame, looked)
    found = first.run(seen)
    sure = (found[0], found[1] - found[1].max() + 1.0)  # as if somebody were there
    return _Steps(
        lambda: (first.prepare(frame, looked), own.prepare()),
        lambda: (first.run(seen), own.infer()),
        lambda: (alignment_points(*sure), own.decode()),
    )


def _reset_peak_memory() -> int:
    """Memory in use now, in bytes; from here on the peak is counted anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return _peak_memory()  # elsewhere than on Linux the peak of the start-up stays in the count
    return _status("VmRSS")


def _peak_memory() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:7])))))
