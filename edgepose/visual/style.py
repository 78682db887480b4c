"""One look for all figures: colours that the colour-blind can tell apart, and labels that do not collide."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from PIL import Image

from edgeio import replacing
from edgepose.results.results import Results
from edgepose.visual.glyphs import families, in_figure

# Okabe & Ito's palette, without its yellow, which white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D")
INK, GREY, FAINT = "#222222", "#8A8A8A", "#DDDDDD"

_LINES: Mapping[str, str | tuple[float, tuple[float, ...]]] = {
    "fp32": "-",
    "fp16": (0, (5, 1.5)),
    "weights-int8": (0, (8, 1.5, 1, 1.5)),
    "dynamic": (0, (3, 1.2, 1, 1.2)),
    "int8": (0, (1, 1.2)),
    "int16x8": (0, (3, 1, 1, 1, 1, 1)),
}
_PALETTE = 128  # colours of a drawing's file
_DRAWING_COLOURS = 2**14  # with more, it holds a photograph
_LABEL_SIZE = 8.0
_FAR = 40.0  # points away from its place that a label costs as much as crossing a leader over a marker
_LINE_COST = 2  # of a label over a line: read more easily than over a marker, which costs 10
# Where a label may go, straight beside the point first; with dx = 0 it hangs from its leader like a flag.
_DIRECTIONS = ((1, 0), (-1, 0), (0.8, 0.6), (0.8, -0.6), (-0.8, 0.6), (-0.8, -0.6), (0, 1), (0, -1))
_RC: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a model's name may hold a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 150.0,
    "savefig.dpi": 150.0,
    "figure.constrained_layout.use": True,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw within this block; the caller's own matplotlib settings stay as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_RC, "font.family": list(families())})
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, with a canvas of its own: pyplot's global state is not touched."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all, without the version stamp that would make it differ by host.

    Characters that no font here has are spelt as escapes. A drawing is written with a palette, in a third of
    the bytes; a picture with photographs in it is not.
    """
    for text in figure.findobj(Text):
        text.set_text(in_figure(text.get_text()))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    if picture.getcolors(_DRAWING_COLOURS):
        picture = picture.quantize(_PALETTE, dither=Image.Dither.NONE)
    with replacing(path) as temporary:
        picture.save(temporary, format="png", optimize=True)


def colours(results: Sequence[Results]) -> Mapping[str, str]:
    """A colour for each row, one for each network."""
    networks = list(dict.fromkeys(r.model.network_name for r in results))
    return {r.name: COLOURS[networks.index(r.model.network_name) % len(COLOURS)] for r in results}


def line_style(result: Results) -> str | tuple[float, tuple[float, ...]]:
    """A line style for each recipe; checkpoints are solid."""
    return _LINES.get(result.model.recipe or "", "-")


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    inks: Sequence[str],
    lines: Sequence[tuple[float, float, float, float]] = (),
) -> None:
    """Write a label beside each point, where it meets neither points nor other labels, nor lines if it can.

    Greedy: the nearest free place wins, else the one that covers least. Points at one height are taken
    from the right, so that crowded labels hang like flags from leaders that do not cross them.
    Call it last, when the axes have their final limits.

    Args:
        points: N (x, y) in data coordinates.
        texts, inks: N labels and their colours.
        lines: upright or level ones, x0, y0, x1, y1 in data coordinates.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles the layout, so that display coordinates are final
    places = axes.transData.transform(np.array(points, float).reshape(-1, 2))
    taken = np.column_stack([places - 6, places + 6])
    ends = axes.transData.transform(np.array(lines, float).reshape(-1, 2)).reshape(-1, 2, 2)
    ruled = np.column_stack([ends.min(axis=1), ends.max(axis=1)])
    scale = figure.dpi / 72
    for i in np.lexsort((-places[:, 0], -places[:, 1].round())):
        size = _text_size(figure, texts[i])
        box, leader = _free_place(places[i], size, taken, ruled, np.array(axes.bbox.extents), scale)
        taken = np.vstack([taken, box])
        label = axes.annotate(
            texts[i],
            points[i],
            xytext=tuple((box[:2] - places[i]) / scale),
            textcoords="offset points",
            fontsize=_LABEL_SIZE,
            color=inks[i],
            ha="left",
            va="bottom",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
        label.set_in_layout(False)
        if leader is not None:
            line = axes.transData.inverted().transform(np.array([places[i], leader]))
            axes.plot(line[:, 0], line[:, 1], color=GREY, lw=0.6, zorder=1.5, scalex=False, scaley=False)


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Move values apart, in their order, until neighbours are at least `gap` apart.

    Of equal values the first comes out highest, as in a table.
    """
    order = sorted(range(len(values)), key=lambda i: (values[i], -i))
    groups: list[list[int]] = []
    centres: list[float] = []
    for i in order:
        groups.append([i])
        centres.append(values[i])
        while len(groups) > 1 and centres[-1] - centres[-2] < gap * (len(groups[-1]) + len(groups[-2])) / 2:
            merged = groups[-2] + groups[-1]
            groups[-2:] = [merged]
            centres[-2:] = [sum(values[j] for j in merged) / len(merged)]
    placed = [0.0] * len(values)
    for group, centre in zip(groups, centres, strict=True):
        for position, i in enumerate(group):
            placed[i] = centre + gap * (position - (len(group) - 1) / 2)
    return placed


def _text_size(figure: Figure, text: str) -> tuple[float, float]:
    probe = figure.text(0, 0, text, fontsize=_LABEL_SIZE)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    box = probe.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]
    probe.remove()
    return box.width, box.height


def _free_place(
    point: np.ndarray,
    size: tuple[float, float],
    taken: np.ndarray,
    ruled: np.ndarray,
    bounds: np.ndarray,
    scale: float,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The label's box, and where its leader ends if it is too far from the point to do without one.

    All in px; boxes are x0, y0, x1, y1; `taken` (M, 4) holds those of markers and labels, `ruled` of lines.
    """
    best, least = (np.zeros(4), None), math.inf
    for distance in np.arange(6, 300, 6) * scale:
        for dx, dy in _DIRECTIONS:
            end = point + distance * np.array([dx, dy])
            left = end[0] + (2 * scale if dx >= 0 else -size[0] - 2 * scale)
            box = np.array([left, end[1] - size[1] / 2, left + size[0], end[1] + size[1] / 2])
            covers = _cost(box, point, end, taken, bounds) + _LINE_COST * int(_meets(box, ruled).sum())
            cost = covers + distance / (_FAR * scale)
            if cost < least:
                best, least = (box, end if distance > 9 * scale else None), cost
        if least <= distance / (_FAR * scale):  # all that follow are farther off
            return best
    return best


def _cost(box: np.ndarray, point: np.ndarray, end: np.ndarray, taken: np.ndarray, bounds: np.ndarray) -> int:
    """What a label there would cover. Text on text cannot be read; a leader over a marker can be followed."""
    outside = bool((box[:2] < bounds[:2]).any() or (box[2:] > bounds[2:]).any())
    covered = _meets(box, taken)
    along = np.linspace(point, end, 64)[:, None]
    crossed = (along > taken[:, :2]).all(2) & (along < taken[:, 2:]).all(2)
    own = (point > taken[:, :2]).all(1) & (point < taken[:, 2:]).all(1)
    return 20 * outside + 10 * int(covered.sum()) + int((crossed.any(0) & ~own).sum())


def _meets(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(M,) which boxes of `others` (M, 4) the box covers or touches."""
    return np.logical_and((box[:2] < others[:, 2:] + 1.5).all(1), (box[2:] > others[:, :2] - 1.5).all(1))
