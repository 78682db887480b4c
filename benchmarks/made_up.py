"""Noise for frames, and a network set up to train on them: what both benchmarks start from."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.data.records import PoseRecord
from edgepose.frameworks import keras
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.networks import build_model
from edgepose.models.variants import NORMALISATIONS, checked_resolution, variant
from edgepose.training.augmentation import AUGMENTATIONS, augmented, normalised
from edgepose.training.devices import adam
from edgepose.training.frames import Canvases, HeldFrames
from edgepose.training.losses import GroundTruth, Objective, Targets, Term, output_kinds
from edgepose.training.pipeline import Stream
from edgepose.training.schedules import SIGMA_SCHEDULES, default_sigma_schedule
from edgepose.training.steppers import StepperSetup


@dataclass(frozen=True)
class Bench:
    """A network of 19 keypoints and an endless stream of frames."""

    stepper_setup: StepperSetup
    stream: Stream
    goal: Objective
    truth: GroundTruth


def asked(purpose: str | None) -> tuple[argparse.Namespace, Bench]:
    """A benchmark's options, --turns among them, and the network and frames that they ask for."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="rt")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    keras().utils.set_random_seed(0)
    return chosen, bench(chosen.model, chosen.resolution, chosen.batch)


def bench(key: str, resolution: int | None, batch: int, frames: int = 64, accumulate: int = 1) -> Bench:
    """The paper's protocol on noise."""
    chosen = variant(key)
    size = checked_resolution(chosen, resolution)
    rng = np.random.default_rng(0)
    canvases = Canvases(
        rng.integers(0, 256, (frames, size, size, 3), dtype=np.uint8),
        rng.uniform(0, size, (frames, len(IN_MOTION_19), 2)),
        np.zeros((frames, 2, 3)),
    )
    nothing = PoseRecord("", Path(), np.zeros((19, 2)), "", "train")
    model = build_model(key, resolution=size, output="training")
    cells = size // chosen.stride
    targets = Targets((size, size), (cells, cells), IN_MOTION_19.segment_indices)
    truth = GroundTruth(targets, output_kinds(model))
    schedule = SIGMA_SCHEDULES[default_sigma_schedule(chosen.family)]
    goal = Objective((Term("ground_truth", truth),), schedule, cells, 100)
    normalisation = NORMALISATIONS[chosen.normalisation]
    stepper_setup = StepperSetup(
        model,
        adam("float32", accumulate),
        partial(augmented, swaps=IN_MOTION_19.swaps, normalisation=normalisation),
        goal,
        partial(normalised, normalisation=normalisation),
    )
    stream = Stream(HeldFrames([nothing] * frames, canvases), AUGMENTATIONS["paper"], batch, seed=0)
    return Bench(stepper_setup, stream, goal, truth)


def timed(action: Callable[[], Any]) -> float:
    """Seconds that `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
