"""Clothes and colours of the infant: what covers which skin, how thick, and the colour of every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from edgepose.synthetic.body import BONE_INDEX, EAR, FOREARM, SHANK, THIGH, UPPER_ARM
from edgepose.synthetic.patterns import linear, pattern
from edgepose.synthetic.scene import HAIRS, SKINS, Infant, Worn
from edgepose.synthetic.template import Template

# Columns of the attributes that are carried from vertices to pixels.
REST, HEAD, ARM, LEG, KIND = slice(0, 3), slice(3, 6), 6, 7, 8
_HEAD_KIND, _HAND_KIND, _FOOT_KIND = 1, 2, 3
_NOISE_SIZE = 48
_WHOLE = 99.0  # beyond the toes


@dataclass(frozen=True)
class Cut:
    """How far a garment reaches.

    Attributes:
        waist: covers the trunk below it, cm in the rest pose; None covers up to the neck.
        sleeve, leg: reach along arm and leg, cm.
        thickness: of the cloth on the body, cm.
        loose: how far it stands off beyond that, unevenly, cm.
        folds: strength of its small wrinkles.
    """

    waist: float | None
    sleeve: float
    leg: float
    thickness: float
    loose: float = 0.0
    folds: float = 0.26


CUTS = {
    "diaper": Cut(-9.6, -99.0, 2.3, 0.55, folds=0.3),
    "onesie": Cut(None, 4.6, 2.6, 0.25),
    "long-sleeved": Cut(None, UPPER_ARM + FOREARM - 1.0, 2.6, 0.28),
    "sleepsuit": Cut(None, UPPER_ARM + FOREARM - 0.8, THIGH + SHANK - 0.6, 0.3),
    "pyjamas": Cut(None, UPPER_ARM + FOREARM - 0.3, _WHOLE, 0.3, loose=0.45, folds=0.3),  # feet in it
    "vest": Cut(None, 0.4, 2.6, 0.25),
    "trousers": Cut(-7.2, -99.0, THIGH + SHANK - 0.2, 0.3, loose=0.75, folds=0.34),
    "leggings": Cut(-7.8, -99.0, THIGH + SHANK - 0.9, 0.22),
    "footed-trousers": Cut(-7.2, -99.0, _WHOLE, 0.3, loose=0.5, folds=0.3),
    "shorts": Cut(-7.6, -99.0, THIGH - 1.5, 0.3, loose=0.8, folds=0.32),
}
HAT = "hat"
_DIAPER = Worn("diaper", ((240, 240, 238),) * 2, "plain", 1.0)  # under other garments: white, without a print
_NECKLINE = np.array([0.0, 7.4, 1.4])  # in the chest's frame
_NECK_RADIUS = 4.3


def attributes(t: Template) -> np.ndarray:
    """(V, 9) float32 of the template's vertices; columns as the constants above."""
    return np.column_stack([t.vertices, t.head, t.arm, t.leg, t.kind]).astype(np.float32)


def covered(cut: Cut, a: np.ndarray, t: Template) -> np.ndarray:
    """(P,) cm inside a garment's border; negative on bare skin."""
    y, kind = a[:, 1], a[:, KIND]
    chest = t.rest.origins[BONE_INDEX["chest"]]
    inside = np.where(y < chest[1] - 7.5, cut.leg - a[:, LEG], 9.0)
    if cut.waist is None:
        neck = np.linalg.norm(a[:, REST] - (chest + _NECKLINE).astype(np.float32), axis=1) - _NECK_RADIUS
        on_arm = np.where(y > chest[1] - 6.0, cut.sleeve - a[:, ARM], 9.0)
        inside = np.minimum(np.minimum(inside, neck), on_arm)
    else:
        inside = np.minimum(inside, cut.waist + chest[1] + 0.03 * a[:, 0] ** 2 - y)
    return np.where((kind == _HEAD_KIND) | (kind == _HAND_KIND), -9.0, inside)


