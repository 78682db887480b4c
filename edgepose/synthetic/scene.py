"""Recording setups, the camera, and what a video's infant looks like: all drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from edgepose.synthetic.body import Proportions

T = TypeVar("T")


@dataclass(frozen=True)
class Setup:
    """How one kind of recording is made. Ranges are (low, high); angles in degrees.

    Attributes:
        sizes: (height, width) in px, one of which a video has unless a size is asked for.
        tilt: camera's axis off the vertical. roll: picture's turn against the infant's long axis.
        distance: camera to infant, cm.
        fill: share of the picture that the infant's reach takes up, in the tighter direction.
        shake: hand-held turning, root mean square.
        blur: standard deviation of the lens's blur at 640 px. noise: of the sensor's noise, of 255.
        quality: JPEG quality.
        contrast: of the light, key against ambient.
        clutter: chance of toys, of a blanket and of the mattress's edge in view.
        margin: kept free around keypoints for fingers and toes, share of the picture's shorter side; negative
            lets keypoints leave the picture by that much.
        level: share of cameras held upright, as a person would; the others' turn is `roll`, by the infant.
        exposure: factor. cast: standard deviation of the picture's warmth.
        hands: chance of an adult's hands. mixed: chance of a second light of another colour.
        quarters: quarter turns of cameras held upright, one of which a video has.
        azimuth: where cameras stand around the infant, degrees; -90 is where it faces when it sits, and
            where its feet are when it lies on the back.
        postures: what it films, names of `postures.POSTURES`; none for the variety's common and rare ones.
        spots: of `hands.SPOTS` and `hands.UPRIGHT_SPOTS`, where both hands hold the infant; none for any.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    tilt: tuple[float, float]
    roll: tuple[float, float]
    distance: tuple[float, float]
    fill: tuple[float, float]
    shake: tuple[float, float]
    blur: tuple[float, float]
    noise: tuple[float, float]
    quality: tuple[int, int]
    contrast: tuple[float, float]
    clutter: tuple[float, float, float]
    surfaces: tuple[str, ...]
    margin: float = 0.06
    level: float = 0.0
    exposure: tuple[float, float] = (0.95, 1.35)
    cast: float = 0.05
    hands: float = 0.0
    mixed: float = 0.0
    quarters: tuple[int, ...] = (0, 0, 0, 0, 0, 0, 1, -1)
    azimuth: tuple[float, float] = (0.0, 360.0)
    postures: tuple[str, ...] = ()
    spots: tuple[str, ...] = ()


SETUPS = {
    "hospital": Setup(
        "hospital",
        sizes=((576, 768), (480, 640)),
        tilt=(0, 12),
        roll=(-9, 9),
        distance=(110, 160),
        fill=(0.74, 0.92),
        shake=(0, 0),
        blur=(0.5, 0.8),
        noise=(1.5, 4),
        quality=(82, 93),
        contrast=(0.35, 0.6),
        clutter=(0.08, 0.25, 0.5),
        surfaces=("mattress",),
    ),
    "home": Setup(
        "home",
        sizes=((640, 480), (640, 360), (480, 640)),
        tilt=(0, 24),
        roll=(-22, 22),
        distance=(65, 115),
        fill=(0.66, 0.92),
        shake=(0.2, 0.9),
        blur=(0.5, 1.1),
        noise=(2, 7),
        quality=(68, 90),
        contrast=(0.4, 1.1),
        clutter=(0.5, 0.65, 0.4),
        surfaces=("mattress", "bed", "rug"),
    ),
    "less-standard": Setup(
        "less-standard",
        sizes=((480, 640), (360, 480), (480, 480), (640, 360)),
        tilt=(5, 40),
        roll=(-180, 180),
        distance=(60, 170),
        fill=(0.5, 0.9),
        shake=(0.2, 1.6),
        blur=(0.6, 1.5),
        noise=(3, 11),
        quality=(45, 85),
        contrast=(0.4, 1.8),
        clutter=(0.55, 0.6, 0.55),
        surfaces=("mattress", "bed", "rug", "sofa"),
    ),
}
SETUP_DECK = ("hospital",) * 4 + ("home",) * 4 + ("less-standard",) * 2

