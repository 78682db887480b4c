"""Keypoints to confidence maps and part affinity fields, and back: one object for both ways.

Coordinates follow `edgepose.geometry`: on a map, cell j covers [j, j + 1) and its centre is j + 0.5.

Sources: confidence maps exp(-d^2 / sigma^2) and PAFs, Cao et al. 2019 and Groos et al. 2021; Taylor
decoding, Zhang et al. 2020 (DARK), fitted here without their blur, which is exact on ideal maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeio import lookup
from edgepose.geometry import Size
from edgepose.upsampling import upsampling_matrix

# Where a target's peak lies. "integer" is the authors': the centre of the cell that holds the point,
# which costs 0.38 cell on average and is kept for networks trained that way.
CENTRES = ("continuous", "integer")


@dataclass(frozen=True)
class Codec:
    """Keypoints (B, K, 2) in input pixels <-> maps (B, h, w, K).

    Attributes:
        input_size: (height, width) of the network's input in pixels.
        map_size: (height, width) of the maps in cells.
        sigma: of the targets, in cells.
        centre: one of CENTRES.
        decoder: one of DECODERS.
    """

    input_size: Size
    map_size: Size
    sigma: float = 1.1
    centre: str = "continuous"
    decoder: str = "taylor"

    def __post_init__(self) -> None:
        lookup(DECODERS, "decoder", self.decoder)
        lookup(dict.fromkeys(CENTRES), "target centre", self.centre)

    @property
    def cell_px(self) -> np.ndarray:
        """(2,) width and height of a cell in input pixels."""
        return np.array(
            [self.input_size[1] / self.map_size[1], self.input_size[0] / self.map_size[0]], np.float64
        )

    def encode(self, keypoints_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Confidence maps of keypoints.

        Args:
            keypoints_px: (B, K, 2); NaN where not annotated.

        Returns:
            maps (B, h, w, K) float32, zero for absent keypoints, and present (B, K) bool: annotated
            and inside the input.
        """
        cells = np.asarray(keypoints_px, np.float64) / self.cell_px
        present = _inside(cells, self.map_size)
        far = np.where(present[..., None], cells, -1e6)
        maps = confidence_maps(far, self.map_size, self.sigma, self.centre)
        return maps.astype(np.float32), present

    def encode_pafs(
        self, keypoints_px: np.ndarray, segments: tuple[tuple[int, int], ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part affinity fields of S segments, half as wide as sigma on either side.

        Returns:
            fields (B, h, w, 2 S) float32: x and y of the unit vector of each segment in turn; and
            present (B, S) bool: both ends annotated and inside, and apart.
        """
        cells = np.asarray(keypoints_px, np.float64) / self.cell_px
        ends = np.asarray(segments)
        present = np.asarray(_inside(cells, self.map_size)[:, ends].all(-1))
        pair = np.where(present[..., None, None], cells[:, ends], 0.0)  # (B, S, 2 ends, 2); absent: no length
        fields = part_affinity_fields(pair[:, :, 0], pair[:, :, 1], self.map_size, self.sigma / 2)
        present &= (pair[:, :, 0] != pair[:, :, 1]).any(-1)
        return fields.astype(np.float32), present

    def decode(self, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Peaks of maps.

        Args:
            maps: (B, h, w, K) of the codec's map size.

        Returns:
            keypoints_px (B, K, 2) float64, inside the input; confidence (B, K) float32, the map's
            highest value. A flat map has its peak in its first cell: its confidence tells.

        Raises:
            ValueError: another map size.
        """
        if maps.ndim != 4 or maps.shape[1:3] != tuple(self.map_size):
            expected = f"(B, {self.map_size[0]}, {self.map_size[1]}, K)"
            raise ValueError(f"maps of shape {maps.shape}, expected {expected}")
        planes = np.ascontiguousarray(np.moveaxis(maps, -1, 1), np.float32)  # (B, K, h, w)
        confidence = planes.max((-2, -1))
        cells = DECODERS[self.decoder].decode(planes, self)
        limit = np.array(self.map_size[::-1], np.float64)
        return np.clip(cells, 0.0, limit) * self.cell_px, confidence


def confidence_maps(cells: Any, map_size: Size, sigma: Any, centre: str, ops: Any = np) -> Any:
    """exp(-d^2 / sigma^2) about each point, built from one row and one column per point.

    Args:
        cells: (B, K, 2) in cells; absent points far outside.
        sigma: in cells; a number or a scalar tensor.
        ops: numpy or keras.ops, so that training computes the very same targets in its graph.

    Returns:
        (B, h, w, K).
    """
    if centre == "integer":
        cells = ops.floor(cells) + 0.5
    columns = _bump(cells[..., 0], map_size[1], sigma, ops)  # (B, K, w)
    rows = _bump(cells[..., 1], map_size[0], sigma, ops)
    return ops.einsum("bkh,bkw->bhwk", rows, columns)


def _bump(positions: Any, length: int, sigma: Any, ops: Any) -> Any:
    centres = np.arange(length, dtype=np.float32) + 0.5
    return ops.exp(-(((centres - positions[..., None]) / sigma) ** 2))


def part_affinity_fields(start: Any, end: Any, map_size: Size, half_width: Any, ops: Any = np) -> Any:
    """The unit vector from start to end in the cells whose centres lie on the segment.

    Args:
        start, end: (B, S, 2) in cells; equal where the segment is absent.
        half_width: in cells; how far from the line a centre may lie.
        ops: numpy or keras.ops.

    Returns:
        (B, h, w, 2 S).

    Source: Cao et al. 2019, equation 8.
    """
    vector = end - start
    length = ops.sqrt(ops.sum(vector**2, axis=-1, keepdims=True))
    unit = vector / ops.maximum(length, 1e-6)
    x = np.arange(map_size[1], dtype=np.float32)[None, :, None] + 0.5
    y = np.arange(map_size[0], dtype=np.float32)[:, None, None] + 0.5
    dx = x - start[:, None, None, :, 0]  # (B, h, w, S) once x and y meet
    dy = y - start[:, None, None, :, 1]
    ux, uy = unit[:, None, None, :, 0], unit[:, None, None, :, 1]
    along, across = dx * ux + dy * uy, ops.abs(dy * ux - dx * uy)
    reach = length[:, None, None, :, 0]
    on = (along >= 0) & (along <= reach) & (across <= half_width) & (reach > 0)
    fields = ops.stack([ops.where(on, ux, 0.0), ops.where(on, uy, 0.0)], axis=-1)  # (B, h, w, S, 2)
    return ops.reshape(fields, (*fields.shape[:3], 2 * fields.shape[3]))


def _inside(cells: np.ndarray, map_size: Size) -> np.ndarray:
    """(B, K) bool; the far edges belong to the map, as a point on an image's edge does."""
    limit = np.array(map_size[::-1], np.float64)
    return np.asarray(((cells >= 0) & (cells <= limit)).all(-1))  # NaN compares false


def _peak_cells(planes: np.ndarray) -> np.ndarray:
    """(B, K, 2) int, column and row of each plane's highest value; the first of equals."""
    flat = planes.reshape(*planes.shape[:2], -1).argmax(-1)
    return np.stack([flat % planes.shape[-1], flat // planes.shape[-1]], -1)


def _argmax(planes: np.ndarray, codec: Codec) -> np.ndarray:
    return _peak_cells(planes) + 0.5


def _upsampled_argmax(planes: np.ndarray, codec: Codec) -> np.ndarray:
    """The paper's: bilinear upsampling to input resolution, then the highest value."""
    steps = [round(np.log2(i / m)) for i, m in zip(codec.input_size, codec.map_size, strict=True)]
    up = upsampling_matrix(codec.map_size[0], steps[0]) @ planes
    up = up @ upsampling_matrix(codec.map_size[1], steps[1]).T
    return (_peak_cells(up) + 0.5) / 2.0 ** np.array(steps[::-1])


def _windows(planes: np.ndarray, middle: np.ndarray, radius: int) -> np.ndarray:
    """(B, K, 2 r + 1, 2 r + 1) values about `middle` (B, K, 2) as column, row; zero outside."""
    padded = np.pad(planes, ((0, 0), (0, 0), (radius, radius), (radius, radius)))
    reach = np.arange(2 * radius + 1)
    rows = middle[..., 1, None, None] + reach[:, None]
    columns = middle[..., 0, None, None] + reach
    b, k = np.ogrid[: planes.shape[0], : planes.shape[1]]
    return padded[b[..., None, None], k[..., None, None], rows, columns]


def _soft_argmax(planes: np.ndarray, codec: Codec) -> np.ndarray:
    """The centre of mass of the 5 x 5 cells about the peak, negative values left out."""
    peak = _peak_cells(planes)
    weights = np.maximum(_windows(planes, peak, 2), 0.0)
    total = np.maximum(weights.sum((-2, -1)), 1e-12)
    reach = np.arange(-2, 3)
    offset = np.stack([(weights * reach).sum((-2, -1)), (weights * reach[:, None]).sum((-2, -1))], -1)
    return peak + 0.5 + offset / total[..., None]


def _taylor(planes: np.ndarray, codec: Codec) -> np.ndarray:
    """The top of the paraboloid through the logarithm of the 3 x 3 cells about the peak.

    The logarithm of an ideal map is a paraboloid, so this is exact there. At the border the 3 x 3
    cells move inside, and the paraboloid is read off centre. The top is kept within half a cell of
    the peak, where it lies on every ideal map, so that a noisy plane cannot throw it far.
    """
    if min(planes.shape[-2:]) < 3:
        return _argmax(planes, codec)
    peak = _peak_cells(planes)
    limit = np.array(planes.shape[:1:-1]) - 2
    middle = np.clip(peak, 1, limit)
    top = np.maximum(planes.max((-2, -1)), 1e-12)[..., None, None]
    log = np.log(np.maximum(_windows(planes, middle, 1) / top, 1e-8).astype(np.float64))
    left, right, up, down = log[..., 1, 0], log[..., 1, 2], log[..., 0, 1], log[..., 2, 1]
    gx, gy = (right - left) / 2, (down - up) / 2
    dxx, dyy = left + right - 2 * log[..., 1, 1], up + down - 2 * log[..., 1, 1]
    dxy = (log[..., 2, 2] + log[..., 0, 0] - log[..., 0, 2] - log[..., 2, 0]) / 4
    determinant = dxx * dyy - dxy**2
    hill = (determinant > 1e-9) & (dxx < 0)
    safe = np.where(hill, determinant, 1.0)
    newton = np.stack([dxy * gy - dyy * gx, dxy * gx - dxx * gy], -1) / safe[..., None]
    offset = np.where(hill[..., None], newton + middle - peak, 0.0)
    return peak + 0.5 + np.clip(offset, -0.5, 0.5)


@dataclass(frozen=True)
class Decoder:
    """A way from maps to coordinates.

    Attributes:
        decode: planes (B, K, h, w) and their codec -> (B, K, 2) x, y in cells.
        error_cells: largest error per axis on ideal maps with continuous centres and sigma 1.1,
            three cells and more from the border.
        border_error_cells: the same, anywhere on the map.
        description: for the reports.
    """

    key: str
    decode: Callable[[np.ndarray, Codec], np.ndarray]
    error_cells: float
    border_error_cells: float
    description: str


DECODERS = {
    d.key: d
    for d in (
        Decoder("argmax", _argmax, 0.5, 0.5, "the highest cell's centre"),
        Decoder("soft-argmax", _soft_argmax, 0.01, 0.7, "centre of mass of 5 x 5 cells about the highest"),
        Decoder("taylor", _taylor, 1e-6, 1e-6, "top of the log-paraboloid about the highest cell (DARK)"),
        Decoder(
            "upsampled-argmax", _upsampled_argmax, 0.15, 0.6, "bilinear to input resolution, then the highest"
        ),
    )
}
