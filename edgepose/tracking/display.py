"""Stored frames as they are meant to be seen: not interlaced, with square pixels, upright, of one size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import VideoReformatter

from edgepose.data.images import MAX_PIXELS
from edgepose.errors import EdgeposeError
from edgepose.geometry import Size, letterbox

_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics, ITU-T H.273
_SQUARE = 0.01  # pixels so much off square are taken for square
_WIDEST = 4  # a pixel aspect beyond it, or below its inverse, is a damaged header
_DEINTERLACE = "bwdif"


class BadVideo(EdgeposeError):
    """A file that is not a usable video."""


class Display:
    """Turns one video's stored frames into pictures.

    The first frame decides the size and the turn. Each frame's pixels are made square by widening (or
    narrowing) it. Frames of another size are fitted into the first one's, so that all coordinates of a
    video are pixels of one picture.

    Args:
        path: the video's, for errors.
        aspect: width of a stored pixel over its height; None where the file does not say.

    Attributes:
        warnings: what may change a coordinate.
    """

    def __init__(self, path: Path, aspect: Fraction | None) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._aspect = self._checked(aspect)
        self._rgb = VideoReformatter()
        self._size: Size | None = None  # upright
        self._turn = _Turn(False, False, False)
        self._stored: Size | None = None
        self._fitted: dict[Size, int] = {}
        self._woven: _Deinterlacer | None = None

    def _checked(self, aspect: Fraction | None) -> Fraction:
        if not aspect or abs(aspect - 1) <= _SQUARE:
            return Fraction(1)
        if not 1 / _WIDEST <= aspect <= _WIDEST:
            self.warnings.append(f"its pixel aspect of {aspect} cannot be: pixels are taken for square")
            return Fraction(1)
        self.warnings.append(
            f"its pixels are not square ({aspect.numerator}:{aspect.denominator}): it is made"
            f" {'wider' if aspect > 1 else 'narrower'}, and coordinates are of the picture as shown"
        )
        return aspect

    @property
    def is_interlaced(self) -> bool:
        """Whether an interlaced frame has come."""
        return self._woven is not None

    def through(self, stored: Any | None) -> Iterator[Any]:
        """The stored frames that are ready once this one has come, each of them once, in their order.

        Args:
            stored: the next frame from the decoder, or None after the last.
        """
        if self._woven is None and stored is not None and stored.interlaced_frame:
            self._woven = _Deinterlacer()
            self.warnings.append(f"it is interlaced: deinterlaced by FFmpeg's {_DEINTERLACE}")
        if self._woven is not None:
            yield from self._woven.through(stored)
        elif stored is not None:
            yield stored

    def problem(self, stored: Any) -> str | None:
        """Why a frame cannot be shown, or None.

        Raises:
            BadVideo: it is the first, and is too large.
        """
        width, height = self._display_width(stored), stored.height
        if max(width, stored.width) * height <= MAX_PIXELS:
            return None
        what = f"frames of {stored.width} x {height} pixels"
        if self._size is None:
            raise BadVideo(
                f"{self._path} has {what}", f"shrink it to at most {MAX_PIXELS // 1_000_000} megapixels"
            )
        return f"{what}: over {MAX_PIXELS // 1_000_000} megapixels"

    def picture(self, stored: Any) -> np.ndarray:
        """(H, W, 3) uint8 RGB of a frame that has no `problem`."""
        if self._size is None:
            self._begin(stored)
        full = stored.color_range if stored.color_range else None
        # swscale's own copy, so nothing else holds it.
        image = self._rgb.reformat(
            stored, width=self._display_width(stored), format="rgb24", src_color_range=full, threads=1
        ).to_ndarray()
        upright = self._turn.upright(image)
        if self._size is None:
            self._size, self._stored = upright.shape[:2], (stored.height, stored.width)
        if upright.shape[:2] == self._size:
            return upright
        size = (stored.height, stored.width)
        self._fitted[size] = self._fitted.get(size, 0) + 1
        return letterbox(upright.shape[:2], self._size).draw(upright)

    def finish(self) -> None:
        """Add to `warnings` what is known only after the last frame."""
        if self._fitted and self._stored is not None:
            sizes = ", ".join(f"{n} of {w} x {h}" for (h, w), n in self._fitted.items())
            height, width = self._stored
            self.warnings.append(
                f"its frames change their size ({sizes}): they are fitted into the first one's, {width} x"
                f" {height}, and coordinates are of that"
            )

    def _display_width(self, stored: Any) -> int:
        return max(round(stored.width * self._aspect), 1)

    def _begin(self, first: Any) -> None:
        """Settle what the first frame decides for all."""
        side = first.side_data.get("DISPLAYMATRIX")
        if side is not None:
            turn = _turn(np.frombuffer(bytes(side), np.int32)[:9].reshape(3, 3))
            if turn is None:
                self.warnings.append("its display matrix is no quarter turn, and is not applied")
            self._turn = turn or self._turn
        if int(first.color_trc) in _HDR:
            self.warnings.append(
                f"its colours are HDR ({_HDR[int(first.color_trc)]}) and look pale to the network"
            )


class _Deinterlacer:
    """FFmpeg's filter, fed frame by frame: gives one frame for each, the last ones once there are no more."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def through(self, stored: Any | None) -> Iterator[Any]:
        kind = None if stored is None else (stored.width, stored.height, stored.format.name)
        if self._graph is not None and kind != self._kind:
            self._graph.push(None)
            yield from self._ready(self._graph)
            self._graph = None
        if stored is None or kind is None:
            return
        if self._graph is None:
            self._graph, self._kind = _graph(stored), kind
        self._graph.push(stored)
        yield from self._ready(self._graph)

    def _ready(self, graph: Graph) -> Iterator[Any]:
        while True:
            try:
                yield graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return


def _graph(stored: Any) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=stored.width, height=stored.height, format=stored.format.name, time_base=stored.time_base
    )
    # One frame for each, and those that are not marked as interlaced as they are.
    deinterlace = graph.add(_DEINTERLACE, "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(deinterlace)
    deinterlace.link_to(sink)
    graph.configure()
    return graph


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
