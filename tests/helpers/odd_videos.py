"""Videos as cameras and copies leave them, of a bright bar that moves: small, and made when a test asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from blob_videos import disc

H, W = 96, 160
STEP = 3  # px that the bar moves a frame


def bar(i: int, size: tuple[int, int] = (H, W)) -> np.ndarray:
    """Frame i: a bar 20 px wide whose middle lies at 20 + 3 i."""
    image = np.full((*size, 3), 20, np.uint8)
    image[size[0] // 4 : size[0] // 2, 10 + STEP * i : 30 + STEP * i] = 230
    return image


def place(image: np.ndarray) -> float:
    """x of the bar's middle."""
    columns = np.nonzero(image[image.shape[0] // 3, :, 0] > 125)[0]
    return float(columns.mean() + 0.5)


def _frames(count: int, rate: int, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    for i in range(count):
        frame = av.VideoFrame.from_ndarray(bar(i, size), format="rgb24")
        frame.pts, frame.time_base = i, Fraction(1, rate)
        yield frame


def stream_bytes(
    count: int, rate: int = 25, size: tuple[int, int] = (H, W), codec: str = "libx264", bf: str = "0"
) -> bytes:
    """A bare stream (Annex B, for H.264)."""
    context = av.codec.CodecContext.create(codec, "w")
    context.width, context.height = size[1], size[0]
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, rate), Fraction(rate)
    context.options = {} if codec == "mjpeg" else {"bf": bf}
    packets = [p for frame in _frames(count, rate, size) for p in context.encode(frame)]
    return b"".join(map(bytes, [*packets, *context.encode()]))


def muxed(
    path: Path,
    count: int,
    *,
    rate: int = 25,
    bf: int = 0,
    start: int = 0,
    aspect: Fraction | None = None,
    sizes: Sequence[tuple[int, int]] = ((H, W),),
) -> Path:
    """A container of H.264, of one stream a size.

    Args:
        bf: B-frames between two others.
        start: number of frames that the clock has counted before the first.
        aspect: of a pixel.
    """
    with av.open(str(path), "w") as out:
        streams = []
        for height, width in sizes:
            stream = out.add_stream("libx264", rate=rate, options={"bf": str(bf), "b-adapt": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            streams.append(stream)
        for frames in zip(*(_frames(count, rate, size) for size in sizes), strict=True):
            for stream, frame in zip(streams, frames, strict=True):
                frame.pts += start
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode())
    return path


def interlaced(path: Path, count: int, first: str, speed: int = 8) -> Path:
    """The field that comes second is half a step further on; `first` is tff (the top rows) or bff."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"x264-params": f"{first}=1"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        marked = Graph()
        source = marked.add_buffer(width=W, height=H, format="yuv420p", time_base=Fraction(1, 25))
        field_order, sink = marked.add("setfield", first), marked.add("buffersink")
        source.link_to(field_order)
        field_order.link_to(sink)
        marked.configure()
        for i in range(count):
            image = np.full((H, W, 3), 20, np.uint8)
            for field in (0, 1):
                late = field if first == "tff" else 1 - field
                x = 10 + speed * i + late * speed // 2
                image[field::2, x : x + 30] = 230
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            marked.push(frame)
            out.mux(stream.encode(marked.pull()))
        out.mux(stream.encode())
    return path


def circle(path: Path, aspect: Fraction, radius: float = 24) -> tuple[Path, tuple[float, float]]:
    """A circle, squeezed as an anamorphic camera does; where its middle is as shown."""
    wide = round(W * aspect)
    round_one = disc((H, wide), [(wide / 3, H / 2, radius)])
    columns = ((np.arange(W) + 0.5) * wide / W).astype(int)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(round_one[:, columns]), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path, (wide / 3, H / 2)
