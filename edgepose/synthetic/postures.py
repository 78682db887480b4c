"""How infants lie, sit, crawl and stand: every posture by name."""

from __future__ import annotations

from edgepose.synthetic.carried import (
    FOURS_POSTURES,
    PRONE_POSTURES,
    SIDE_POSTURES,
    SITTING_POSTURES,
    STANDING_POSTURES,
    SUPINE_POSTURES,
)
from edgepose.synthetic.posture import on_side, posture

_CLINIC_POSTURES = {
    "relaxed": posture(),
    "arms-up": posture(both={"arm_abduct": (90, 140), "arm_raise": (-5, 15), "arm_twist": (0, 30)}),
    "arms-down": posture(both={"arm_abduct": (15, 55), "arm_raise": (0, 35), "elbow": (20, 80)}),
    "fencing-left": posture(
        body={"head_turn": (40, 62)},
        left={"arm_abduct": (75, 110), "elbow": (8, 30), "hip_flex": (10, 35), "knee": (10, 40)},
        right={"elbow": (90, 125)},
    ),
    "fencing-right": posture(
        body={"head_turn": (-62, -40)},
        right={"arm_abduct": (75, 110), "elbow": (8, 30), "hip_flex": (10, 35), "knee": (10, 40)},
        left={"elbow": (90, 125)},
    ),
    "stretched": posture(both={"hip_flex": (3, 22), "hip_abduct": (10, 30), "knee": (8, 35)}, kicks=40),
    "frog": posture(
        both={"hip_flex": (35, 70), "hip_abduct": (50, 70), "hip_twist": (50, 78), "knee": (80, 115)}
    ),
    "hands-together": posture(
        both={"arm_abduct": (25, 50), "arm_raise": (40, 65), "arm_twist": (40, 80), "elbow": (85, 115)}
    ),
    "legs-to-chest": posture(
        rare=True,
        body={"curl": (22, 40)},
        both={"hip_flex": (100, 120), "hip_abduct": (12, 38), "knee": (35, 110), "hip_twist": (-5, 35)},
        kicks=15,
    ),
    "legs-up": posture(
        rare=True,
        body={"curl": (15, 32)},
        both={"hip_flex": (85, 112), "hip_abduct": (5, 28), "knee": (5, 45), "hip_twist": (-5, 20)},
        kicks=15,
    ),
    "hands-to-feet": posture(
        rare=True,
        body={"curl": (25, 40)},
        both={
            "hip_flex": (98, 115),
            "hip_abduct": (15, 35),
            "knee": (50, 85),
            "arm_abduct": (30, 45),
            "arm_raise": (62, 80),
            "elbow": (5, 30),
        },
        kicks=6,
    ),
    "legs-crossed": posture(
        rare=True,
        both={"hip_flex": (20, 50), "knee": (45, 85), "hip_twist": (35, 60)},
        left={"hip_abduct": (-12, 6)},
        right={"hip_abduct": (-6, 10), "hip_flex": (40, 75)},
        kicks=12,
    ),
    "arms-crossed": posture(
        rare=True,
        both={"arm_abduct": (15, 40), "arm_raise": (48, 70), "arm_twist": (60, 100), "elbow": (100, 132)},
    ),
    "hand-on-face": posture(
        rare=True,
        left={"arm_abduct": (48, 66), "arm_raise": (36, 50), "arm_twist": (14, 34), "elbow": (112, 126)},
    ),
    "half-side": posture(
        rare=True,
        body={"roll": (30, 55), "head_turn": (15, 45)},
        both={"hip_flex": (50, 95), "knee": (60, 110)},
    ),
    "half-side-right": posture(
        rare=True,
        body={"roll": (-55, -30), "head_turn": (-45, -15)},
        both={"hip_flex": (50, 95), "knee": (60, 110)},
    ),
}
COMMON = tuple(name for name, p in _CLINIC_POSTURES.items() if not p.rare)
RARE = tuple(name for name, p in _CLINIC_POSTURES.items() if p.rare)
# What photographs of infants at home show beside those.
_HOME_POSTURES = {
    "half-turned-left": posture(
        body={"roll": (22, 60), "head_turn": (-20, 50), "twist": (-18, 10)},
        both={"hip_flex": (25, 95), "knee": (30, 110), "arm_raise": (10, 65)},
        reach={"roll": (-100, 100)},
    ),
    "half-turned-right": posture(
        body={"roll": (-60, -22), "head_turn": (-50, 20), "twist": (-10, 18)},
        both={"hip_flex": (25, 95), "knee": (30, 110), "arm_raise": (10, 65)},
        reach={"roll": (-100, 100)},
    ),
    "soles-up": posture(
        body={"curl": (15, 42)},
        both={"hip_flex": (98, 124), "hip_abduct": (8, 40), "knee": (55, 105), "hip_twist": (-10, 45)},
        kicks=10,
    ),
    "knees-drawn-up": posture(
        body={"curl": (8, 30)},
        both={"hip_flex": (85, 120), "hip_abduct": (5, 45), "knee": (95, 135), "hip_twist": (0, 55)},
        kicks=12,
    ),
    "folded": posture(
        body={"curl": (20, 42), "head_nod": (0, 22)},
        both={
            "hip_flex": (95, 122),
            "hip_abduct": (0, 28),
            "knee": (90, 132),
            "arm_abduct": (18, 48),
            "arm_raise": (42, 68),
            "arm_twist": (45, 100),
            "elbow": (95, 132),
        },
        kicks=8,
    ),
    "on-left-side": on_side(1),
    "on-right-side": on_side(-1),
}
POSTURES = {
    **_CLINIC_POSTURES,
    **_HOME_POSTURES,
    **SUPINE_POSTURES,
    **SIDE_POSTURES,
    **PRONE_POSTURES,
    **FOURS_POSTURES,
    **SITTING_POSTURES,
    **STANDING_POSTURES,
}
HOME_COMMON = COMMON + tuple(name for name, p in _HOME_POSTURES.items() if not p.rare)
HOME_RARE = RARE + tuple(name for name, p in _HOME_POSTURES.items() if p.rare) * 3
