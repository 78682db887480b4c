"""Leeds Sports Pose (Johnson & Everingham 2010) and its extended training set (2011).

LSP's `joints.mat` counts pixels as MATLAB does: 1 is the first one's centre, so x_px = x - 0.5 in this
project's convention. LSPET's positions are fractions of rescaled images and are taken as they stand:
averaged over mirrored pairs, which cancels a network's own bias, RT's and I's predictions lie 0.1 px from
them, and 0.6 px from them shifted. Joints outside the image are labels like any other.

The third number of a joint differs: in LSP 1 means occluded, but placed all the same; in LSPET 1 means
labelled, and where it is 0 the position means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgepose.data.collect import Collector, Skip, require
from edgepose.data.files import files_in
from edgepose.data.matfile import load_variable, mat_shape
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import split_by_hash, train_or_val
from edgepose.errors import BadDataset
from edgepose.keypoints import LSP_14

_K = len(LSP_14)
_LEADING = {"lsp": (3, _K), "lspet": (_K, 3)}
_SHIFT = {"lsp": -0.5, "lspet": 0.0}


def detect_lsp(root: Path) -> bool:
    return _detect(root, "lsp")


def detect_lspet(root: Path) -> bool:
    return _detect(root, "lspet")


def read_lsp(root: Path) -> Dataset:
    """Read LSP: `joints.mat` with joints (3, 14, N), and `images/imNNNN.jpg`.

    Of the 2,000 images of the set, 1-900 train, 901-1000 validate and 1001-2000 test, which is the
    set's own test half. Any other number of images is split by hash.

    Raises:
        BadDataset: not this layout or shape, or nothing usable in it.
    """
    joints = _joints(root, "lsp").transpose(2, 1, 0)
    split = _by_number(900, 1000) if len(joints) == 2000 else split_by_hash
    return _read(root, "lsp", joints[..., :2], split, labelled=np.ones(joints.shape[:2], bool))


def read_lspet(root: Path) -> Dataset:
    """Read LSPET: `joints.mat` with joints (14, 3, N), and `images/imNNNNN.jpg`.

    The set is for training, so 10 % of it, by hash, validate and none test. A selection of exactly 2,100
    images has a split of its own: 1-1530 train, 1531-1700 validate, 1701-2100 test.

    Raises:
        BadDataset: not this layout or shape, or nothing usable in it.
    """
    joints = _joints(root, "lspet").transpose(2, 0, 1)
    split = _by_number(1530, 1700) if len(joints) == 2100 else train_or_val
    return _read(root, "lspet", joints[..., :2], split, labelled=joints[..., 2] > 0)


def _detect(root: Path, key: str) -> bool:
    try:
        return mat_shape(root / "joints.mat", "joints")[:2] == _LEADING[key]
    except BadDataset:
        return False


def _joints(root: Path, key: str) -> np.ndarray:
    """The joints as stored, float64, with their axis of images even where there is only one."""
    path = require(root / "joints.mat", key)
    shape = mat_shape(path, "joints")
    if shape[:2] != _LEADING[key] or len(shape) not in (2, 3):
        other = next((f", or write {k}:{root}" for k, v in _LEADING.items() if shape[:2] == v), "")
        a, b = _LEADING[key]
        raise BadDataset(
            f"{path} has joints of shape {shape}, not ({a}, {b}, N)", f"give {key}'s own file{other}"
        )
    joints = np.asarray(load_variable(path, "joints"))
    if not np.issubdtype(joints.dtype, np.number) or np.iscomplexobj(joints):
        raise BadDataset(f"{path} has joints of type {joints.dtype}, not numbers", f"give {key}'s own file")
    return joints.astype(np.float64).reshape(*shape[:2], -1)


def _read(
    root: Path, key: str, points: np.ndarray, split: Callable[[str], str], labelled: np.ndarray
) -> Dataset:
    """Records for points (N, 14, 2) as stored and flags (N, 14); `split` is told the image's stem."""
    collector = Collector(key, root, LSP_14)
    images = _images(require(root / "images", key))
    for number, (xy, known) in enumerate(zip(points, labelled, strict=True), start=1):
        with collector.listing(f"im{number:05d}"):
            if number not in images:
                raise Skip("the image file is missing")
            image = images.pop(number)
            if not np.isfinite(xy[known]).all():
                raise Skip("NaN or infinite: a labelled joint")
            keypoints_px = np.where(known[:, None], xy + _SHIFT[key], np.nan)
            collector.add(PoseRecord(image.name, image, keypoints_px, image.stem, split(image.stem)))
    for image in images.values():
        collector.leave_out(image.name, "not in joints.mat")
    return collector.dataset()


def _images(folder: Path) -> dict[int, Path]:
    """Image files by their number, in order."""
    found = {int(m[1]): p for p in files_in(folder) if (m := re.fullmatch(r"im(\d{1,9})\.(jpg|png)", p.name))}
    return dict(sorted(found.items()))


def _by_number(train: int, val: int) -> Callable[[str], str]:
    def split(stem: str) -> str:
        number = int(stem.removeprefix("im"))
        return "train" if number <= train else "val" if number <= val else "test"

    return split
