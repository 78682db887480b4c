"""Letterbox, crops and affines; the owner of the pixel convention.

**The pixel convention.** Coordinates are continuous. Pixel i covers [i, i + 1) and its centre is
i + 0.5, so an image W pixels wide spans [0, W] and scaling it by s scales every coordinate by s,
with no half-pixel terms. A normalised coordinate is x / W. Points are (..., 2) as x, y; sizes are
(height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

Size = tuple[int, int]  # (height, width)
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in continuous pixels


@dataclass(frozen=True)
class Affine:
    """x' = matrix[:, :2] @ x + matrix[:, 2], from one image's pixels to another's."""

    matrix: np.ndarray  # (2, 3) float64

    @classmethod
    def identity(cls) -> Affine:
        return cls(np.eye(2, 3))

    @classmethod
    def scaling(cls, x: float, y: float) -> Affine:
        return cls(np.array([[x, 0.0, 0.0], [0.0, y, 0.0]]))

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        return cls(np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))

    @classmethod
    def rotation(cls, degrees: float, centre: tuple[float, float]) -> Affine:
        """Clockwise as seen on screen (y points down), about `centre` (x, y)."""
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = cls(np.array([[c, -s, 0.0], [s, c, 0.0]]))
        return cls.translation(-centre[0], -centre[1]).then(turn).then(cls.translation(*centre))

    @classmethod
    def mirror(cls, width: float) -> Affine:
        """Left becomes right in an image `width` wide."""
        return cls(np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))

    def then(self, after: Affine) -> Affine:
        """This map followed by `after`."""
        return Affine(after.matrix @ np.vstack([self.matrix, [0.0, 0.0, 1.0]]))

    def inverse(self) -> Affine:
        """The map back; raises numpy.linalg.LinAlgError for a degenerate map."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.hstack([linear, -linear @ self.matrix[:, 2:]]))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 2); NaN stays NaN."""
        return np.asarray(points, float) @ self.matrix[:, :2].T + self.matrix[:, 2]


def quarter_turn(turns: int, size: Size) -> Affine:
    """The map of an image of `size` (height, width) that is turned clockwise by `turns` right angles.

    The turned image begins at (0, 0) again, and is as wide as the image was high where `turns` is odd.
    """
    height, width = size
    matrices = (
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        [[0.0, -1.0, height], [1.0, 0.0, 0.0]],
        [[-1.0, 0.0, width], [0.0, -1.0, height]],
        [[0.0, 1.0, 0.0], [-1.0, 0.0, width]],
    )
    return Affine(np.array(matrices[turns % 4], float))


class Placement(Protocol):
    """How a part of an image lies on a canvas, the network's input."""

    @property
    def to_canvas(self) -> Affine:
        """From image pixels to canvas pixels."""
        ...

    @property
    def to_image(self) -> Affine:
        """From canvas pixels to image pixels."""
        ...

    def draw(self, image: np.ndarray) -> np.ndarray:
        """Resample an image (H, W, 3) uint8 onto the canvas (h, w, 3) uint8."""
        ...


@dataclass(frozen=True)
class Letterbox:
    """A box of an image, scaled to fit a canvas, centred, and padded with zeros.

    The scaled box has whole pixels, so its two scales may differ by less than one pixel's worth;
    `to_canvas` carries both and is exact.

    Attributes:
        box: x0, y0, x1, y1 in the image after its turn; it may reach outside, where there are zeros.
        size: (height, width) of the canvas, the network's input.
        content: (height, width) of the scaled box on the canvas.
        offset: (top, left) of the scaled box on the canvas.
        turns: right angles by which the image is turned clockwise first.
        image_size: (height, width) of the image before its turn; needed where `turns` is not 0.
    """

    box: Box
    size: Size
    content: Size
    offset: tuple[int, int]
    turns: int = 0
    image_size: Size = (0, 0)

    @property
    def to_canvas(self) -> Affine:
        """From image pixels to canvas pixels."""
        x0, y0, x1, y1 = self.box
        scale = Affine.scaling(self.content[1] / (x1 - x0), self.content[0] / (y1 - y0))
        shift = Affine.translation(self.offset[1], self.offset[0])
        turned = quarter_turn(self.turns, self.image_size) if self.turns else Affine.identity()
        return turned.then(Affine.translation(-x0, -y0)).then(scale).then(shift)

    @property
    def to_image(self) -> Affine:
        """From canvas pixels to image pixels."""
        return self.to_canvas.inverse()

    def draw(self, image: np.ndarray) -> np.ndarray:
        """Resample an image (H, W, 3) uint8 onto the canvas (h, w, 3) uint8.

        Shrinking by two or more starts with averages of whole blocks of pixels, as many as fit into
        one; the rest is Pillow's bilinear filter, a triangle as wide as the scale asks for. So
        shrinking does not alias, and costs half of what the triangle alone would.
        """
        if self.turns:
            image = np.ascontiguousarray(np.rot90(image, -self.turns))
        height, width = image.shape[:2]
        x0, y0, x1, y1 = self.box
        canvas = np.zeros((*self.size, image.shape[2]), np.uint8)
        if min(x0, y0) >= 0 and x1 <= width and y1 <= height:
            source, box = Image.fromarray(image), (x0, y0, x1, y1)
        else:
            source, box = _padded(image, self.box)
        scaled = source.resize(self.content[::-1], Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)
        top, left = self.offset
        canvas[top : top + self.content[0], left : left + self.content[1]] = np.asarray(scaled)
        return canvas


