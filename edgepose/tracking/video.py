"""A video file as upright RGB frames, and their times: the only place that decodes video.

One frame is in memory at a time here, three where it is interlaced. Nothing that the file holds is lost
silently: what gives no usable frame is listed in `Video.skipped`, and what may change a coordinate or a time
in `Video.warnings`. `edgepose/tracking/display.py` makes pictures of stored frames, and
`edgepose/tracking/clock.py` times.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from edgepose.tracking.clock import ASSUMED_RATE, Clock, timeline
from edgepose.tracking.display import BadVideo, Display

# Containers only. Playlists (HLS, DASH, concat) can point to other files and to the network.
_CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,mxf,gif,ivf,h264,hevc,m4v,mpegvideo,yuv4mpegpipe,dv,mjpeg"
)
_OPEN = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_THREADS = 4  # each holds a frame
# FFmpeg would read the first tile of a photograph in this container, which is a video's too.
_STILLS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
# What FFmpeg's containers do with times. Bare streams hold none, and FFmpeg assumes them.
_BARE = ("h264", "hevc", "m4v", "mpegvideo", "mjpeg")
_UNORDERED = ("avi",)
_RESTARTS = ("mpegts", "mpeg")
_FROM_ZERO = ("matroska,webm", "avi")  # their duration counts from 0, not from the first frame
_EMPTY_FRAMES = ("avi",)  # its count of frames holds those that the camera dropped
_TO_H264 = "convert it: ffmpeg -i {name} -c:v libx264 -crf 17 converted.mp4"


@dataclass(frozen=True)
class Skipped:
    """Something that gave no pose.

    Attributes:
        frame: its number, counted from 0 as frames leave the decoder; None for what never became one.
        time_s: where in the video, s; None where that is unknown.
        reason: why, in words.
        file: the image's name; empty for videos.
    """

    frame: int | None
    time_s: float | None
    reason: str
    file: str = ""


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        index: counted from 0 in the order of time.
        image: (H, W, 3) uint8 RGB, upright, with square pixels.
        file: the image's name; empty for videos.
    """

    index: int
    image: np.ndarray
    file: str = ""


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says.

    Attributes:
        codec, container: FFmpeg's names.
        width, height: of the stored frames, before their pixels are made square and they are turned upright.
        pixel_aspect: width of a stored pixel over its height, as "64:45".
        rate: mean frames a second by the header, or None.
        frames: how many by the header; None where it does not say.
        duration_s: None where the header does not say.
    """

    codec: str
    container: str
    width: int
    height: int
    pixel_aspect: str
    rate: float | None
    frames: int | None
    duration_s: float | None


@dataclass(frozen=True)
class Fingerprint:
    """What tells whether a file changed while it was read."""

    size_bytes: int
    mtime_ns: int
    inode: int


def fingerprint(path: Path) -> Fingerprint:
    """Of a file as it is now; raises BadVideo where it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise BadVideo(f"{path} vanished while it was read", "copy it to this machine's disk first") from None
    return Fingerprint(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True)
class _Stored:
    """What is noted of a frame when it leaves the decoder."""

    index: int
    corrupt: bool


