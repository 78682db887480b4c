"""A track in few bytes: what the page draws, coarser than the table, which stays the one to reckon with.

The bytes are gzip. Inside: a little-endian uint32, the length of a JSON head; the head; then planes.

    frame        N uint32      steps from the frame before
    time_us      N uint32      steps from the frame before, microseconds
    x_raw, y_raw, x_smooth, y_smooth, each K times N uint16, a keypoint after the other: steps of
                 (pixels - origin) / quantum from the frame before, modulo 65536, where 65535 stands for
                 empty; first all low bytes, then all high ones
    confidence   K times N uint8, steps from the frame before, modulo 256, of 255ths
"""

from __future__ import annotations

import gzip
import json

import numpy as np

from edgepose.keypoints import KEYPOINT_SETS, KeypointSet
from edgepose.viewer.stored import StoredTrack

_FINEST_PX = 0.1  # a screen shows no less
_EMPTY = 65535


def pack(track: StoredTrack, keypoints: str) -> bytes:
    """The bytes of a track.

    Args:
        keypoints: key of the keypoint set, whose segments are drawn; of an unknown set, points alone are.
    """
    points = KEYPOINT_SETS.get(keypoints) or KeypointSet(keypoints, tuple(track.names), (), None)
    pixels = np.concatenate([track.raw_px, track.smooth_px], -1)  # (N, K, 4)
    known = np.isfinite(pixels)
    origin = float(pixels[known].min()) if known.any() else 0.0
    reach = float(pixels[known].max()) - origin if known.any() else 0.0
    quantum = max(_FINEST_PX, reach / (_EMPTY - 1))
    steps = np.where(known, np.round((np.where(known, pixels, origin) - origin) / quantum), _EMPTY)
    head = {
        "frames": len(track.index),
        "names": list(track.names),
        "sides": [points.side(name) for name in track.names],
        "segments": _segments(track.names, keypoints),
        "origin": origin,
        "quantum": quantum,
        "first_time_s": float(track.time_s[0]),
    }
    text = json.dumps(head).encode()
    wide = _steps(steps.astype(np.uint16).transpose(2, 1, 0))
    certain = np.round(255 * np.clip(np.nan_to_num(track.confidence), 0, 1)).astype(np.uint8)
    time_us = np.round(1e6 * (track.time_s - track.time_s[0])).astype(np.int64)
    planes = [
        np.diff(track.index, prepend=0).astype("<u4").tobytes(),
        np.diff(time_us, prepend=0).astype("<u4").tobytes(),
        (wide & 255).astype(np.uint8).tobytes(),
        (wide >> 8).astype(np.uint8).tobytes(),
        _steps(certain.T).tobytes(),
    ]
    whole = b"".join([np.array(len(text), "<u4").tobytes(), text, *planes])
    return gzip.compress(whole, 6, mtime=0)


def _steps(values: np.ndarray) -> np.ndarray:
    """Differences along the last axis from the value before, the first from 0; unsigned, they wrap."""
    before = np.zeros_like(values)
    before[..., 1:] = values[..., :-1]
    return values - before


def _segments(names: tuple[str, ...], keypoints: str) -> list[list[int]]:
    known = KEYPOINT_SETS.get(keypoints)
    if known is None or known.names != names:
        return []
    return [list(pair) for pair in known.segment_indices]
