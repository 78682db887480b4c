"""A z-buffer for many small triangles, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hits:
    """The visible surface, one entry for each of P covered pixels.

    Attributes:
        pixels: (P,) flat indices, rising.
        corners: (P, 3) vertex indices of the triangle seen there.
        weights: (P, 3) float32 barycentric weights of those vertices at the pixel's centre.
    """

    pixels: np.ndarray
    corners: np.ndarray
    weights: np.ndarray

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """(P, C) float32 from (V, C) values at the vertices."""
        values = values.astype(np.float32, copy=False)
        total = values[self.corners[:, 0]] * self.weights[:, :1]
        total += values[self.corners[:, 1]] * self.weights[:, 1:2]
        total += values[self.corners[:, 2]] * self.weights[:, 2:]
        return total


def rasterise(points_px: np.ndarray, nearness: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> Hits:
    """Find the nearest front-facing triangle at each pixel's centre.

    Args:
        points_px: (V, 2) x, y; pixel i covers [i, i + 1).
        nearness: (V,) larger is nearer to the camera.
        faces: (F, 3), anticlockwise to the eye when seen from their front.
        size: height, width.
    """
    height, width = size
    a, b, c = (points_px[faces[:, i]] for i in range(3))
    # Twice the signed area; y points down, so that anticlockwise to the eye is negative.
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    front = np.flatnonzero(area < -1e-9)
    a, b, c, area, faces = a[front], b[front], c[front], area[front], faces[front]
    # First and last pixel whose centre the bounding box holds: many triangles hold none.
    first = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c) - 0.5)
    extent = np.minimum(high, (width - 1, height - 1)).astype(np.int32) - first + 1
    kept = np.flatnonzero((extent > 0).all(axis=1))
    planes, nears = _planes(a[kept], b[kept], c[kept], area[kept], nearness[faces[kept]])
    order, x, y = _candidates(first[kept], extent[kept])
    p = planes[order]
    half = np.float32(0.5)  # int32 and float32 would make float64 below
    dx, dy = x.astype(np.float32) + half - p[:, 0], y.astype(np.float32) + half - p[:, 1]
    u = p[:, 2] * dx + p[:, 3] * dy
    v = p[:, 4] * dx + p[:, 5] * dy
    w = 1 - u - v
    inside = np.flatnonzero((u >= 0) & (v >= 0) & (w >= 0))
    q = nears[order[inside]]
    near = q[:, 0] + q[:, 1] * dx[inside] + q[:, 2] * dy[inside]
    pixel = y[inside] * np.int32(width) + x[inside]
    pixels, chosen = _nearest(pixel, near, height * width)
    chosen = inside[chosen]
    weights = np.stack([u[chosen], v[chosen], w[chosen]], axis=1)
    return Hits(pixels, faces[kept[order[chosen]]], weights)


def merged(hits: Hits, size: tuple[int, int]) -> tuple[Hits, np.ndarray]:
    """From a raster of twice the size: one hit a pixel, and the (P,) share of the pixel that is covered.

    Of a pixel's four samples the upper left or the lower right one speaks, in turns, so that colours are
    not shifted on average.

    Args:
        hits: of a raster of size (2 H, 2 W).
        size: H, W.
    """
    height, width = size
    y, x = np.divmod(hits.pixels, 2 * width)
    pixel = (y >> 1) * width + (x >> 1)
    sample = 2 * (y & 1) + (x & 1)
    rank = _RANKS[((x >> 1) + (y >> 1)) & 1, sample]
    best = np.full(height * width, 4, dtype=np.int8)
    np.minimum.at(best, pixel, rank)
    chosen = np.flatnonzero(rank == best[pixel])
    chosen = chosen[np.argsort(pixel[chosen], kind="stable")]
    cover = np.bincount(pixel, minlength=height * width)[pixel[chosen]].astype(np.float32) / 4
    return Hits(pixel[chosen], hits.corners[chosen], hits.weights[chosen]), cover


# Order of preference of the samples upper left, upper right, lower left, lower right, by the pixel's parity.
_RANKS = np.array([[0, 2, 3, 1], [1, 3, 2, 0]], dtype=np.int8)


def _planes(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, area: np.ndarray, near: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(F, 6) float32, the third corner and the slopes of the first two weights; (F, 3) nearness likewise.

    float32 holds a pixel's place to a ten-thousandth of a pixel.
    """
    inverse = 1.0 / area
    ux, uy = (b[:, 1] - c[:, 1]) * inverse, (c[:, 0] - b[:, 0]) * inverse
    vx, vy = (c[:, 1] - a[:, 1]) * inverse, (a[:, 0] - c[:, 0]) * inverse
    first, second = near[:, 0] - near[:, 2], near[:, 1] - near[:, 2]
    nears = [near[:, 2], first * ux + second * vx, first * uy + second * vy]
    planes = [c[:, 0], c[:, 1], ux, uy, vx, vy]
    return np.stack(planes, axis=1).astype(np.float32), np.stack(nears, axis=1).astype(np.float32)


def _candidates(first: np.ndarray, extent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every (face, x, y) of the faces' bounding boxes."""
    counts = extent[:, 0] * extent[:, 1]
    order = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    step = np.arange(len(order), dtype=np.int32) - starts[order]
    wide = extent[:, 0][order]
    row = step // wide
    return order, first[:, 0][order] + step - row * wide, first[:, 1][order] + row


def _nearest(pixel: np.ndarray, near: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Covered pixels, rising, and the candidate that is seen at each."""
    depth = np.full(count, -np.inf, dtype=np.float32)
    np.maximum.at(depth, pixel, near)
    best = np.full(count, -1, dtype=np.int32)
    winners = np.flatnonzero(near == depth[pixel])
    best[pixel[winners]] = winners  # on equal depth the last one, always the same one
    pixels = np.flatnonzero(best >= 0)
    return pixels, best[pixels]
