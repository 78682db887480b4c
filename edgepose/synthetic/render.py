"""One frame: from pose, camera and light to the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from edgepose.synthetic.body import Skeleton
from edgepose.synthetic.dress import attributes, dressed, paint
from edgepose.synthetic.lighting import Lighting
from edgepose.synthetic.patterns import Surface
from edgepose.synthetic.props import Prop
from edgepose.synthetic.raster import Hits, merged, rasterise
from edgepose.synthetic.room import Wall
from edgepose.synthetic.scene import Camera, Infant
from edgepose.synthetic.skin import dot, skinned
from edgepose.synthetic.template import Template, template

_HEIGHT_CELL = 0.7  # cm, of the height maps that shadows are taken from
_HEIGHT_HALF = 90.0
_SHADOW_STEP = 4  # px
_NEAR = 5.0  # cm before the camera


@dataclass(frozen=True)
class SensorEffects:
    """What lens, sensor and file do to a picture.

    Attributes:
        blur: standard deviation, px. smear: hand-held blur along x and along y, px.
        noise: standard deviation, of 255. exposure: factor. balance: (3,) colour cast.
        vignette: darkening of the corners, 0 to 1.
    """

    blur: float
    smear: tuple[float, float]
    noise: float
    exposure: float
    balance: np.ndarray
    vignette: float


@dataclass(frozen=True)
class Scene:
    """All that stays the same through one video.

    Attributes:
        props: things beside the infant. wall: what is behind, where the camera sees beyond the floor.
    """

    who: Infant
    surface: Surface
    light: Lighting
    sensor: SensorEffects
    props: tuple[Prop, ...]
    wall: Wall | None = None

    @cached_property
    def skin(self) -> np.ndarray:
        """(V, 3) the dressed infant's surface in the rest pose."""
        return dressed(template(), self.who)

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) of infant and props together."""
        parts, start = [template().faces], len(template().vertices)
        for prop in self.props:
            parts.append(prop.faces + start)
            start += len(prop.vertices)
        return np.concatenate(parts)

    @cached_property
    def prop_colours(self) -> np.ndarray:
        """(V, 4) float32 of all props: linear colour, and 1 where it is skin."""
        return np.concatenate([np.column_stack([prop.colours, prop.skin]) for prop in self.props])


def render(
    stage: Scene, skeleton: Skeleton, camera: Camera, eyes: float, mouth: float, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, 3) uint8 picture.

    Args:
        eyes, mouth: how open, 0 to 1.
        rng: of the sensor's noise.
    """
    t = template()
    skin, skin_normals = skinned(t, skeleton, stage.skin)
    vertices = np.concatenate([skin, *(prop.at(skeleton) for prop in stage.props)])
    normals = np.concatenate([skin_normals, *(prop.normals for prop in stage.props)])
    px, depth = camera.project(vertices)
    px[depth < _NEAR] = np.nan  # an arm that comes from beside the camera: such faces are left out
    height, width = camera.size
    # Two samples a pixel each way smooth the outline; colour is worked out once a pixel.
    fine = rasterise(2 * px, 1 / depth, stage.faces, (2 * height, 2 * width))
    hits, cover = merged(fine, camera.size)
    maps = tuple(
        HeightMap(vertices, direction) for direction in (np.array([0, 0, 1.0]), stage.light.direction)
    )
    picture = _ground(stage, camera, maps).reshape(-1, 3)
    bodies = _bodies(stage, t, hits, vertices, normals, camera, maps, (eyes, mouth))
    picture[hits.pixels] += (bodies - picture[hits.pixels]) * cover[:, None]
    return develop(picture.reshape(height, width, 3), stage.sensor, rng)


