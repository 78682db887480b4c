"""What a raters' file says of its raters: human.json for `edgepose evaluate --human`, and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import edgepose
from edgeio import sha256_file, write_json
from edgeio.records import to_plain
from edgepose.data.human_spread import HUMAN_NAME, human_for
from edgepose.evaluation.raters import OUTLIER_HEAD_LENGTHS, Outlier, RaterReport, RaterSet, rater_report
from edgepose.visual.style import COLOURS, GREY, INK, figure_style, new_figure, save_figure

FIGURE_NAME = "raters.png"
# A rater, or a frame, whose mean distance is so many times that of the median one is worth a look.
RATER_FACTOR, FRAME_FACTOR = 1.5, 3.0
_FEW = 20  # fewer distances have no value that 5 % of them exceed


@dataclass(frozen=True)
class RaterSpread:
    """One keypoint, or all: mean distance and 95th percentile in head lengths, over `n` distances."""

    h: float
    h95: float
    n: int


@dataclass(frozen=True)
class RaterFacts:
    """One rater.

    Attributes:
        points: that count.
        mean_distance: from the raters' mean points, in head lengths; None where no point counts.
        bias: mean offset x, y (right and down are positive), in head lengths: the mean over keypoints.
        keypoint_bias: the same for each keypoint that the rater has.
        outliers: points over `OUTLIER_HEAD_LENGTHS` from the raters' median point.
        stands_out: whether the mean distance is over `RATER_FACTOR` times the median rater's.
    """

    points: int
    mean_distance: float | None
    bias: tuple[float, float] | None
    keypoint_bias: Mapping[str, tuple[float, float]]
    outliers: int
    stands_out: bool


@dataclass(frozen=True)
class FrameFacts:
    """A frame on which raters disagree: over `FRAME_FACTOR` times the median frame, or with outliers."""

    image: str
    mean_distance: float
    outliers: int


@dataclass(frozen=True)
class HumanFile:
    """human.json. Of all this, `edgepose evaluate --human` reads `source` and `per_keypoint`."""

    schema_version: Literal[1] = field(default=1, kw_only=True)
    edgepose: str
    source: str
    sha256: str
    keypoints: str
    unit: str
    overall: RaterSpread
    per_keypoint: Mapping[str, RaterSpread]
    raters: Mapping[str, RaterFacts]
    frames: tuple[FrameFacts, ...]
    outliers: tuple[Outlier, ...]
    images_left_out: tuple[str, ...]
    points_alone: int
    notes: tuple[str, ...]


def describe(raters: RaterSet, sha256: str) -> tuple[HumanFile, RaterReport]:
    """Everything that human.json says, and the distances behind it.

    Args:
        sha256: of the raters' file.

    Raises:
        BadDataset: no image has a head length, or no point was marked by two raters.
    """
    report = rater_report(raters)
    counts = dict(zip(raters.keypoints.names, report.n.tolist(), strict=True))
    human = report.human
    rows = zip(human.names, human.h, human.h95, strict=True)
    return HumanFile(
        edgepose=edgepose.__version__,
        source=human.source,
        sha256=sha256,
        keypoints=raters.keypoints.key,
        unit="head lengths",
        overall=RaterSpread(human.h_all, human.h95_all, sum(counts.values())),
        per_keypoint={name: RaterSpread(h, h95, counts[name]) for name, h, h95 in rows},
        raters=_raters(raters, report),
        frames=_frames(raters, report),
        outliers=report.outliers,
        images_left_out=report.images_left_out,
        points_alone=report.points_alone,
        notes=tuple(_notes(raters, report, counts)),
    ), report


def write_rater_report(raters: RaterSet, path: Path, out: Path | None) -> HumanFile:
    """Describe a raters' file, read from `path`; into `out` write human.json and figures/raters.png.

    Raises:
        BadDataset: no image has a head length, or no point was marked by two raters.
    """
    described, report = describe(raters, sha256_file(path))
    if out is not None:
        write_json(out / HUMAN_NAME, to_plain(described))
        with figure_style():
            save_figure(draw_raters(raters, report), out / "figures" / FIGURE_NAME)
    return described


def _raters(raters: RaterSet, report: RaterReport) -> dict[str, RaterFacts]:
    means = [_mean(report.distance[r]) for r in range(len(raters.raters))]
    known = [m for m in means if m is not None]
    # Two raters are always equally far from their mean: neither can stand out.
    limit = RATER_FACTOR * float(np.median(known)) if len(known) > 2 else np.inf
    found = {}
    for r, name in enumerate(raters.raters):
        offsets = zip(raters.keypoints.names, report.bias[r], strict=True)
        bias = {key: (float(xy[0]), float(xy[1])) for key, xy in offsets if not np.isnan(xy[0])}
        mean = np.mean(list(bias.values()), axis=0) if bias else None
        own = means[r]
        found[name] = RaterFacts(
            points=int((~np.isnan(report.distance[r])).sum()),
            mean_distance=own,
            bias=None if mean is None else (float(mean[0]), float(mean[1])),
            keypoint_bias=bias,
            outliers=sum(outlier.rater == name for outlier in report.outliers),
            stands_out=own is not None and own > limit,
        )
    return found


def _frames(raters: RaterSet, report: RaterReport) -> tuple[FrameFacts, ...]:
    means = {name: _mean(report.distance[:, s]) for s, name in enumerate(raters.images)}
    known = {name: mean for name, mean in means.items() if mean is not None}
    limit = FRAME_FACTOR * float(np.median(list(known.values())))
    slips = {name: sum(outlier.image == name for outlier in report.outliers) for name in known}
    odd = [FrameFacts(name, m, slips[name]) for name, m in known.items() if m > limit or slips[name]]
    return tuple(sorted(odd, key=lambda frame: -frame.mean_distance))


def _mean(distance: np.ndarray) -> float | None:
    counted = distance[~np.isnan(distance)]
    return float(counted.mean()) if counted.size else None


def _notes(raters: RaterSet, report: RaterReport, counts: Mapping[str, int]) -> list[str]:
    """What a reader should know before trusting the figures."""
    notes = []
    images = len(raters.images) - len(report.images_left_out)
    if images == 1:
        notes.append("one image only: the spread says nothing of other images")
    if len(raters.raters) == 2:
        notes.append("two raters are equally far from their mean point: neither can be said to deviate")
    few = [name for name, n in counts.items() if 0 < n < _FEW]
    if few:
        notes.append(f"H^0.95 of {', '.join(few)} rests on fewer than {_FEW} distances")
    absent = [name for name, n in counts.items() if n == 0]
    if absent:
        notes.append(f"no spread, since no two raters marked it: {', '.join(absent)}")
    if report.images_left_out:
        notes.append(f"left out for want of a head length: {', '.join(report.images_left_out)}")
    if report.points_alone:
        notes.append(f"points that one rater only marked, and that do not count: {report.points_alone}")
    if report.outliers:
        notes.append(
            f"points over {OUTLIER_HEAD_LENGTHS} head lengths from the raters' median point, which count all "
            f"the same: {len(report.outliers)}"
        )
    return notes


def draw_raters(raters: RaterSet, report: RaterReport) -> Figure:
    """Left: spread of each keypoint, beside the published one. Right: how far each rater leans, and where."""
    figure = new_figure(11.0, 0.3 * len(report.human.names) + 2.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_spread(left, report)
    _draw_bias(right, raters, report)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_spread(axes: Axes, report: RaterReport) -> None:
    human, published = report.human, human_for(report.human.names)
    places = np.arange(len(human.names))
    axes.barh(places, human.h95, height=0.62, color=COLOURS[4], alpha=0.45, label="H^0.95, this file")
    axes.barh(places, human.h, height=0.62, color=COLOURS[0], label="H, this file")
    if published is not None:
        marks = {
            "D": ("H, paper", published.h_for(human.names)),
            "s": ("H^0.95, paper", published.h95_for(human.names)),
        }
        for marker, (label, values) in marks.items():
            axes.plot(values, places, marker, mfc="white", mec=INK, ms=4.5, mew=1, ls="none", label=label)
    axes.set_yticks(places, [name.replace("_", " ") for name in human.names])
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Distance from the raters' mean point, head lengths")
    axes.set_title(f"Spread: H {human.h_all:.4f}, H^0.95 {human.h95_all:.4f}")


def _draw_bias(axes: Axes, raters: RaterSet, report: RaterReport) -> None:
    measured = [raters.keypoints.index(name) for name in report.human.names]
    lean = np.hypot(report.bias[..., 0], report.bias[..., 1])[:, measured]
    axes.set_facecolor("#EEEEEE")  # where a rater has no point
    # Up to H at least, so that leaning by less than the spread looks like little.
    highest = max(float(np.nanmax(lean)), report.human.h_all)
    image = axes.imshow(lean.T, aspect="auto", cmap="cividis", vmin=0, vmax=highest)
    axes.set_xticks(np.arange(len(raters.raters)), raters.raters, rotation=45, ha="right", fontsize=8)
    axes.set_yticks([])
    axes.grid(visible=False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("|mean offset|, head lengths", color=INK)
    bar.outline.set_edgecolor(GREY)
    axes.set_title("Bias: how far each rater leans")
