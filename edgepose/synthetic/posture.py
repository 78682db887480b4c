"""What a posture is: the joint angles that an infant takes, and what carries it."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgepose.synthetic.body import Stance


@dataclass(frozen=True)
class Posture:
    """A habit of lying that overrides some ranges.

    Attributes:
        rare: one of the fifth of videos with unusual poses.
        body, both, left, right: (low, high) of resting values by joint; `left` and `right` add to `both`.
        kicks: typical height of kicks, in degrees of hip flexion.
        reach: (floor, ceiling) of joints that this posture takes beyond what lying on the back allows.
        stance: what carries the infant; None on the back.
        pitch: (low, high) of the chest's resting value, with a stance.
    """

    rare: bool
    body: dict[str, tuple[float, float]]
    both: dict[str, tuple[float, float]]
    left: dict[str, tuple[float, float]]
    right: dict[str, tuple[float, float]]
    kicks: float = 25.0
    reach: dict[str, tuple[float, float]] = field(default_factory=dict)
    stance: Stance | None = None
    pitch: tuple[float, float] = (0.0, 0.0)


def posture(
    rare: bool = False,
    body: dict[str, tuple[float, float]] | None = None,
    both: dict[str, tuple[float, float]] | None = None,
    left: dict[str, tuple[float, float]] | None = None,
    right: dict[str, tuple[float, float]] | None = None,
    kicks: float = 25.0,
    reach: dict[str, tuple[float, float]] | None = None,
    stance: Stance | None = None,
    pitch: tuple[float, float] = (0.0, 0.0),
) -> Posture:
    return Posture(rare, body or {}, both or {}, left or {}, right or {}, kicks, reach or {}, stance, pitch)


def on_side(sign: int, rare: bool = True) -> Posture:
    """Lying on the left (1) or the right side (-1), arms before the chest and legs drawn up."""
    under, upper = ("left", "right") if sign > 0 else ("right", "left")
    arms = {
        under: {"arm_abduct": (55.0, 100.0), "arm_raise": (45.0, 80.0), "elbow": (30.0, 115.0)},
        upper: {"arm_abduct": (15.0, 70.0), "arm_raise": (25.0, 75.0), "elbow": (30.0, 110.0)},
    }
    roll = (62.0, 88.0) if sign > 0 else (-88.0, -62.0)
    return posture(
        rare=rare,
        body={"roll": roll, "head_turn": (-25, 25), "curl": (5, 30)},
        both={"hip_flex": (40, 105), "knee": (45, 115), "hip_abduct": (-5, 25), "hip_twist": (0, 30)},
        left=arms["left"],
        right=arms["right"],
        kicks=12,
        reach={"roll": (-100, 100), "curl": (0, 60)},
    )
