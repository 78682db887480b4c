"""A z-buffer for many small triangles, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_CANDIDATES = 1 << 17  # pixels looked at together: a few arrays of so many stay in the processor's cache


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
        total = values.take(self.corners[:, 0], axis=0) * self.weights[:, :1]
        total += values.take(self.corners[:, 1], axis=0) * self.weights[:, 1:2]
        total += values.take(self.corners[:, 2], axis=0) * self.weights[:, 2:]
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
    px, py = np.ascontiguousarray(points_px.T)
    corners = faces.T
    x, y = [px.take(corner) for corner in corners], [py.take(corner) for corner in corners]
    # Twice the signed area; y points down, so that anticlockwise to the eye is negative.
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    front = np.flatnonzero(area < -1e-9)
    x, y = [v.take(front) for v in x], [v.take(front) for v in y]
    # First and last pixel whose centre the bounding box holds: many triangles hold none.
    (left, wide), (top, high) = _span(x, width), _span(y, height)
    kept = np.flatnonzero((wide > 0) & (high > 0))
    front = front.take(kept)
    x, y = [v.take(kept) for v in x], [v.take(kept) for v in y]
    planes, nears = _planes(x, y, area.take(front), [nearness.take(corner.take(front)) for corner in corners])
    first = np.stack([left.take(kept), top.take(kept)], axis=1)
    extent = np.stack([wide.take(kept), high.take(kept)], axis=1)
    parts = [
        _inside(part, first[part], extent[part], planes[:, part], nears[:, part], width)
        for part in _parts(extent)
    ]
    face, pixel, near, weights = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    pixels, chosen = _nearest(pixel, near, height * width)
    return Hits(pixels, faces.take(front.take(face.take(chosen)), axis=0), weights.take(chosen, axis=0))


def _span(values: list[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """(F,) first pixel and number of pixels whose centres three corners' range along one axis holds."""
    a, b, c = values
    first = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0).astype(np.int32)
    last = np.floor(np.maximum(np.maximum(a, b), c) - 0.5)
    return first, np.minimum(last, size - 1).astype(np.int32) - first + 1


def _parts(extent: np.ndarray) -> list[slice]:
    """The faces in runs whose candidates fit a processor's cache together."""
    total = np.cumsum(extent[:, 0].astype(np.int64) * extent[:, 1])
    last = int(total[-1]) if len(total) else 0
    cuts = np.searchsorted(total, np.arange(_CANDIDATES, last, _CANDIDATES), side="left") + 1
    bounds = np.unique([0, *cuts.tolist(), len(extent)])
    return [slice(int(p), int(q)) for p, q in pairwise(bounds)] or [slice(0, 0)]


def _inside(
    part: slice, first: np.ndarray, extent: np.ndarray, planes: np.ndarray, nears: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of some faces, every pixel's centre in them: face, flat pixel, nearness, (S, 3) weights."""
    order, x, y = _candidates(first, extent)
    p = planes.take(order, axis=1)
    half = np.float32(0.5)  # int32 and float32 would make float64 below
    dx, dy = x.astype(np.float32) + half - p[0], y.astype(np.float32) + half - p[1]
    u = p[2] * dx + p[3] * dy
    v = p[4] * dx + p[5] * dy
    w = 1 - u - v
    inside = np.flatnonzero((u >= 0) & (v >= 0) & (w >= 0))
    face = order.take(inside)
    q = nears.take(face, axis=1)
    near = q[0] + q[1] * dx.take(inside) + q[2] * dy.take(inside)
    pixel = y.take(inside) * np.int32(width) + x.take(inside)
    weights = np.stack([u.take(inside), v.take(inside), w.take(inside)], axis=1)
    return face + part.start, pixel, near, weights


def merged(hits: Hits, size: tuple[int, int]) -> tuple[Hits, np.ndarray]:
    """From a raster of twice the size: one hit a pixel, and the (P,) share of the pixel that is covered.

    Of a pixel's four samples the upper left or the lower right one speaks, in turns, so that colours are
    not shifted on average.

    Args:
        hits: of a raster of size (2 H, 2 W).
        size: H, W.
    """
    height, width = size
    index = np.full(4 * height * width, -1, dtype=np.int32)
    index[hits.pixels] = np.arange(len(hits.pixels), dtype=np.int32)
    grid = index.reshape(height, 2, width, 2)
    samples = [grid[:, 0, :, 0], grid[:, 0, :, 1], grid[:, 1, :, 0], grid[:, 1, :, 1]]
    best = np.empty((height, width), dtype=np.int32)
    for parity, order in enumerate(_PREFERENCES):
        for rows, columns in ((0, parity), (1, 1 - parity)):
            here = [samples[i][rows::2, columns::2] for i in order]
            found = here[-1]
            for sample in here[-2::-1]:
                found = np.where(sample >= 0, sample, found)
            best[rows::2, columns::2] = found
    seen = np.flatnonzero(best >= 0)
    chosen = best.ravel().take(seen)
    covered = sum((sample >= 0).astype(np.int8) for sample in samples)
    cover = np.asarray(covered).ravel().take(seen).astype(np.float32) / 4
    return Hits(seen, hits.corners.take(chosen, axis=0), hits.weights.take(chosen, axis=0)), cover


# Samples (upper left, upper right, lower left, lower right) in order of preference, by the pixel's parity.
_PREFERENCES = ((0, 3, 1, 2), (3, 0, 2, 1))


def _planes(
    x: list[np.ndarray], y: list[np.ndarray], area: np.ndarray, near: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(6, F) float32, the third corner and the slopes of the first two weights; (3, F) nearness likewise.

    float32 holds a pixel's place to a ten-thousandth of a pixel.
    """
    inverse = 1.0 / area
    ux, uy = (y[1] - y[2]) * inverse, (x[2] - x[1]) * inverse
    vx, vy = (y[2] - y[0]) * inverse, (x[0] - x[2]) * inverse
    first, second = near[0] - near[2], near[1] - near[2]
    nears = [near[2], first * ux + second * vx, first * uy + second * vy]
    planes = [x[2], y[2], ux, uy, vx, vy]
    return np.stack(planes).astype(np.float32), np.stack(nears).astype(np.float32)


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
