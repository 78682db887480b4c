"""SLEAP's labels (Pereira et al. 2022), .slp and .pkg.slp, with frames in videos or in themselves.

A record's image is a file, so the labelled frames are written out first: `edgepose data convert` reads SLEAP,
and what it writes is a data set. Points are of pixel centres, as SLEAP's networks have them: x_px = x + 0.5.
The package sleap-io reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgepose.data.collect import Collector, Skip
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import split_by_hash
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoint_file import BadKeypoints, order_in, same_names, set_of_names
from edgepose.keypoints import KeypointSet, remember

KEY, SUFFIX = "sleap", ".slp"
_SHIFT = 0.5


def read(path: Path, frames: Path, keypoints: KeypointSet | None = None) -> Dataset:
    """Read what people labelled; predicted instances are left out.

    Args:
        frames: folder for the labelled frames, as PNG.
        keypoints: the set to read by, where the skeleton has its names in any order.

    Raises:
        BadDataset: no such file, no labels in it, or several skeletons.
        UsageError: sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError:
        raise UsageError(
            f"reading {path} takes sleap-io, which is not installed", "install edgepose[sleap]"
        ) from None
    try:
        labels = sleap_io.load_slp(str(path))
    except Exception as error:  # whatever a damaged file makes of it
        raise BadDataset(f"{path} is not SLEAP's labels ({error})", "save it again in SLEAP") from None
    if len(labels.skeletons) != 1:
        raise BadDataset(f"{path} has {len(labels.skeletons)} skeletons", "keep the infant's in it")
    skeleton = labels.skeletons[0]
    names = [str(name) for name in skeleton.node_names]
    points = _keypoints(path, names, skeleton, keypoints)
    collector = Collector(KEY, path, points)
    videos = {id(video): f"video{i}" for i, video in enumerate(labels.videos)}
    for frame in labels.labeled_frames:
        video = f"{path.name.partition('.')[0]}-{videos[id(frame.video)]}"
        name = f"{video}/frame_{int(frame.frame_idx):06d}.png"
        image = frames / name
        for i, instance in enumerate(frame.user_instances):
            with collector.listing(f"{name}#{i}"):
                _write_frame(frame, image)
                xy = np.asarray(instance.numpy(), dtype=np.float64)[list(order_in(points, names))] + _SHIFT
                collector.add(PoseRecord(f"{name}#{i}", image, xy, video, split_by_hash(video)))
    return collector.dataset()


def _keypoints(path: Path, names: list[str], skeleton: Any, wanted: KeypointSet | None) -> KeypointSet:
    if wanted is not None and same_names(wanted, names):
        return wanted
    edges = [(int(a), int(b)) for a, b in skeleton.edge_inds]
    try:
        return remember(set_of_names(names, edges, str(skeleton.name or "sleap"), str(path)))
    except BadKeypoints as error:
        raise BadDataset(error.what, error.hint) from None


def _write_frame(frame: Any, path: Path) -> None:
    if path.exists():
        return
    try:
        image = np.asarray(frame.image)
    except Exception as error:  # the video is gone, or its decoder is not there
        raise Skip(f"the frame cannot be read: {error}") from None
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint8)).convert("RGB").save(path)