# Skin from light to dark, sRGB of 255: base, and the tint of blood under it.
SKINS = {
    "very-light": ((238, 204, 186), (226, 140, 128)),
    "light": ((230, 188, 164), (216, 128, 112)),
    "medium-light": ((214, 172, 146), (198, 120, 102)),
    "medium": ((188, 142, 112), (168, 98, 78)),
    "medium-dark": ((150, 102, 74), (136, 72, 54)),
    "dark": ((112, 74, 54), (104, 54, 42)),
    "very-dark": ((80, 54, 42), (80, 42, 36)),
}
HAIRS = {
    "blond": (176, 142, 96),
    "light-brown": (126, 92, 62),
    "brown": (78, 54, 38),
    "dark": (42, 32, 28),
    "red": (150, 82, 44),
}
_DARK_SKINS = ("medium", "medium-dark", "dark", "very-dark")
Colour = tuple[int, int, int]
CLOTH_COLOURS: tuple[Colour, ...] = (
    (244, 242, 236),
    (208, 222, 236),
    (242, 214, 218),
    (236, 226, 190),
    (206, 226, 206),
    (150, 176, 206),
    (196, 96, 96),
    (92, 116, 150),
    (120, 150, 116),
    (222, 172, 92),
    (170, 170, 176),
    (70, 76, 92),
    (214, 150, 170),
    (120, 190, 190),
)
HOME_COLOURS: tuple[Colour, ...] = (
    *CLOTH_COLOURS,
    (44, 58, 92),
    (36, 38, 44),
    (58, 76, 116),
    (86, 104, 138),
    (178, 44, 52),
    (222, 84, 58),
    (238, 196, 58),
    (46, 108, 82),
    (116, 132, 84),
    (92, 60, 110),
    (232, 110, 150),
    (132, 88, 62),
    (36, 128, 176),
    (96, 96, 98),
)
EYES = ((70, 90, 120), (60, 44, 34), (40, 30, 26), (84, 98, 84))


PATTERNS = ("plain", "plain", "stripes", "checks", "dots", "stars", "waves", "blobs", "diamonds")
HOME_PATTERNS = (*PATTERNS, "flowers", "flowers", "zigzag", "spots")


@dataclass(frozen=True)
class Wardrobe:
    """What a variety's infants are, and have on.

    Attributes:
        weeks: (low, high) age.
        garments: share of each.
        trousers: chance of trousers over each garment. kinds: of trousers, and their shares.
        hat: chance of one.
        colours, patterns: of all cloth.
    """

    weeks: tuple[float, float]
    garments: dict[str, float]
    colours: tuple[Colour, ...] = CLOTH_COLOURS
    patterns: tuple[str, ...] = PATTERNS
    trousers: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)
    hat: float = 0.0


@dataclass(frozen=True)
class Worn:
    """One piece of clothing.

    Attributes:
        cut: its shape, a name of `dress.CUTS`; "hat" for one on the head.
        cloth: two colours of 255. pattern: of `PATTERNS`. scale: the pattern's period in cm.
    """

    cut: str
    cloth: tuple[Colour, Colour]
    pattern: str
    scale: float


@dataclass(frozen=True)
class Infant:
    """One infant's looks.

    Attributes:
        hair_density: 0 bald to 1 thick.
        garment: over the diaper, or the diaper itself. over: what is worn over that.
        socks: colour or None.
    """

    weeks: float
    proportions: Proportions
    skin: str
    hair: str
    hair_density: float
    eye: Colour
    garment: Worn
    socks: Colour | None
    over: tuple[Worn, ...] = ()

    @property
    def clothing(self) -> str:
        """What is worn, by name."""
        return "+".join(worn.cut for worn in (self.garment, *self.over))


