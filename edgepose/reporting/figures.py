"""The figures of a comparison; each draws numbers that stand in the results, and computes none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from edgepose.reporting.results import METRICS, HumanSpread, Results
from edgepose.reporting.style import (
    FAINT,
    GREY,
    INK,
    colours,
    label_points,
    line_style,
    marker,
    new_figure,
    spread,
)

# Coarse and fine: on infants lying still the coarse one is near 100 % for every network.
TRADED = ("pckh@0.5", "pckh@0.1")
_HUMAN = "human spread"


@dataclass(frozen=True)
class Cost:
    """What accuracy is bought with.

    Attributes:
        key: its name in file names.
        label: axis label, with its unit.
        value: reads it from results; None where it was not measured.
    """

    key: str
    label: str
    value: Callable[[Results], float | None]


SIZE = Cost("size", "Model file, MB (10⁶ bytes)", lambda r: r.model.size_bytes / 1e6)
LATENCY = Cost(
    "latency", "Latency, median ms an image", lambda r: r.speed.latency_ms.median if r.speed else None
)


def pareto(cost: Sequence[float], score: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats in one without losing in the other, by rising cost."""
    front: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (cost[i], -score[i])):
        if not front or score[i] > score[front[-1]]:
            front.append(i)
    return front


def draw_tradeoff(results: Sequence[Results], cost: Cost, subtitle: str) -> Figure:
    """Accuracy against one cost, coarse above fine, with the Pareto front and 95 % intervals.

    Args:
        results: rows whose cost was measured, under the same conditions.
        subtitle: those conditions.
    """
    figure = new_figure(7.5, 9.5)
    panels = figure.subplots(len(TRADED), 1, sharex=True)
    for axes, key in zip(panels, TRADED, strict=True):
        _tradeoff_panel(axes, results, cost, key)
    panels[-1].set_xlabel(f"{cost.label}\n{subtitle}".strip())
    colour = colours(results)
    for axes, key in zip(panels, TRADED, strict=True):
        rows = [r for r in results if r.metrics.overall.scores[key] is not None]
        points = [_position(r, cost, key) for r in rows]
        label_points(axes, points, [r.name for r in rows], [colour[r.name] for r in rows])
    return figure


def _position(result: Results, cost: Cost, key: str) -> tuple[float, float]:
    x, y = cost.value(result), result.metrics.overall.scores[key]
    assert x is not None and y is not None
    return x, y


def _tradeoff_panel(axes: Axes, results: Sequence[Results], cost: Cost, key: str) -> None:
    rows = [r for r in results if r.metrics.overall.scores[key] is not None]
    points = [_position(r, cost, key) for r in rows]
    colour = colours(results)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    front = pareto(xs, ys)
    axes.step([xs[i] for i in front], [ys[i] for i in front], where="post", color=GREY, lw=1.2, zorder=1)
    for row, (x, y) in zip(rows, points, strict=True):
        interval = row.metrics.overall.intervals.get(key)
        if interval is not None:
            axes.vlines(x, *interval, color=colour[row.name], lw=1.2, alpha=0.5, zorder=2)
        axes.plot(x, y, marker(row), color=colour[row.name], ms=7, mec="white", mew=0.8, zorder=3)
    if xs and max(xs) > 10 * min(xs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.15, y=0.15)
    axes.set_title(f"{METRICS[key].label}, {METRICS[key].unit}")


def draw_curves(results: Sequence[Results]) -> Figure:
    """PCKh against its threshold, each curve labelled at its end."""
    figure = new_figure(7.5, max(4.5, 0.24 * len(results) + 1.5))
    axes = figure.subplots()
    colour = colours(results)
    for row in results:
        curve = row.metrics.curve
        axes.plot(curve.t, curve.pckh, color=colour[row.name], linestyle=line_style(row), lw=1.6)
    axes.set_xlabel("Threshold t, head lengths")
    axes.set_ylabel("PCKh@t, % of keypoints")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    ends = [r.metrics.curve.pckh[-1] for r in results]
    heights = spread(ends, gap=100 * 0.19 / (figure.get_figheight() - 1))
    shift = min(0.0, 100 - max(heights))
    for row, end, height in zip(results, ends, heights, strict=True):
        _end_label(axes, row, (row.metrics.curve.t[-1], end), height + shift, colour[row.name])
    return figure


def _end_label(axes: Axes, row: Results, end: tuple[float, float], height: float, colour: str) -> None:
    axes.annotate(
        row.name,
        end,
        xytext=(1.06, height),
        textcoords=("axes fraction", "data"),
        color=colour,
        fontsize=8,
        va="center",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.6, "relpos": (0, 0.5)},
    )


def draw_keypoint_errors(results: Sequence[Results], human: HumanSpread | None) -> Figure:
    """Mean error of every keypoint, beside the human spread where it is defined."""
    names = results[0].data.scored_keypoints
    figure = new_figure(7.5, 0.34 * len(names) + 1.6 + 0.11 * len(results))
    axes = figure.subplots()
    positions = np.arange(len(names))
    if human is not None:
        _draw_human(axes, names, human)
    colour = colours(results)
    offsets = np.linspace(-0.28, 0.28, len(results)) if len(results) > 1 else np.zeros(1)
    for row, offset in zip(results, offsets, strict=True):
        errors = [row.metrics.per_keypoint[name].scores["me"] for name in names]
        values = [np.nan if e is None else e for e in errors]
        axes.plot(
            values, positions + offset, marker(row), color=colour[row.name], ms=4.5, mew=0, label=row.name
        )
    axes.set_yticks(positions, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("Mean error, head lengths")
    axes.grid(axis="y", visible=False)
    handles, labels = axes.get_legend_handles_labels()
    human_first = sorted(range(len(labels)), key=lambda i: not labels[i].startswith(_HUMAN))
    figure.legend(
        [handles[i] for i in human_first],
        [labels[i] for i in human_first],
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure


def _draw_human(axes: Axes, names: Sequence[str], human: HumanSpread) -> None:
    for i, name in enumerate(names):
        first = not axes.patches
        if name in human.spread_p95:
            axes.barh(
                i,
                human.spread_p95[name],
                height=0.8,
                color=FAINT,
                label=f"{_HUMAN}, 95th percentile" if first else None,
            )
        if name in human.spread:
            mean = human.spread[name]
            axes.plot(
                [mean, mean],
                [i - 0.4, i + 0.4],
                color=INK,
                lw=1.6,
                label=f"{_HUMAN}, mean" if first else None,
            )
