"""How an infant moves: postures, slow drift, fidgety movements and kicks, as functions of time alone.

Every joint angle is base + drift + fidgets + kicks. Drift is a sum of sines slower than 0.12 Hz; fidgets
are small, band-limited to 0.3 to 1.7 Hz, of changing size, in all joints at once, as at 9 to 18 weeks.
Nothing is carried from frame to frame, so any frame can be made without the ones before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from edgepose.synthetic.body import BODY_DOFS, SIDE_DOFS, BodyPose, Side

SLOW_HZ = (0.02, 0.12)
FAST_HZ = (0.3, 1.7)
_SLOW_SINES, _FAST_SINES = 3, 6


@dataclass(frozen=True)
class Dof:
    """One joint angle's habits, in its own unit (see `Side` and `BodyPose`).

    Attributes:
        low, high: where a video's resting value lies.
        drift, fidget: amplitudes (root mean square) of slow and of fidgety movement.
        floor, ceiling: what the joint allows.
    """

    low: float
    high: float
    drift: float
    fidget: float
    floor: float
    ceiling: float


BODY_TABLE = {
    "roll": Dof(-8, 8, 4, 0.8, -75, 75),
    "heading": Dof(-10, 10, 2, 0.3, -40, 40),
    "curl": Dof(2, 14, 4, 0.8, 0, 45),
    "bend": Dof(-9, 9, 5, 1.2, -25, 25),
    "twist": Dof(-6, 6, 4, 1.2, -25, 25),
    "head_turn": Dof(-40, 40, 14, 2.5, -72, 72),
    "head_tilt": Dof(-8, 8, 4, 1.2, -25, 25),
    "head_nod": Dof(-8, 16, 4, 1.5, -25, 30),
    "eyes": Dof(0.85, 1.0, 0.1, 0.0, 0, 1),
    "mouth": Dof(0.0, 0.4, 0.25, 0.08, 0, 1),
}
SIDE_TABLE = {
    "arm_abduct": Dof(35, 125, 14, 4.5, -15, 150),
    "arm_raise": Dof(0, 45, 14, 4.5, -10, 85),
    "arm_twist": Dof(5, 75, 14, 5, -30, 120),
    "elbow": Dof(22, 100, 16, 6, 3, 140),
    "wrist": Dof(-15, 30, 10, 8, -50, 60),
    "palm": Dof(20, 95, 18, 8, 0, 110),
    "fist": Dof(25, 85, 22, 10, 0, 95),
    "shrug": Dof(-0.3, 1.0, 0.3, 0.12, -1, 2),
    "hip_flex": Dof(25, 75, 12, 4, 0, 128),
    "hip_abduct": Dof(22, 55, 9, 3, -25, 75),
    "hip_twist": Dof(15, 60, 10, 4, -25, 85),
    "knee": Dof(40, 105, 15, 5, 2, 140),
    "ankle": Dof(5, 40, 9, 7, -20, 60),
    "foot_turn": Dof(5, 35, 9, 6, -20, 45),
}


@dataclass(frozen=True)
class Posture:
    """A habit of lying that overrides some ranges.

    Attributes:
        rare: one of the fifth of videos with unusual poses.
        body, both, left, right: (low, high) of resting values by joint; `left` and `right` add to `both`.
        kicks: typical height of kicks, in degrees of hip flexion.
        reach: (floor, ceiling) of joints that this posture takes beyond what lying on the back allows.
    """

    rare: bool
    body: dict[str, tuple[float, float]]
    both: dict[str, tuple[float, float]]
    left: dict[str, tuple[float, float]]
    right: dict[str, tuple[float, float]]
    kicks: float = 25.0
    reach: dict[str, tuple[float, float]] = field(default_factory=dict)


def _posture(
    rare: bool = False,
    body: dict[str, tuple[float, float]] | None = None,
    both: dict[str, tuple[float, float]] | None = None,
    left: dict[str, tuple[float, float]] | None = None,
    right: dict[str, tuple[float, float]] | None = None,
    kicks: float = 25.0,
    reach: dict[str, tuple[float, float]] | None = None,
) -> Posture:
    return Posture(rare, body or {}, both or {}, left or {}, right or {}, kicks, reach or {})


def _on_side(sign: int) -> Posture:
    """Lying on the left (1) or the right side (-1), arms before the chest and legs drawn up."""
    under, upper = ("left", "right") if sign > 0 else ("right", "left")
    arms = {
        under: {"arm_abduct": (55.0, 100.0), "arm_raise": (45.0, 80.0), "elbow": (30.0, 115.0)},
        upper: {"arm_abduct": (15.0, 70.0), "arm_raise": (25.0, 75.0), "elbow": (30.0, 110.0)},
    }
    roll = (62.0, 88.0) if sign > 0 else (-88.0, -62.0)
    return _posture(
        rare=True,
        body={"roll": roll, "head_turn": (-25, 25), "curl": (5, 30)},
        both={"hip_flex": (40, 105), "knee": (45, 115), "hip_abduct": (-5, 25), "hip_twist": (0, 30)},
        left=arms["left"],
        right=arms["right"],
        kicks=12,
        reach={"roll": (-100, 100), "curl": (0, 60)},
    )


_CLINIC_POSTURES = {
    "relaxed": _posture(),
    "arms-up": _posture(both={"arm_abduct": (90, 140), "arm_raise": (-5, 15), "arm_twist": (0, 30)}),
    "arms-down": _posture(both={"arm_abduct": (15, 55), "arm_raise": (0, 35), "elbow": (20, 80)}),
    "fencing-left": _posture(
        body={"head_turn": (40, 62)},
        left={"arm_abduct": (75, 110), "elbow": (8, 30), "hip_flex": (10, 35), "knee": (10, 40)},
        right={"elbow": (90, 125)},
    ),
    "fencing-right": _posture(
        body={"head_turn": (-62, -40)},
        right={"arm_abduct": (75, 110), "elbow": (8, 30), "hip_flex": (10, 35), "knee": (10, 40)},
        left={"elbow": (90, 125)},
    ),
    "stretched": _posture(both={"hip_flex": (3, 22), "hip_abduct": (10, 30), "knee": (8, 35)}, kicks=40),
    "frog": _posture(
        both={"hip_flex": (35, 70), "hip_abduct": (50, 70), "hip_twist": (50, 78), "knee": (80, 115)}
    ),
    "hands-together": _posture(
        both={"arm_abduct": (25, 50), "arm_raise": (40, 65), "arm_twist": (40, 80), "elbow": (85, 115)}
    ),
    "legs-to-chest": _posture(
        rare=True,
        body={"curl": (22, 40)},
        both={"hip_flex": (100, 120), "hip_abduct": (12, 38), "knee": (35, 110), "hip_twist": (-5, 35)},
        kicks=15,
    ),
    "legs-up": _posture(
        rare=True,
        body={"curl": (15, 32)},
        both={"hip_flex": (85, 112), "hip_abduct": (5, 28), "knee": (5, 45), "hip_twist": (-5, 20)},
        kicks=15,
    ),
    "hands-to-feet": _posture(
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
    "legs-crossed": _posture(
        rare=True,
        both={"hip_flex": (20, 50), "knee": (45, 85), "hip_twist": (35, 60)},
        left={"hip_abduct": (-12, 6)},
        right={"hip_abduct": (-6, 10), "hip_flex": (40, 75)},
        kicks=12,
    ),
    "arms-crossed": _posture(
        rare=True,
        both={"arm_abduct": (15, 40), "arm_raise": (48, 70), "arm_twist": (60, 100), "elbow": (100, 132)},
    ),
    "hand-on-face": _posture(
        rare=True,
        left={"arm_abduct": (48, 66), "arm_raise": (36, 50), "arm_twist": (14, 34), "elbow": (112, 126)},
    ),
    "half-side": _posture(
        rare=True,
        body={"roll": (30, 55), "head_turn": (15, 45)},
        both={"hip_flex": (50, 95), "knee": (60, 110)},
    ),
    "half-side-right": _posture(
        rare=True,
        body={"roll": (-55, -30), "head_turn": (-45, -15)},
        both={"hip_flex": (50, 95), "knee": (60, 110)},
    ),
}
COMMON = tuple(name for name, p in _CLINIC_POSTURES.items() if not p.rare)
RARE = tuple(name for name, p in _CLINIC_POSTURES.items() if p.rare)
# What photographs of infants at home show beside those.
_HOME_POSTURES = {
    "half-turned-left": _posture(
        body={"roll": (22, 60), "head_turn": (-20, 50), "twist": (-18, 10)},
        both={"hip_flex": (25, 95), "knee": (30, 110), "arm_raise": (10, 65)},
        reach={"roll": (-100, 100)},
    ),
    "half-turned-right": _posture(
        body={"roll": (-60, -22), "head_turn": (-50, 20), "twist": (-10, 18)},
        both={"hip_flex": (25, 95), "knee": (30, 110), "arm_raise": (10, 65)},
        reach={"roll": (-100, 100)},
    ),
    "soles-up": _posture(
        body={"curl": (15, 42)},
        both={"hip_flex": (98, 124), "hip_abduct": (8, 40), "knee": (55, 105), "hip_twist": (-10, 45)},
        kicks=10,
    ),
    "knees-drawn-up": _posture(
        body={"curl": (8, 30)},
        both={"hip_flex": (85, 120), "hip_abduct": (5, 45), "knee": (95, 135), "hip_twist": (0, 55)},
        kicks=12,
    ),
    "folded": _posture(
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
    "on-left-side": _on_side(1),
    "on-right-side": _on_side(-1),
}
POSTURES = {**_CLINIC_POSTURES, **_HOME_POSTURES}
HOME_COMMON = COMMON + tuple(name for name, p in _HOME_POSTURES.items() if not p.rare)
HOME_RARE = RARE + tuple(name for name, p in _HOME_POSTURES.items() if p.rare) * 3


@dataclass(frozen=True)
class Wave:
    """One joint's course: base plus sines.

    Attributes:
        base: resting value.
        sines: (N, 3) amplitude, frequency in Hz, phase. The first ones are the drift.
        swell: frequency in Hz and phase of the fidgets' waxing and waning.
    """

    base: float
    sines: np.ndarray
    swell: tuple[float, float]
    floor: float
    ceiling: float

    def at(self, seconds: float) -> float:
        amplitude, hz, phase = self.sines.T
        terms = amplitude * np.sin(2 * np.pi * hz * seconds + phase)
        swell = 0.7 + 0.6 * np.sin(2 * np.pi * self.swell[0] * seconds + self.swell[1])
        value = self.base + terms[:_SLOW_SINES].sum() + swell * terms[_SLOW_SINES:].sum()
        return _limited(float(value), self.floor, self.ceiling)


@dataclass(frozen=True)
class Kick:
    """Bursts of flexion in one leg: height in degrees, frequency in Hz, phase, sharpness."""

    height: float
    hz: float
    phase: float
    sharpness: float

    def at(self, seconds: float) -> float:
        # A slow wander of the phase makes the bursts irregular.
        angle = 2 * np.pi * self.hz * seconds + self.phase + 1.3 * np.sin(0.23 * seconds + 2 * self.phase)
        return self.height * float(np.exp(self.sharpness * (np.sin(angle) - 1)))


@dataclass(frozen=True)
class Motion:
    """One video's movement; `at` gives the pose at a time."""

    posture: str
    body: dict[str, Wave]
    left: dict[str, Wave]
    right: dict[str, Wave]
    kicks: tuple[Kick, Kick]
    blink: tuple[float, float]

    def at(self, seconds: float) -> BodyPose:
        """The pose `seconds` after the video's start."""
        body = {name: wave.at(seconds) for name, wave in self.body.items()}
        period, phase = self.blink
        if (seconds + phase) % period < 0.22:
            body["eyes"] = 0.0
        left, right = (
            _kicked({name: wave.at(seconds) for name, wave in waves.items()}, kick.at(seconds))
            for waves, kick in zip((self.left, self.right), self.kicks, strict=True)
        )
        return BodyPose(Side(**left), Side(**right), **body)