def pick(rng: np.random.Generator, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of the items, as it is (NumPy's choice would turn tuples into arrays)."""
    if weights is None:
        return items[int(rng.integers(len(items)))]
    return items[int(np.searchsorted(np.cumsum(weights) / np.sum(weights), rng.random(), side="right"))]


def infant(rng: np.random.Generator, wardrobe: Wardrobe) -> Infant:
    """Draw an infant's age, proportions and looks."""
    weeks = float(rng.uniform(*wardrobe.weeks))
    skin = pick(rng, tuple(SKINS))
    dark = skin in _DARK_SKINS
    garment = pick(rng, tuple(wardrobe.garments), tuple(wardrobe.garments.values()))
    drawn = Infant(
        weeks=weeks,
        proportions=_proportions(rng, weeks),
        skin=skin,
        hair=pick(rng, ("brown", "dark") if dark else tuple(HAIRS)),
        hair_density=float(rng.choice([rng.uniform(0.1, 0.45), rng.uniform(0.45, 1.0)])),
        eye=pick(rng, EYES[1:3] if dark else EYES),
        garment=_worn(rng, garment, wardrobe),
        socks=pick(rng, CLOTH_COLOURS) if rng.random() < (0.12 if garment == "diaper" else 0.35) else None,
    )
    over = []
    if rng.random() < wardrobe.trousers.get(garment, 0.0):
        over.append(_worn(rng, pick(rng, tuple(wardrobe.kinds), tuple(wardrobe.kinds.values())), wardrobe))
    if rng.random() < wardrobe.hat:
        over.append(_worn(rng, "hat", wardrobe))
    return replace(drawn, over=tuple(over))


def _worn(rng: np.random.Generator, cut: str, wardrobe: Wardrobe) -> Worn:
    cloth = (pick(rng, wardrobe.colours), pick(rng, wardrobe.colours))
    return Worn(cut, cloth, pick(rng, wardrobe.patterns), float(rng.uniform(1.6, 5)))


def _proportions(rng: np.random.Generator, weeks: float) -> Proportions:
    """About the growth from 9 to 18 weeks (57 to 64 cm), with each infant's own build."""

    def near(spread: float) -> float:
        return float(1 + spread * np.clip(rng.normal(), -2, 2))

    build = near(0.05)
    return Proportions(
        stature=(0.93 + 0.1 * (weeks - 9) / 9) * near(0.02),
        head=(1.05 - 0.03 * (weeks - 9) / 9) * near(0.02),
        trunk=near(0.03),
        trunk_girth=build * near(0.02),
        belly=near(0.05),
        arm=near(0.035),
        arm_girth=1.03 * build * near(0.05),
        leg=near(0.035),
        leg_girth=1.05 * build * near(0.05),
    )


@dataclass(frozen=True)
class Camera:
    """A pinhole without distortion.

    Attributes:
        position: (3,) world, cm.
        axes: (3, 3) rows are the picture's right, its down and the viewing direction.
        focal: px. centre: (2,) where the axis meets the picture, x, y px.
        size: height, width.
    """

    position: np.ndarray
    axes: np.ndarray
    focal: float
    centre: np.ndarray
    size: tuple[int, int]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, 2) x, y in px (pixel i covers [i, i + 1)) and (P,) depth in cm of (P, 3) world points."""
        local = np.einsum("pj,ij->pi", points - self.position, self.axes)
        return self.centre + self.focal * local[:, :2] / local[:, 2:], local[:, 2]

    def ground(self, every: int) -> np.ndarray:
        """(ceil(H / every) + 1, ceil(W / every) + 1, 2) float32 world x, y where rays meet the mattress.

        The rays go through the corners of blocks of `every` pixels.
        """
        height, width = (every * (-(-n // every) + 1) for n in self.size)
        u = ((np.arange(0, width, every) - self.centre[0]) / self.focal).astype(np.float32)[None, :, None]
        v = ((np.arange(0, height, every) - self.centre[1]) / self.focal).astype(np.float32)[:, None, None]
        right, down, forward = self.axes.astype(np.float32)
        ray = u * right + v * down + forward
        # Rays that rise or graze would meet it too far off to matter.
        steep = np.minimum(ray[..., 2:], np.float32(-0.05))
        return self.position[:2].astype(np.float32) - ray[..., :2] * (np.float32(self.position[2]) / steep)

    def kept_inside(self, points: np.ndarray, margin: float) -> Camera:
        """The camera re-aimed, and zoomed out where needed, so that all points lie `margin` px inside."""
        height, width = self.size
        px = self.project(points)[0]
        low, high = px.min(axis=0), px.max(axis=0)
        room = np.array([width, height]) - 2 * margin
        zoom = min(1.0, float((room / np.maximum(high - low, 1e-6)).min()))
        low, high = (self.centre + zoom * (edge - self.centre) for edge in (low, high))
        shift = np.maximum(margin - low, 0) - np.maximum(high - (margin + room), 0)
        return replace(self, focal=self.focal * zoom, centre=self.centre + shift)


@dataclass(frozen=True)
class Shake:
    """A hand's unrest: (3, N, 3) amplitude in degrees, Hz and phase of sines about three axes."""

    sines: np.ndarray

    def at(self, seconds: float) -> np.ndarray:
        amplitude, hz, phase = np.moveaxis(self.sines, -1, 0)
        return (amplitude * np.sin(2 * np.pi * hz * seconds + phase)).sum(axis=1)


def shake(rng: np.random.Generator, setup: Setup) -> Shake:
    """Draw the hand's unrest; none on a tripod."""
    rms = rng.uniform(*setup.shake)
    hz = rng.uniform(0.1, 2.5, (3, 5))
    size = rng.uniform(0.5, 1, (3, 5)) / np.sqrt(1 + 3 * hz)
    size *= rms * np.sqrt(2) / np.linalg.norm(size, axis=1, keepdims=True)
    return Shake(np.stack([size, hz, rng.uniform(0, 2 * np.pi, (3, 5))], axis=-1))


def camera(rng: np.random.Generator, setup: Setup, size: tuple[int, int], reach: np.ndarray) -> Camera:
    """Draw a camera that takes in the infant.

    Args:
        size: height, width in px.
        reach: (P, 3) keypoints at many moments of the video.
    """
    tilt, azimuth = np.radians(rng.uniform(*setup.tilt)), rng.uniform(*np.radians(setup.azimuth))
    roll = np.radians(rng.uniform(*setup.roll))
    target = (reach.min(axis=0) + reach.max(axis=0)) / 2 * (1, 1, 0.5)
    back = np.array([np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)])
    up = np.array([np.sin(roll), np.cos(roll), 0.0])
    if setup.level and rng.random() < setup.level:
        lean = np.radians(rng.normal(0, 7)) + np.pi / 2 * pick(rng, setup.quarters)
        side = np.cross(back, (0.0, 0.0, 1.0))
        up = np.cos(lean) * np.array([0.0, 0.0, 1.0]) + np.sin(lean) * side / np.linalg.norm(side)
    position = target + back * rng.uniform(*setup.distance)
    fill = rng.uniform(*setup.fill)
    plain = Camera(position, _axes(-back, up), 1.0, np.zeros(2), size)
    px = plain.project(reach)[0]
    low, high = px.min(axis=0) - 0.03, px.max(axis=0) + 0.03  # fingers and toes reach beyond joints
    height, width = size
    focal = fill * float((np.array([width, height]) / (high - low)).min())
    slack = (1 - fill) * np.array([width, height]) * rng.uniform(-0.25, 0.25, 2)
    centre = np.array([width, height]) / 2 - focal * (low + high) / 2 + slack
    return replace(plain, focal=focal, centre=centre)


def shaken(view: Camera, degrees: np.ndarray) -> Camera:
    """The camera turned about its own axes (right, down, forward)."""
    x, y, z = np.radians(degrees)
    small = np.array([[1, z, -y], [-z, 1, x], [y, -x, 1]]) @ view.axes
    return replace(view, axes=_axes(small[2], -small[1]))


def _axes(forward: np.ndarray, up: np.ndarray) -> np.ndarray:
    forward = forward / np.linalg.norm(forward)
    down = -(up - forward * (up @ forward))
    down = down / np.linalg.norm(down)
    return np.stack([np.cross(down, forward), down, forward])
