"""The built-in infants as training data: made once, in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgepose.geometry import Size
from edgepose.synthetic.dataset import synthesise
from edgepose.synthetic.variety import CLINIC, HOME, variety


@dataclass(frozen=True)
class BuiltIn:
    """One built-in set: videos of one infant each, frames a video, (height, width) of every frame."""

    videos: int
    frames: int
    size: Size

    @property
    def folder(self) -> Path:
        """Where it lies; another generator makes another set."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        height, width = self.size
        return cache / "edgepose" / f"infants{GENERATOR}-{self.videos}x{self.frames}-{width}x{height}"


FULL = BuiltIn(100, 20, (480, 640))
SMOKE = BuiltIn(12, 2, (120, 160))


def built_in_infants(
    chosen: BuiltIn, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> str:
    """The data set's name for `open_dataset`; it is drawn first where it is not there, or not whole."""
    folder, count = chosen.folder, chosen.videos * chosen.frames
    say(f"no --data: the built-in infants, {count} frames of {chosen.videos} videos, kept in {folder}")
    synthesise(folder, chosen.videos, chosen.frames, seed=0, size=chosen.size, progress=progress)
    return f"in-motion:{folder}"
