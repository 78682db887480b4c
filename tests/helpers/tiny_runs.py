"""What the tests of training share: a network of a few hundred weights, noise to train it on, and crashes.

Plain functions and no fixtures, so that programs which the tests start can use them too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from edgepose.frameworks import keras
from edgepose.keypoints import IN_MOTION_19, keypoint_set
from edgepose.models import checkpoint as checkpoint_module
from edgepose.models import pretrained as defaults
from edgepose.models import profile as _profile  # noqa: F401 - binds the real `build` before a test replaces it
from edgepose.models.checkpoint import CheckpointInfo, save_checkpoint, weights_of
from edgepose.training import setup as training_setup
from edgepose.training import steppers
from edgepose.training.data import DataRequest
from edgepose.training.distill_request import DistillRequest
from edgepose.training.loop import Listener
from edgepose.training.request import FitRequest

_AS_GRAPH = steppers.as_graph
HELPERS = str(Path(__file__).parent)  # for the `sys.path` of such programs


def tiny(info: CheckpointInfo, *_: Any) -> Any:
    """A network with what makes resuming hard: batch statistics, dropout, several outputs."""
    kr, points = keras(), keypoint_set(info.keypoints)
    images = kr.Input((info.resolution, info.resolution, 3), name="images")
    x = kr.layers.Conv2D(8, 8, strides=8, padding="same", use_bias=False, name="stem_conv")(images)
    x = kr.layers.BatchNormalization(name="stem_bn")(x)
    x = kr.layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name="drop")(kr.layers.Activation("relu")(x))
    pafs = kr.layers.Conv2D(2 * len(points.segments), 1, name="pass1_skeleton_pafs")(x)
    x = kr.layers.Concatenate(name="pass3_input")([x, pafs])
    maps = kr.layers.Conv2D(len(points), 3, padding="same", name="pass3_detection2_confs")(x)
    return kr.Model(images, [pafs, maps], name="tiny")


def use(patch: pytest.MonkeyPatch, build: Callable[..., Any] = tiny, graph: bool = False) -> None:
    """Train and load this network, whatever is asked for; and no weights come with the project.

    Args:
        graph: compute in TensorFlow's graphs, as users do. Tracing one takes longer than a few small steps.
    """
    patch.setattr(steppers, "as_graph", _AS_GRAPH if graph else lambda call: call)
    for module in (training_setup, checkpoint_module):
        patch.setattr(module, "build", build)
    patch.setattr(defaults, "DEFAULT_WEIGHTS", {})


def make_data(root: Path, labels: int = 0, train: int = 10, val: int = 4) -> Path:
    """In-Motion's processed layout with noise for pictures; other `labels`, other keypoints."""
    pictures, points_of = np.random.default_rng(0), np.random.default_rng(labels)
    for split, count in (("train", train), ("val", val), ("test", 1)):
        images, points = (root / "processed" / split / name for name in ("images_64x64", "points"))
        for folder in (images, points):
            folder.mkdir(parents=True)
        for i in range(count):
            noise = pictures.integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(noise).save(images / f"{split}{i}_0.png")
            places = points_of.uniform(0.1, 0.9, (len(IN_MOTION_19), 2))
            np.savetxt(points / f"{split}{i}_0.txt", places, fmt="%.6f")
    return root


def make_teacher(
    path: Path, keypoints: str = IN_MOTION_19.key, model: str = "rt", resolution: int = 96
) -> Path:
    """A checkpoint of random weights."""
    info = CheckpointInfo(model, keypoints, None, resolution, "a test")
    keras().utils.set_random_seed(7)
    save_checkpoint(path, weights_of(tiny(info)), info)
    return path


def asked(
    data: Path, out: Path, weights: Path | None, student: dict[str, Any] | None = None, **changes: Any
) -> DistillRequest:
    """Two epochs of three steps of four frames; no validation."""
    made = FitRequest(
        "rt-lite",
        DataRequest(str(data), validation_split="none"),
        out,
        resolution=64,
        epochs=2,
        steps_per_epoch=3,
        batch=4,
        checkpoint_every=2,
    )
    return replace(DistillRequest(replace(made, **(student or {})), "rt", weights), **changes)


def tensors(out: Path) -> dict[str, np.ndarray]:
    """All that a run's next step depends on."""
    return load_file(out / "state.safetensors")


def same_state(a: Path, b: Path) -> bool:
    first, second = tensors(a), tensors(b)
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


def rows(out: Path) -> list[dict[str, str]]:
    """The log without the times."""
    with (out / "log.csv").open(encoding="utf-8") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


class Crash(Exception):
    """Stands for whatever ends a process."""


def crash_at(step: int, total: int, how: Callable[[], Any] | None = None) -> Listener:
    """Crash, or do `how`, once `step` of a run of `total` steps is done."""

    def watch(done: int, of: int) -> None:
        if (done, of) == (step, total):
            if how is None:
                raise Crash
            how()

    return Listener(step=watch)