class HeightMap:
    """How high the scene rises, seen along a direction: what casts shadow on what lies lower.

    A point is moved along the direction down to z = 0; points that fall together shade each other.
    """

    def __init__(self, vertices: np.ndarray, direction: np.ndarray) -> None:
        self.slope = (direction[:2] / direction[2]).astype(np.float32)
        self.cells = int(2 * _HEIGHT_HALF / _HEIGHT_CELL)
        points = vertices.astype(np.float32)
        flat = self._cell(points).astype(np.int32)
        grid = np.zeros((self.cells, self.cells), dtype=np.float32)
        np.maximum.at(grid, (flat[:, 1], flat[:, 0]), points[:, 2])
        self.grid = maximum_filter(grid, 2)  # vertices lie about a cell apart
        self.blurred: dict[float, np.ndarray] = {}

    def _cell(self, points: np.ndarray) -> np.ndarray:
        moved = points[:, :2] - points[:, 2:] * self.slope
        return np.clip((moved + np.float32(_HEIGHT_HALF)) / np.float32(_HEIGHT_CELL), 0, self.cells - 1.001)

    def above(self, points: np.ndarray, radius: float) -> np.ndarray:
        """(P,) cm by which the scene within about `radius` cm rises over (P, 3) points on average."""
        if radius not in self.blurred:
            self.blurred[radius] = gaussian_filter(self.grid, radius / _HEIGHT_CELL, truncate=2.5)
        cell = self._cell(points)
        corner = cell.astype(np.int32)
        fx, fy = (cell - corner).T
        flat = self.blurred[radius].ravel()
        index = corner[:, 1] * self.cells + corner[:, 0]
        top = flat[index] * (1 - fx) + flat[index + 1] * fx
        low = flat[index + self.cells] * (1 - fx) + flat[index + self.cells + 1] * fx
        return top * (1 - fy) + low * fy - points[:, 2]


Maps = tuple[HeightMap, ...]  # along the sky's and the key light's direction


def _ground(stage: Scene, camera: Camera, maps: Maps) -> np.ndarray:
    """(H, W, 3) lit colour of the mattress; shadows are soft, so a coarse grid does for them."""
    xy = camera.ground(_SHADOW_STEP)
    points = np.concatenate([xy, np.zeros((*xy.shape[:2], 1), np.float32)], axis=2).reshape(-1, 3)
    lit, open_sky = _shadows(stage.light, points, maps, bias=0.3)
    slant = stage.light.direction[2]
    mixed = stage.light.mixed
    if mixed is not None:
        lit = lit * mixed.sunlit(points, stage.light.direction)
    glow = lit[:, None] * (stage.light.key * slant) + open_sky[:, None] * stage.light.sky
    if mixed is not None:
        glow = (glow + open_sky[:, None] * (mixed.colour * mixed.direction[2])) * mixed.tint(points)
    height, width = camera.size
    smooth = _enlarged(glow.reshape(*xy.shape[:2], 3).astype(np.float32), _SHADOW_STEP)[:height, :width]
    ground = stage.surface.seen(camera) * smooth
    if stage.wall is not None:
        behind, seen = stage.wall.seen(camera)
        light = (0.75 * stage.light.sky + 0.35 * stage.light.key).astype(np.float32)
        ground[seen] = behind[seen] * light
    return ground


def _enlarged(grid: np.ndarray, every: int) -> np.ndarray:
    """Bilinear between values at the corners of blocks of `every` pixels, at the pixels' centres."""
    share = ((np.arange(every, dtype=np.float32) + 0.5) / every)[:, None]
    rows = grid[:-1, None] * (1 - share[..., None]) + grid[1:, None] * share[..., None]
    rows = rows.reshape(-1, *grid.shape[1:])
    both = rows[:, :-1, None] * (1 - share) + rows[:, 1:, None] * share
    return both.reshape(len(rows), -1, grid.shape[2])


