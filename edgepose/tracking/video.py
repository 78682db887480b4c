"""A video file as upright RGB frames with the container's own times: the only place that decodes video.

One frame is in memory at a time here. Nothing that the file holds is lost silently: what gives no usable
frame is listed in `Video.skipped`, and what may change a coordinate in `Video.warnings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from edgepose.data.images import MAX_PIXELS
from edgepose.errors import EdgeposeError

# Containers only. Playlists (HLS, DASH, concat) can point to other files and to the network.
_CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,mxf,gif,ivf,h264,hevc,m4v,mpegvideo,yuv4mpegpipe,dv,mjpeg"
)
_OPEN = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_THREADS = 4  # each holds a frame
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics, ITU-T H.273
_TO_H264 = "convert it: ffmpeg -i {name} -c:v libx264 -crf 17 converted.mp4"


class BadVideo(EdgeposeError):
    """A file that is not a usable video."""


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
        time_s: the container's presentation time, s; NaN for images.
        image: (H, W, 3) uint8 RGB, upright.
        file: the image's name; empty for videos.
        pts: the time in units of the video's `time_base`; None where the container gives none.
    """

    index: int
    time_s: float
    image: np.ndarray
    file: str = ""
    pts: int | None = None


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says.

    Attributes:
        codec, container: FFmpeg's names.
        width, height: of the stored frames, before they are turned upright.
        rate: mean frames a second by the header, or None.
        frames: how many by the header; None where it does not say.
        duration_s: None where the header does not say.
    """

    codec: str
    container: str
    width: int
    height: int
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


class Video:
    """An open video; use it in a `with` block, and read `frames` once.

    Args:
        path: a file.
        known: its fingerprint when the caller first saw it; else taken now.

    Raises:
        BadVideo: not a video, sound only, cut short before its index, or of a codec without decoder.
    """

    def __init__(self, path: Path, known: Fingerprint | None = None) -> None:
        self.path = path
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self._fingerprint = known or fingerprint(path)
        self._container, log = _open(path)
        try:
            self._stream = _picture_stream(self._container, path, log)
        except BadVideo:
            self._container.close()
            raise
        context = self._stream.codec_context
        context.thread_type, context.thread_count = "AUTO", min(os.cpu_count() or 1, _THREADS)
        self.facts = _facts(self._container, self._stream)
        self._rgb = VideoReformatter()
        self._count, self._read, self._shown, self._untimed = 0, 0, 0, 0
        self._last_s: float | None = None
        self._stored: tuple[int, int] | None = None
        self._turn: _Turn = _Turn(False, False, False)

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def time_base(self) -> Fraction:
        """Seconds a unit of the frames' `pts`."""
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
        for packet in self._all_packets():
            for stored in self._decoded(packet):
                frame = self._usable(stored)
                if frame is not None:
                    given += 1
                    yield frame
        if fingerprint(self.path) != self._fingerprint:
            raise BadVideo(
                f"{self.path} changed while it was read", "wait until it is copied or recorded, and run again"
            )
        self._account()
        if not given:
            why = f" ({self.skipped[0].reason})" if self.skipped else ""
            raise BadVideo(f"{self.path} holds no frame that can be used{why}", "copy or record it again")

    def _all_packets(self) -> Iterator[Any]:
        """The stream's packets; an error of the container ends them, and is listed."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self._skip(f"the file breaks off here ({error.strerror})", None, self._last_s)
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
            at = None if packet.pts is None else float(packet.pts * packet.time_base)
            self._skip(f"damaged data ({error.strerror})", None, at)
            return []

    def _usable(self, stored: Any) -> Frame | None:
        index, self._count = self._count, self._count + 1
        time_s = self._time(stored)
        if self._stored is None:
            self._begin(stored)
        reason = None
        if time_s is None:
            reason = "no time, and no frame rate to tell it by"
        elif self._last_s is not None and time_s <= self._last_s:
            reason = "its time is not after the frame before"
        elif stored.is_corrupt:
            reason = "damaged picture"
        elif (stored.height, stored.width) != self._stored:
            reason = f"another size than the first frame's: {stored.width} x {stored.height}"
        if reason is not None or time_s is None:
            self._skip(reason or "", index, time_s)
            return None
        self._last_s = time_s
        return Frame(index, time_s, self._turn.upright(self._picture(stored)), pts=stored.pts)

    def _begin(self, first: Any) -> None:
        """Settle what the first frame decides for all."""
        if first.height * first.width > MAX_PIXELS:
            raise BadVideo(
                f"{self.path} has frames of {first.width} x {first.height} pixels",
                f"shrink it to at most {MAX_PIXELS // 1_000_000} megapixels",
            )
        self._stored = (first.height, first.width)
        self._turn = self._turn_of(first)
        aspect = self._stream.sample_aspect_ratio
        if aspect and aspect != 1:
            self.warnings.append(
                f"its pixels are not square ({aspect}): people look stretched to the network"
            )
        if int(first.color_trc) in _HDR:
            self.warnings.append(
                f"its colours are HDR ({_HDR[int(first.color_trc)]}) and look pale to the network"
            )

    def _turn_of(self, first: Any) -> _Turn:
        side = first.side_data.get("DISPLAYMATRIX")
        if side is None:
            return _Turn(False, False, False)
        turn = _turn(np.frombuffer(bytes(side), np.int32)[:9].reshape(3, 3))
        if turn is None:
            self.warnings.append("its display matrix is no quarter turn, and is not applied")
        return turn or _Turn(False, False, False)

    def _picture(self, stored: Any) -> np.ndarray:
        """(H, W, 3) uint8 RGB; swscale's own copy, so nothing else holds it."""
        full = stored.color_range if stored.color_range else None
        return self._rgb.reformat(stored, format="rgb24", src_color_range=full, threads=1).to_ndarray()

    def _time(self, stored: Any) -> float | None:
        if stored.pts is not None:
            return float(stored.pts * stored.time_base)
        if not self.facts.rate:
            return None
        self._untimed += 1
        return 0.0 if self._last_s is None else self._last_s + 1 / self.facts.rate

    def _skip(self, reason: str, frame: int | None, time_s: float | None) -> None:
        self.skipped.append(Skipped(frame, time_s, reason))

    def _account(self) -> None:
        """List what the header promised and did not come."""
        listed = sum(entry.frame is None for entry in self.skipped)
        if listed:
            self.warnings.append("frames after damaged data may show damage until the next key frame")
        if self._untimed:
            self.warnings.append(f"{self._untimed} frames without a time were placed by the frame rate")
        # VP8 has packets that are never shown.
        silent = self._shown - self._count - listed if self.facts.codec != "vp8" else 0
        if silent > 0:
            self._skip(f"{silent} packets gave no frame", None, None)
        self._skip_the_end()

    def _skip_the_end(self) -> None:
        """List the end of a file that was cut short, by the header's count of frames or its duration."""
        step = 1 / self.facts.rate if self.facts.rate else 0.04
        start = float((self._stream.start_time or 0) * self._stream.time_base)
        end = (start if self._last_s is None else self._last_s) + step
        frames, duration = self.facts.frames, self.facts.duration_s
        if frames is not None:
            if frames > self._read:
                reason = f"cut short: the header promises {frames} frames, and {self._read} came"
                self._skip(reason, None, end)
        elif duration is not None and end - start < duration - max(0.5, 2 * step):
            reason = f"cut short: the header promises {duration:.2f} s, and {end - start:.2f} s came"
            self._skip(reason, None, end)


