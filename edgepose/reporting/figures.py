"""The figures of a comparison; each draws numbers that stand in the results, and computes none."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from edgepose.evaluation.noninferiority import (
    INFERIOR,
    NON_INFERIOR,
    UNDECIDED,
    MarginResult,
    NonInferiority,
)
from edgepose.reporting.overview import (
    BASELINE,
    NO_VERDICT,
    PRINCIPAL,
    Overview,
    RankedModel,
    pareto,
)
from edgepose.results import cells
from edgepose.results.results import Results
from edgepose.visual.style import COLOURS, GREY, INK, colours, label_points, line_style, new_figure, spread

CURVES = 8  # more cannot be followed with the eye
# The shapes of `document.SYMBOLS`, in Okabe and Ito's colours: told apart by shape as well as colour.
_MARKS = {
    NON_INFERIOR: ("o", "#009E73"),
    UNDECIDED: ("D", "#E69F00"),
    INFERIOR: ("X", "#D55E00"),
    BASELINE: ("*", INK),
    NO_VERDICT: ("o", COLOURS[0]),
}
_SIZES = {"*": 11.0, "X": 8.5}  # points; their arms take little ink
_STEPS = (1, 2, 3, 5, 7)  # where a logarithmic axis may be labelled, times a power of ten
_NARROW = 4.8  # inches: still read on a telephone's screen
_NAMED, _SHORT = 5, 22  # so few models on the Pareto front are called by name, if it has so few letters
_APART = 0.014  # of the axis's width, between points that would cover each other


def draw_size(overview: Overview) -> Figure:
    """Accuracy against the size of the file, a point a model."""
    return _draw_overview(overview.models, lambda m: m.megabytes, "Size of the model file, MB")


def draw_device_cost(overview: Overview) -> Figure:
    """Accuracy against what an inference costs on a device, a point a model that ran there."""
    assert overview.device is not None
    models = [m for m in overview.models if m.device_cost is not None]
    place = textwrap.fill(overview.device.place, 50)
    label = f"{overview.device.heading}, of one inference on\n{place}"
    return _draw_overview(models, lambda m: m.device_cost or 0.0, label)


def _draw_overview(models: Sequence[RankedModel], cost: Callable[[RankedModel], float], label: str) -> Figure:
    """Score by cost, on a logarithmic axis, with 95 % intervals; grey steps join the Pareto front."""
    models = [m for m in models if m.score is not None]
    figure = new_figure(_NARROW, 3.6)
    axes = figure.subplots()
    axes.set_xscale("log")
    _limit(axes, [cost(m) for m in models])
    points = _side_by_side(axes, models, [cost(m) for m in models])
    front = pareto([cost(m) for m in models], [m.score or 0.0 for m in models])
    steps = [points[i] for i in front]
    axes.step(*zip(*steps, strict=True), where="post", color=GREY, lw=1.0, zorder=1)
    for model, (x, y) in zip(models, points, strict=True):
        _draw_model(axes, model, x, y)
    axes.margins(y=0.12)
    axes.set_xlabel(label, fontsize=9)
    axes.set_ylabel(cells.heading(PRINCIPAL), fontsize=9)
    _key(figure, {m.outcome for m in models})
    named = {i for i in front if len(front) <= _NAMED and len(models[i].results.name) <= _SHORT}
    texts = [f"{m.number} {m.results.name}" if i in named else str(m.number) for i, m in enumerate(models)]
    inks = [INK if i in front else "#666666" for i in range(len(models))]
    label_points(axes, points, texts, inks, _lines(models, points, steps))
    return figure


def _lines(
    models: Sequence[RankedModel],
    points: Sequence[tuple[float, float]],
    steps: Sequence[tuple[float, float]],
) -> list[tuple[float, float, float, float]]:
    """Intervals and the steps of the front, which labels should keep off."""
    found = [
        (x, m.interval[0], x, m.interval[1]) for m, (x, _) in zip(models, points, strict=True) if m.interval
    ]
    for (x0, y0), (x1, y1) in pairwise(steps):
        found += [(x0, y0, x1, y0), (x1, y0, x1, y1)]
    return found


def _draw_model(axes: Axes, model: RankedModel, x: float, y: float) -> None:
    shape, colour = _MARKS[model.outcome]
    if model.interval is not None:
        axes.vlines(x, *model.interval, color=colour, lw=1.3, alpha=0.6, zorder=2)
    axes.plot(x, y, shape, color=colour, ms=_SIZES.get(shape, 6.5), mec="white", mew=0.8, zorder=3)


def _key(figure: Figure, outcomes: set[str]) -> None:
    """What the marks mean, under the axes; nothing where there is only one kind that means nothing."""
    if outcomes == {NO_VERDICT}:
        return
    handles = []
    for outcome, (shape, colour) in _MARKS.items():
        if outcome in outcomes:
            size = _SIZES.get(shape, 6.5)
            handles += figure.axes[0].plot([], [], shape, color=colour, ms=size, mec="white", label=outcome)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        fontsize=8.5,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _limit(axes: Axes, costs: Sequence[float]) -> None:
    """Limits of a logarithmic axis that leave room for names, and two labels at least within them."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    room = max(0.14 * (high - low), (0.5 - (high - low)) / 2, 0.06)
    axes.set_xlim(10 ** (low - room), 10 ** (high + room))
    decades = range(math.floor(low - room), math.ceil(high + room) + 1)
    steps = _STEPS if high - low + 2 * room < 1.3 else (1, 3)
    axes.xaxis.set_major_locator(FixedLocator([step * 10.0**decade for decade in decades for step in steps]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _side_by_side(
    axes: Axes, models: Sequence[RankedModel], costs: Sequence[float]
) -> list[tuple[float, float]]:
    """Where each point goes: at its cost, or a step or two beside it if so its interval covers no other's."""
    low, high = (math.log10(limit) for limit in axes.get_xlim())
    gap, places = _APART * (high - low), list[float]()
    extents = [model.interval or (model.score or 0.0, model.score or 0.0) for model in models]
    for (bottom, top), cost in zip(extents, costs, strict=True):
        beside = [x for x, (b, t) in zip(places, extents, strict=False) if bottom <= t and b <= top]
        tried = [math.log10(cost) + gap * step for step in (0, 1, -1, 2, -2)]
        free = (x for x in tried if all(abs(x - other) > 0.99 * gap for other in beside))
        places.append(next(free, tried[0]))
    return [(10**x, model.score or 0.0) for x, model in zip(places, models, strict=True)]


def draw_differences(found: Sequence[NonInferiority], overview: Overview) -> Figure:
    """Each model's mean error minus the baseline's, in margins: the mean with its interval, and keypoints.

    Args:
        found: the models held against the baseline.
        overview: gives them their numbers and their order.
    """
    judged = {model.name: model for model in found}
    verdicts = {model.verdict for model in found}
    ranked = [m for m in overview.models if m.results.name in judged]
    names = [_in_lines(f"{m.number} {m.results.name}") for m in ranked]
    figure = new_figure(5.4, 0.38 * len(names) + 1.3)
    axes = figure.subplots()
    for i, model in enumerate(ranked):
        _difference_row(axes, i, judged[model.results.name])
    axes.axvline(0, color=GREY, lw=1)
    axes.axvline(1, color=INK, lw=1.6)
    axes.annotate("margin", (1, 1), (3, 2), ("data", "axes fraction"), "offset points", fontsize=8.5)
    _margins_axis(axes)
    axes.set_yticks(range(len(names)), names, fontsize=8, linespacing=1.1)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlabel("Mean error minus the baseline's, in margins: right is worse", fontsize=9)
    axes.grid(axis="y", visible=False)
    _key(figure, {judged.outcome for model in found for judged in model.keypoints.values()} | verdicts)
    return figure


def _difference_row(axes: Axes, i: int, model: NonInferiority) -> None:
    """The mean, in the verdict's colour, and under it the keypoints, small and each in its own outcome's."""
    for judged in model.keypoints.values():
        if judged.difference is not None:
            shape, colour = _MARKS[judged.outcome]
            place = judged.difference / judged.margin, i + 0.3
            axes.plot(*place, shape, color=colour, ms=_SIZES.get(shape, 6.5) / 1.9, mew=0, alpha=0.7)
    shape, colour = _MARKS[model.verdict]
    if model.mean.interval is not None:
        axes.hlines(i, *_in_margins(model.mean), color=colour, lw=2)
    if model.mean.difference is not None:
        mean = model.mean.difference / model.mean.margin
        axes.plot(mean, i, shape, color=colour, ms=8, mec="white", mew=0.8, zorder=3)


def _in_margins(judged: MarginResult) -> tuple[float, float]:
    assert judged.interval is not None
    return judged.interval[0] / judged.margin, judged.interval[1] / judged.margin


def _margins_axis(axes: Axes) -> None:
    """Even up to two margins and logarithmic beyond, so that a failed model does not flatten the others."""
    if max(map(abs, axes.dataLim.intervalx)) > 5:
        axes.set_xscale("symlog", linthresh=2, linscale=1)
        beyond = [step * 10.0**decade for decade in range(1, 5) for step in (1, 3)]
        shown = [0.0, 1.0, 2.0, *beyond]
        axes.xaxis.set_major_locator(FixedLocator([-x for x in reversed(shown[1:])] + shown))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")


def _in_lines(name: str, width: int = 22) -> str:
    """A name in lines of about `width` characters, broken after - _ @ or a space."""
    lines = [""]
    for part in re.findall(r"[^-_@ ]*[-_@ ]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def curves_of(overview: Overview, baseline: str) -> list[Results]:
    """At most `CURVES` rows, ranked: the baseline, the Pareto front of size, then the most accurate."""
    models = [m for m in overview.models if m.score is not None]
    front = pareto([m.megabytes for m in models], [m.score or 0.0 for m in models])
    wanted = [m for m in models if m.results.name == baseline]
    wanted += [models[i] for i in reversed(front)] + models
    chosen = list(dict.fromkeys(m.number for m in wanted))[:CURVES]
    return [m.results for m in models if m.number in chosen]


def draw_curves(results: Sequence[Results]) -> Figure:
    """PCKh against its threshold, each curve labelled at its end, with the interval at the principal one."""
    alone = len(results) == 1
    figure = new_figure(_NARROW if alone else 6.2, 3.6 + 0.1 * len(results))
    axes = figure.subplots()
    colour = colours(results)
    at = float(PRINCIPAL.partition("@")[2])
    axes.axvline(at, color=GREY, lw=0.8, ls=":")
    for row in results:
        curve, scores = row.metrics.curve, row.metrics.overall
        axes.plot(curve.t, curve.pckh, color=colour[row.name], linestyle=line_style(row), lw=1.6)
        score, interval = scores.scores[PRINCIPAL], scores.intervals.get(PRINCIPAL)
        if alone and score is not None and interval is not None:
            axes.vlines(at, *interval, color=INK, lw=2)
            axes.plot(at, score, "o", color=INK, ms=6.5, mec="white")
    axes.set_xlabel("Threshold t, head lengths", fontsize=9)
    axes.set_ylabel("PCKh@t, % of keypoints", fontsize=9)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    if not alone:
        _end_labels(axes, results, colour)
    return figure


def _end_labels(axes: Axes, results: Sequence[Results], colour: Mapping[str, str]) -> None:
    """Names beside the axes, as near to the ends of their curves as they can be side by side."""
    ends = [r.metrics.curve.pckh[-1] for r in results]
    figure = axes.get_figure(root=True)
    assert figure is not None
    heights = spread(ends, gap=100 * 0.19 / (figure.get_figheight() - 1))
    shift = min(0.0, 100 - max(heights))
    for row, end, height in zip(results, ends, heights, strict=True):
        _end_label(axes, row, (row.metrics.curve.t[-1], end), height + shift, colour[row.name])


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
