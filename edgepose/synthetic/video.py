"""One video: everything that is drawn for it, and its frames.

A video depends on the variety, the seed, its number and the asked size only, and a frame on its video and
its own number: a smaller set is a part of a larger one, and frames can be made in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np

from edgepose.data.records import SPLITS
from edgepose.synthetic.body import Skeleton, keypoints_world
from edgepose.synthetic.hands import hands
from edgepose.synthetic.lighting import light
from edgepose.synthetic.motion import Motion, motion
from edgepose.synthetic.patterns import Bedding, bedding, surface
from edgepose.synthetic.props import Prop
from edgepose.synthetic.render import Scene, SensorEffects, render
from edgepose.synthetic.room import FLOORS, cot, wall
from edgepose.synthetic.scene import (
    Camera,
    Infant,
    Setup,
    Shake,
    camera,
    infant,
    pick,
    shake,
    shaken,
)
from edgepose.synthetic.stance import posed
from edgepose.synthetic.toys import toys
from edgepose.synthetic.variety import CLINIC
from edgepose.synthetic.variety import variety as variety_of

T = TypeVar("T")

FRAME_SECONDS = 0.4  # between frames: few enough to vary, close enough to follow a movement
SPLIT_SHARES = {"train": 0.72, "val": 0.08, "test": 0.20}
_WALL_TILT = 40.0  # degrees; steeper cameras see the floor alone
_REACH_SECONDS = np.linspace(0, 60, 24)
Seed = int | tuple[int, int]  # of a data set; a variety's own number comes to it


class Draw(IntEnum):
    """Separate streams of random numbers, so that one part's draws don't move another's."""

    INFANT = 0
    MOTION = 1
    SIZE = 2
    CAMERA = 3
    LIGHT = 4
    SURFACE = 5
    TOYS = 6
    SENSOR = 7
    FRAME = 8
    SETUP_DECK = 9
    RARE_DECK = 10
    RATERS = 11
    BEDDING = 12
    HANDS = 13
    WALL = 14
    COT = 15


