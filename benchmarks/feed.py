"""How many frames a second the input pipeline alone delivers on the host; prints JSON.

Two ways: `held`, from frames in memory; `decoded`, from JPEG files of 640 x 480 px, decoded and drawn anew
for every batch. Processor seconds are counted, which a busy machine hardly changes: `cpu_ms` a frame on all
threads, and `serial_ms` a frame on the thread that hands the batches over, which no further core helps.
`on_16_cores` is on paper: the smaller of 16 / cpu_ms and 1 / serial_ms. Augmentation and targets are computed
in the graph, on the device, and belong to the step.

    python benchmarks/feed.py > reports/training/feed-rt.json
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from edgeio import cores
from edgepose.data.framing import Framing
from edgepose.data.records import PoseRecord
from edgepose.keypoints import IN_MOTION_19, mapping
from edgepose.models.variants import variant
from edgepose.training.augmentation import AUGMENTATIONS
from edgepose.training.frames import Frames, Reader
from edgepose.training.pipeline import Batch, Stream

WANTED = 5000  # RT frames a second on 16 cores
CORES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="rt")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=cores(), help="threads that decode")
    chosen = parser.parse_args()
    size = variant(chosen.model).resolution
    same = mapping(IN_MOTION_19, IN_MOTION_19)
    reader = Reader((size, size), Framing("none"), same, len(IN_MOTION_19), chosen.workers)
    with tempfile.TemporaryDirectory() as folder:
        records = [_record(Path(folder), i) for i in range(chosen.frames)]
        held = reader.open(records, 1 << 40, lambda done, total: None)
        decoded = reader.open(records, 0, lambda done, total: None)
        ways = {"held": held, "decoded": decoded}
        found = {name: _measured(frames, chosen) for name, frames in ways.items()}
    result = {
        **vars(chosen),
        "resolution": size,
        "cores": cores(),
        "machine": platform.machine(),
        "wanted_on_16_cores": WANTED,
        **found,
    }
    print(json.dumps(result, indent=1))


def _record(folder: Path, number: int) -> PoseRecord:
    """A smooth picture, which JPEG makes as large as a photograph's."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    path = folder / f"{number}.jpg"
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
    points = rng.uniform(20, 460, (len(IN_MOTION_19), 2))
    return PoseRecord(path.stem, path, points, path.stem, "train")


def _measured(frames: Frames, chosen: argparse.Namespace) -> dict[str, Any]:
    """Medians over the turns, of one pass over the frames each; the first turn warms up."""
    stream = Stream(frames, AUGMENTATIONS["paper"], chosen.batch, seed=0)
    steps = stream.steps_per_pass
    turns = [_turn(stream.batches(k * steps, (k + 1) * steps)) for k in range(chosen.turns + 1)][1:]
    wall, cpu, serial = (median(column) for column in zip(*turns, strict=True))
    return {
        "frames_per_s": 1 / wall,
        "cpu_ms": 1000 * cpu,
        "serial_ms": 1000 * serial,
        "on_16_cores": min(CORES / cpu, 1 / serial),
    }


def _turn(batches: Iterator[Batch]) -> tuple[float, float, float]:
    """Seconds a frame: by the clock, of all threads, and of this thread."""
    wall, cpu, serial = time.perf_counter(), time.process_time(), time.thread_time()
    count = sum(len(batch.indices) for batch in batches)
    ends = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - serial
    return ends[0] / count, ends[1] / count, ends[2] / count


if __name__ == "__main__":
    main()
