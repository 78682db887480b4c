"""The figures of a comparison; each draws numbers that stand in the results, and computes none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from edgepose.results import cells
from edgepose.results.results import HumanSpreadRecord, Results
from edgepose.visual.style import (
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
ON_DEVICES = "pckh@0.2"  # between the two: devices have a panel each
_HUMAN = "human spread"


@dataclass(frozen=True)
class CostAxis:
    """What accuracy is bought with.

    Attributes:
        key: its name in file names.
        label: axis label, with its unit.
        value: reads it from results; None where it was not measured.
    """

    key: str
    label: str
    value: Callable[[Results], float | None]


SIZE = CostAxis("size", "Model file, MB (10⁶ bytes)", lambda r: r.model.size_bytes / 1e6)
LATENCY = CostAxis(
    "latency", "Latency, median ms an image", lambda r: r.speed.latency_ms.median if r.speed else None
)
INSTRUCTIONS = CostAxis(
    "instructions",
    "Instructions of one inference, millions",
    lambda r: r.device.instructions.per_inference / 1e6 if r.device and r.device.instructions else None,
)


def pareto(cost: Sequence[float], score: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats in one without losing in the other, by rising cost."""
    front: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (cost[i], -score[i])):
        if not front or score[i] > score[front[-1]]:
            front.append(i)
    return front


@dataclass(frozen=True)
class Panel:
    """One of the panels of a trade-off: `rows` whose cost was measured, by the score `key`."""

    title: str
    rows: Sequence[Results]
    key: str


def draw_tradeoff(results: Sequence[Results], cost: CostAxis, subtitle: str) -> Figure:
    """Accuracy against one cost, coarse above fine, with the Pareto front and 95 % intervals.

    Args:
        results: rows whose cost was measured, under the same conditions.
        subtitle: those conditions.
    """
    panels = [Panel(cells.heading(key), results, key) for key in TRADED]
    return _draw_panels(panels, cost, subtitle, {r.name: r.name for r in results}, 7.5)


def draw_on_devices(devices: Mapping[str, Sequence[Results]]) -> Figure:
    """Accuracy against instructions, a panel for each device, all on one scale.

    Args:
        devices: rows with counted instructions, by what the device is called.
    """
    heading = cells.heading(ON_DEVICES)
    panels = [Panel(f"{name}: {heading}", rows, ON_DEVICES) for name, rows in devices.items()]
    names = {r.name: r.model_name for rows in devices.values() for r in rows}
    return _draw_panels(panels, INSTRUCTIONS, "", names, 9.0)


def _draw_panels(
    panels: Sequence[Panel], cost: CostAxis, subtitle: str, labels: Mapping[str, str], width: float
) -> Figure:
    """Panels one above the other over one axis of cost; `labels` are by row name, `width` in inches."""
    figure = new_figure(width, 0.7 + 4.4 * len(panels))
    drawn = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    colour = colours([r for panel in panels for r in panel.rows])
    for axes, panel in zip(drawn, panels, strict=True):
        _tradeoff_panel(axes, panel, cost, colour)
    _log_where_wide(drawn[-1], [_position(r, cost, p.key)[0] for p in panels for r in _scored(p)])
    drawn[-1].set_xlabel(f"{cost.label}\n{subtitle}".strip())
    for axes, panel in zip(drawn, panels, strict=True):
        rows = _scored(panel)
        points = [_position(r, cost, panel.key) for r in rows]
        label_points(axes, points, [labels[r.name] for r in rows], [colour[r.name] for r in rows])
    return figure


def _scored(panel: Panel) -> list[Results]:
    return [r for r in panel.rows if r.metrics.overall.scores[panel.key] is not None]


def _position(result: Results, cost: CostAxis, key: str) -> tuple[float, float]:
    x, y = cost.value(result), result.metrics.overall.scores[key]
    assert x is not None and y is not None
    return x, y


def _tradeoff_panel(axes: Axes, panel: Panel, cost: CostAxis, colour: Mapping[str, str]) -> None:
    rows, key = _scored(panel), panel.key
    points = [_position(r, cost, key) for r in rows]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    front = pareto(xs, ys)
    axes.step([xs[i] for i in front], [ys[i] for i in front], where="post", color=GREY, lw=1.2, zorder=1)
    for row, (x, y) in zip(rows, points, strict=True):
        interval = row.metrics.overall.intervals.get(key)
        if interval is not None:
            axes.vlines(x, *interval, color=colour[row.name], lw=1.2, alpha=0.5, zorder=2)
        shape = marker(row)
        size = 11 if shape == "*" else 7  # a star's points take little ink
        axes.plot(x, y, shape, color=colour[row.name], ms=size, mec="white", mew=0.8, zorder=3)
    axes.margins(x=0.15, y=0.15)
    axes.set_title(panel.title)


def _log_where_wide(axes: Axes, costs: Sequence[float]) -> None:
    if costs and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())


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


def draw_keypoint_errors(results: Sequence[Results], human: HumanSpreadRecord | None) -> Figure:
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


def _draw_human(axes: Axes, names: Sequence[str], human: HumanSpreadRecord) -> None:
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
