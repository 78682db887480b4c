"""Cloth patterns, and the surface that the infant lies on: sheets, blankets, folds, edges and floors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from edgepose.synthetic.scene import CLOTH_COLOURS, PATTERNS, Camera, Setup, pick

HALF_CM = 110.0  # the surface's picture spans [-HALF_CM, HALF_CM] in x and y
STEP_CM = 0.3


Painter = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""Linear colours (H, W, 3) of a surface from its world x and y (H, W)."""


def pattern(name: str, x: np.ndarray, y: np.ndarray, period: float) -> np.ndarray:
    """0 to 1, how much of a cloth's second colour shows at x, y (any units, as `period`)."""
    u, v = x / period, y / period
    if name == "stripes":
        return _step(np.sin(2 * np.pi * v), 0.2)
    if name == "checks":
        return 0.5 * _step(np.sin(2 * np.pi * u), 0.3) + 0.5 * _step(np.sin(2 * np.pi * v), 0.3)
    if name == "waves":
        return _step(np.sin(2 * np.pi * (v + 0.12 * np.sin(2 * np.pi * u))), 0.2)
    if name == "diamonds":
        return _step(np.sin(np.pi * (u + v)) * np.sin(np.pi * (u - v)), 0.1)
    if name == "zigzag":
        return _step(np.sin(2 * np.pi * (v + 0.35 * np.abs(2 * (u % 1) - 1))), 0.2)
    if name == "flowers":
        row = np.floor(v)
        du, dv = (u + 0.37 * row) % 1 - 0.5, v % 1 - 0.5
        petals = np.hypot(du, dv) - 0.27 - 0.1 * np.cos(5 * np.arctan2(dv, du) + row)
        return _step(-petals, 0.04) * _step(np.hypot(du, dv) - 0.09, 0.04)
    if name == "spots":
        return _step(
            np.sin(5.3 * u + 1.7 * np.sin(3.9 * v)) + np.sin(4.7 * v + 1.9 * np.sin(4.3 * u)) - 0.7, 0.2
        )
    if name == "blobs":
        return _step(np.sin(3.1 * u + np.sin(2.3 * v)) * np.sin(2.7 * v + np.sin(1.9 * u)) - 0.25, 0.15)
    if name in ("dots", "stars"):
        row = np.floor(v)
        du, dv = (u + 0.5 * (row % 2)) % 1 - 0.5, v % 1 - 0.5
        radius = np.hypot(du, dv)
        if name == "stars":
            radius = radius * (1 + 0.35 * np.cos(5 * np.arctan2(dv, du)))
        return _step(0.24 - radius, 0.05)
    return np.zeros_like(u)


def _step(value: np.ndarray, width: float) -> np.ndarray:
    return np.clip(value / (2 * width) + 0.5, 0, 1)


@dataclass(frozen=True)
class Surface:
    """What lies under the infant.

    Attributes:
        picture: its colours, `HALF_CM` to each side of the origin, `STEP_CM` a pixel, rows along y.
        mean: (3,) linear mean colour near the infant, which its light takes up.
    """

    picture: Image.Image
    mean: np.ndarray

    def seen(self, view: Camera) -> np.ndarray:
        """(H, W, 3) float32 linear colour of the mattress plane at every pixel of a camera."""
        # World (x, y, 1) to homogeneous pixels, then picture pixels to world: both are homographies.
        local = np.column_stack([view.axes[:, :2], -view.axes @ view.position])
        lens = np.array([[view.focal, 0, view.centre[0]], [0, view.focal, view.centre[1]], [0, 0, 1]])
        shift = np.array(
            [[1 / STEP_CM, 0, HALF_CM / STEP_CM], [0, 1 / STEP_CM, HALF_CM / STEP_CM], [0, 0, 1]]
        )
        back = shift @ np.linalg.inv(lens @ local)
        height, width = view.size
        far = tuple(int(v) for v in np.sqrt(self.mean) * 200)
        seen = self.picture.transform(
            (width, height),
            Image.Transform.PERSPECTIVE,
            tuple((back / back[2, 2]).ravel()[:8]),
            Image.Resampling.BILINEAR,
            fillcolor=far,
        )
        return (np.asarray(seen, dtype=np.float32) * np.float32(1 / 255)) ** 2


