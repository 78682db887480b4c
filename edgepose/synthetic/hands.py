"""An adult's hands on or beside the infant: at the head, on the trunk, holding a leg, or lying near."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgepose.synthetic.body import SKULL_CENTRE, Skeleton
from edgepose.synthetic.implicit import Blob
from edgepose.synthetic.patterns import linear
from edgepose.synthetic.props import Anchor, Prop, PropMesh, mesh
from edgepose.synthetic.scene import CLOTH_COLOURS, SKINS, pick

# A hand's frame: origin at the wrist, y to the fingers, z out of the palm, x to the thumb of a left hand.
_CELL = 0.7
_PALM = np.array([0.0, 6.0, 1.5])  # what touches
_SLEEVE = -9.0  # cloth begins so far behind the wrist
_FINGERS = ((2.6, 7.0), (0.95, 7.8), (-0.8, 7.3), (-2.4, 5.8))  # x of the knuckle, length


@dataclass(frozen=True)
class Grip:
    """How a hand is held, degrees: bend of the fingers' two joints, and of the wrist backwards."""

    knuckle: float
    middle: float
    wrist: float


GRIPS = {
    "flat": Grip(8, 14, 22),
    "cupped": Grip(26, 34, 12),
    "holding": Grip(58, 62, 10),
}


@dataclass(frozen=True)
class Spot:
    """Where a hand may be.

    Attributes:
        bone, centre, radius: the ball that it touches, in a bone's frame, cm.
        side: (low, high) of how far down the ball's side it touches, degrees from the top.
        way: (low, high) of where the arm comes from, degrees: 0 beside the infant, 90 beyond the head.
        grips: of `GRIPS`.
    """

    bone: str
    centre: tuple[float, float, float]
    radius: float
    side: tuple[float, float]
    way: tuple[float, float]
    grips: tuple[str, ...]


_SKULL = (float(SKULL_CENTRE[0]), float(SKULL_CENTRE[1]), float(SKULL_CENTRE[2]))
SPOTS = {
    "head": Spot("head", _SKULL, 6.8, (35, 80), (-15, 90), ("cupped", "flat")),
    "belly": Spot("spine", (0, -1.5, 0.5), 5.9, (0, 55), (-40, 20), ("flat", "cupped")),
    "chest": Spot("chest", (0, 0.5, 0), 5.3, (10, 70), (-25, 40), ("flat", "cupped")),
    "left-leg": Spot("left_shank", (0, 5.0, 0), 2.7, (10, 80), (-90, 10), ("holding",)),
    "right-leg": Spot("right_shank", (0, 5.0, 0), 2.7, (10, 80), (-90, 10), ("holding",)),
    "left-arm": Spot("left_forearm", (0, 4.0, 0), 2.2, (10, 80), (-15, 80), ("holding",)),
    "right-arm": Spot("right_forearm", (0, 4.0, 0), 2.2, (10, 80), (-15, 80), ("holding",)),
    "beside": Spot("chest", (0, -4.0, 0), 15.0, (80, 88), (-35, 35), ("flat", "cupped")),
}
_SHARES = (0.34, 0.16, 0.12, 0.07, 0.07, 0.05, 0.05, 0.14)
# Holding an infant that sits or stands: one hand at each side.
UPRIGHT_SPOTS = {
    "armpits": Spot("chest", (0, -0.5, 0), 5.9, (78, 100), (0, 50), ("cupped",)),
    "flanks": Spot("spine", (0, -1.0, 0.4), 6.2, (78, 100), (-5, 45), ("cupped",)),
    "hips": Spot("pelvis", (0, -1.0, 0), 6.3, (72, 95), (0, 45), ("cupped",)),
}


def hands(
    rng: np.random.Generator, chance: float, skeleton: Skeleton, upright: tuple[str, ...] = ()
) -> tuple[Prop, ...]:
    """Draw one person's hands, none, one or two.

    Args:
        chance: that there are any.
        skeleton: the infant in a typical pose; the hands move with what they touch.
        upright: of `UPRIGHT_SPOTS`, where both hands hold the infant; none for one or two of `SPOTS`.
    """
    if rng.random() >= chance:
        return ()
    skin, sleeve = pick(rng, tuple(SKINS.values())), linear(pick(rng, (*CLOTH_COLOURS, (40, 40, 46))))
    bare = rng.random() < 0.45
    spots = _upright(rng, upright) if upright else _lying(rng)
    left = rng.random() < 0.5
    made = []
    for number, spot in enumerate(spots):
        grip = pick(rng, spot.grips)
        way = np.radians(rng.uniform(*spot.way))
        way = way if left == (number == 0) else np.pi - way
        colours = (linear(skin[0]), linear(skin[1]), linear(skin[0]) if bare else sleeve)
        frame, touched = _placed(rng, spot, skeleton, way)
        hand = _mesh(grip, int(rng.choice([-1, 1])))
        size = float(rng.uniform(0.88, 1.08))
        vertices = size * np.einsum("vj,ij->vi", _reaching(hand.vertices) - _PALM, frame) + touched
        normals = np.einsum("vj,ij->vi", hand.normals, frame)
        cloth = (hand.vertices[:, 1] < _SLEEVE) & (not bare)
        anchor = Anchor(spot.bone, np.array(spot.centre))
        colour = _painted(hand, colours, cloth)
        made.append(Prop(vertices, normals, hand.faces, colour, 1 - cloth.astype(np.float32), anchor))
    return tuple(made)


