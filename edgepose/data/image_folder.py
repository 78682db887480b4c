"""A plain folder of images without annotations: for prediction, calibration and unlabelled training."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from edgeio.text import one_spelling
from edgepose.data.collect import Collector, Skip
from edgepose.data.files import files_below, without_outputs
from edgepose.data.images import SUFFIXES, other_pages, page_count
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import video_of
from edgepose.errors import BadImage
from edgepose.keypoints import IN_MOTION_19

KEY = "images"


def read(root: Path) -> Dataset:
    """Every image file below `root`, by path, with no keypoint labelled and all in the split "train".

    `files_below` says which those are, less what `edgepose predict` wrote. Nothing here can be scored, so
    there is nothing to keep for testing. In a folder of frames named VIDEO_FRAME the video is what comes
    before the last underscore.

    Raises:
        BadDataset: no image file.
    """
    collector = Collector(KEY, root, IN_MOTION_19)
    for path in images_below(root):
        name = one_spelling(path.relative_to(root).as_posix())
        with collector.listing(name):
            folder, _, file = name.rpartition("/")
            video = (PurePosixPath(folder) / video_of(PurePosixPath(file).stem)).as_posix()
            points = np.full((len(IN_MOTION_19), 2), np.nan)
            collector.add(PoseRecord(name, path, points, video, "train"), annotated=False)
            with suppress(BadImage):  # it will be listed where it is read
                if (pages := page_count(path)) > 1:
                    raise Skip(other_pages(pages))
    return collector.dataset()


def images_below(root: Path) -> list[Path]:
    """Image files in a folder and below."""
    return [p for p in without_outputs(files_below(root)) if p.suffix.lower() in SUFFIXES]
