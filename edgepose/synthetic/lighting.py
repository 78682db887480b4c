"""The light: a key light and a soft sky; at home also a second light, drifting colours, a sunlit patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgepose.synthetic.scene import Setup


@dataclass(frozen=True)
class SunPatch:
    """The patch that a window's cross lets the sun throw on the mattress.

    Attributes:
        centre: x, y; half: half-width and half-height; cm. turn: radians.
        dim: share of the key light outside of it.
    """

    centre: tuple[float, float]
    half: tuple[float, float]
    turn: float
    dim: float


@dataclass(frozen=True)
class MixedLight:
    """What comes to the key light and the sky where several sources shine.

    Attributes:
        direction: unit vector towards the second light. colour: (3,) linear; it throws no shadows.
        drift: (2, 3) growth of each channel's logarithm per cm along x and y, as near a lamp or a window.
        patch: where alone the key light reaches; None for everywhere. All arrays are float32.
    """

    direction: np.ndarray
    colour: np.ndarray
    drift: np.ndarray
    patch: SunPatch | None

    def tint(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) factor of all light at (P, 3) points."""
        grown = points[:, :1] * self.drift[0] + points[:, 1:2] * self.drift[1]
        return np.exp(np.clip(grown, -0.8, 0.6))

    def sunlit(self, points: np.ndarray, towards: np.ndarray) -> np.ndarray:
        """(P,) share of the key light, from the direction `towards`, that the window lets through."""
        if self.patch is None:
            return np.ones(len(points), np.float32)
        p = self.patch
        x, y = (
            points[:, i] - points[:, 2] * (towards[i] / towards[2]) - np.float32(p.centre[i]) for i in (0, 1)
        )
        c, s = np.float32(np.cos(p.turn)), np.float32(np.sin(p.turn))
        u, v = np.abs(c * x + s * y), np.abs(c * y - s * x)
        inside = np.minimum(np.minimum(p.half[0] - u, p.half[1] - v), np.minimum(u, v) - 1.2)  # its cross
        return np.float32(p.dim) + np.float32(1 - p.dim) * np.clip(inside / 2.5 + 0.5, 0, 1)


@dataclass(frozen=True)
class Lighting:
    """One key light and a soft sky.

    Attributes:
        direction: unit vector towards the key light.
        key, sky: (3,) linear colours.
        softness: width of shadows' edges, cm.
        mixed: further sources, if any.
    """

    direction: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    softness: float
    mixed: MixedLight | None = None


def light(rng: np.random.Generator, setup: Setup) -> Lighting:
    """Draw the light: window or lamp, warm or cold, hard or soft."""
    slant, azimuth = np.radians(rng.uniform(12, 58)), rng.uniform(0, 2 * np.pi)
    contrast = rng.uniform(*setup.contrast)
    warmth = rng.normal(0, 0.06)
    direction = np.array([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.cos(slant)])
    total = rng.uniform(0.82, 1.12)
    key = total * contrast / (1 + contrast) * np.array([1 + warmth, 1.0, 1 - warmth])
    sky_warmth = rng.normal(0, 0.04)
    sky = total / (1 + contrast) * np.array([1 + sky_warmth, 1.0, 1 - sky_warmth])
    softness = float(rng.uniform(0.8, 4))
    if not setup.mixed:
        return Lighting(direction, key, sky, softness)
    mixed = _mixed(rng, total) if rng.random() < setup.mixed else None
    # Half the bytes, and more than an eighth of the time of a picture.
    return Lighting(
        direction.astype(np.float32), key.astype(np.float32), sky.astype(np.float32), softness, mixed
    )


def _mixed(rng: np.random.Generator, total: float) -> MixedLight:
    slant, azimuth = np.radians(rng.uniform(30, 75)), rng.uniform(0, 2 * np.pi)
    direction = np.array([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.cos(slant)])
    warmth = rng.choice([-1, 1]) * rng.uniform(0.05, 0.3)  # a lamp's light or a window's
    colour = total * rng.uniform(0.1, 0.4) * np.array([1 + warmth, 1.0, 1 - warmth])
    steep, way, tone = rng.uniform(0, 0.012), rng.uniform(0, 2 * np.pi), rng.normal(0, 0.12)
    drift = steep * np.array([[np.cos(way)], [np.sin(way)]]) * np.array([1 + tone, 1.0, 1 - tone])
    patch = None
    if rng.random() < 0.3:
        patch = SunPatch(
            centre=(float(rng.uniform(-25, 25)), float(rng.uniform(-30, 30))),
            half=(float(rng.uniform(12, 35)), float(rng.uniform(15, 45))),
            turn=float(rng.uniform(0, np.pi)),
            dim=float(rng.uniform(0.25, 0.7)),
        )
    return MixedLight(
        direction.astype(np.float32), colour.astype(np.float32), drift.astype(np.float32), patch
    )
