"""Smooth shapes as signed distances, and the triangle mesh of their surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Blob:
    """One rounded part, in its bone's frame, template units.

    Attributes:
        bone: name of the bone that carries it.
        start, end: centres of a cone with round ends; equal centres make an ellipsoid.
        radii: radius at start and at end; or, for an ellipsoid, the three semi-axes.
        tilt: the ellipsoid's turn about the bone's x axis, degrees.
    """

    bone: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radii: tuple[float, ...]
    tilt: float = 0.0


def distance(blob: Blob, local: np.ndarray) -> np.ndarray:
    """(P,) signed distance of (P, 3) points in the blob's bone frame; near the surface for ellipsoids.

    Source: I. Quilez, distance to a round cone (here by projection) and bound for ellipsoids.
    """
    start = np.array(blob.start, dtype=local.dtype)
    if len(blob.radii) == 3:
        return _ellipsoid(local - start, np.array(blob.radii, dtype=local.dtype), blob.tilt)
    axis = np.array(blob.end, dtype=local.dtype) - start
    along = np.clip(np.einsum("pj,j->p", local - start, axis) / (axis @ axis), 0, 1)
    first, second = blob.radii
    # The nearest point of a cone lies a little towards its thin end; the difference is a hair here.
    return np.linalg.norm(local - start - along[:, None] * axis, axis=1) - (first + (second - first) * along)


def _ellipsoid(offset: np.ndarray, radii: np.ndarray, tilt: float) -> np.ndarray:
    if tilt:
        c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
        x, y, z = offset.T
        offset = np.stack([x, c * y + s * z, c * z - s * y], axis=1)
    inner = np.linalg.norm(offset / radii, axis=1)
    gradient = np.linalg.norm(offset / radii**2, axis=1)
    return inner * (inner - 1) / np.maximum(gradient, 1e-6)


def smooth_union(distances: np.ndarray, blend: float) -> np.ndarray:
    """(P,) distance to the union of (B, P) distances, rounded over about `blend` where parts meet."""
    low = distances.min(axis=0)
    return low - blend * np.log(np.exp((low - distances) / blend).sum(axis=0))


def surface_net(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero surface of a grid of values, negative inside.

    Args:
        values: (X, Y, Z); the grid's border must be outside.

    Returns:
        (V, 3) vertices in grid units, and (F, 3) faces, anticlockwise seen from outside.

    Source: S. Gibson 1998, surface nets: one vertex in each cell that the surface crosses.
    """
    inside = values < 0
    corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    shape = tuple(n - 1 for n in values.shape)
    count = np.sum([_corner(inside, c, shape) for c in corners], axis=0)
    cells = (count > 0) & (count < 8)
    index = np.full(shape, -1, dtype=np.int64)
    index[cells] = np.arange(cells.sum())
    return _cell_points(values, cells, corners, shape), _quads(inside, index)


def _corner(grid: np.ndarray, corner: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    return grid[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))]


def _cell_points(
    values: np.ndarray, cells: np.ndarray, corners: list[tuple[int, int, int]], shape: tuple[int, ...]
) -> np.ndarray:
    """Mean of the points where the surface crosses a cell's twelve edges."""
    at = {c: _corner(values, c, shape)[cells] for c in corners}
    total = np.zeros((int(cells.sum()), 3))
    crossings = np.zeros(len(total))
    for a in corners:
        for axis in range(3):
            if a[axis]:
                continue
            b = (a[0] or int(axis == 0), a[1] or int(axis == 1), a[2] or int(axis == 2))
            crossed = (at[a] < 0) != (at[b] < 0)
            step = np.where(crossed, at[a] / np.where(crossed, at[a] - at[b], 1), 0)
            point = np.array(a, dtype=np.float64) + step[:, None] * np.eye(3)[axis]
            total += point * crossed[:, None]
            crossings += crossed
    return total / crossings[:, None] + np.argwhere(cells)


def _quads(inside: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Two triangles around every grid edge that the surface crosses."""
    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        low = np.moveaxis(inside, (axis, u, v), (0, 1, 2))
        cell = np.moveaxis(index, (axis, u, v), (0, 1, 2))
        leaves = low[:-1, 1:-1, 1:-1] & ~low[1:, 1:-1, 1:-1]
        enters = ~low[:-1, 1:-1, 1:-1] & low[1:, 1:-1, 1:-1]
        a, b = cell[:, :-1, :-1], cell[:, 1:, :-1]
        c, d = cell[:, 1:, 1:], cell[:, :-1, 1:]
        for crossed, ring in ((leaves, (a, b, c, d)), (enters, (d, c, b, a))):
            p, q, r, s = (corner[crossed] for corner in ring)
            faces += [np.stack([p, q, r], axis=1), np.stack([p, r, s], axis=1)]
    return np.concatenate(faces)