def _shadows(light: Lighting, points: np.ndarray, maps: Maps, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """(P,) share of the key light and of the sky that reaches each point."""
    sky, sun = maps
    over = sun.above(points, light.softness)
    lit = 1 - 0.9 * np.clip((over - bias) / (1.2 + 1.2 * light.softness), 0, 1)
    near = np.clip((sky.above(points, 1.2) - bias) / 4.5, 0, 1)
    wide = np.clip((sky.above(points, 4.5) - bias) / 10.0, 0, 1)
    return lit, (1 - 0.55 * near) * (1 - 0.45 * wide)


def _bodies(
    stage: Scene,
    t: Template,
    hits: Hits,
    vertices: np.ndarray,
    normals: np.ndarray,
    camera: Camera,
    maps: Maps,
    face: tuple[float, float],
) -> np.ndarray:
    """(P, 3) lit colours of infant and props."""
    normal = hits.interpolate(normals)
    points = hits.interpolate(vertices)
    colour = np.empty_like(points)
    skin = np.zeros(len(points), dtype=np.float32)
    on_infant = hits.corners[:, 0] < len(t.vertices)
    own = Hits(hits.pixels[on_infant], hits.corners[on_infant], hits.weights[on_infant])
    painted = paint(own.interpolate(attributes(t)), stage.who, t, *face)
    colour[on_infant], skin[on_infant] = painted.colour, painted.skin
    normal[on_infant] += painted.bump
    if stage.props:
        rest = Hits(
            hits.pixels[~on_infant], hits.corners[~on_infant] - len(t.vertices), hits.weights[~on_infant]
        )
        looks = rest.interpolate(stage.prop_colours)
        colour[~on_infant], skin[~on_infant] = looks[:, :3], looks[:, 3]
    normal /= np.maximum(dot(normal, normal, root=True), 1e-6)[:, None]
    return _shade(stage, points, normal, colour, skin, camera, maps)


def _shade(
    stage: Scene,
    points: np.ndarray,
    normal: np.ndarray,
    colour: np.ndarray,
    skin: np.ndarray,
    camera: Camera,
    maps: Maps,
) -> np.ndarray:
    light = stage.light
    lit, open_sky = _shadows(light, points, maps, bias=0.9)
    if light.mixed is not None:
        lit = lit * light.mixed.sunlit(points, light.direction)
    facing = np.einsum("pj,j->p", normal, light.direction.astype(np.float32))[:, None]
    # Light enters skin and leaves it redder beyond the terminator.
    wrap = np.array([0.34, 0.16, 0.12], np.float32) * skin[:, None] + np.float32(0.06)
    diffuse = np.clip((facing + wrap) / (1 + wrap), 0, 1) * lit[:, None]
    up = normal[:, 2:]
    # Skin lights skin in its folds, redly; cloth and wood do so less.
    warm = open_sky[:, None] ** (1 - skin[:, None] * np.array([0.5, 0.12, 0.0], np.float32))
    sky = (0.62 + 0.38 * up) * warm * light.sky
    bounce = np.clip(0.5 - 0.5 * up, 0, 1) * stage.surface.mean * light.sky * 0.5
    glow = diffuse * light.key + sky + bounce
    if light.mixed is not None:
        facing = np.einsum("pj,j->p", normal, light.mixed.direction.astype(np.float32))[:, None]
        second = np.clip((facing + wrap) / (1 + wrap), 0, 1) * open_sky[:, None] * light.mixed.colour
        glow = (glow + second) * light.mixed.tint(points)
    shaded = colour * glow.astype(np.float32)
    view = camera.position.astype(np.float32) - points
    half = view / dot(view, view, root=True)[:, None] + light.direction.astype(np.float32)
    half /= dot(half, half, root=True)[:, None]
    shine = np.clip(dot(normal, half), 0, 1) ** 18 * lit * (0.015 + 0.05 * skin)
    return shaded + shine[:, None] * light.key.astype(np.float32)


def develop(picture: np.ndarray, sensor: SensorEffects, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 from linear light: lens blur, exposure, tone, vignette and noise."""
    height, width, _ = picture.shape
    gain = (sensor.exposure * sensor.balance).astype(np.float32)
    tone = picture * gain  # all in place from here on: a picture's time is its memory's
    np.sqrt(np.maximum(tone, 0, out=tone), out=tone)
    bright = tone > 0.8
    tone[bright] = 1 - 0.2 * np.exp((0.8 - tone[bright]) / 0.2)  # highlights roll off
    sigma = (np.hypot(sensor.blur, sensor.smear[1]), np.hypot(sensor.blur, sensor.smear[0]), 0)
    tone = gaussian_filter(tone.astype(np.float32, copy=False), sigma, truncate=3)
    y = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None]
    x = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :]
    tone *= (1 - sensor.vignette * 2 * (x * x + y * y))[..., None]
    grain = rng.standard_normal(tone.shape, dtype=np.float32)
    grain *= np.float32(sensor.noise / 255)
    strength = 1 - tone
    strength *= 0.5
    strength += 0.6
    grain *= strength
    tone += grain
    tone *= 255
    tone += 0.5
    return np.clip(tone, 0, 255, out=tone).astype(np.uint8)