def stream(seed: Seed, part: Draw, *numbers: int) -> np.random.Generator:
    """The random numbers of one part of one video (or frame, or deck)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(part), *numbers)))


def video_split(number: int) -> str:
    """ "train", "val" or "test": 18, 2 and 5 of every 25 videos, and one of each of the first three."""
    count = dict.fromkeys(SPLITS, 0)
    chosen = ""
    for i in range(number % 25 + 1):
        owed = {name: share * (i + 1) - count[name] for name, share in SPLIT_SHARES.items()}
        chosen = ("train", "test", "val")[i] if i < 3 else max(owed, key=lambda name: owed[name])
        count[chosen] += 1
    return chosen


def _dealt(seed: Seed, part: Draw, deck: Sequence[T], number: int) -> T:
    """The card that a video gets from decks shuffled one after another: exact shares in every deck."""
    return deck[int(stream(seed, part, number // len(deck)).permutation(len(deck))[number % len(deck)])]


@dataclass(frozen=True)
class SyntheticFrame:
    """One frame.

    Attributes:
        picture: (H, W, 3) uint8.
        keypoints_px: (19, 2) x, y; pixel i covers [i, i + 1).
    """

    picture: np.ndarray
    keypoints_px: np.ndarray


@dataclass(frozen=True)
class SyntheticVideo:
    """One video, ready to be filmed.

    Attributes:
        name: what its frames' file names begin with.
        rare: shows one of the rare postures.
        quality: of its JPEG files.
    """

    seed: Seed
    number: int
    name: str
    split: str
    setup: Setup
    rare: bool
    who: Infant
    motion: Motion
    camera: Camera
    shake: Shake
    bedding: Bedding
    toys: tuple[Prop, ...]
    hands: tuple[Prop, ...]
    quality: int

    @cached_property
    def stage(self) -> Scene:
        """The scene; painted when the first frame is filmed."""

        def rng(part: Draw) -> np.random.Generator:
            return stream(self.seed, part, self.number)

        bars = cot(rng(Draw.COT), self.bedding.half, self.camera) if self.bedding.base == "cot" else ()
        return Scene(
            self.who,
            surface(rng(Draw.SURFACE), self.bedding, FLOORS.get(self.bedding.base)),
            light(rng(Draw.LIGHT), self.setup),
            _sensor(rng(Draw.SENSOR), self.setup, self.camera.size),
            (*self.toys, *bars, *self.hands),
            wall(rng(Draw.WALL), self.camera) if self.setup.tilt[1] > _WALL_TILT else None,
        )

    def frame_name(self, index: int) -> str:
        return f"{self.name}_{index:06d}"

    def keypoints_px(self, index: int) -> np.ndarray:
        """(19, 2) the annotation alone, without a picture."""
        return self._frame_geometry(index)[2]

    def frame(self, index: int) -> SyntheticFrame:
        """Film one frame."""
        skeleton, view, keypoints = self._frame_geometry(index)
        pose = self.motion.at(index * FRAME_SECONDS)
        rng = stream(self.seed, Draw.FRAME, self.number, index)
        return SyntheticFrame(render(self.stage, skeleton, view, pose.eyes, pose.mouth, rng), keypoints)

    def _frame_geometry(self, index: int) -> tuple[Skeleton, Camera, np.ndarray]:
        """The skeleton, the camera as it is held just then, and the keypoints in px."""
        seconds = index * FRAME_SECONDS
        skeleton = posed(self.motion.at(seconds), self.who.proportions)
        world = keypoints_world(skeleton)
        view = shaken(self.camera, self.shake.at(seconds))
        view = view.kept_inside(world, self.setup.margin * min(view.size))
        return skeleton, view, view.project(world)[0]

    def columns(self) -> dict[str, str]:
        """What the list of videos says of it."""
        who, view = self.who, self.camera
        tilt = math.degrees(math.acos(min(1.0, -float(view.axes[2, 2]))))
        return {
            "video": self.name,
            "split": self.split,
            "setup": self.setup.name,
            "camera": "hand-held" if self.setup.shake[1] > 0 else "fixed",
            "rare": str(self.rare).lower(),
            "posture": self.motion.posture,
            "height": str(view.size[0]),
            "width": str(view.size[1]),
            "fps": f"{1 / FRAME_SECONDS:g}",
            "tilt_deg": f"{tilt:.1f}",
            "age_weeks": f"{who.weeks:.1f}",
            "skin": who.skin,
            "hair": who.hair if who.hair_density > 0.25 else "bald",
            "clothing": who.clothing,
            "surface": self.bedding.name,
            "toys": str(len(self.toys)),
            **({"hands": str(len(self.hands))} if self.setup.hands else {}),
        }


@lru_cache(maxsize=1)
def video(
    seed: int, number: int, size: tuple[int, int] | int | None = None, variety: str = CLINIC
) -> SyntheticVideo:
    """Draw a video (its scene is painted later); the last one drawn is kept.

    Args:
        seed: of the data set.
        number: from 0.
        size: height, width in px; one number takes one of its setup's shapes with that longest side; None
            takes one of its setup's sizes.
        variety: a name of `variety.VARIETIES`.

    Raises:
        UnknownName: there is no such variety.
    """
    drawn = variety_of(variety)
    source = seed if drawn.stream is None else (seed, drawn.stream)

    def rng(part: Draw) -> np.random.Generator:
        return stream(source, part, number)

    setup = drawn.setups[_dealt(source, Draw.SETUP_DECK, drawn.deck, number)]
    rare = _dealt(source, Draw.RARE_DECK, drawn.rare_deck, number)
    who = infant(rng(Draw.INFANT), drawn.wardrobe)
    moving = rng(Draw.MOTION)
    course = motion(moving, pick(moving, setup.postures or (drawn.rare if rare else drawn.common)))
    reach = np.concatenate([keypoints_world(posed(course.at(s), who.proportions)) for s in _REACH_SECONDS])
    chosen = size if isinstance(size, tuple) else _shaped(pick(rng(Draw.SIZE), setup.sizes), size)
    filming = rng(Draw.CAMERA)
    return SyntheticVideo(
        seed=source,
        number=number,
        name=f"synth{number:05d}",
        split=video_split(number),
        setup=setup,
        rare=rare,
        who=who,
        motion=course,
        camera=camera(filming, setup, chosen, reach),
        shake=shake(filming, setup),
        bedding=bedding(rng(Draw.BEDDING), setup),
        toys=toys(rng(Draw.TOYS), setup.clutter[0], reach),
        hands=hands(rng(Draw.HANDS), setup.hands, posed(course.at(0), who.proportions), setup.spots),
        quality=int(filming.integers(setup.quality[0], setup.quality[1] + 1)),
    )


def _shaped(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    """A size with another longest side, in px."""
    if longest is None:
        return size
    height, width = (max(1, round(side * longest / max(size))) for side in size)
    return height, width


def _sensor(rng: np.random.Generator, setup: Setup, size: tuple[int, int]) -> SensorEffects:
    scale = max(size) / 640
    smear = rng.uniform(0, 0.8, 2) * (setup.shake[1] > 0) * scale
    warm, green = rng.normal(0, setup.cast), rng.normal(0, 0.02)
    return SensorEffects(
        blur=float(rng.uniform(*setup.blur) * scale),
        smear=(float(smear[0]), float(smear[1])),
        noise=float(rng.uniform(*setup.noise)),
        exposure=float(rng.uniform(*setup.exposure)),
        balance=np.array([1 + warm, 1 + green, 1 - warm]),
        vignette=float(rng.uniform(0, 0.35)),
    )
