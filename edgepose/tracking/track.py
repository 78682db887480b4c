"""All poses of one input: what is written, drawn and handed to a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.geometry import Size
from edgepose.inference.estimator import Pose
from edgepose.keypoints import KeypointSet
from edgepose.tracking.confidence import Confidence
from edgepose.tracking.smoothing import NONE, Smoothing, breaks_in_time, smooth
from edgepose.tracking.video import Frame


@dataclass(frozen=True)
class Track:
    """Poses of N frames with K keypoints; coordinates in pixels of the upright original frame.

    Attributes:
        keypoints: their set.
        files: N names of images; empty texts for a video.
        index: (N,) numbers of the frames, from 0; skipped frames leave holes.
        time_s: (N,) when each frame was shown, strictly increasing; NaN for images.
        sizes: (N, 2) heights and widths of the frames.
        raw_px: (N, K, 2) as the network says, abstained from or not; NaN where its own detector found nobody.
        smooth_px: (N, K, 2) after abstention, which leaves NaN, and smoothing.
        peak: (N, K) the maps' highest values.
        confidence: (N, K) calibrated probabilities, or the peaks where nothing was calibrated.
        abstained: (N, K) bool: the confidence is below the threshold, or nobody was found.
        cells_per_px: (N,) map cells a pixel.
        doubles: (N,) share of maps with a second strong peak; NaN where nobody looked.
        unsmoothed: known values in stretches too short for the filter.
    """

    keypoints: KeypointSet
    files: tuple[str, ...]
    index: np.ndarray
    time_s: np.ndarray
    sizes: np.ndarray
    raw_px: np.ndarray
    smooth_px: np.ndarray
    peak: np.ndarray
    confidence: np.ndarray
    abstained: np.ndarray
    cells_per_px: np.ndarray
    doubles: np.ndarray
    unsmoothed: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def is_video(self) -> bool:
        """Frames in time, not images."""
        return not any(self.files)

    @property
    def size(self) -> Size:
        """(height, width) of the first frame."""
        return int(self.sizes[0, 0]), int(self.sizes[0, 1])


@dataclass(frozen=True)
class FramePose:
    """One frame's pose, before anything is known of the others."""

    index: int
    file: str
    size: Size
    pose: Pose

    @classmethod
    def of(cls, frame: Frame, pose: Pose) -> FramePose:
        height, width = frame.image.shape[:2]
        return cls(frame.index, frame.file, (height, width), pose)


def make_track(
    frame_poses: Sequence[FramePose],
    keypoints: KeypointSet,
    confidence: Confidence | None,
    abstain_below: float,
    smoothing: Smoothing,
    times_s: np.ndarray | None = None,
    stride: int = 1,
) -> Track:
    """Put frames together: confidence, abstention, smoothing. Images are never smoothed.

    Args:
        times_s: when each frame of the video was shown, by its index; None for images.
        stride: from one frame's number to the next one's.
    """
    raw = np.stack([entry.pose.points_px for entry in frame_poses])
    peak = np.stack([entry.pose.peaks for entry in frame_poses])
    certain = peak if confidence is None else confidence.probability(peak)
    abstained = (certain < abstain_below) | np.isnan(raw).any(-1)  # nobody was found: nothing to smooth
    index = np.array([entry.index for entry in frame_poses])
    time_s = np.full(len(frame_poses), np.nan) if times_s is None else times_s[index]
    files = tuple(entry.file for entry in frame_poses)
    how = Smoothing(NONE) if any(files) else smoothing
    smoothed = smooth(raw, ~abstained, breaks_in_time(time_s, index, stride), how)
    return Track(
        keypoints=keypoints,
        files=files,
        index=index,
        time_s=time_s,
        sizes=np.array([entry.size for entry in frame_poses]),
        raw_px=raw,
        smooth_px=smoothed.points_px,
        peak=peak,
        confidence=certain,
        abstained=abstained,
        cells_per_px=np.array([entry.pose.cells_per_px for entry in frame_poses]),
        doubles=np.array([entry.pose.doubles for entry in frame_poses]),
        unsmoothed=smoothed.too_short,
    )
