"""The built-in infants as training data: made once, in the user's cache folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeio import lookup
from edgepose.geometry import Size
from edgepose.synthetic.dataset import synthesise
from edgepose.synthetic.variety import CLINIC, HOME, POSTURES, variety

PREFIX = "built-in:"  # of a set's name, where a data set is asked for
_SPEC = re.compile(re.escape(PREFIX) + r"(?P<name>[^=,]*)(?P<rest>.*)")


@dataclass(frozen=True)
class BuiltIn:
    """One built-in set: videos of one infant each, frames a video, (height, width) of frames, variety."""

    videos: int
    frames: int
    size: Size
    variety: str = CLINIC

    @property
    def folder(self) -> Path:
        """Where it lies; another generator makes another set."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        height, width = self.size
        name = "infants" if self.variety == CLINIC else f"infants-{self.variety}-"
        generator = variety(self.variety).generator
        return cache / "edgepose" / f"{name}{generator}-{self.videos}x{self.frames}-{width}x{height}"


FULL = BuiltIn(100, 20, (480, 640))
SMOKE = BuiltIn(12, 2, (120, 160))
# More videos of fewer frames: at home every infant, room and camera is another one.
BUILT_IN = {
    "infants": FULL,
    "infants-home": BuiltIn(400, 5, (320, 320), HOME),
    "infants-home-postures": BuiltIn(400, 5, (320, 320), POSTURES),
}


def built_in(name: str) -> BuiltIn:
    """The built-in set of a name, as in "built-in:infants-home".

    Raises:
        UnknownName: there is none of that name.
    """
    return lookup(BUILT_IN, "built-in data set", name.removeprefix(PREFIX))


def with_built_in(
    texts: Sequence[str],
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
    smoke: bool = False,
) -> list[str]:
    """What `--data` says, with every built-in set drawn and its folder named; weights and framings stay.

    Args:
        smoke: draw a few frames of it only.

    Raises:
        UnknownName: no such built-in set.
    """
    found = []
    for text in texts:
        match = _SPEC.fullmatch(text)
        if match is None:
            found.append(text)
            continue
        chosen = built_in(match["name"])
        chosen = replace(SMOKE, variety=chosen.variety) if smoke else chosen
        found.append(built_in_infants(chosen, say, progress) + match["rest"])
    return found


def built_in_infants(
    chosen: BuiltIn, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> str:
    """The data set's name for `open_dataset`; it is drawn first where it is not there, or not whole."""
    folder, count = chosen.folder, chosen.videos * chosen.frames
    say(
        f"the built-in infants of the variety {chosen.variety}, {count} frames of {chosen.videos} videos, "
        f"kept in {folder}"
    )
    synthesise(
        folder,
        chosen.videos,
        chosen.frames,
        seed=0,
        size=chosen.size,
        progress=progress,
        variety=chosen.variety,
    )
    return f"in-motion:{folder}"
