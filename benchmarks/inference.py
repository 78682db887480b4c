"""Our RT with keypoints in its graph against the authors' RT with the host's argmax, in one run.

    python benchmarks/inference.py --ours rt-fp16-keypoints.tflite --maps rt-fp16-maps.tflite \
        --authors EfficientPoseRT.tflite --image MPII.jpg --out reports/inference/benchmark.json

The calls take turns, so that whatever else the machine does falls on all of them alike; only ratios
mean anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import write_json
from edgepose.codec import Codec
from edgepose.data.images import read_image
from edgepose.evaluation.speed import processor
from edgepose.geometry import letterbox
from edgepose.models.variants import NORMALISATIONS, variant
from export.runtime import Session


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("ours", "maps", "authors", "image", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", default="rt")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    chosen = variant(arguments.model)
    size = (chosen.resolution, chosen.resolution)
    normalise = NORMALISATIONS[chosen.normalisation].apply
    image = read_image(arguments.image)
    inputs = normalise(letterbox(image.shape[:2], size).draw(image)[None])
    ours, maps, authors = (Session(getattr(arguments, name)) for name in ("ours", "maps", "authors"))
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    height, width = maps.outputs[0].shape[1:3]
    placed, codec = letterbox(frame.shape[:2], size), Codec(size, (height, width))
    low = maps.run(inputs)[0]
    calls: dict[str, Callable[[], Any]] = {
        "ours_keypoints": lambda: ours.run(inputs)[0][0, :, :2],
        "authors_and_argmax": lambda: _argmax(authors.run(inputs)[-1]),
        "ours_maps": lambda: maps.run(inputs)[0],
        "letterbox_and_normalise": lambda: normalise(placed.draw(frame)[None]),
        "decode": lambda: codec.decode(low),
    }
    points = {name: calls[name]() for name in ("ours_keypoints", "authors_and_argmax")}
    distance = np.linalg.norm(points["ours_keypoints"] - points["authors_and_argmax"], axis=-1)
    medians = _medians(calls, arguments.rounds)
    host = medians["letterbox_and_normalise"] + medians["decode"]
    write_json(
        arguments.out,
        {
            "runtime": f"{ours.runtime.name} {ours.runtime.version}",
            "threads": 1,
            "processor": processor(),
            "rounds": arguments.rounds,
            "frame_for_letterbox": "640 x 480",
            "median_ms": {name: round(ms, 3) for name, ms in medians.items()},
            "authors_over_ours": round(medians["authors_and_argmax"] / medians["ours_keypoints"], 3),
            "host_share_of_inference": round(host / medians["ours_maps"], 3),
            "keypoints": len(distance),
            "largest_distance_px": float(distance.max()),
        },
    )
    print(arguments.out.read_text(encoding="utf-8"), end="")


def _argmax(maps: np.ndarray) -> np.ndarray:
    """What an app does with the authors' output (1, H, W, K): the highest pixel's centre, (K, 2)."""
    flat = maps[0].reshape(-1, maps.shape[-1]).argmax(0)
    return np.stack([flat % maps.shape[2], flat // maps.shape[2]], -1) + 0.5


def _medians(calls: dict[str, Callable[[], object]], rounds: int, warm_up: int = 10) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


if __name__ == "__main__":
    main()
