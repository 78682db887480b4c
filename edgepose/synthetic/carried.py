"""Postures of infants at home beyond lying on the back: on the tummy, on all fours, sitting, standing."""

from __future__ import annotations

from edgepose.synthetic.body import Stance
from edgepose.synthetic.posture import Posture, on_side, posture

_Ranges = dict[str, tuple[float, float]]
# What joints do beyond lying on the back. On the tummy the infant is turned over and heads where it faces
# when it sits: to the side of the world where `azimuth` of a setup has its cameras in front.
_FREE: _Ranges = {
    "curl": (-60, 60),
    "head_turn": (-95, 95),
    "head_nod": (-80, 40),
    "hip_flex": (-25, 135),
    "hip_abduct": (-25, 85),
    "arm_raise": (-35, 100),
    "arm_abduct": (-25, 178),
    "ankle": (-30, 88),
}
_OVER: _Ranges = {**_FREE, "roll": (130, 230), "heading": (120, 240)}
_PRONE: _Ranges = {"roll": (170, 190), "heading": (160, 200), "bend": (-12, 12)}
_STRETCHED: _Ranges = {"hip_flex": (-12, 14), "hip_abduct": (6, 26), "hip_twist": (-10, 35), "knee": (4, 45)}
_FEET_UP: _Ranges = {"hip_flex": (-10, 15), "hip_abduct": (8, 28), "hip_twist": (-5, 25), "knee": (55, 105)}
_FROGGED: _Ranges = {"hip_flex": (55, 105), "hip_abduct": (45, 72), "hip_twist": (25, 65), "knee": (75, 118)}
_PROPPING: _Ranges = {
    "arm_abduct": (60, 105),
    "arm_raise": (66, 84),
    "arm_twist": (-15, 20),
    "palm": (35, 85),
    "fist": (5, 50),
}


def _prone(
    arms: _Ranges, legs: _Ranges, pitch: tuple[float, float], body: _Ranges, stance: Stance = Stance()
) -> Posture:
    return posture(
        body={**_PRONE, **body}, both={**arms, **legs}, kicks=0, reach=_OVER, stance=stance, pitch=pitch
    )


def _resting(sign: int, arms: _Ranges, legs: _Ranges) -> Posture:
    """Flat on the tummy, a cheek on the ground; the face to the left (1) or to the right (-1)."""
    turn = (60.0, 86.0) if sign > 0 else (-86.0, -60.0)
    return _prone(arms, legs, (-7, 2), {"curl": (-8, 6), "head_turn": turn, "head_nod": (-18, 0)})


_BESIDE_HEAD: _Ranges = {
    "arm_abduct": (85, 140),
    "arm_raise": (0, 35),
    "arm_twist": (-15, 25),
    "elbow": (50, 115),
}
_ALONG_TRUNK: _Ranges = {
    "arm_abduct": (10, 42),
    "arm_raise": (-10, 20),
    "arm_twist": (-5, 50),
    "elbow": (6, 42),
}
_UNDER_CHEST: _Ranges = {
    "arm_abduct": (25, 60),
    "arm_raise": (45, 78),
    "arm_twist": (30, 80),
    "elbow": (85, 128),
}
_UP: _Ranges = {"curl": (-38, -16), "head_turn": (-45, 45), "head_nod": (-52, -12)}
_FOREARMS, _HANDS = Stance("forearm", "forearm"), Stance("hand", "hand")


def _on_fours(pitch: tuple[float, float], stance: Stance, both: _Ranges, stride: _Ranges) -> Posture:
    body = {**_PRONE, "curl": (-6, 12), "head_turn": (-40, 40), "head_nod": (-58, -8), "heading": (150, 210)}
    return posture(
        body=body,
        both={**_PROPPING, **both},
        left=stride,
        kicks=0,
        reach=_OVER,
        stance=stance,
        pitch=pitch,
    )


def _sitting(
    legs: _Ranges,
    arms: _Ranges,
    pitch: tuple[float, float] = (78, 100),
    stance: Stance = Stance(),
    body: _Ranges | None = None,
) -> Posture:
    leaning = {"curl": (16, 36), "head_turn": (-42, 42), "head_nod": (-15, 28), "roll": (-14, 14)}
    return posture(
        body={**leaning, "heading": (-20, 20), **(body or {})},
        both={**legs, **arms},
        kicks=0,
        reach=_FREE,
        stance=stance,
        pitch=pitch,
    )