@dataclass(frozen=True)
class RotatedSquare:
    """A square of an image, turned upright and scaled to fill a square canvas.

    Attributes:
        centre: x, y in the image; the square may reach outside, where the nearest pixel of the edge stands.
        side: in pixels of the image, positive.
        degrees: which way in the image is up on the canvas: 0 is up there too, 90 is to the right.
        size: (height, width) of the canvas, which are the same.
        within: x0, y0, x1, y1 of what may be seen of the image: its pixels whose centres lie inside.
    """

    centre: tuple[float, float]
    side: float
    degrees: float
    size: Size
    within: Box

    @property
    def to_canvas(self) -> Affine:
        """From image pixels to canvas pixels."""
        scale = self.size[0] / self.side
        turned = Affine.rotation(-self.degrees, self.centre)
        moved = Affine.translation(self.side / 2 - self.centre[0], self.side / 2 - self.centre[1])
        return turned.then(moved).then(Affine.scaling(scale, scale))

    @property
    def to_image(self) -> Affine:
        """From canvas pixels to image pixels."""
        return self.to_canvas.inverse()

    def draw(self, image: np.ndarray) -> np.ndarray:
        """Resample an image (H, W, 3) uint8 onto the canvas (h, w, 3) uint8.

        Bilinear; shrinking by two or more starts with averages of whole blocks of pixels, as a letterbox
        does.
        """
        left, top, right, bottom = _pixels(self.within, image.shape[:2])
        seen = image[top:bottom, left:right]
        block = min(max(int(self.side / self.size[0]), 1), *seen.shape[:2])
        source = np.asarray(Image.fromarray(seen).reduce(block)) if block > 1 else seen
        rows, columns = (np.arange(n) + 0.5 for n in self.size)
        canvas = np.stack(np.meshgrid(columns, rows), -1)
        return _bilinear(source, (self.to_image.apply(canvas) - (left, top)) / block)


def letterbox(image_size: Size, size: Size, box: Box | None = None, turns: int = 0) -> Letterbox:
    """Fit a box of an image (the whole image by default) to a canvas.

    Args:
        image_size: (height, width) of the image.
        size: (height, width) of the canvas.
        box: x0, y0, x1, y1 in the turned image; of positive width and height.
        turns: right angles by which the image is turned clockwise first.

    Raises:
        ValueError: the box is empty.
    """
    height, width = image_size[::-1] if turns % 2 else image_size
    x0, y0, x1, y1 = box or (0.0, 0.0, float(width), float(height))
    if not (x1 > x0 and y1 > y0):
        raise ValueError(f"empty box {box}")
    scale = min(size[0] / (y1 - y0), size[1] / (x1 - x0))
    content = (_fit((y1 - y0) * scale, size[0]), _fit((x1 - x0) * scale, size[1]))
    offset = ((size[0] - content[0]) // 2, (size[1] - content[1]) // 2)
    return Letterbox((x0, y0, x1, y1), size, content, offset, turns % 4, image_size)


def _fit(length: float, limit: int) -> int:
    return min(max(round(length), 1), limit)


def _padded(image: np.ndarray, box: Box) -> tuple[Image.Image, Box]:
    """The part of the image under the box on a zero canvas that holds the box, and the box there.

    Only the overlap is copied, so a box far outside the image costs no more than its own size.
    """
    height, width = image.shape[:2]
    left, top = int(np.floor(box[0])), int(np.floor(box[1]))
    right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
    canvas = np.zeros((bottom - top, right - left, image.shape[2]), np.uint8)
    x0, x1 = max(left, 0), min(right, width)
    y0, y1 = max(top, 0), min(bottom, height)
    if x1 > x0 and y1 > y0:
        canvas[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return Image.fromarray(canvas), (box[0] - left, box[1] - top, box[2] - left, box[3] - top)


def _pixels(box: Box, size: Size) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of an image's pixels whose centres lie in a box; one at least."""
    left, top = (min(max(round(v), 0), n - 1) for v, n in zip(box[:2], size[::-1], strict=True))
    right, bottom = (min(max(round(v), 0), n) for v, n in zip(box[2:], size[::-1], strict=True))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) uint8 at points (h, w, 2): between its pixels' centres; beyond, the nearest."""
    limits = np.array(image.shape[1::-1]) - 1
    at = np.clip(points - 0.5, 0, limits)
    low = np.floor(at).astype(int)
    (x0, y0), (x1, y1) = np.moveaxis(low, -1, 0), np.moveaxis(np.minimum(low + 1, limits), -1, 0)
    x, y = np.moveaxis((at - low).astype(np.float32), -1, 0)[..., None]
    top = image[y0, x0] * (1 - x) + image[y0, x1] * x
    bottom = image[y1, x0] * (1 - x) + image[y1, x1] * x
    return np.rint(top * (1 - y) + bottom * y).astype(np.uint8)
