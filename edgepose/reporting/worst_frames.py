"""Contact sheets of the frames where a model did worst, with both poses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from edgepose.comparison.compare import Entry, WorstFrame
from edgepose.data.images import read_image
from edgepose.errors import BadImage, BadResults
from edgepose.geometry import Box, letterbox
from edgepose.keypoint_file import scored_set
from edgepose.keypoints import KeypointSet
from edgepose.results.cells import number
from edgepose.visual.drawing import draw_skeleton
from edgepose.visual.style import new_figure

# "skeleton" is the default: reports travel, and images of patients must not.
OVERLAYS = ("skeleton", "full", "none")

_TILE = 360  # px
_COLUMNS = 3
_MARGIN = 0.12  # around both poses, as a share of their box
_GROUND = (40, 40, 44)


def draw_worst(entry: Entry, frames: Sequence[WorstFrame], overlays: str) -> Figure:
    """One tile a frame, zoomed to both poses: predicted solid, annotated dashed.

    Args:
        overlays: "full" draws on the image, "skeleton" on an empty ground.

    Raises:
        BadResults: an image is wanted and cannot be read.
    """
    rows = -(-len(frames) // _COLUMNS)
    figure = new_figure(7.5, 2.85 * rows + 0.1)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    position = {image: i for i, image in enumerate(entry.predictions.ids.tolist())}
    for axes, frame in zip(panels, frames, strict=False):
        axes.imshow(_tile(entry, position[frame.id], overlays), interpolation="none")
        axes.set_title(f"{number(frame.mean_error, 2)} hl   {_short(frame.id)}", fontsize=8, weight="normal")
    for axes in panels:
        axes.set_axis_off()
    return figure


def _tile(entry: Entry, row: int, overlays: str) -> np.ndarray:
    data = entry.results.data
    points = scored_set(data.keypoints, data.scored_keypoints)
    annotated = _spread_out(entry, entry.predictions.annotated_px[row], points)
    labelled = np.isfinite(annotated).all(axis=1, keepdims=True)
    predicted = np.where(
        labelled, _spread_out(entry, entry.predictions.predicted_px[row], points), np.nan
    )  # where nothing is annotated nothing was scored
    box = _box(np.concatenate([annotated, predicted]))
    if overlays == "full":
        image = _image(Path(str(entry.predictions.image_paths[row])))
        placed = letterbox(image.shape[:2], (_TILE, _TILE), box)
        ground = placed.draw(image)
    else:
        placed = letterbox((_TILE, _TILE), (_TILE, _TILE), box)
        ground = np.full((_TILE, _TILE, 3), _GROUND, np.uint8)
    to_tile = placed.to_canvas.apply
    return draw_skeleton(ground, to_tile(predicted), points, to_tile(annotated))


def _image(path: Path) -> np.ndarray:
    try:
        return read_image(path)
    except BadImage as error:
        hint = "run compare where the models were scored, or with --overlays skeleton"
        raise BadResults(error.what, hint) from None


def _spread_out(entry: Entry, points: np.ndarray, keypoints: KeypointSet) -> np.ndarray:
    """Scored points (K, 2) among all keypoints of the data set; NaN where not scored."""
    full = np.full((len(keypoints), 2), np.nan)
    full[[keypoints.index(name) for name in entry.results.data.scored_keypoints]] = points
    return full


def _box(points: np.ndarray) -> Box:
    """A square around the finite points, with a margin."""
    known = points[np.isfinite(points).all(axis=1)]
    low, high = known.min(axis=0), known.max(axis=0)
    centre, side = (low + high) / 2, max(float((high - low).max()), 8.0) * (1 + 2 * _MARGIN)
    x0, y0 = centre - side / 2
    return float(x0), float(y0), float(x0 + side), float(y0 + side)


def _short(name: str) -> str:
    return name if len(name) <= 26 else "…" + name[-25:]