class Video:
    """An open video; use it in a `with` block, and read `frames` once.

    Args:
        path: a file.
        known: its fingerprint when the caller first saw it; else taken now.
        fps: frames a second that the user says, instead of the file's times.

    Attributes:
        stride: from one frame that is given to the next, in frames of the file; set it before reading.
        skipped: what gave no usable frame; complete once all frames are read.
        warnings: what may change a coordinate or a time; complete once all frames are read.
        times_s: (N,) when each of the decoder's frames was shown, by its index, s; known once all are read.

    Raises:
        BadVideo: not a video, sound only, cut short before its index, or of a codec without decoder.
    """

    def __init__(self, path: Path, known: Fingerprint | None = None, fps: float | None = None) -> None:
        self.path = path
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self.times_s = np.empty(0)
        self._fingerprint = known or fingerprint(path)
        self._container, log = _open(path)
        try:
            self._stream, said = _picture_stream(self._container, path, log)
        except BadVideo:
            self._container.close()
            raise
        self._said = said
        context = self._stream.codec_context
        context.thread_type, context.thread_count = "AUTO", min(os.cpu_count() or 1, _THREADS)
        self.facts = _facts(self._container, self._stream)
        self._fps = fps
        self.stride = 1
        self._display = Display(path, self._stream.sample_aspect_ratio)
        self._pts_s: list[float | None] = []  # of each frame, as the container says
        self._read, self._shown = 0, 0

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def time_base(self) -> Fraction:
        """The container's unit of time, s."""
        return Fraction(self._stream.time_base)

    @property
    def expected_frames(self) -> int | None:
        """How many frames the header lets one expect; None where it does not say."""
        facts = self.facts
        if facts.frames is None and facts.duration_s and facts.rate:
            return round(facts.duration_s * facts.rate)
        return facts.frames

    def frames(self) -> Iterator[Frame]:
        """Every usable frame, in the order of time.

        Raises:
            BadVideo: no frame at all, or the file changed while it was read.
        """
        given = 0
        waiting: deque[_Stored] = deque()
        for stored in self._all_stored(waiting):
            noted = waiting.popleft()
            frame = None if noted.index % self.stride else self._usable(stored, noted)
            if frame is not None:
                given += 1
                yield frame
        if fingerprint(self.path) != self._fingerprint:
            raise BadVideo(
                f"{self.path} changed while it was read", "wait until it is copied or recorded, and run again"
            )
        self._finish()
        if not given:
            why = f" ({self.skipped[0].reason})" if self.skipped else ""
            raise BadVideo(f"{self.path} holds no frame that can be used{why}", "copy or record it again")

    def _all_stored(self, waiting: deque[_Stored]) -> Iterator[Any]:
        """The decoder's frames, deinterlaced; for each, `waiting` holds what was noted of it."""
        for packet in self._all_packets():
            for stored in self._decoded(packet):
                waiting.append(_Stored(len(self._pts_s), stored.is_corrupt))
                self._pts_s.append(None if stored.pts is None else float(stored.pts * stored.time_base))
                yield from self._shown_frames(stored)
        yield from self._shown_frames(None)

    def _shown_frames(self, stored: Any | None) -> Iterator[Any]:
        try:
            yield from self._display.through(stored)
        except av.FFmpegError as error:
            raise BadVideo(
                f"{self.path} is interlaced, and cannot be deinterlaced ({error.strerror})",
                _TO_H264.format(name=self.path.name).replace(" -c:v", " -vf bwdif -c:v"),
            ) from None

    def _all_packets(self) -> Iterator[Any]:
        """The stream's packets; an error of the container ends them, and is listed."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self._lost(f"the file breaks off here ({error.strerror})")
                return
            self._read += bool(packet.size)
            self._shown += bool(packet.size) and not packet.is_discard  # edit lists cut frames off
            yield packet

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except av.DecoderNotFoundError:
            raise _no_decoder(self.path, self.facts.codec) from None
        except av.FFmpegError as error:
            self._lost(f"damaged data ({error.strerror})")
            return []

    def _usable(self, stored: Any, noted: _Stored) -> Frame | None:
        reason = "damaged picture" if noted.corrupt else self._display.problem(stored)
        if reason is None:
            return Frame(noted.index, self._display.picture(stored))
        self.skipped.append(Skipped(noted.index, None, reason))
        return None

    def _lost(self, reason: str) -> None:
        """List what never became a frame; its time is that of the frames so far, for now as their number."""
        self.skipped.append(Skipped(None, float(len(self._pts_s)), reason))

    def _finish(self) -> None:
        """Settle the times, and list what the header promised and did not come."""
        facts = self.facts
        clock = Clock(
            rate=facts.rate,
            fps=self._fps,
            counted=facts.container in _BARE,
            unordered=facts.container in _UNORDERED,
            restarts=facts.container in _RESTARTS,
        )
        found = timeline(self._pts_s, clock)
        self.times_s = found.time_s
        self.skipped = [self._timed(entry) for entry in self.skipped]
        self._display.finish()
        self.warnings = [*self._said, *self._display.warnings, *found.notes]
        lost = sum(entry.frame is None for entry in self.skipped)
        if lost:
            self.warnings.append("frames after damaged data may show damage until the next key frame")
        # VP8 has packets that are never shown, and interlaced video packets of single fields.
        counts = facts.codec != "vp8" and not self._display.is_interlaced
        silent = self._shown - len(self._pts_s) - lost if counts else 0
        if silent > 0:
            self.skipped.append(Skipped(None, None, f"{silent} packets gave no frame"))
        self._skip_the_end()

    def _timed(self, entry: Skipped) -> Skipped:
        place = int(entry.time_s or 0) if entry.frame is None else entry.frame
        return replace(entry, time_s=self._time_at(place))

    def _time_at(self, place: int) -> float:
        """When frame number `place` was shown, or would have been, had there been one more."""
        count = len(self.times_s)
        if place < count:
            return float(self.times_s[place])
        step = 1 / (self.facts.rate or ASSUMED_RATE)
        return float(self.times_s[-1]) + step if count else 0.0

    def _skip_the_end(self) -> None:
        """List the end of a file that was cut short, by the header's count of frames or its duration."""
        frames, duration = self.facts.frames, self.facts.duration_s
        reason = None
        if frames is not None and self.facts.container not in _EMPTY_FRAMES:
            if frames > self._read:
                reason = f"the header promises {frames} frames, and {self._read} came"
        elif duration is not None:
            step = 1 / (self.facts.rate or ASSUMED_RATE)
            start = float((self._stream.start_time or 0) * self._stream.time_base)
            start = 0.0 if self.facts.container in _FROM_ZERO else start
            came = max((t for t in self._pts_s if t is not None), default=start) + step - start
            if came < duration - max(0.5, 2 * step):
                reason = f"the header promises {duration:.2f} s, and {came:.2f} s came"
        if reason is not None:
            end = self._time_at(len(self.times_s))
            self.skipped.append(Skipped(None, end, f"cut short: {reason}"))


