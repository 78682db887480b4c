"""Things beside the infant: toys, a cot's bars, an adult's hands. Rounded parts, meshed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgepose.synthetic.body import Skeleton
from edgepose.synthetic.implicit import Blob, distance, smooth_union, surface_net


@dataclass(frozen=True)
class Anchor:
    """A point of the infant that a thing stays with: `local` in a bone's frame, in template units."""

    bone: str
    local: np.ndarray


@dataclass(frozen=True)
class Prop:
    """One thing's mesh.

    Attributes:
        vertices: (V, 3) cm, in the world or, with an anchor, from the anchor on.
        normals: (V, 3). faces: (F, 3), anticlockwise from outside. colours: (V, 3) float32 linear.
        skin: (V,) float32, 1 where it is skin.
        anchor: what it moves with; None stays where it is.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    skin: np.ndarray
    anchor: Anchor | None = None

    def at(self, skeleton: Skeleton) -> np.ndarray:
        """(V, 3) where it is in a pose of the infant's."""
        if self.anchor is None:
            return self.vertices
        return self.vertices + skeleton.point(self.anchor.bone, self.anchor.local)


@dataclass(frozen=True)
class PropMesh:
    """The surface of some blobs: (V, 3) vertices and unit normals, (F, 3) faces, (V,) nearest blob."""

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    part: np.ndarray


def mesh(blobs: tuple[Blob, ...], cell: float, blend: float) -> PropMesh:
    """Mesh some blobs.

    Args:
        cell: grid step, cm.
        blend: how far parts melt into each other, cm.
    """
    ends = np.array([end for b in blobs for end in (b.start, b.end)])
    reach = max(max(b.radii) for b in blobs) + 3 * cell
    axes = [
        np.arange(low - reach, high + reach, cell) for low, high in zip(ends.min(0), ends.max(0), strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points, faces = surface_net(_union(blobs, grid.reshape(-1, 3), blend).reshape(grid.shape[:3]))
    vertices = grid[0, 0, 0] + cell * points
    step = 0.02
    slope = np.stack(
        [
            _union(blobs, vertices + step * e, blend) - _union(blobs, vertices - step * e, blend)
            for e in np.eye(3)
        ],
        axis=1,
    )
    part = np.stack([distance(b, vertices) for b in blobs]).argmin(axis=0)
    return PropMesh(vertices, slope / np.linalg.norm(slope, axis=1, keepdims=True), faces, part)


def _union(blobs: tuple[Blob, ...], points: np.ndarray, blend: float) -> np.ndarray:
    return smooth_union(np.stack([distance(b, points) for b in blobs]), blend)