def sock(a: np.ndarray) -> np.ndarray:
    """(P,) cm inside a sock."""
    far = a[:, LEG] - (THIGH + SHANK - 2.2)
    return np.where(a[:, KIND] == _FOOT_KIND, np.maximum(far, 0.3), np.where(a[:, KIND] == 0, far, -9.0))


def hair(a: np.ndarray) -> np.ndarray:
    """(P,) cm above the hairline, on the head."""
    x, y, z = a[:, HEAD].T
    line = np.interp(z, (-4.0, -1.5, 0.5, 2.2, 4.6, 6.0), (0.8, 2.4, 5.0, 7.2, 8.6, 9.0))
    line = line - 0.1 * np.maximum(2.5 - np.abs(x), 0)
    return np.where(a[:, KIND] == _HEAD_KIND, y - line, -9.0)


def dressed(t: Template, who: Infant) -> np.ndarray:
    """(V, 3) the rest surface with garment, diaper underneath, socks and hair on it."""
    a = attributes(t)
    rise = np.zeros(len(a))
    worn = dict.fromkeys(("diaper", who.garment.cut, *(o.cut for o in who.over if o.cut != HAT)))
    for cut in (CUTS[name] for name in worn):
        inside = covered(cut, a, t)
        rise = rise + cut.thickness * _ramp(inside, 0.9)
        if cut.loose:
            rise = rise + cut.loose * _ramp(inside, 0.5) * _slack(a)
    if who.socks is not None:
        rise = rise + 0.15 * _ramp(sock(a), 0.5)
    rise = rise + 0.35 * who.hair_density * _ramp(hair(a), 2.5)
    if any(worn.cut == HAT for worn in who.over):
        rise = rise + 0.45 * _ramp(_under_hat(a), 0.4)
    return t.vertices + t.normals * rise[:, None]


def _slack(a: np.ndarray) -> np.ndarray:
    """(P,) how far loose cloth stands off, 0 to about 1.6: in swells."""
    return np.clip(0.8 + 0.35 * _noise(a[:, REST], 0.07), 0, 1.5)


def _under_hat(a: np.ndarray) -> np.ndarray:
    """(P,) cm inside a hat's edge, which runs over the brows and the ears."""
    return np.where(a[:, KIND] == _HEAD_KIND, hair(a) + 1.2, -9.0)


@dataclass(frozen=True)
class Paint:
    """Colour and surface of P pixels.

    Attributes:
        colour: (P, 3) float32 linear.
        skin: (P,) 1 where light enters the surface as in skin, 0 on cloth and hair.
        bump: (P, 3) to add to the normal.
    """

    colour: np.ndarray
    skin: np.ndarray
    bump: np.ndarray


def paint(a: np.ndarray, who: Infant, t: Template, eyes: float, mouth: float) -> Paint:
    """Colour of P points of the body.

    Args:
        a: (P, 9) interpolated `attributes`.
        eyes, mouth: how open, 0 to 1.
    """
    a[:, KIND] = np.rint(a[:, KIND])  # interpolation leaves 0.9999
    base, blood = (linear(c) for c in SKINS[who.skin])
    colour = _skin(a, base, blood)
    skin = np.ones(len(a), dtype=np.float32)
    head = np.flatnonzero(a[:, KIND] == _HEAD_KIND)
    colour[head] = _face(a[head, HEAD], colour[head], who, base, blood, eyes, mouth)
    scalp = _ramp(hair(a) + 0.5 * _noise(a[:, REST], 0.9), 2.6) * who.hair_density
    strands = np.exp(0.22 * _noise(a[:, HEAD] * np.array([1.0, 0.35, 0.35], np.float32), 1.3))
    _mix(colour, linear(HAIRS[who.hair]) * strands[:, None], np.minimum(scalp * 1.15, 0.97))
    skin *= 1 - 0.8 * scalp
    bump = np.zeros_like(colour)
    _navel(a, colour, t)
    if who.garment.cut != "diaper":
        _garment(_DIAPER, a, t, colour, skin, bump)
    _garment(who.garment, a, t, colour, skin, bump)
    for worn in who.over:
        if worn.cut != HAT:
            _garment(worn, a, t, colour, skin, bump)
    if who.socks is not None:
        edge = _ramp(sock(a), 0.15)
        _mix(colour, linear(who.socks)[None], edge)
        skin *= 1 - edge
    for worn in who.over:
        if worn.cut == HAT:
            _hat(worn, a, colour, skin, bump)
    return Paint(colour, skin, bump)


