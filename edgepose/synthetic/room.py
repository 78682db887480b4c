"""The home around the infant: floors and covers of many kinds, a wall behind, a cot's bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from edgepose.synthetic.implicit import Blob
from edgepose.synthetic.patterns import STEP_CM, Painter, linear, pattern, smooth_noise
from edgepose.synthetic.props import Prop, PropMesh, mesh
from edgepose.synthetic.scene import HOME_COLOURS, HOME_PATTERNS, Camera, pick

_WOODS = ((168, 124, 84), (196, 158, 112), (120, 84, 58), (142, 106, 76), (206, 184, 150), (96, 72, 56))
_CARPETS = (
    (186, 170, 146),
    (150, 140, 128),
    (206, 196, 178),
    (120, 108, 98),
    (104, 110, 124),
    (136, 96, 82),
    (92, 84, 76),
    (170, 160, 150),
)
_PAINTS = (
    (226, 220, 208),
    (206, 212, 214),
    (214, 200, 176),
    (186, 196, 184),
    (168, 150, 136),
    (110, 116, 128),
)


def _speckled(rng: np.random.Generator, x: np.ndarray, coarse: float, strength: float) -> np.ndarray:
    """(H, W) pile: grain of one pixel, tufts and trodden patches."""
    grain = rng.standard_normal(x.shape).astype(np.float32)
    tufts, trodden = smooth_noise(rng, x.shape, coarse / STEP_CM), smooth_noise(rng, x.shape, 14 / STEP_CM)
    return (1 + strength * (0.55 * grain + 0.5 * tufts) + 0.07 * trodden).astype(np.float32)


def _carpet(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = linear(pick(rng, _CARPETS)) * rng.uniform(0.8, 1.15)
    shade = _speckled(rng, x, float(rng.uniform(0.5, 2.2)), float(rng.uniform(0.06, 0.22)))
    return base * shade[..., None]


def _rug(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bands of ornaments around a field of them, in four colours, woven."""
    colours = [linear(pick(rng, HOME_COLOURS)) * rng.uniform(0.5, 1) for _ in range(5)]
    turn = rng.uniform(0, np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    edge = np.maximum(
        np.abs(u - rng.uniform(-30, 30)) * rng.uniform(0.8, 1.4), np.abs(v - rng.uniform(-30, 30))
    )
    band = (np.floor(edge / rng.uniform(7, 16)).astype(int)) % 3
    colour = np.broadcast_to(colours[0], (*x.shape, 3)).copy()
    for i in range(3):
        names = pick(rng, HOME_PATTERNS[2:]), pick(rng, HOME_PATTERNS[2:])
        mix = pattern(names[0], u, v, float(rng.uniform(3, 10)))[..., None]
        other = pattern(names[1], v, u, float(rng.uniform(4, 14)))[..., None]
        drawn = colours[i] * (1 - mix) + colours[i + 1] * mix
        drawn = drawn * (1 - 0.7 * other) + colours[4] * 0.7 * other
        colour = np.where((band == i)[..., None], drawn, colour)
    return colour * _speckled(rng, x, 0.8, 0.1)[..., None]


def _planks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    turn, wide = rng.uniform(0, np.pi), rng.uniform(5, 13)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    board = np.floor(u / wide)
    piece = np.floor((v + 37.0 * np.sin(board * 12.9898)) / rng.uniform(50, 120))
    tone = rng.uniform(0.05, 0.16) * np.sin(board * 78.233 + piece * 37.719)
    grain = 0.06 * np.sin(1.4 * u + 5 * smooth_noise(rng, x.shape, 14))
    grain = grain + 0.05 * smooth_noise(rng, x.shape, 2.0)
    gaps = np.where(u % wide < 0.3, 0.55, 1)
    return linear(pick(rng, _WOODS)) * ((1 + tone + grain) * gaps)[..., None]


def _playmat(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Foam tiles of bright colours, each with a sign in another."""
    side, turn = rng.uniform(24, 34), rng.uniform(0, np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    u = u + 0.8 * np.sin(2 * np.pi * v / 5)
    i, j = np.floor(u / side).astype(int), np.floor(v / side).astype(int)
    palette = np.stack([linear(pick(rng, HOME_COLOURS)) for _ in range(4)])
    colour = palette[(i + 2 * j) % 4]
    du, dv = u - (i + 0.5) * side, v - (j + 0.5) * side
    sign = pattern(pick(rng, HOME_PATTERNS[2:]), du, dv, side / 2.2) * (np.hypot(du, dv) < 0.36 * side)
    colour = colour + (palette[(i + 2 * j + 1) % 4] - colour) * sign[..., None]
    seam = np.minimum(u % side, v % side) < 0.35
    return colour * (np.where(seam, 0.6, 1) * (1 + 0.03 * rng.standard_normal(x.shape)))[..., None]


def _quilt(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bedspread: two patterns over one another, or patches of many, with seams and swells."""
    colours = [linear(pick(rng, HOME_COLOURS)) for _ in range(4)]
    turn = rng.uniform(0, np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    period = float(rng.uniform(3, 16))
    mix = pattern(pick(rng, HOME_PATTERNS), u, v, period)[..., None]
    colour = colours[0] * (1 - mix) + colours[1] * mix
    mix = pattern(pick(rng, HOME_PATTERNS[2:]), v + 3, u, period * rng.uniform(0.7, 2.1))[..., None]
    mix = mix * rng.uniform(0.3, 1)
    colour = colour * (1 - mix) + colours[2] * mix
    if rng.random() < 0.4:
        side = rng.uniform(14, 30)
        patch = np.sin(12.9898 * np.floor(u / side) + 78.233 * np.floor(v / side)) * 43758.5453 % 1
        colour = np.where((patch < 0.4)[..., None], colours[3] * (0.8 + 0.4 * patch[..., None]), colour)
        seam = np.minimum(u % side, v % side)
        colour = colour * (1 - 0.3 * np.exp(-seam / 0.5))[..., None]
    swell = (
        1 + 0.12 * smooth_noise(rng, x.shape, 5 / STEP_CM) + 0.06 * smooth_noise(rng, x.shape, 1.6 / STEP_CM)
    )
    return colour * (swell * (1 + 0.03 * rng.standard_normal(x.shape)))[..., None]


FLOORS: dict[str, Painter] = {
    "carpet": _carpet,
    "ornamental-rug": _rug,
    "planks": _planks,
    "playmat": _playmat,
    "quilt": _quilt,
}


@dataclass(frozen=True)
class Wall:
    """What stands behind the infant, upright.

    Attributes:
        picture: its colours, `_HALF` cm to each side and as much upwards from the floor, 1 cm a pixel.
        origin: (3,) its middle at the floor. right: unit vector along it.
    """

    picture: Image.Image
    origin: np.ndarray
    right: np.ndarray

    def seen(self, view: Camera) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) float32 linear colour, and (H, W) whether a pixel sees it and not the floor."""
        facing = np.array([-self.right[1], self.right[0], 0.0])  # away from the camera
        height, width = view.size
        u = (np.arange(width, dtype=np.float32) + 0.5 - view.centre[0]) / view.focal
        v = (np.arange(height, dtype=np.float32) + 0.5 - view.centre[1]) / view.focal
        right, down, forward = view.axes
        ahead = (right @ facing) * u + ((down @ facing) * v + forward @ facing)[:, None]
        rise = right[2] * u + (down[2] * v + forward[2])[:, None]
        reach = (self.origin - view.position) @ facing
        mask = (ahead > 1e-3) & (view.position[2] + reach * rise / np.maximum(ahead, 1e-3) > 0)
        if not mask.any():
            return np.zeros((height, width, 3), np.float32), mask
        to_world = np.column_stack([self.right, (0.0, 0.0, 1.0), self.origin - view.position])
        lens = np.array([[view.focal, 0, view.centre[0]], [0, view.focal, view.centre[1]], [0, 0, 1]])
        shift = np.array([[1, 0, _HALF], [0, -1, 2 * _HALF], [0, 0, 1]])
        back = shift @ np.linalg.inv(lens @ view.axes @ to_world)
        seen = self.picture.transform(
            (width, height),
            Image.Transform.PERSPECTIVE,
            tuple((back / back[2, 2]).ravel()[:8]),
            Image.Resampling.BILINEAR,
        )
        return (np.asarray(seen, dtype=np.float32) * np.float32(1 / 255)) ** 2, mask


_HALF = 160


def wall(rng: np.random.Generator, view: Camera) -> Wall:
    """Draw a wall beyond the infant, with furniture along it, out of focus."""
    ahead = view.axes[2] * (1, 1, 0)
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-6)
    floor = view.position * (1, 1, 0) + view.axes[2] * (1, 1, 0) * view.position[2] / max(
        -view.axes[2, 2], 0.2
    )
    turn = rng.uniform(-0.35, 0.35)
    c, s = np.cos(turn), np.sin(turn)
    ahead = np.array([c * ahead[0] - s * ahead[1], s * ahead[0] + c * ahead[1], 0.0])
    return Wall(_wall_picture(rng), floor + ahead * rng.uniform(48, 95), np.array([ahead[1], -ahead[0], 0.0]))


def _wall_picture(rng: np.random.Generator) -> Image.Image:
    side = 2 * _HALF
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    colour: np.ndarray = np.broadcast_to(linear(pick(rng, _PAINTS)), (side, side, 3)).astype(np.float32)
    if rng.random() < 0.25:
        mix = pattern(pick(rng, HOME_PATTERNS[2:]), x, y, float(rng.uniform(8, 30)))[..., None] * 0.4
        colour = colour * (1 - mix) + linear(pick(rng, HOME_COLOURS)) * mix
    colour = colour.copy()
    colour[-int(rng.integers(5, 11)) :] = linear(pick(rng, ((236, 234, 228), *_WOODS)))
    for _ in range(int(rng.integers(3, 14))):
        wide, high = int(rng.uniform(8, 110)), int(rng.uniform(8, 90))
        left, top = int(rng.uniform(-20, side)), side - high - int(rng.choice([0, 0, 0, rng.uniform(0, 60)]))
        box = (slice(max(top, 0), top + high), slice(max(left, 0), left + wide))
        colour[box] = linear(pick(rng, (*HOME_COLOURS, *_WOODS))) * rng.uniform(0.35, 1)
        shelf = pattern(
            pick(rng, ("plain", "plain", "stripes", "checks")), x[box], y[box], float(rng.uniform(9, 40))
        )
        colour[box] *= (1 - 0.6 * shelf)[..., None]
    colour *= (1 - 0.35 * np.exp((y - side) / 14))[..., None]  # darker in the corner
    colour = gaussian_filter(colour, (*(float(rng.uniform(0.6, 2.5)),) * 2, 0))
    return Image.fromarray((np.sqrt(np.clip(colour, 0, 1)) * 255 + 0.5).astype(np.uint8))


def cot(rng: np.random.Generator, half: tuple[float, float], view: Camera) -> tuple[Prop, ...]:
    """A cot's bars and rails around a mattress, without those that would stand before the infant.

    Args:
        half: half-width and half-length of the mattress, cm.
    """
    colour = linear(pick(rng, ((240, 238, 232), *_WOODS)))
    gap, made = float(rng.uniform(7, 9.5)), []
    x, y = half[0] + 2.5, half[1] + 2.5
    eye = view.position[:2]
    for normal, along, length in (
        (np.array([1.0, 0]), np.array([0, 1.0]), y),
        (np.array([-1.0, 0]), np.array([0, 1.0]), y),
        (np.array([0, 1.0]), np.array([1.0, 0]), x),
        (np.array([0, -1.0]), np.array([1.0, 0]), x),
    ):
        far = x if normal[0] else y
        if normal @ eye > 0.6 * far:  # the camera looks over or through that side
            continue
        for step in np.arange(-length, length + 0.1, gap):
            made.append(_bar(normal * far + along * step, colour))
    return tuple(made)


def _bar(place: np.ndarray, colour: np.ndarray) -> Prop:
    made = _bar_mesh()
    colours = np.broadcast_to(colour, made.vertices.shape).astype(np.float32)
    moved = made.vertices + np.array([place[0], place[1], 0.0])
    return Prop(moved, made.normals, made.faces, colours, np.zeros(len(moved), np.float32))


@lru_cache(maxsize=1)
def _bar_mesh() -> PropMesh:
    made = mesh((Blob("", (0, 0, -0.6), (0, 0, 16), (1.0, 1.0)),), 0.8, 0.1)
    return replace(made, vertices=made.vertices * (1, 1, 2.1))  # half as many, which shadows do with
