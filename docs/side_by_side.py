"""Puts the overlays of two networks beside each other, as a video and as a picture of three of its frames.

    python docs/side_by_side.py full/clip-overlay.mp4 phone/clip-overlay.mp4 beside.mp4 --names full int8

Writes beside.mp4 and beside.png: the first network on the left, and above in the picture.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from edgeio import replacing
from edgepose.tracking.overlay import encoder
from edgepose.visual.glyphs import sheet_font

_SHOWN = 3  # frames of the picture
_PLACE = (8, 6)  # of a network's name, px from the corner


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs=2, help="two overlays of the same clip")
    parser.add_argument("out", type=Path, help="the video to write; the picture's name ends in .png instead")
    parser.add_argument("--names", nargs=2, default=["", ""], help="of the two networks")
    chosen = parser.parse_args()
    put_beside(chosen.videos, chosen.names, chosen.out)


def put_beside(videos: list[Path], names: list[str], out: Path) -> None:
    """Write the video `out` and the picture; both overlays hold as many frames."""
    pairs = list(zip(*(_named(path, name) for path, name in zip(videos, names, strict=True)), strict=True))
    with av.open(str(videos[0])) as container:
        rate = container.streams.video[0].average_rate or Fraction(10)
    with replacing(out) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream: Any = container.add_stream(encoder(), rate=rate)
        height, width, _ = pairs[0][0].shape
        stream.height, stream.width, stream.pix_fmt = height, 2 * width, "yuv420p"
        for index, pair in enumerate(pairs):
            frame = av.VideoFrame.from_ndarray(np.hstack(pair), format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    places = np.linspace(0, len(pairs) - 1, min(_SHOWN, len(pairs))).round().astype(int)
    rows = [np.hstack([pairs[place][network] for place in places]) for network in range(2)]
    with replacing(out.with_suffix(".png")) as temporary:
        Image.fromarray(np.vstack(rows)).save(temporary, format="PNG")


def _named(path: Path, name: str) -> list[np.ndarray]:
    """A video's frames (H, W, 3), each with the network's name in its corner."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_image()
            ImageDraw.Draw(picture).text(
                _PLACE, name, fill="white", font=sheet_font(), stroke_width=2, stroke_fill="black"
            )
            found.append(np.asarray(picture))
    return found


if __name__ == "__main__":
    main()
