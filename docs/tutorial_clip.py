"""Writes a video of one made-up infant, for those who have no video at hand.

    python docs/tutorial_clip.py clip.mp4

It moves as the infants of `edgepose data synth` do, and is none of those that the weights which come with
edgepose were trained on.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from edgepose.synthetic.body import keypoints_world
from edgepose.synthetic.render import render
from edgepose.synthetic.stance import posed
from edgepose.synthetic.video import video
from edgepose.tracking.overlay import encoder

RATE = 10  # frames a second
_SEED, _NUMBER = 1, 3
_MARGIN_PX = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the video to write")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--height", type=int, default=480, help="in pixels; a third more is its width")
    chosen = parser.parse_args()
    draw(chosen.out, chosen.frames, (chosen.height, chosen.height * 4 // 3))


def draw(out: Path, frames: int, size: tuple[int, int]) -> None:
    """Draw the video, `size` as (height, width), and encode it."""
    clip = video(_SEED, _NUMBER, size)
    with av.open(str(out), "w") as container:
        stream: Any = container.add_stream(encoder(), rate=RATE)
        (stream.height, stream.width), stream.pix_fmt = size, "yuv420p"
        for index in range(frames):
            pose = clip.motion.at(index / RATE)
            skeleton = posed(pose, clip.who.proportions)
            view = clip.camera.kept_inside(keypoints_world(skeleton), _MARGIN_PX)
            noise = np.random.default_rng((_SEED, index))
            picture = render(clip.stage, skeleton, view, pose.eyes, pose.mouth, noise)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