_LAP: _Ranges = {"arm_abduct": (15, 50), "arm_raise": (12, 50), "arm_twist": (65, 125), "elbow": (25, 110)}
_PLAYING: _Ranges = {
    "arm_abduct": (10, 70),
    "arm_raise": (25, 75),
    "arm_twist": (50, 120),
    "elbow": (25, 120),
}
_WIDE: _Ranges = {"arm_abduct": (35, 115), "arm_raise": (0, 45), "arm_twist": (30, 100), "elbow": (15, 95)}
_BENT_OUT: _Ranges = {"hip_flex": (50, 78), "hip_abduct": (38, 66), "hip_twist": (30, 72), "knee": (50, 112)}
_AHEAD: _Ranges = {"hip_flex": (55, 80), "hip_abduct": (14, 42), "hip_twist": (-5, 35), "knee": (4, 45)}
_CROSSED: _Ranges = {"hip_flex": (50, 75), "hip_abduct": (52, 70), "hip_twist": (55, 80), "knee": (95, 128)}
_UPRIGHT_ON_FEET = Stance(legs="foot", trunk=False)
_ON_FEET: _Ranges = {
    "hip_flex": (-5, 28),
    "hip_abduct": (4, 20),
    "hip_twist": (-22, 10),
    "knee": (6, 42),
    "ankle": (-5, 18),
}


def _standing(arms: _Ranges, legs: _Ranges = _ON_FEET, pitch: tuple[float, float] = (78, 102)) -> Posture:
    body = {"curl": (0, 14), "head_turn": (-42, 42), "head_nod": (-12, 24), "roll": (-20, 20)}
    return posture(
        body={**body, "heading": (-20, 20)},
        both={**legs, **arms},
        kicks=0,
        reach=_FREE,
        stance=_UPRIGHT_ON_FEET,
        pitch=pitch,
    )