def _garment(
    worn: Worn, a: np.ndarray, t: Template, colour: np.ndarray, skin: np.ndarray, bump: np.ndarray
) -> None:
    """Paints one garment over what is there."""
    cut = CUTS[worn.cut]
    inside = covered(cut, a, t)
    near = np.flatnonzero(inside > -0.7)
    part, depth = a[near], inside[near]
    shade = 1 - 0.38 * np.clip(1 - np.abs(depth + 0.25) / 0.35, 0, 1)  # the border's shadow on the skin
    colour[near] *= shade[:, None]
    on = _ramp(depth, 0.12)
    cloth = _cloth(worn, part, depth)
    if cut.loose:
        cloth = cloth * _creases(part)[:, None]
    skin[near] *= 1 - on
    strength = cut.folds * on[:, None]
    wrinkle = np.stack([_noise(part[:, REST] + 7.0 * i, 0.45) for i in range(3)], axis=1)
    bump[near] = bump[near] * (1 - on[:, None]) + strength * wrinkle
    patch = colour[near]
    _mix(patch, cloth, on)
    colour[near] = patch


def _creases(a: np.ndarray) -> np.ndarray:
    """(P,) light and dark of folds that run around the limb, deepest at hip, knee and ankle."""
    along = np.where(a[:, LEG] > 0, a[:, LEG], a[:, ARM])
    bent = np.exp(-(((along - THIGH) / 2.6) ** 2)) + np.exp(-(((along - 2.0) / 2.6) ** 2))
    bent = bent + 0.8 * np.exp(-(((along - THIGH - SHANK + 1.5) / 2.2) ** 2))
    squeezed = a[:, REST] * np.array([0.25, 1.0, 0.25], np.float32)
    return np.clip(1 + (0.03 + 0.12 * bent) * _noise(squeezed, 0.6), 0.55, 1.2).astype(np.float32)


def _hat(worn: Worn, a: np.ndarray, colour: np.ndarray, skin: np.ndarray, bump: np.ndarray) -> None:
    """Paints a knitted hat over hair and ears."""
    near = np.flatnonzero(_under_hat(a) > -0.3)
    part, depth = a[near], _under_hat(a[near])
    on = _ramp(depth, 0.15)
    mix = 0.85 * pattern(worn.pattern, 1.6 * part[:, 3], 1.6 * part[:, 4] + part[:, 5], worn.scale)
    mix = np.where(depth < 0.9, 0.9, mix)[:, None]
    first, second = (linear(c) for c in worn.cloth)
    patch = colour[near]
    _mix(patch, first * (1 - mix) + second * mix, on)
    colour[near] = patch
    skin[near] *= 1 - on
    wrinkle = np.stack([_noise(part[:, REST] + 7.0 * i, 0.7) for i in range(3)], axis=1)
    bump[near] = bump[near] * (1 - on[:, None]) + 0.2 * on[:, None] * wrinkle


