"""MINI-RGBD (Hesse et al. 2018): synthetic infants in twelve videos of 1,000 frames.

`joints_2Ddep` holds projections by a camera model whose integers are the pixels' centres, counted from
0. So x_px = x + 0.5 in this project's convention. The set has no split of its own: videos are split by
hash.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from edgepose.data.collect import Collector, Skip, floats, point_rows, require
from edgepose.data.files import files_in
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import split_by_hash
from edgepose.errors import UsageError
from edgepose.keypoints import MINI_RGBD_25

KEY = "mini-rgbd"
_K = len(MINI_RGBD_25)
_COLUMNS = 4


def detect(root: Path) -> bool:
    return bool(_videos(root))


def read(root: Path, upper_neck: int = MINI_RGBD_25.index("upper_neck")) -> Dataset:
    """Read folders `01` to `12` with `rgb/syn_NNNNN.png` and `joints_2Ddep/syn_joints_2Ddep_NNNNN.txt`.

    Args:
        root: the folder of the videos.
        upper_neck: row of the file, from 0, that stands for the upper neck. The set names bones by the
            joint where they begin, and more than one of them is near the neck.

    Raises:
        BadDataset: not this layout, or nothing usable in it.
        UsageError: no such row.
    """
    if not 0 <= upper_neck < _K:
        raise UsageError(f"upper_neck={upper_neck} is no row of {KEY}", f"give 0 to {_K - 1}")
    videos = _videos(root)
    if not videos:
        require(root / "01" / "joints_2Ddep", KEY)
    order = np.arange(_K)
    order[MINI_RGBD_25.index("upper_neck")] = upper_neck
    collector = Collector(KEY, root, MINI_RGBD_25)
    for video in videos:
        for path in files_in(video / "joints_2Ddep", (".txt",)):
            frame = path.stem.rpartition("_")[2]
            name = f"{video.name}/rgb/syn_{frame}.png"
            with collector.listing(name):
                points = _points(path)[order] + 0.5
                split = split_by_hash(video.name)
                collector.add(PoseRecord(name, root / name, points, video.name, split))
    return collector.dataset()


def _videos(root: Path) -> list[Path]:
    folders = sorted(p for p in root.iterdir() if re.fullmatch(r"\d\d", p.name)) if root.is_dir() else []
    return [p for p in folders if (p / "joints_2Ddep").is_dir()]


def _points(path: Path) -> np.ndarray:
    """(25, 2) x, y as in the file, whose rows are `x y depth id`."""
    rows = point_rows(path, _COLUMNS)
    if len(rows) != _K or any(len(row) != _COLUMNS for row in rows):
        raise Skip(f"wrong shape: {path.name} does not have {_K} rows 'x y depth id'")
    values = np.array([floats(row, path.name) for row in rows])
    if (np.diff(values[:, 3]) != 1).any():
        raise Skip(f"joints out of order: {path.name} does not number them one by one")
    return values[:, :2]
