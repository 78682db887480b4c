"""Figures of models against a baseline: the forest of differences, and the spectra of movement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from edgepose.evaluation.noninferiority import INFERIOR, NON_INFERIOR, UNDECIDED, MarginResult, NonInferiority
from edgepose.evaluation.temporal import Fidelity
from edgepose.results.results import Results
from edgepose.visual.style import FAINT, GREY, INK, colours, line_style, new_figure

# Told apart by shape as well as colour.
_MARKS = {NON_INFERIOR: ("o", "#009E73"), UNDECIDED: ("D", "#E69F00"), INFERIOR: ("X", "#D55E00")}


def draw_forest(found: NonInferiority, baseline: str) -> Figure:
    """Each keypoint's difference of mean errors with its interval, beside its margin."""
    rows = [*found.keypoints.items(), ("mean of all", found.mean)]
    figure = new_figure(7.5, 0.3 * len(rows) + 1.7)
    axes = figure.subplots()
    for i, (_, judged) in enumerate(rows):
        _forest_row(axes, i, judged)
    axes.axvline(0, color=GREY, lw=1)
    axes.axhline(len(rows) - 1.5, color=FAINT, lw=1)
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"Mean error, {found.name} minus {baseline}, head lengths (right is worse)")
    axes.grid(axis="y", visible=False)
    for outcome, (mark, colour) in _MARKS.items():
        axes.plot([], [], mark, color=colour, ms=6, label=outcome)
    axes.plot([], [], "|", color=INK, ms=11, mew=1.6, label="margin")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _forest_row(axes: Axes, i: int, judged: MarginResult) -> None:
    mark, colour = _MARKS[judged.outcome]
    axes.plot([judged.margin] * 2, [i - 0.38, i + 0.38], color=INK, lw=1.6)
    if judged.interval is not None:
        axes.hlines(i, *judged.interval, color=colour, lw=1.6)
    if judged.difference is not None:
        axes.plot(judged.difference, i, mark, color=colour, ms=6, mec="white", mew=0.6)


def draw_spectra(models: Sequence[Fidelity], results: Sequence[Results], baseline: str) -> Figure:
    """Power of movement by frequency: annotation, baseline and models."""
    by_name: Mapping[str, Results] = {r.name: r for r in results}
    colour = colours(results)
    figure = new_figure(7.5, 4.6 + 0.12 * len(models))
    axes = figure.subplots()
    drawn = [(m, m.spectra) for m in models if m.spectra is not None]
    first = drawn[0][1]
    axes.plot(first.frequencies, _shown(first.annotation), color=GREY, lw=1.2, ls=":", label="annotation")
    axes.plot(first.frequencies, _shown(first.baseline), color=INK, lw=2.2, label=baseline)
    for model, spectra in drawn:
        row = by_name[model.name]
        style = line_style(row) if row.model.recipe else "--"
        power = _shown(spectra.model)
        axes.plot(spectra.frequencies, power, color=colour[row.name], lw=1.3, ls=style, label=row.name)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")  # the default would write powers of ten as markup
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    axes.set_xlabel(f"Frequency, {first.unit}")
    axes.set_ylabel(f"Power density, head lengths² per {first.unit}")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _shown(powers: Sequence[float]) -> np.ndarray:
    """A logarithmic axis has no zero."""
    values = np.array(powers)
    return np.where(values > 0, values, np.nan)