def motion(rng: np.random.Generator, posture: str) -> Motion:
    """Draw one video's movement.

    Args:
        posture: a key of `POSTURES`.
    """
    p = POSTURES[posture]
    liveliness = rng.uniform(0.7, 1.4)
    body = {name: _wave(rng, _dof(p, name, BODY_TABLE), p.body.get(name), liveliness) for name in BODY_DOFS}
    left, right = (
        {
            name: _wave(rng, _dof(p, name, SIDE_TABLE), own.get(name, p.both.get(name)), liveliness)
            for name in SIDE_DOFS
        }
        for own in (p.left, p.right)
    )
    kicks = (_kick(rng, p.kicks * liveliness), _kick(rng, p.kicks * liveliness))
    if rng.random() < 0.06:  # asleep
        body["eyes"] = Wave(0.0, np.zeros((_SLOW_SINES, 3)), (0.1, 0.0), 0.0, 1.0)
    return Motion(posture, body, left, right, kicks, (rng.uniform(2.5, 6), rng.uniform(0, 6)))


def _dof(posture: Posture, name: str, table: dict[str, Dof]) -> Dof:
    floor, ceiling = posture.reach.get(name, (table[name].floor, table[name].ceiling))
    return replace(table[name], floor=floor, ceiling=ceiling)