@dataclass(frozen=True)
class Bedding:
    """What is laid where, before it is painted.

    Attributes:
        base: one of the setup's surfaces. blanket: whether one lies on it.
        half: half-width and half-height of the base, cm.
        plain: clinic's sheets.
    """

    base: str
    blanket: bool
    half: tuple[float, float]
    plain: bool

    @property
    def name(self) -> str:
        return self.base + ("+blanket" if self.blanket else "")


def bedding(rng: np.random.Generator, setup: Setup) -> Bedding:
    """Draw what the infant lies on."""
    base = pick(rng, setup.surfaces)
    blanket = bool(rng.random() < setup.clutter[1])
    half = (300.0, 300.0)
    if base == "rug":
        half = (float(rng.uniform(50, 80)), float(rng.uniform(55, 80)))
    elif base == "cot":
        half = (float(rng.uniform(28, 36)), float(rng.uniform(54, 64)))
    elif rng.random() < setup.clutter[2]:  # an edge may be in view
        half = (float(rng.uniform(26, 45)), float(rng.uniform(45, 62)))
    return Bedding(base, blanket, half, setup.name == "hospital")


def surface(rng: np.random.Generator, bed: Bedding, painter: Painter | None = None) -> Surface:
    """Paint it (a quarter of a second).

    Args:
        painter: of the cover or floor on which the infant lies; without one there are a floor and a mattress.
    """
    axis = np.arange(-HALF_CM, HALF_CM, STEP_CM, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    if painter is None:
        colour = _floor(rng, x, y)
        colour = _laid(rng, colour, x, y, bed.half, thick=bed.base != "rug", plain=bed.plain)
    else:
        colour = painter(rng, x, y).astype(np.float32)
    if bed.blanket:
        half = (float(rng.uniform(28, 48)), float(rng.uniform(38, 60)))
        colour = _laid(rng, colour, x, y, half, thick=False, plain=False)
    middle = slice(int(0.35 * len(axis)), int(0.65 * len(axis)))
    colour = np.clip(colour, 0.01, 1)
    picture = Image.fromarray((np.sqrt(colour) * 255 + 0.5).astype(np.uint8))
    return Surface(picture, colour[middle, middle].mean(axis=(0, 1)))


def linear(rgb: tuple[int, int, int] | np.ndarray) -> np.ndarray:
    """Linear light of a colour of 255; the curve is a plain square, as in `render`."""
    return (np.asarray(rgb, dtype=np.float32) / 255) ** 2


def _laid(
    rng: np.random.Generator,
    below: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    half: tuple[float, float],
    thick: bool,
    plain: bool,
) -> np.ndarray:
    """A sheet or blanket of some half-size laid on what is below, with folds, hem and shadow."""
    turn = np.radians(rng.normal(0, 4 if thick else 12))
    cx, cy = rng.normal(0, 5, 2)
    u = np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy + 4)
    v = -np.sin(turn) * (x - cx) + np.cos(turn) * (y - cy + 4)
    ragged = smooth_noise(rng, x.shape, 9 / STEP_CM) * (0.3 if thick else 1.0)
    corner = rng.uniform(1, 8)
    qx, qy = np.abs(u) - half[0] + corner, np.abs(v) - half[1] + corner
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - corner
    outside = outside + ragged
    cloth = _cloth(rng, u, v, plain)
    cloth *= _folds(rng, x.shape, rng.uniform(0.25, 0.9))[..., None]
    hem = rng.uniform(0.75, 1.1)
    cloth *= np.where(np.abs(outside + 1.2) < 0.35, hem, 1.0)[..., None]
    round_off = np.clip(1 + outside / (4.0 if thick else 0.8), 0, 1)
    cloth *= (1 - 0.45 * round_off**3)[..., None]
    shadow = 1 - (0.55 if thick else 0.35) * np.exp(-np.maximum(outside, 0) / (5.0 if thick else 1.2))
    cover = np.clip(0.5 - outside / 0.6, 0, 1)[..., None]
    return below * shadow[..., None] * (1 - cover) + cloth * cover


