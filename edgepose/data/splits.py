"""Which split a video belongs to, where the data set does not say.

The split follows from the video's name alone: it is the same on every machine, and adding or removing
videos moves no other video from training to test.
"""

from __future__ import annotations

import hashlib

# Also gives each split some of MINI-RGBD's twelve videos: 8, 1 and 3.
_SALT = "edgepose split:"
_TRAIN, _VAL = 0.72, 0.08


def split_by_hash(video: str) -> str:
    """ "train", "val" or "test" for 72, 8 and 20 % of all names.

    Source: the proportions of Groos et al. 2021, In-Motion Poses.
    """
    fraction = _fraction(video)
    if fraction < _TRAIN:
        return "train"
    return "val" if fraction < _TRAIN + _VAL else "test"


def train_or_val(video: str) -> str:
    """ "train" or, for 10 % of all names, "val": for a training set that comes with a test set only."""
    return "train" if _fraction(video) < 0.9 else "val"


def video_of(stem: str) -> str:
    """The video of a frame whose file is named VIDEO_FRAME: all up to the last underscore."""
    return stem.rpartition("_")[0] or stem


def _fraction(video: str) -> float:
    """Evenly spread over [0, 1)."""
    digest = hashlib.sha256((_SALT + video).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