SUPINE_POSTURES = {
    "legs-raised": posture(
        body={"curl": (12, 34), "head_nod": (0, 20)},
        both={"hip_flex": (85, 114), "hip_abduct": (5, 32), "knee": (5, 65), "hip_twist": (-10, 25)},
        kicks=12,
    ),
    "feet-in-hands": posture(
        body={"curl": (22, 40), "head_nod": (0, 18)},
        both={
            "hip_flex": (98, 118),
            "hip_abduct": (14, 38),
            "knee": (45, 90),
            "arm_abduct": (28, 46),
            "arm_raise": (60, 80),
            "elbow": (5, 32),
        },
        kicks=6,
    ),
    "arms-crossed-knees-up": posture(
        body={"curl": (12, 36), "head_nod": (-5, 20)},
        both={
            "hip_flex": (88, 120),
            "hip_abduct": (2, 30),
            "knee": (92, 132),
            "arm_abduct": (15, 42),
            "arm_raise": (46, 70),
            "arm_twist": (58, 102),
            "elbow": (96, 132),
        },
        kicks=8,
    ),
}
SIDE_POSTURES = {"curled-on-left-side": on_side(1, False), "curled-on-right-side": on_side(-1, False)}
PRONE_POSTURES = {
    "cheek-down-left": _resting(1, _BESIDE_HEAD, _STRETCHED),
    "cheek-down-right": _resting(-1, _BESIDE_HEAD, _FROGGED),
    "arms-along-left": _resting(1, _ALONG_TRUNK, _FROGGED),
    "arms-along-right": _resting(-1, _ALONG_TRUNK, _STRETCHED),
    "arms-under-chest": _prone(
        _UNDER_CHEST, _STRETCHED, (2, 14), {"curl": (-18, -4), "head_nod": (-35, -5), "head_turn": (-60, 60)}
    ),
    "head-lifted": _prone(_BESIDE_HEAD, _STRETCHED, (4, 18), _UP),
    "on-forearms": _prone({**_PROPPING, "elbow": (75, 112)}, _STRETCHED, (18, 34), _UP, _FOREARMS),
    "on-forearms-feet-up": _prone({**_PROPPING, "elbow": (75, 112)}, _FEET_UP, (18, 34), _UP, _FOREARMS),
    "on-forearms-frog": _prone({**_PROPPING, "elbow": (75, 112)}, _FROGGED, (18, 34), _UP, _FOREARMS),
    "on-hands": _prone(
        {**_PROPPING, "elbow": (8, 40)}, _STRETCHED, (34, 54), {**_UP, "curl": (-52, -28)}, _HANDS
    ),
    "reaching-left": _prone(
        {**_PROPPING, "elbow": (60, 112)}, _STRETCHED, (16, 30), _UP, Stance("free", "forearm")
    ),
    "reaching-right": _prone(
        {**_PROPPING, "elbow": (60, 112)}, _FEET_UP, (16, 30), _UP, Stance("forearm", "free")
    ),
    "knees-under": _prone(
        _BESIDE_HEAD,
        {"hip_flex": (105, 128), "hip_abduct": (18, 45), "hip_twist": (0, 30), "knee": (108, 132)},
        (-24, -10),
        {"curl": (5, 24), "head_turn": (-80, 80), "head_nod": (-25, 0)},
        Stance(legs="knee", trunk=False),
    ),
}
_KNEELING: _Ranges = {
    "hip_flex": (72, 104),
    "hip_abduct": (4, 20),
    "hip_twist": (-8, 15),
    "knee": (75, 108),
    "ankle": (45, 78),
    "elbow": (6, 35),
}
FOURS_POSTURES = {
    "crawling": _on_fours((-2, 8), Stance("hand", "hand", "knee", False), _KNEELING, {}),
    "crawling-left-ahead": _on_fours(
        (-2, 8), Stance("hand", "hand", "knee", False), _KNEELING, {"hip_flex": (95, 120)}
    ),
    "crawling-low": _on_fours(
        (-10, -2),
        Stance("forearm", "forearm", "knee", False),
        {**_KNEELING, "arm_abduct": (72, 112), "arm_raise": (44, 66), "elbow": (70, 108)},
        {},
    ),
    "on-hands-and-feet": _on_fours(
        (-23, -13),
        Stance("hand", "hand", "foot", False),
        {
            "hip_flex": (90, 104),
            "hip_abduct": (6, 22),
            "hip_twist": (-15, 10),
            "knee": (12, 38),
            "ankle": (-10, 15),
            "elbow": (6, 30),
        },
        {},
    ),
}
SITTING_POSTURES = {
    "sitting-lap": _sitting(_BENT_OUT, _LAP),
    "sitting-playing": _sitting(_BENT_OUT, _PLAYING, (80, 106)),
    "sitting-legs-ahead": _sitting(_AHEAD, _PLAYING),
    "sitting-arms-wide": _sitting(_AHEAD, _WIDE),
    "sitting-crossed": _sitting(_CROSSED, _LAP),
    "sitting-soles": _sitting({**_BENT_OUT, "knee": (15, 70), "hip_twist": (20, 50)}, _WIDE, (74, 96)),
    "sitting-propped": _sitting(
        _BENT_OUT,
        {
            "arm_abduct": (20, 55),
            "arm_raise": (45, 70),
            "arm_twist": (40, 90),
            "elbow": (8, 40),
            "fist": (5, 50),
        },
        (132, 150),
        _HANDS,
        {"head_nod": (-62, -12), "curl": (38, 56)},
    ),
    "sitting-knees-up": _sitting(
        {
            "hip_flex": (92, 118),
            "hip_abduct": (10, 38),
            "hip_twist": (-15, 15),
            "knee": (78, 115),
            "ankle": (0, 20),
        },
        _PLAYING,
        (74, 96),
        Stance(legs="foot"),
    ),
    "sitting-back": _sitting(_BENT_OUT, _PLAYING, (48, 70), body={"head_nod": (5, 34)}),
    "sitting-back-legs-up": _sitting(
        {"hip_flex": (75, 112), "hip_abduct": (15, 50), "hip_twist": (0, 60), "knee": (25, 100)},
        _PLAYING,
        (40, 66),
        body={"head_nod": (5, 34)},
    ),
}
_KNEEL: _Ranges = {
    "hip_flex": (2, 30),
    "hip_abduct": (4, 18),
    "hip_twist": (-5, 15),
    "knee": (85, 110),
    "ankle": (45, 78),
}
STANDING_POSTURES = {
    "standing-arms-down": _standing(
        {"arm_abduct": (14, 50), "arm_raise": (0, 35), "arm_twist": (70, 120), "elbow": (15, 90)}
    ),
    "standing-arms-ahead": _standing(
        {"arm_abduct": (20, 70), "arm_raise": (35, 75), "arm_twist": (40, 110), "elbow": (15, 90)}
    ),
    "standing-arms-wide": _standing(_WIDE),
    "standing-arms-up": _standing(
        {"arm_abduct": (110, 165), "arm_raise": (5, 40), "arm_twist": (0, 50), "elbow": (15, 80)}
    ),
    "squatting": _standing(
        _PLAYING,
        {
            "hip_flex": (92, 116),
            "hip_abduct": (14, 34),
            "hip_twist": (-20, 5),
            "knee": (96, 122),
            "ankle": (-25, 0),
        },
        (68, 92),
    ),
    "standing-bent": _standing(
        _PLAYING,
        {
            "hip_flex": (28, 62),
            "hip_abduct": (6, 20),
            "hip_twist": (-20, 5),
            "knee": (10, 52),
            "ankle": (-15, 8),
        },
        (108, 142),
    ),
    "kneeling-upright": posture(
        body={"curl": (0, 14), "head_turn": (-42, 42), "heading": (-20, 20), "roll": (-20, 20)},
        both={**_KNEEL, **_PLAYING},
        kicks=0,
        reach=_FREE,
        stance=Stance(legs="knee", trunk=False),
        pitch=(80, 102),
    ),
}