def _cloth(rng: np.random.Generator, u: np.ndarray, v: np.ndarray, plain: bool) -> np.ndarray:
    first = linear(pick(rng, CLOTH_COLOURS[:6] if plain else CLOTH_COLOURS))
    second = linear(pick(rng, CLOTH_COLOURS))
    kind = "plain" if plain and rng.random() < 0.7 else pick(rng, PATTERNS)
    mix = pattern(kind, u, v, float(rng.uniform(2.5, 14)))[..., None] * rng.uniform(0.4, 1)
    weave = 1 + 0.035 * rng.standard_normal(u.shape).astype(np.float32)[..., None]
    return (first * (1 - mix) + second * mix) * weave


def _folds(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """Light and dark of gentle swells and a few sharp creases."""
    swell = 0.7 * smooth_noise(rng, shape, 11 / STEP_CM) + 0.3 * smooth_noise(rng, shape, 4 / STEP_CM)
    crease = np.zeros(shape, dtype=np.float32)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) * STEP_CM - HALF_CM
    bend = 6 * smooth_noise(rng, shape, 8 / STEP_CM)
    for _ in range(int(rng.integers(2, 7))):
        angle = rng.uniform(0, np.pi)
        along = np.cos(angle) * columns + np.sin(angle) * rows - rng.uniform(-40, 40)
        across = -np.sin(angle) * columns + np.cos(angle) * rows + bend - rng.uniform(-60, 60)
        width = rng.uniform(0.5, 1.5)
        extent = np.exp(-((along / rng.uniform(12, 40)) ** 2))
        crease += rng.uniform(0.5, 1.5) * across / width * np.exp(-((across / width) ** 2)) * extent
    return np.clip(1 + strength * (0.16 * swell + 0.3 * crease), 0.5, 1.3)


def _floor(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kind = pick(rng, ("planks", "carpet", "tiles", "plain"))
    base = linear(pick(rng, ((150, 112, 78), (120, 100, 84), (180, 174, 166), (92, 84, 80), (196, 180, 156))))
    shade = 1 + 0.1 * smooth_noise(rng, x.shape, 20)
    if kind == "planks":
        board = np.floor(x / 9)
        tone = np.sin(board * 12.9898) * 0.12
        grain = 0.08 * np.sin(0.9 * x + 6 * smooth_noise(rng, x.shape, 18))
        shade = shade * (1 + tone + grain) * np.where(x % 9 < 0.35, 0.5, 1)
    elif kind == "tiles":
        shade = shade * np.where((x % 25 < 0.7) | (y % 25 < 0.7), 0.6, 1)
    elif kind == "carpet":
        shade = shade * (1 + 0.18 * rng.standard_normal(x.shape).astype(np.float32))
    return base * shade[..., None].astype(np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Unit-variance noise, smooth over `sigma` grid steps; made on a coarser grid where that shows not."""
    every = max(1, int(sigma // 3))
    small = tuple(-(-n // every) + 2 for n in shape)
    noise = gaussian_filter(rng.standard_normal(small).astype(np.float32), sigma / every, mode="wrap")
    noise /= noise.std() + 1e-9
    if every == 1:
        return noise[: shape[0], : shape[1]]
    rows, columns = (np.arange(n, dtype=np.float32) / every for n in shape)
    i, j = rows.astype(np.int32), columns.astype(np.int32)
    fi, fj = (rows - i)[:, None], (columns - j)[None, :]
    top = noise[i][:, j] * (1 - fj) + noise[i][:, j + 1] * fj
    low = noise[i + 1][:, j] * (1 - fj) + noise[i + 1][:, j + 1] * fj
    return top * (1 - fi) + low * fi
