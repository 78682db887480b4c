"""The figure of an experiment, drawn from its results.json: the paper's figures are hollow, ours filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from edgepose.keypoints import IN_MOTION_19
from edgepose.paper.outcome import QUANTILES, ExperimentOutcome, TableRow
from edgepose.paper.rows import RATERS
from edgepose.paper.tables import whose
from edgepose.results.results import METRICS
from edgepose.visual.style import COLOURS, GREY, INK, new_figure

_HUMAN_LEVEL = 95.0
_SHOWN = ("pckh@0.5", "pckh@0.1", "me")
_REACH = 0.6  # head lengths that the distributions are drawn to


def _style(row: TableRow, colour: str) -> dict[str, Any]:
    fill = "white" if row.whose == "paper" else colour
    return {"marker": "D" if row.whose == "paper" else "o", "mfc": fill, "mec": colour, "mew": 1.3, "ms": 6}


def _colours(rows: Sequence[TableRow]) -> Mapping[str, str]:
    """One a network; more networks than colours begin again, and are told apart by their labels."""
    keys = dict.fromkeys(row.network for row in rows if row.network != RATERS)
    return {RATERS: INK} | {key: COLOURS[i % len(COLOURS)] for i, key in enumerate(keys)}


def draw_scores(outcome: ExperimentOutcome) -> Figure:
    """PCKh@0.5, PCKh@0.1 and ME: a line for each row of the table."""
    panels = [(key, f"{METRICS[key].label}, {METRICS[key].unit}") for key in _SHOWN]
    figure = _dots(outcome, panels)
    for axes in figure.axes[:2]:
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -2), min(high, 102))
    return figure


def draw_agreement(outcome: ExperimentOutcome) -> Figure:
    """Both coefficients with their intervals: a line for each row of the table."""
    figure = _dots(outcome, [("A1", "ICC(A,1), absolute agreement"), ("C1", "ICC(C,1), consistency")])
    for axes in figure.axes:
        axes.set_xlim(-1.05, 1.05)
        axes.axvline(0, color=GREY, lw=1, zorder=1)
    return figure


def _dots(outcome: ExperimentOutcome, panels: Sequence[tuple[str, str]]) -> Figure:
    rows, colours = outcome.rows, _colours(outcome.rows)
    figure = new_figure(2.6 + 2.9 * len(panels), 0.27 * len(rows) + 1.3)
    axes_of = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (key, title) in zip(axes_of, panels, strict=True):
        for place, row in enumerate(rows):
            value, interval = row.values.get(key), row.intervals.get(key)
            if interval is not None:
                axes.hlines(place, *interval, color=colours[row.network], lw=1.4, alpha=0.55)
            if value is not None:
                axes.plot(value, place, ls="none", **_style(row, colours[row.network]))
        axes.set_title(title, fontsize=10)
        axes.grid(axis="y", visible=False)
        _stripe_networks(axes, rows)
    axes_of[0].set_yticks(np.arange(len(rows)), [whose(outcome, row) for row in rows], fontsize=8)
    axes_of[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _stripe_networks(axes: Axes, rows: Sequence[TableRow]) -> None:
    """A light ground behind every second network, so that pairs are seen as pairs."""
    keys = list(dict.fromkeys(row.network for row in rows))
    for place, row in enumerate(rows):
        if keys.index(row.network) % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F3F3F3", zorder=0, lw=0)


def draw_human_level(outcome: ExperimentOutcome) -> Figure:
    """PCKh@Human^0.95 by keypoint, with human level."""
    names, colours = (*IN_MOTION_19.names, "all"), _colours(outcome.rows)
    figure = new_figure(8.5, 0.3 * len(names) + 1.8)
    axes = figure.subplots()
    places = np.arange(len(names))
    for row in outcome.rows:
        values = np.array([row.values.get(name) for name in names], dtype=float)  # None becomes NaN
        style = {**_style(row, colours[row.network]), "ms": 4.5}
        line: dict[str, Any] = {
            "ls": "-" if row.whose == "ours" else ":",
            "lw": 0.9,
            "color": colours[row.network],
        }
        axes.plot(values[:-1], places[:-1], label=whose(outcome, row), **line, **style)
        axes.plot(values[-1:], places[-1:], ls="none", **style)  # no line leads to the mean
    axes.axvline(_HUMAN_LEVEL, color=INK, lw=1.2)
    axes.annotate(" human level", (_HUMAN_LEVEL, -0.85), fontsize=8, va="center", annotation_clip=False)
    axes.axhline(len(names) - 1.5, color=GREY, lw=0.8)
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("PCKh@Human^0.95, %")
    _legend(figure, axes)
    return figure


def draw_distributions(outcome: ExperimentOutcome) -> Figure:
    """For every keypoint, the share of errors (and of distances between raters) up to each length."""
    (paper,) = outcome.rows_of("paper", RATERS)
    drawn, colours = [row for row in outcome.rows if row.curves], _colours(outcome.rows)
    figure = new_figure(10.5, 9.5)
    panels = figure.subplots(4, 5, sharex=True, sharey=True).ravel()
    for axes, name in zip(panels, IN_MOTION_19.names, strict=False):
        axes.axvline(paper.values[name], color=GREY, lw=1.2, ls="--")
        axes.axhline(_HUMAN_LEVEL, color=GREY, lw=0.6)
        for row in drawn:
            if name in row.curves:
                width = 2.2 if row.network == RATERS else 1.4
                axes.plot(row.curves[name], QUANTILES, color=colours[row.network], lw=width)
        axes.set_title(name.replace("_", " "), fontsize=9)
    panels[0].set_xlim(0, _REACH)
    panels[0].set_xticks((0, 0.2, 0.4))
    panels[0].set_ylim(0, 101)
    figure.supxlabel("Distance, head lengths", fontsize=10)
    figure.supylabel("Share of marks within that distance, %", fontsize=10)
    handles = [Line2D([], [], color=GREY, ls="--", lw=1.2)]
    handles += [Line2D([], [], color=colours[row.network], lw=2) for row in drawn]
    labels = ["paper: H^0.95 of its raters", *(whose(outcome, row) for row in drawn)]
    panels[-1].axis("off")
    panels[-1].legend(handles, labels, loc="center", fontsize=7.5, frameon=False)
    return figure


def draw_samples(outcome: ExperimentOutcome) -> Figure:
    """PCKh@0.1 and ME against training images, with and without pretraining."""
    colours = _colours(outcome.rows)
    figure = new_figure(8.5, 7.5)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, key in zip(panels, ("pckh@0.1", "me"), strict=True):
        for network in dict.fromkeys(row.network for row in outcome.rows):
            _sample_lines(axes, outcome, network, key, colours[network])
        axes.set_title(f"{METRICS[key].label}, {METRICS[key].unit}")
        axes.set_ylim(bottom=0)
    most = max(row.values["images"] or 0 for row in outcome.rows)
    panels[-1].set_xscale("symlog", linthresh=10)  # that has a place for none
    panels[-1].set_xlim(-2, 1.5 * most)
    panels[-1].xaxis.set_major_formatter(ScalarFormatter())
    panels[-1].set_xlabel("Training images")
    _legend(figure, panels[0])
    return figure


def _sample_lines(axes: Axes, outcome: ExperimentOutcome, network: str, key: str, colour: str) -> None:
    ours = outcome.rows_of("ours", network)
    lines = [
        (f"ours, {outcome.scale}: {{}}, pretrained", "-", [r for r in ours if r.values["pretrained"]]),
        (f"ours, {outcome.scale}: {{}}, from nothing", ":", [r for r in ours if not r.values["pretrained"]]),
        ("paper: {}, all images", "none", outcome.rows_of("paper", network)),
    ]
    for label, line, rows in lines:
        found = [(row.values["images"], row.values[key]) for row in rows]
        points = sorted((x, y) for x, y in found if x is not None and y is not None)
        if points:
            xs, ys = zip(*points, strict=True)
            style = _style(rows[0], colour)
            axes.plot(xs, ys, ls=line, label=label.format(rows[0].name), color=colour, **style)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


_HOLLOW = "Hollow: the paper. Filled: ours, at the scale named."
FIGURES: Mapping[str, tuple[Callable[[ExperimentOutcome], Figure], str]] = {
    "table1": (draw_scores, f"Performance of the networks; bars are 95 % intervals. {_HOLLOW}"),
    "table2": (draw_human_level, f"PCKh@Human^0.95 by keypoint; 95 % is human level. {_HOLLOW}"),
    "table3": (draw_agreement, f"Agreement with the spread of raters; bars are 95 % intervals. {_HOLLOW}"),
    "table5": (draw_scores, f"What a small batch costs; bars are 95 % intervals. {_HOLLOW}"),
    "table6": (draw_scores, f"Transfer to MINI-RGBD; bars are 95 % intervals. {_HOLLOW}"),
    "fig4": (
        draw_distributions,
        "Share of errors within a distance, by keypoint, beside the distances of raters from their mean "
        "point. A network is at human level where its line passes the dashed one above 95 %.",
    ),
    "fig5": (draw_samples, f"Sample efficiency. {_HOLLOW}"),
}