def _lying(rng: np.random.Generator) -> list[Spot]:
    first = pick(rng, tuple(SPOTS), _SHARES)
    alone = rng.random() < 0.65
    second = first if first in ("head", "chest", "belly") else "head"
    return [SPOTS[name] for name in ([first] if alone else [first, second])]


def _upright(rng: np.random.Generator, names: tuple[str, ...]) -> list[Spot]:
    return [UPRIGHT_SPOTS[pick(rng, names)]] * 2


def _placed(
    rng: np.random.Generator, spot: Spot, skeleton: Skeleton, azimuth: float
) -> tuple[np.ndarray, np.ndarray]:
    """The hand's axes in the world, in columns, and where its palm touches, from the ball's centre."""
    slant = np.radians(rng.uniform(*spot.side))
    out = np.array([np.cos(azimuth) * np.sin(slant), np.sin(azimuth) * np.sin(slant), np.cos(slant)])
    palm = -out if spot.radius < 10 else np.array([0.0, 0.0, -1.0])
    touched = out * spot.radius
    if spot.radius >= 10:  # on the mattress
        touched[2] = 0.4 - skeleton.point(spot.bone, np.array(spot.centre))[2]
    # The arm comes from outside and from above.
    wander = azimuth + rng.uniform(-0.4, 0.4)
    arm = np.array([np.cos(wander), np.sin(wander), rng.uniform(0.15, 0.6)])
    arm = arm - palm * (arm @ palm)
    if np.linalg.norm(arm) < 0.2:
        arm = np.array([-np.sin(wander), np.cos(wander), 0.1])
        arm = arm - palm * (arm @ palm)
    along = -arm / np.linalg.norm(arm)
    return np.stack([np.cross(along, palm), along, palm], axis=1), touched


def _reaching(vertices: np.ndarray) -> np.ndarray:
    """The (V, 3) mesh with its sleeve drawn out, so that the arm ends far outside the picture."""
    over = np.maximum(_SLEEVE - 3 - vertices[:, 1:2], 0)
    y, z = vertices[:, 1:2] - 2.2 * over, vertices[:, 2:] - 0.5 * over
    return np.concatenate([vertices[:, :1], y, z], axis=1)


def _painted(hand: PropMesh, colours: tuple[np.ndarray, ...], cloth: np.ndarray) -> np.ndarray:
    """(V, 3) linear colours: redder fingers and knuckles, and a sleeve."""
    base, blood, sleeve = colours
    y = hand.vertices[:, 1]
    red = 0.1 + 0.22 * np.clip((y - 9) / 5, 0, 1) + 0.1 * np.sin(1.7 * y) * (y > 7)
    skin = base + (blood - base) * np.clip(red, 0, 1)[:, None]
    return np.where(cloth[:, None], sleeve, skin).astype(np.float32)


@lru_cache(maxsize=2 * len(GRIPS))
def _mesh(grip: str, sign: int) -> PropMesh:
    """One hand with forearm and sleeve; `sign` -1 is a right hand."""
    g = GRIPS[grip]
    tilt = np.radians(g.wrist)
    back = np.array([0.0, -np.cos(tilt), -np.sin(tilt)])
    blobs = [
        _ball((0.2 * sign, 4.6, 0), (3.7, 4.6, 1.45)),
        _ball((2.2 * sign, 3.4, 0.5), (1.5, 2.8, 1.4)),
        _cone((0, 0.5, 0), tuple(10 * back), (2.6, 3.4)),
        _cone(tuple(9.0 * back), tuple(27.0 * back), (3.9, 4.9)),
        _cone((2.7 * sign, 2.4, 0.6), (4.7 * sign, 5.6, 1.5), (1.25, 1.0)),
        _cone((4.7 * sign, 5.6, 1.5), (5.2 * sign, 8.2, 2.1), (1.0, 0.8)),
    ]
    first, second = np.radians(g.knuckle), np.radians(g.knuckle + g.middle)
    for x, length in _FINGERS:
        start = np.array([x * sign, 8.6 - 0.12 * x * x, 0.0])
        spread = np.array([0.08 * x * sign, 0.0, 0.0])
        middle = start + 0.48 * length * (np.array([0, np.cos(first), np.sin(first)]) + spread)
        tip = middle + 0.5 * length * (np.array([0, np.cos(second), np.sin(second)]) + spread)
        blobs += [_cone(start, middle, (0.98, 0.85)), _cone(middle, tip, (0.85, 0.66))]
    return mesh(tuple(blobs), _CELL, 0.22)


def _ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Blob:
    return Blob("", centre, centre, radii)


def _cone(start: object, end: object, radii: tuple[float, float]) -> Blob:
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    return Blob("", (float(a[0]), float(a[1]), float(a[2])), (float(b[0]), float(b[1]), float(b[2])), radii)