def _open(path: Path) -> tuple[Any, str]:
    """The container, and what FFmpeg said while it looked inside."""
    if not path.is_file():
        raise BadVideo(f"{path} does not exist or is not a file", "check the path")
    if path.stat().st_size == 0:
        raise BadVideo(f"{path} is empty", "copy or record it again")
    if _is_still(path):
        raise BadVideo(f"{path} is a photograph (HEIF or AVIF)", "end its name in .heic or .avif")
    before = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as said:
            # "file:" keeps a name such as "concat:a" from being read as a protocol.
            container = av.open(f"file:{path}", container_options=_OPEN)
    except PermissionError:
        raise BadVideo(f"{path} may not be read", "give yourself permission to read it") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadVideo(
            f"{path} is not a video that we read ({reason.lower()})",
            "if it is one, it may be cut short: copy or record it again",
        ) from None
    finally:
        av.logging.set_level(before)
    return container, " ".join(message for _, _, message in said)


def _is_still(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            head = handle.read(12)
    except OSError:  # FFmpeg will say why
        return False
    return head[4:8] == b"ftyp" and head[8:12] in _STILLS


def _picture_stream(container: Any, path: Path, log: str) -> tuple[Any, list[str]]:
    """The video stream to read, the largest one, and what there is to say of the choice; cover art of a song
    is none."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        if any(s.type == "audio" for s in container.streams):
            raise BadVideo(f"{path} has sound only, and no picture", "give the video")
        raise BadVideo(f"{path} holds no frame: no stream of pictures", "copy or record it again")
    known = [s for s in pictures if s.codec_context is not None]
    if not known:
        named = re.search(r"Video: none \((.{4}) /", log)
        raise _no_decoder(path, named[1] if named else "unknown")
    best = container.streams.best("video")

    def rank(stream: Any) -> tuple[int, bool, int]:
        area = stream.codec_context.width * stream.codec_context.height
        return area, best is not None and stream.index == best.index, -stream.index

    chosen = max(known, key=rank)
    if len(pictures) == 1:
        return chosen, []
    size = f"{chosen.codec_context.width} x {chosen.codec_context.height}"
    return chosen, [f"it holds {len(pictures)} videos: only the largest, {size}, is read"]


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _no_decoder(path: Path, codec: str) -> BadVideo:
    return BadVideo(
        f"{path} is coded as '{codec}', for which PyAV {av.__version__} has no decoder",
        _TO_H264.format(name=path.name) + ", with an FFmpeg that knows this codec",
    )


def _facts(container: Any, stream: Any) -> VideoFacts:
    context = stream.codec_context
    bare = container.format.name in _BARE
    rate = context.framerate if bare else stream.average_rate or stream.guessed_rate
    duration = None
    if stream.duration:
        duration = float(stream.duration * stream.time_base)
    elif container.duration and len(container.streams) == 1:  # sound may last longer
        duration = container.duration / av.time_base
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return VideoFacts(
        codec=context.name,
        container=container.format.name,
        width=context.width,
        height=context.height,
        pixel_aspect=f"{aspect.numerator}:{aspect.denominator}",
        rate=float(rate) if rate else None,
        frames=stream.frames or None,
        duration_s=None if bare else duration,
    )
