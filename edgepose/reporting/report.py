"""The report's files: compare.json, report.md, report.html and figures/*.png, all from one `Comparison`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from edgeio import lookup, replacing, write_json
from edgeio.records import to_plain
from edgepose.comparison.compare import COMPARISON_NAME, Comparison, Entry
from edgepose.reporting.document import Picture, render_html, render_markdown
from edgepose.reporting.figures import (
    curves_of,
    draw_curves,
    draw_device_cost,
    draw_differences,
    draw_size,
)
from edgepose.reporting.overview import PRINCIPAL, Overview, overview_of
from edgepose.reporting.sections import build_document
from edgepose.reporting.worst_frames import OVERLAYS, draw_worst
from edgepose.results.results import METRICS
from edgepose.visual.style import figure_style, save_figure

DRAWN_MODELS = 6  # whose worst frames are drawn
_OURS = ("accuracy-*.png", "differences.png", "pckh-curves.png", "worst-*.png")


def check_overlays(overlays: str) -> None:
    """Raises UnknownName."""
    lookup(dict.fromkeys(OVERLAYS), "overlay", overlays)


def write_report(comparison: Comparison, entries: Sequence[Entry], out: Path) -> Path:
    """Write the report into the folder `out`; each file lands whole.

    The same results give the same bytes. Without entries, as where a comparison is read back, no
    worst frame is drawn. Figures of an earlier report in `out` that this one does not have are removed, so
    that no image of a person stays behind unseen.

    Args:
        comparison: as `compare` gives it.
        entries: the rows it was made from; read for the worst frames.

    Returns:
        The path of report.md.
    """
    overview = overview_of(comparison)
    with figure_style():
        figures = dict(_figures(comparison, overview, entries))
        _write_figures({picture.name: figure for picture, figure in figures.items()}, out / "figures")
    document = build_document(comparison, list(figures))
    images = {picture.name: (out / "figures" / picture.name).read_bytes() for picture in figures}
    write_json(out / COMPARISON_NAME, to_plain(comparison))
    _write_text(out / "report.html", render_html(document, images))
    _write_text(out / "report.md", render_markdown(document))
    return out / "report.md"


def _figures(
    comparison: Comparison, overview: Overview, entries: Sequence[Entry]
) -> list[tuple[Picture, Figure]]:
    """The first screen's one or two, the differences to the baseline, the curves, and the worst frames."""
    drawn = _overview_figures(overview)
    if comparison.noninferiority:
        text = (
            f"Mean error minus {comparison.baseline}'s. Large: mean over all body points, with its 95 % "
            "interval; small: each body point. All are divided by their margins: right of 1 is worse by more "
            "than the margin."
        )
        figure = draw_differences(comparison.noninferiority, overview)
        drawn.append((Picture("differences.png", text), figure))
    return [*drawn, *_curves_figure(comparison, overview), *_worst_figures(comparison, entries)]


def _overview_figures(overview: Overview) -> list[tuple[Picture, Figure]]:
    """Accuracy against what it costs, where there are two models at least to hold against each other."""
    metric, device = METRICS[PRINCIPAL].label, overview.device
    drawn = []
    if sum(m.score is not None for m in overview.models) > 1:
        text = (
            f"{metric} against file size. Bars: 95 % intervals. Grey line: Pareto front. Numbers: rows of "
            "the table. Points that would cover each other are set a little apart."
        )
        drawn.append((Picture("accuracy-size.png", text), draw_size(overview)))
    if device and sum(m.device_cost is not None and m.score is not None for m in overview.models) > 1:
        text = f"The same against the {device.quantity.lower()} of one inference."
        drawn.append((Picture("accuracy-device.png", text), draw_device_cost(overview)))
    return drawn


def _curves_figure(comparison: Comparison, overview: Overview) -> list[tuple[Picture, Figure]]:
    curves, n = curves_of(overview, comparison.baseline), len(overview.models)
    if not curves:
        return []
    text = "PCKh over all keypoints by threshold"
    if n == 1:
        text += f". Bar: 95 % interval of {METRICS[PRINCIPAL].label}."
    else:
        text += "; one colour a network, one line style a recipe."
    if len(curves) < n:
        text += f" The baseline, the Pareto front and the most accurate: {len(curves)} of {n} models."
    return [(Picture("pckh-curves.png", text), draw_curves(curves))]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")


def _worst_figures(comparison: Comparison, entries: Sequence[Entry]) -> list[tuple[Picture, Figure]]:
    if comparison.overlays == "none":
        return []
    drawn = []
    rows = [e for e in entries if e.results.name in comparison.worst]
    for i, entry in enumerate(_drawn_rows(comparison.baseline, rows), start=1):
        name = entry.results.name
        picture = Picture(f"worst-{i:02d}-{_slug(name)}.png", f"Worst frames of {name}.")
        drawn.append((picture, draw_worst(entry, comparison.worst[name], comparison.overlays)))
    return drawn


def _drawn_rows(baseline: str, entries: Sequence[Entry]) -> list[Entry]:
    """The baseline and the models with the largest mean error, in the order of the table.

    Models that hardly differ have the same worst frames, and a figure of each would bury the others;
    compare.json lists the frames of all.
    """
    errors = {e.results.name: e.results.metrics.overall.scores["me"] for e in entries}
    others = sorted((n for n in errors if n != baseline), key=lambda n: -(errors[n] or float("inf")))
    chosen = {baseline, *others[: DRAWN_MODELS - 1]}
    return [e for e in entries if e.results.name in chosen]


def _write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    for pattern in _OURS:
        for stale in folder.glob(pattern):
            if stale.name not in figures:
                stale.unlink()


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