def _cloth(worn: Worn, a: np.ndarray, depth: np.ndarray) -> np.ndarray:
    if worn is _DIAPER:
        return np.broadcast_to(linear((240, 240, 238)), (len(a), 3))
    name = worn.cut
    first, second = (linear(c) for c in worn.cloth)
    if name == "diaper":  # paper white, with a print across the belly and tapes
        first = 0.35 * first + 0.65 * linear((246, 246, 244))
    mix = 0.85 * pattern(worn.pattern, a[:, 0], a[:, 1] + 0.3 * a[:, 2], worn.scale)
    if name == "diaper":
        mix = mix * np.clip(1 - np.abs(np.abs(a[:, 0]) - 1.0) / 5, 0, 1) * 0.7
    hem = (depth < 0.75) & (name != "diaper")
    mix = np.where(hem, 0.9, mix)[:, None]
    return first * (1 - mix) + second * mix


def _skin(a: np.ndarray, base: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Skin with redder hands, feet, knees and elbows, and faint mottling."""
    red = 0.10 + 0.10 * _noise(a[:, REST], 0.35)
    kind = a[:, KIND]
    red = red + np.where(kind >= _HAND_KIND, 0.28, 0.0)
    for along, joint in ((a[:, ARM], UPPER_ARM), (a[:, LEG], THIGH)):
        red = red + 0.2 * np.exp(-(((along - joint) / 1.6) ** 2)) * (kind == 0)
    red = np.clip(red, 0, 1)[:, None]
    return (base * (1 - red) + blood * red).astype(np.float32)


def _navel(a: np.ndarray, colour: np.ndarray, t: Template) -> None:
    """Navel and nipples, where no cloth will cover them."""
    chest = t.rest.origins[BONE_INDEX["chest"]]
    front = np.flatnonzero((a[:, KIND] == 0) & (a[:, 2] > chest[2] + 2) & (np.abs(a[:, 0]) < 5))
    x, y = a[front, 0], a[front, 1] - chest[1]
    for cx, cy, size, depth in ((0.0, -7.4, 0.5, 0.5), (3.1, 2.1, 0.42, 0.3), (-3.1, 2.1, 0.42, 0.3)):
        dark = 1 - depth * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / size**2)
        colour[front] *= dark[:, None] ** np.array([0.6, 1.1, 1.1], np.float32)


def _face(
    h: np.ndarray,
    colour: np.ndarray,
    who: Infant,
    base: np.ndarray,
    blood: np.ndarray,
    eyes: float,
    mouth: float,
) -> np.ndarray:
    """Cheeks, ears, brows, eyes, nostrils and mouth; `h` is (P, 3) in the head's frame."""
    x, y, z = h.T
    ax = np.abs(x)
    front = z > 2.5
    cheek = 0.4 * np.exp(-((ax - 3.0) ** 2 + (y - 1.4) ** 2) / 2.6) * front
    cheek = cheek + 0.3 * np.exp(-(x**2 + (y - 2.7) ** 2) / 0.5) * front
    _mix(colour, blood[None], cheek)
    ear = np.exp(-(((y - EAR[1]) / 0.95) ** 2 + ((z - EAR[2] - 0.15) / 0.55) ** 2)) * (ax > 5.2)
    _mix(colour, 0.6 * blood[None], 0.55 * ear)
    _brows(ax, y, front, colour, who)
    _eyes(ax, y, front, colour, who, base, eyes)
    nostril = np.exp(-((ax - 0.42) ** 2 / 0.05 + (y - 2.28) ** 2 / 0.03)) * front
    _mix(colour, 0.25 * blood[None], 0.75 * nostril)
    _mouth(x, y, front, colour, blood, mouth)
    return colour


def _brows(ax: np.ndarray, y: np.ndarray, front: np.ndarray, colour: np.ndarray, who: Infant) -> None:
    arch = 6.15 - 0.16 * (ax - 2.3) ** 2
    brow = np.exp(-(((y - arch) / 0.22) ** 2)) * _ramp(1.2 - np.abs(ax - 2.3), 0.5) * front
    _mix(colour, linear(HAIRS[who.hair])[None], (0.1 + 0.4 * who.hair_density) * brow)


def _eyes(
    ax: np.ndarray,
    y: np.ndarray,
    front: np.ndarray,
    colour: np.ndarray,
    who: Infant,
    base: np.ndarray,
    opening: float,
) -> None:
    """Almond eyes under a lid, wide apart and low in the face as infants have them."""
    dx, dy = ax - 2.1, y - 4.1
    socket = np.exp(-((dx / 1.6) ** 2 + (dy / 1.1) ** 2)) * front
    _mix(colour, 0.6 * base[None], 0.22 * socket)
    shape = np.sqrt(np.clip(1 - (dx / 1.22) ** 2, 0, 1))
    upper, lower = 0.92 * opening * shape - 0.1, -0.5 * shape
    near = front & (np.abs(dx) < 1.4)
    gap = np.minimum(upper - dy, dy - lower)
    visible = _ramp(gap, 0.12) * near * (opening > 0.15)
    radius = np.hypot(dx, dy - 0.14)
    ball = np.repeat((0.55 * linear((226, 222, 218)) + 0.35 * base)[None], len(ax), axis=0)
    _mix(ball, linear(who.eye)[None], _ramp(0.74 - radius, 0.1))
    _mix(ball, np.full((1, 3), 0.004, np.float32), _ramp(0.36 - radius, 0.08))
    _mix(ball, np.full((1, 3), 0.95, np.float32), _ramp(0.13 - np.hypot(dx + 0.15, dy - 0.3), 0.06))
    _mix(colour, ball, visible)
    lid = np.where(opening > 0.15, upper, lower)
    lash = np.exp(-(((dy - lid) / 0.13) ** 2)) * _ramp(1.2 - np.abs(dx), 0.25) * near
    _mix(colour, np.full((1, 3), 0.02, np.float32), 0.6 * lash)
    crease = np.exp(-(((dy - lid - 0.42) / 0.12) ** 2)) * _ramp(1.0 - np.abs(dx), 0.4) * near
    _mix(colour, 0.45 * base[None], 0.35 * crease)


def _mouth(
    x: np.ndarray, y: np.ndarray, front: np.ndarray, colour: np.ndarray, blood: np.ndarray, opening: float
) -> None:
    gap = 0.06 + 0.55 * opening
    width = 1.2 - 0.2 * opening
    dy = y - 0.2 + 0.08 * np.cos(1.9 * x)
    lips = _ramp(1 - (x / (width + 0.3)) ** 2 - (dy / (0.42 + gap)) ** 2, 0.35) * front
    _mix(colour, 0.8 * blood[None] * np.array([1.0, 0.72, 0.75], np.float32), 0.75 * lips)
    inside = _ramp(1 - (x / width) ** 2 - (dy / gap) ** 2, 0.3) * front
    _mix(colour, np.array([[0.07, 0.015, 0.015]], np.float32), 0.85 * inside)


def _mix(colour: np.ndarray, other: np.ndarray, share: np.ndarray) -> None:
    """Blends `other` into `colour` in place."""
    colour += (other - colour) * share.astype(np.float32)[:, None]


def _ramp(value: np.ndarray, width: float) -> np.ndarray:
    """0 below 0, 1 above `width`, smooth between."""
    u = np.clip(value / width, 0, 1)
    return u * u * (3 - 2 * u)


@lru_cache(maxsize=1)
def _noise_volume() -> np.ndarray:
    """A periodic block of smooth noise of unit variance; the same for every infant."""
    noise = np.random.default_rng(7).standard_normal((_NOISE_SIZE,) * 3).astype(np.float32)
    noise = gaussian_filter(noise, 2.0, mode="wrap")
    return (noise / noise.std()).ravel()


def _noise(points: np.ndarray, frequency: float) -> np.ndarray:
    """(P,) noise of about `frequency` bumps a cm; nearest neighbour, since the block is smooth."""
    i, j, k = ((points * np.float32(8 * frequency)).astype(np.int32) % _NOISE_SIZE).T
    return _noise_volume()[(i * _NOISE_SIZE + j) * _NOISE_SIZE + k]
