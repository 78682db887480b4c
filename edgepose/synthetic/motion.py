"""How an infant moves: slow drift, fidgety movements and kicks, as functions of time alone.

Every joint angle is base + drift + fidgets + kicks. Drift is a sum of sines slower than 0.12 Hz; fidgets
are small, band-limited to 0.3 to 1.7 Hz, of changing size, in all joints at once, as at 9 to 18 weeks.
Nothing is carried from frame to frame, so any frame can be made without the ones before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgepose.synthetic.body import BODY_DOFS, SIDE_DOFS, BodyPose, Side, Stance
from edgepose.synthetic.posture import Posture
from edgepose.synthetic.postures import POSTURES

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
    stance: Stance | None = None
    pitch: Wave | None = None

    def at(self, seconds: float) -> BodyPose:
        """The pose `seconds` after the video's start."""
        body = {name: wave.at(seconds) for name, wave in self.body.items()}
        period, phase = self.blink
        if (seconds + phase) % period < 0.22:
            body["eyes"] = 0.0
        if self.pitch is not None:
            body["pitch"] = self.pitch.at(seconds)
        left, right = (
            _kicked({name: wave.at(seconds) for name, wave in waves.items()}, kick.at(seconds))
            for waves, kick in zip((self.left, self.right), self.kicks, strict=True)
        )
        return BodyPose(Side(**left), Side(**right), **body, stance=self.stance)


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
            name: _wave(
                rng, _dof(p, name, SIDE_TABLE), own.get(name, p.both.get(name)), liveliness * _unrest(p, name)
            )
            for name in SIDE_DOFS
        }
        for own in (p.left, p.right)
    )
    kicks = (_kick(rng, p.kicks * liveliness), _kick(rng, p.kicks * liveliness))
    if rng.random() < 0.06:  # asleep
        body["eyes"] = Wave(0.0, np.zeros((_SLOW_SINES, 3)), (0.1, 0.0), 0.0, 1.0)
    blink = (rng.uniform(2.5, 6), rng.uniform(0, 6))
    pitch = None
    if p.stance is not None:
        low, high = p.pitch
        pitch = _wave(rng, Dof(low, high, 2.5, 0.6, low - 5, high + 5), None, liveliness)
    return Motion(posture, body, left, right, kicks, blink, p.stance, pitch)


def _unrest(posture: Posture, name: str) -> float:
    """Share of a joint's usual movement: legs that carry the trunk keep quieter."""
    carrying = posture.stance is not None and not posture.stance.trunk
    return 0.4 if carrying and name in ("hip_flex", "hip_abduct", "hip_twist", "knee") else 1.0


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
    if kick == 0:  # a leg that carries the infant
        return side
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
