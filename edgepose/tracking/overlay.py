"""The input with the skeletons and their trails drawn on it: a video with the same times, or PNGs."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from edgeio import Progress, replacing
from edgepose.data.images import read_image
from edgepose.geometry import Size, letterbox
from edgepose.keypoints import KeypointSet
from edgepose.tracking.track import Track
from edgepose.tracking.video import Fingerprint, Video
from edgepose.visual.drawing import SIDE_COLOURS, draw_skeleton

_LONGER_SIDE = 1280  # px, at most: the overlay is for looking
_TRAIL_S = 1.0
_TRAIL_WIDTH = 0.012  # of the person's longer side
_ROOM = 0.12  # of the person's longer side, drawn on around it
# The first that this PyAV has. MPEG-4 part 2 counts time in at most 65535 units a second.
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "mpeg4": {"qmax": "6"},
}
_COARSEST = {"mpeg4": Fraction(1, 60_000)}


def encoder() -> str:
    """FFmpeg's name of the encoder that overlays are made with."""
    return next(name for name in _ENCODERS if name in av.codec.codecs_available)


def overlay_video(
    source: Path,
    known: Fingerprint,
    times_s: np.ndarray,
    track: Track,
    path: Path,
    progress: Progress,
    stride: int = 1,
) -> str:
    """Draw a track on its video; frames without a pose are shown as they are.

    Args:
        known: of the video when it was predicted.
        times_s: when each of its frames is shown, by their index.
        stride: from one predicted frame to the next; those are drawn.

    Returns:
        the encoder's name.

    Raises:
        BadVideo: the video is not the same any more.
    """
    name = encoder()
    pen = _Pen(track, _fitted(track.size))
    with Video(source, known) as video, replacing(path) as temporary, _written(temporary) as out:
        video.stride = stride
        base = max(video.time_base, _COARSEST.get(name, Fraction(0)))
        stream = _stream(out, name, pen.size, video.facts.rate, base)
        last = None
        for done, frame in enumerate(video.frames(), 1):
            pts = round(times_s[frame.index] / base)
            if last is None or pts > last:  # two of a coarse base's moments may be one
                out.mux(stream.encode(_stored(pen.draw(frame.image, frame.index), pts, base)))
                last = pts
            progress(done, len(track))
        out.mux(stream.encode())
    return name


def overlay_image(source: Path, track: Track, row: int, path: Path) -> None:
    """Draw one image's pose, as a PNG of the image's own size."""
    drawn = draw_skeleton(read_image(source), track.smooth_px[row], track.keypoints)
    with replacing(path) as temporary:
        Image.fromarray(drawn).save(temporary, format="PNG")


def _written(path: Path) -> Any:
    return av.open(f"file:{path}", "w")  # a colon in a folder's name is no protocol


def _stream(out: Any, name: str, size: Size, rate: float | None, base: Fraction) -> Any:
    stream = out.add_stream(name, rate=Fraction(rate or 30).limit_denominator(1001), options=_ENCODERS[name])
    stream.height, stream.width = (side + side % 2 for side in size)  # 4:2:0 halves both
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = base
    return stream


def _stored(picture: np.ndarray, pts: int, base: Fraction) -> Any:
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
    frame.pts, frame.time_base = pts, base
    return frame


def _fitted(size: Size) -> Size:
    scale = min(1.0, _LONGER_SIDE / max(size))
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def leaves(keypoints: KeypointSet) -> list[int]:
    """Keypoints where a limb ends: those of one segment. They move most, and get trails."""
    ends = Counter(i for pair in keypoints.segment_indices for i in pair)
    return [i for i in range(len(keypoints)) if ends[i] == 1]


class _Pen:
    """Draws one track's poses on its frames, in the part of a frame where the person is."""

    def __init__(self, track: Track, size: Size) -> None:
        self.size = size
        self._track = track
        self._placed = letterbox(track.size, size)
        self._points = self._placed.to_canvas.apply(track.smooth_px)
        self._rows = {int(index): row for row, index in enumerate(track.index)}
        self._leaves = leaves(track.keypoints)

    def draw(self, image: np.ndarray, index: int) -> np.ndarray:
        """A frame (H, W, 3) with what is known of it, at most 1280 px long."""
        picture = image if image.shape[:2] == self.size else self._placed.draw(image)
        row = self._rows.get(index)
        if row is None or not np.isfinite(self._points[row]).any():
            return picture
        since = np.searchsorted(self._track.time_s, self._track.time_s[row] - _TRAIL_S)
        trails = self._points[since : row + 1, self._leaves]
        known = np.concatenate([self._points[row], trails.reshape(-1, 2)])
        known = known[np.isfinite(known).all(1)]
        own = self._points[row][np.isfinite(self._points[row]).all(1)]
        person = float(np.ptp(own, axis=0).max())
        low = np.clip(np.floor(known.min(0) - _ROOM * person - 4), 0, np.array(picture.shape[1::-1]) - 1)
        high = np.clip(np.ceil(known.max(0) + _ROOM * person + 4), low + 1, picture.shape[1::-1])
        (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
        part = _with_trails(picture[y0:y1, x0:x1], trails - low, self._colours(), _TRAIL_WIDTH * person)
        drawn = picture.copy()
        drawn[y0:y1, x0:x1] = draw_skeleton(part, self._points[row] - low, self._track.keypoints)
        return drawn

    def _colours(self) -> list[tuple[int, int, int]]:
        points = self._track.keypoints
        return [SIDE_COLOURS[points.side(points.names[k])] for k in self._leaves]


def _with_trails(
    part: np.ndarray, trails: np.ndarray, colours: list[tuple[int, int, int]], width: float
) -> np.ndarray:
    """Lines (T, L, 2) through time that fade towards the past; a gap in time is a gap in the line."""
    overlay = Image.new("RGBA", (part.shape[1], part.shape[0]))
    draw = ImageDraw.Draw(overlay)
    count = len(trails) - 1
    for t in range(count):
        alpha = round(40 + 190 * (t + 1) / count)
        for (a, b), colour in zip(np.moveaxis(trails[t : t + 2], 0, 1), colours, strict=True):
            if np.isfinite([a, b]).all():
                draw.line([*a.tolist(), *b.tolist()], fill=(*colour, alpha), width=max(round(width), 1))
    ground = Image.fromarray(np.ascontiguousarray(part)).convert("RGBA")
    return np.asarray(Image.alpha_composite(ground, overlay).convert("RGB"))
