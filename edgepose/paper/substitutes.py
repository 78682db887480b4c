"""Made-up infants where no data is given, and the same infants in MINI-RGBD's layout for Table 6."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from edgepose.data.records import Dataset, PoseRecord
from edgepose.keypoints import IN_MOTION_19, MINI_RGBD_25
from edgepose.synthetic import synthesise
from edgepose.training.builtin import BuiltIn

SEED = 2  # the weights that come with edgepose were trained on infants of seed 0
_VIDEOS = 12  # MINI-RGBD's
# MINI-RGBD's joints that In-Motion does not mark. They stand where something near is marked, since the layout
# has no gaps; they are never scored, because only keypoints of the same name are.
_NEAR = {
    "global": "mid_pelvis",
    "left_hip": "left_pelvis",
    "right_hip": "right_pelvis",
    "spine": "mid_pelvis",
    "spine1": "mid_pelvis",
    "spine2": "upper_chest",
    "left_toes": "left_ankle",
    "right_toes": "right_ankle",
    "left_collar": "upper_chest",
    "right_collar": "upper_chest",
    "head": "upper_neck",
    "left_fingers": "left_wrist",
    "right_fingers": "right_wrist",
}


def made_up(chosen: BuiltIn, say: Callable[[str], None], progress: Callable[[int, int], None]) -> Path:
    """The folder of a built-in set that no weights have seen; what is missing of it is drawn first."""
    folder = chosen.folder.with_name(f"{chosen.folder.name}-seed{SEED}")
    count = chosen.videos * chosen.frames
    say(f"no --data: made-up infants, {count} frames of {chosen.videos} videos, in {folder}")
    return synthesise(folder, chosen.videos, chosen.frames, SEED, chosen.size, progress=progress)


def as_mini_rgbd(dataset: Dataset, out: Path, split: str = "test") -> Path:
    """Write a split of In-Motion infants, wholly annotated, in MINI-RGBD's layout; whole or not at all.

    Returns:
        `out`, as it stands where it is there already.
    """
    if out.is_dir():
        return out
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    videos: dict[str, list[PoseRecord]] = {}
    for record in dataset.split(split):
        videos.setdefault(record.video, []).append(record)
    for number, frames in enumerate(list(videos.values())[:_VIDEOS], start=1):
        _write_video(partial / f"{number:02d}", frames)
    partial.rename(out)
    return out


def _write_video(folder: Path, frames: list[PoseRecord]) -> None:
    for name in ("rgb", "joints_2Ddep"):
        (folder / name).mkdir(parents=True)
    order = [IN_MOTION_19.index(_NEAR.get(name, name)) for name in MINI_RGBD_25.names]
    for i, record in enumerate(frames):
        with Image.open(record.image) as picture:
            picture.save(folder / "rgb" / f"syn_{i:05d}.png")
        # Theirs are pixel centres counted from 0, half a pixel from this project's convention.
        points = np.asarray(record.keypoints_px)[order] - 0.5
        rows = [f"{x:.6f} {y:.6f} 1.0 {joint}" for joint, (x, y) in enumerate(points)]
        path = folder / "joints_2Ddep" / f"syn_joints_2Ddep_{i:05d}.txt"
        path.write_text("\n".join(rows) + "\n", encoding="ascii")
