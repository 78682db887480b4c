"""What a person looks at before the numbers: a contact sheet, and confidence over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edgeio import replacing
from edgepose.geometry import Letterbox, letterbox
from edgepose.tracking.quality import NONE_BELOW, none_found
from edgepose.tracking.track import Track
from edgepose.tracking.video import Frame
from edgepose.visual.contact_sheet import CELL, INK, corner_of, empty_page, fitting
from edgepose.visual.drawing import draw_skeleton
from edgepose.visual.glyphs import sheet_font

CELLS, _COLUMNS = 12, 4


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a frame.

    Attributes:
        canvas: (h, w, 3) uint8 RGB.
        where: how the frame lies on it.
    """

    index: int
    canvas: np.ndarray
    where: Letterbox


class Thumbnails:
    """Small pictures of frames that are spread evenly over an input of unknown length: at most 24."""

    def __init__(self) -> None:
        self._kept: list[Thumbnail] = []
        self._every, self._seen = 1, 0

    def see(self, frame: Frame) -> None:
        """Keep the next frame, if it is its turn."""
        if self._seen % self._every == 0:
            where = letterbox(frame.image.shape[:2], (CELL, CELL))
            self._kept.append(Thumbnail(frame.index, where.draw(frame.image), where))
            if len(self._kept) == 2 * CELLS:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._seen += 1

    def chosen(self) -> list[Thumbnail]:
        """At most 12, in the order of time."""
        count = min(CELLS, len(self._kept))
        places = np.linspace(0, len(self._kept) - 1, count).round().astype(int)
        return [self._kept[i] for i in places]


def draw_sheet(track: Track, thumbnails: list[Thumbnail], name: str, path: Path) -> None:
    """Frames with the skeletons as smoothed; keypoints that were abstained from are left out."""
    page = empty_page(f"{name}, {len(thumbnails)} of {len(track)} frames", len(thumbnails), _COLUMNS)
    draw = ImageDraw.Draw(page)
    for cell, thumbnail in enumerate(thumbnails):
        row = int(np.searchsorted(track.index, thumbnail.index))
        points = thumbnail.where.to_canvas.apply(track.smooth_px[row])
        left, top = corner_of(cell, _COLUMNS)
        page.paste(Image.fromarray(draw_skeleton(thumbnail.canvas, points, track.keypoints)), (left, top))
        when = f"{track.time_s[row]:.2f} s" if track.is_video else track.files[row]
        caption = f"{when}, confidence {track.confidence[row].mean():.2f}"
        draw.text((left, top + CELL + 2), fitting(draw, caption, CELL), fill=INK, font=sheet_font())
    with replacing(path) as temporary:
        page.save(temporary, format="PNG")


def draw_confidence(track: Track, calibrated: bool, threshold: float, name: str, path: Path) -> None:
    """Mean confidence over the keypoints, with the tenth to ninetieth percentile; and what was left out."""
    from edgepose.visual.style import COLOURS, GREY, figure_style, new_figure, save_figure

    time = track.time_s if track.is_video else track.index.astype(float)
    low, high = np.quantile(track.confidence, [0.1, 0.9], axis=1)
    with figure_style():
        figure = new_figure(9, 4.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        marker = "o" if len(track) < 40 else ""
        upper.fill_between(time, low, high, color=COLOURS[4], alpha=0.35, lw=0, label="10-90 % of keypoints")
        upper.plot(
            time, track.confidence.mean(1), color=COLOURS[0], lw=1.2, marker=marker, ms=3, label="mean"
        )
        if threshold > 0:
            upper.axhline(threshold, color=COLOURS[1], lw=1, ls="--", label=f"abstained below {threshold:g}")
        upper.set_ylim(0, max(1.0, float(high.max()) * 1.05))
        upper.set_ylabel("probability within half a head" if calibrated else "peak of the map")
        upper.set_title(f"{name}: confidence over {'time' if track.is_video else 'images'}")
        upper.legend(loc="lower left", ncols=3, frameon=False, fontsize=8)
        lower.fill_between(time, 100 * track.abstained.mean(1), step="mid", color=COLOURS[1], lw=0)
        nobody = none_found(track)
        lower.plot(time[nobody], np.full(int(nobody.sum()), 108.0), "|", color=GREY, ms=6)
        if nobody.any():
            lower.set_title(
                f"| middle peak below {NONE_BELOW:g}: no infant made out", fontsize=8, fontweight="normal"
            )
        lower.set_ylim(0, 116)
        lower.set_yticks([0, 50, 100])
        lower.set_ylabel("abstained, %")
        lower.set_xlabel("time, s" if track.is_video else "image")
        save_figure(figure, path)
