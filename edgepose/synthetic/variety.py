"""The varieties of made-up infants: which setups, postures and clothes a data set is drawn from.

A data set is of one variety, named where it is made and in its `dataset.json`; none is a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edgeio import lookup
from edgepose.synthetic.carried import (
    FOURS_POSTURES,
    PRONE_POSTURES,
    SIDE_POSTURES,
    SITTING_POSTURES,
    STANDING_POSTURES,
    SUPINE_POSTURES,
)
from edgepose.synthetic.postures import COMMON, HOME_COMMON, HOME_RARE, RARE
from edgepose.synthetic.scene import HOME_COLOURS, HOME_PATTERNS, SETUP_DECK, SETUPS, Setup, Wardrobe


@dataclass(frozen=True)
class Variety:
    """What a data set's videos are drawn from.

    Attributes:
        about: what it shows, one sentence.
        generator: raise it whenever the same seed gives other bytes.
        setups: by name. deck: their shares. rare_deck: share of rare postures.
        common, rare: postures of `motion.POSTURES`.
        stream: told apart from other varieties' random numbers by it; None for the seed's own.
    """

    name: str
    about: str
    generator: int
    setups: dict[str, Setup]
    deck: tuple[str, ...]
    wardrobe: Wardrobe
    common: tuple[str, ...]
    rare: tuple[str, ...]
    rare_deck: tuple[bool, ...]
    stream: int | None = None


_FLOORS = (
    ("carpet",) * 5 + ("ornamental-rug", "ornamental-rug", "planks", "planks", "playmat") + ("quilt",) * 3
)
_HOME_SIZES = ((640, 480), (480, 640), (640, 360), (360, 640), (640, 640))


def _home_setup(
    name: str,
    tilt: tuple[float, float],
    distance: tuple[float, float],
    fill: tuple[float, float],
    margin: float,
    **other: Any,
) -> Setup:
    made = Setup(
        name,
        sizes=_HOME_SIZES,
        tilt=tilt,
        roll=(-180, 180),
        distance=distance,
        fill=fill,
        shake=(0.2, 1.4),
        blur=(0.4, 1.5),
        noise=(1.5, 10),
        quality=(40, 92),
        contrast=(0.3, 1.9),
        clutter=(0.35, 0.3, 0.4),
        surfaces=(*_FLOORS, "bed", "sofa", "cot", "cot", "mattress"),
        margin=margin,
        level=0.65,
        exposure=(0.7, 1.45),
        cast=0.08,
        hands=0.3,
        mixed=0.55,
    )
    return replace(made, **other)


_HOME_SETUPS = {
    s.name: s
    for s in (
        _home_setup("from-above", (3, 32), (60, 120), (0.75, 1.1), 0.01),
        _home_setup("from-the-side", (36, 74), (70, 170), (0.75, 1.15), 0.01),
        _home_setup("close-up", (5, 62), (48, 90), (1.05, 1.4), -0.12),
    )
}
_HOME_WARDROBE = Wardrobe(
    (7, 28),
    {
        "diaper": 0.16,
        "onesie": 0.22,
        "vest": 0.06,
        "long-sleeved": 0.22,
        "sleepsuit": 0.16,
        "pyjamas": 0.18,
    },
    HOME_COLOURS,
    HOME_PATTERNS,
    trousers={"diaper": 0.25, "onesie": 0.55, "vest": 0.5, "long-sleeved": 0.85},
    kinds={"trousers": 0.45, "leggings": 0.25, "footed-trousers": 0.15, "shorts": 0.15},
    hat=0.12,
)
_UPRIGHT = (*(0,) * 18, 1, -1)
_FRONT, _FEET = (-205.0, 25.0), (-150.0, -30.0)
_POSTURE_SETUPS = {
    s.name: s
    for s in (
        _home_setup(
            "foot-end",
            (22, 76),
            (65, 140),
            (0.75, 1.15),
            0.01,
            azimuth=_FEET,
            level=0.9,
            postures=("soles-up", "knees-drawn-up", "folded", *SUPINE_POSTURES),
        ),
        _home_setup("on-the-side", (5, 76), (65, 140), (0.75, 1.15), 0.01, postures=tuple(SIDE_POSTURES)),
        _home_setup("prone-above", (3, 38), (65, 130), (0.75, 1.1), 0.01, postures=tuple(PRONE_POSTURES)),
        _home_setup(
            "prone-low", (42, 84), (70, 170), (0.75, 1.15), 0.01, level=0.9, postures=tuple(PRONE_POSTURES)
        ),
        _home_setup(
            "prone-front",
            (48, 82),
            (60, 130),
            (0.75, 1.15),
            0.01,
            azimuth=(-140.0, -40.0),
            level=0.95,
            postures=tuple(PRONE_POSTURES),
        ),
        _home_setup(
            "on-fours",
            (35, 85),
            (75, 180),
            (0.7, 1.1),
            0.01,
            level=0.92,
            quarters=_UPRIGHT,
            postures=tuple(FOURS_POSTURES),
        ),
        _home_setup(
            "sitting",
            (42, 86),
            (70, 180),
            (0.7, 1.1),
            0.01,
            azimuth=_FRONT,
            level=0.95,
            hands=0.25,
            quarters=_UPRIGHT,
            postures=tuple(SITTING_POSTURES),
            spots=("armpits", "flanks"),
        ),
        _home_setup(
            "sitting-above",
            (14, 48),
            (70, 140),
            (0.75, 1.1),
            0.01,
            level=0.9,
            hands=0.2,
            quarters=_UPRIGHT,
            postures=tuple(SITTING_POSTURES),
            spots=("armpits", "flanks"),
        ),
        _home_setup(
            "standing",
            (52, 87),
            (80, 200),
            (0.72, 1.05),
            0.01,
            azimuth=(-230.0, 50.0),
            level=0.96,
            hands=0.75,
            quarters=_UPRIGHT,
            postures=tuple(STANDING_POSTURES),
            spots=("armpits", "flanks", "hips"),
        ),
        _home_setup(
            "postures-close-up",
            (20, 80),
            (55, 100),
            (1.0, 1.35),
            -0.12,
            azimuth=_FRONT,
            level=0.9,
            postures=("folded", *SUPINE_POSTURES, *SIDE_POSTURES, *SITTING_POSTURES, *PRONE_POSTURES),
            spots=("armpits", "flanks"),
        ),
    )
}
CLINIC, HOME, POSTURES = "clinic", "home", "home-postures"
VARIETIES = {
    v.name: v
    for v in (
        Variety(
            CLINIC,
            "Infants on their back, filmed from above for an assessment, in hospital or at home.",
            generator=2,
            setups=SETUPS,
            deck=SETUP_DECK,
            wardrobe=Wardrobe(
                (9, 18), {"diaper": 0.5, "onesie": 0.32, "long-sleeved": 0.1, "sleepsuit": 0.08}
            ),
            common=COMMON,
            rare=RARE,
            rare_deck=(True, False, False, False, False),
        ),
        Variety(
            HOME,
            "Infants as families photograph them: dressed, close up, turned, from any side, in adult hands.",
            generator=1,
            setups=_HOME_SETUPS,
            deck=("from-above",) * 4 + ("from-the-side",) * 3 + ("close-up",) * 3,
            wardrobe=_HOME_WARDROBE,
            common=HOME_COMMON,
            rare=HOME_RARE,
            rare_deck=(True, False, False, True, False),
            stream=1,
        ),
        Variety(
            POSTURES,
            "Infants at home on tummy and side, sitting, on all fours and held upright, from all around.",
            generator=1,
            setups=_POSTURE_SETUPS,
            deck=(
                *("foot-end",) * 2,
                *("on-the-side",) * 2,
                *("prone-above",) * 3,
                *("prone-low",) * 2,
                *("prone-front",) * 2,
                *("on-fours",) * 3,
                *("sitting",) * 3,
                "sitting-above",
                *("standing",) * 2,
                *("postures-close-up",) * 2,
            ),
            wardrobe=_HOME_WARDROBE,
            common=tuple(dict.fromkeys(p for s in _POSTURE_SETUPS.values() for p in s.postures)),
            rare=(),
            rare_deck=(False,),
            stream=2,
        ),
    )
}


def variety(name: str) -> Variety:
    """The variety of a name.

    Raises:
        UnknownName: there is none of that name.
    """
    return lookup(VARIETIES, "variety", name)
