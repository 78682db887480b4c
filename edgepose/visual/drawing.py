"""Skeletons on images, for contact sheets and reports."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from edgepose.geometry import Size
from edgepose.keypoints import KeypointSet

Colour = tuple[int, int, int]

# Two hues of Okabe & Ito's colour-blind safe palette, and white; a dark outline carries them on any ground.
SIDE_COLOURS: dict[str, Colour] = {"left": (230, 159, 0), "right": (86, 180, 233), "centre": (245, 245, 245)}
_OUTLINE = (15, 15, 15, 210)

_LINE_WIDTH = 0.009  # of the image's longer side, but
_MAX_LINE_WIDTH = 0.03  # of the person's own height or width, so that limbs stay apart in small persons
_MIN_LINE_PX = 1.0
_JOINT_RADIUS = 1.25  # line widths
_OUTLINE_WIDTH = 0.45  # line widths, on each side
_DASH = (3.0, 2.2)  # line widths drawn and left out
_MAX_OVERSAMPLE = 4
_OVERLAY_PIXELS = 24_000_000
_REACH = 4.0  # points further outside than so many image sides are not drawn


def draw_skeleton(
    image: np.ndarray,
    keypoints_px: np.ndarray,
    keypoints: KeypointSet,
    reference_px: np.ndarray | None = None,
) -> np.ndarray:
    """Draw a pose, and beneath it a second one to compare it with; lines are antialiased.

    Segments and joints are orange on the person's left, blue on the right and white between. Lines
    need room: enlarge images (and poses) below some 400 px first.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        keypoints_px: (K, 2) x, y in pixels, drawn solid; NaN is left out, with its segments.
        keypoints: names the segments and the sides.
        reference_px: (K, 2), drawn dashed with hollow joints: the annotation under a prediction.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: a pose is not (K, 2).
    """
    height, width = image.shape[:2]
    scale = _oversampling(height, width)
    overlay = Image.new("RGBA", (width * scale, height * scale))
    points = _overlay_points(keypoints_px, keypoints, (height, width), scale)
    pen = _Pen(overlay, keypoints, _line_width(points, overlay.size, scale))
    if reference_px is not None:
        pen.dashed(_overlay_points(reference_px, keypoints, (height, width), scale))
    pen.solid(points)
    overlay = overlay.resize((width, height), Image.Resampling.BOX)
    return np.array(Image.alpha_composite(Image.fromarray(image).convert("RGBA"), overlay).convert("RGB"))


def _oversampling(height: int, width: int) -> int:
    affordable = int((_OVERLAY_PIXELS / (height * width)) ** 0.5)
    return min(max(affordable, 1), _MAX_OVERSAMPLE)


def _line_width(points: np.ndarray, overlay: tuple[int, int], scale: int) -> float:
    """In pixels of the overlay."""
    known = points[np.isfinite(points).all(axis=1)]
    person = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    return max(scale * _MIN_LINE_PX, min(_LINE_WIDTH * max(overlay), _MAX_LINE_WIDTH * person))


def _overlay_points(points: np.ndarray, keypoints: KeypointSet, size: Size, scale: int) -> np.ndarray:
    """(K, 2) on the overlay; NaN for absurd points, too, since Pillow's integers overflow on them."""
    points = np.asarray(points, float)
    if points.shape != (len(keypoints), 2):
        raise ValueError(
            f"pose of shape {points.shape} for the {len(keypoints)} keypoints of {keypoints.key}"
        )
    reach = _REACH * max(size)
    outside = np.maximum(-points, points - size[::-1]).max(axis=1, keepdims=True)
    return np.where(outside < reach, points * scale, np.nan)


class _Pen:
    """Draws poses on an overlay, outlines first, so that no outline covers a neighbour's colour."""

    def __init__(self, overlay: Image.Image, keypoints: KeypointSet, width: float) -> None:
        self.draw, self.keypoints, self.width = ImageDraw.Draw(overlay), keypoints, width

    def solid(self, points: np.ndarray) -> None:
        grown = self.width * (1 + 2 * _OUTLINE_WIDTH)
        radius = self.width * _JOINT_RADIUS
        segments = self._segments(points)
        joints = self._joints(points)
        for a, b, _ in segments:
            self._line(a, b, _OUTLINE, grown)
        for p, _ in joints:
            self._disc(p, _OUTLINE, radius + self.width * _OUTLINE_WIDTH)
        for a, b, colour in segments:
            self._line(a, b, (*colour, 255), self.width)
        for p, colour in joints:
            self._disc(p, (*colour, 255), radius)

    def dashed(self, points: np.ndarray) -> None:
        on, off = (self.width * length for length in _DASH)
        for a, b, colour in self._segments(points):
            length = float(np.hypot(*(b - a)))
            for start in np.arange(0.0, length, on + off):
                ends = np.array([start, min(start + on, length)]) / length
                first, last = (a + (b - a) * t for t in ends)
                self._line(first, last, _OUTLINE, self.width * 1.1)
                self._line(first, last, (*colour, 255), self.width * 0.6)
        for p, colour in self._joints(points):
            radius = self.width * (_JOINT_RADIUS + 0.5)
            self._ring(p, _OUTLINE, radius + self.width * 0.25, self.width * 1.0)
            self._ring(p, (*colour, 255), radius, self.width * 0.5)

    def _segments(self, points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, Colour]]:
        """Both ends and the colour of every segment whose ends are known."""
        found = []
        for a, b in self.keypoints.segment_indices:
            if np.isfinite(points[[a, b]]).all():
                sides = {self.keypoints.side(self.keypoints.names[i]) for i in (a, b)} - {"centre"}
                found.append(
                    (points[a], points[b], SIDE_COLOURS[sides.pop() if len(sides) == 1 else "centre"])
                )
        return found

    def _joints(self, points: np.ndarray) -> list[tuple[np.ndarray, Colour]]:
        named = zip(points, self.keypoints.names, strict=True)
        return [(p, SIDE_COLOURS[self.keypoints.side(n)]) for p, n in named if np.isfinite(p).all()]

    def _line(self, a: np.ndarray, b: np.ndarray, colour: tuple[int, ...], width: float) -> None:
        self.draw.line([*_pixel(a), *_pixel(b)], fill=colour, width=max(round(width), 1))

    def _disc(self, p: np.ndarray, colour: tuple[int, ...], radius: float) -> None:
        self.draw.ellipse(_around(p, radius), fill=colour)

    def _ring(self, p: np.ndarray, colour: tuple[int, ...], radius: float, width: float) -> None:
        self.draw.ellipse(_around(p, radius), outline=colour, width=max(round(width), 1))


def _pixel(p: np.ndarray) -> tuple[int, int]:
    """The pixel whose centre is nearest; Pillow would cut the fraction off."""
    return round(float(p[0]) - 0.5), round(float(p[1]) - 0.5)


def _around(p: np.ndarray, radius: float) -> tuple[int, int, int, int]:
    """First and last pixels, across and down, of a disc."""
    first, last = np.round(p - radius).astype(int), np.round(p + radius).astype(int) - 1
    return first[0], first[1], last[0], last[1]
