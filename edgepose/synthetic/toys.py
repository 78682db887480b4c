"""Toys lying about: rounded parts, meshed once in a process."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from edgepose.synthetic.body import rotation
from edgepose.synthetic.implicit import Blob
from edgepose.synthetic.patterns import linear
from edgepose.synthetic.props import Prop, PropMesh, mesh
from edgepose.synthetic.scene import CLOTH_COLOURS, pick

_CELL = 0.6


def _ball(x: float, y: float, z: float, *radii: float) -> Blob:
    return Blob("", (x, y, z), (x, y, z), radii if len(radii) == 3 else radii * 3)


def _ring(radius: float, thickness: float) -> tuple[Blob, ...]:
    angles = np.linspace(0, 2 * np.pi, 13)
    ends = [(float(radius * np.cos(a)), float(radius * np.sin(a)), thickness) for a in angles]
    return tuple(Blob("", a, b, (thickness, thickness)) for a, b in pairwise(ends))


# In cm, standing on z = 0. A part's colour goes by its place in the list, so parts of one colour adjoin.
TOYS = {
    "ball": (_ball(0, 0, 4, 4),),
    "ring": _ring(3.4, 0.9),
    "rattle": (
        _ball(0, 5, 2, 2.1),
        Blob("", (0, 4, 1.4), (0, -4, 1.0), (0.8, 0.8)),
        _ball(0, -4.4, 1.2, 1.3),
    ),
    "bear": (
        _ball(0, 0, 3.2, 4, 4.6, 3.4),
        _ball(0, 6.0, 3.4, 3.1),
        *(_ball(2.4 * s, 8.4, 3.4, 1.2) for s in (-1, 1)),
        *(_ball(4.3 * s, 1.8, 3.0, 1.7, 2.3, 1.7) for s in (-1, 1)),
        *(_ball(2.6 * s, -4.4, 2.6, 1.8, 2.2, 2.3) for s in (-1, 1)),
        _ball(0, 5.3, 6.0, 1.3),
    ),
    "block": (
        Blob("", (-1.2, -1.2, 2), (1.2, -1.2, 2), (2, 2)),
        Blob("", (-1.2, 1.2, 2), (1.2, 1.2, 2), (2, 2)),
    ),
    "duck": (_ball(0, 0, 2.6, 3, 4, 2.6), _ball(0, 3, 5, 2.1), _ball(0, 5.1, 4.8, 0.9, 1.3, 0.5)),
}


def toys(rng: np.random.Generator, chance: float, reach: np.ndarray) -> tuple[Prop, ...]:
    """Draw toys beside the infant.

    Args:
        chance: that there are any.
        reach: (P, 3) keypoints at many moments; toys keep clear of them.
    """
    count = int(rng.integers(1, 5)) if rng.random() < chance else 0
    found: list[Prop] = []
    for _ in range(4 * count):
        place = rng.uniform(reach[:, :2].min(axis=0) - 16, reach[:, :2].max(axis=0) + 16)
        kind, turn, size = pick(rng, tuple(TOYS)), rng.uniform(0, 360), rng.uniform(0.75, 1.3)
        palette = np.stack([linear(pick(rng, CLOTH_COLOURS)) for _ in range(3)])
        if np.hypot(*(reach[:, :2] - place).T).min() > 11 and len(found) < count:
            found.append(_placed(kind, place, turn, size, palette))
    return tuple(found)


def _placed(kind: str, place: np.ndarray, turn: float, size: float, palette: np.ndarray) -> Prop:
    made = _mesh(kind)
    frame = rotation("z", turn)
    shift = np.array([place[0], place[1], -0.3])
    moved = size * np.einsum("vj,ij->vi", made.vertices, frame) + shift
    colours = palette[np.minimum(made.part, 2)] if kind != "bear" else palette[np.where(made.part == 8, 1, 0)]
    normals = np.einsum("vj,ij->vi", made.normals, frame)
    return Prop(moved, normals, made.faces, colours.astype(np.float32), np.zeros(len(moved), np.float32))


@lru_cache(maxsize=len(TOYS))
def _mesh(kind: str) -> PropMesh:
    return mesh(TOYS[kind], _CELL, 0.25)