@dataclass(frozen=True)
class _Turn:
    """How stored pictures become upright: first transposed, then mirrored."""

    transpose: bool
    flip_x: bool
    flip_y: bool

    def upright(self, image: np.ndarray) -> np.ndarray:
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


def _turn(matrix: np.ndarray) -> _Turn | None:
    """Of a display matrix (x' = a x + c y, y' = b x + d y), or None where it is no quarter turn."""
    (a, b), (c, d) = matrix[:2, :2].tolist()
    if b == c == 0 and a and d:
        return _Turn(False, a < 0, d < 0)
    if a == d == 0 and b and c:
        return _Turn(True, c < 0, b < 0)
    return None


def _open(path: Path) -> tuple[Any, str]:
    """The container, and what FFmpeg said while it looked inside."""
    if not path.is_file():
        raise BadVideo(f"{path} does not exist or is not a file", "check the path")
    if path.stat().st_size == 0:
        raise BadVideo(f"{path} is empty", "copy or record it again")
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


def _picture_stream(container: Any, path: Path, log: str) -> Any:
    """The video stream to read; cover art of a song is none."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        if any(s.type == "audio" for s in container.streams):
            raise BadVideo(f"{path} has sound only, and no picture", "give the video")
        raise BadVideo(f"{path} holds no frame: no stream of pictures", "copy or record it again")
    if all(s.codec_context is None for s in pictures):
        named = re.search(r"Video: none \((.{4}) /", log)
        raise _no_decoder(path, named[1] if named else "unknown")
    known = [s for s in pictures if s.codec_context is not None]
    best = container.streams.best("video")
    return next((s for s in known if best is not None and s.index == best.index), known[0])


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _no_decoder(path: Path, codec: str) -> BadVideo:
    return BadVideo(
        f"{path} is coded as '{codec}', for which PyAV {av.__version__} has no decoder",
        _TO_H264.format(name=path.name) + ", with an FFmpeg that knows this codec",
    )


def _facts(container: Any, stream: Any) -> VideoFacts:
    rate = stream.average_rate or stream.guessed_rate
    duration = None
    if stream.duration:
        duration = float(stream.duration * stream.time_base)
    elif container.duration and len(container.streams) == 1:  # sound may last longer
        duration = container.duration / av.time_base
    return VideoFacts(
        codec=stream.codec_context.name,
        container=container.format.name,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        rate=float(rate) if rate else None,
        frames=stream.frames or None,
        duration_s=duration,
    )