def _wave(rng: np.random.Generator, dof: Dof, limits: tuple[float, float] | None, liveliness: float) -> Wave:
    low, high = limits or (dof.low, dof.high)
    sines = np.concatenate(
        [
            _sines(rng, _SLOW_SINES, SLOW_HZ, dof.drift * liveliness),
            _sines(rng, _FAST_SINES, FAST_HZ, dof.fidget * liveliness),
        ]
    )
    swell = (float(rng.uniform(0.05, 0.25)), float(rng.uniform(0, 2 * np.pi)))
    return Wave(float(rng.uniform(low, high)), sines, swell, dof.floor, dof.ceiling)


def _sines(rng: np.random.Generator, count: int, band: tuple[float, float], rms: float) -> np.ndarray:
    """(count, 3) amplitude, frequency, phase; frequencies spread over the band, `rms` in sum."""
    hz = np.exp(rng.uniform(np.log(band[0]), np.log(band[1]), count))
    size = rng.uniform(0.5, 1, count) / np.sqrt(hz / band[0])  # faster movements are smaller
    size *= rms * np.sqrt(2) / np.linalg.norm(size)
    return np.stack([size, hz, rng.uniform(0, 2 * np.pi, count)], axis=1)


def _kick(rng: np.random.Generator, height: float) -> Kick:
    return Kick(
        float(height * rng.uniform(0.3, 1.3)),
        float(rng.uniform(0.12, 0.4)),
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.uniform(3, 8)),
    )


def _kicked(side: dict[str, float], kick: float) -> dict[str, float]:
    """The hip flexes while the knee opens."""
    side["hip_flex"] = _limited(side["hip_flex"] + kick, *_limits("hip_flex"))
    side["knee"] = _limited(side["knee"] - 0.8 * kick, *_limits("knee"))
    return side


def _limits(name: str) -> tuple[float, float]:
    return SIDE_TABLE[name].floor, SIDE_TABLE[name].ceiling


def _limited(value: float, floor: float, ceiling: float) -> float:
    """Clipped smoothly over the last tenth of the range, so that no joint stops dead."""
    margin = 0.1 * (ceiling - floor)
    if value > ceiling - margin:
        return ceiling - margin * float(np.exp(-(value - ceiling + margin) / margin))
    if value < floor + margin:
        return floor + margin * float(np.exp((value - floor - margin) / margin))
    return value
