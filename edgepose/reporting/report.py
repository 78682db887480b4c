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
    LATENCY,
    SIZE,
    draw_curves,
    draw_keypoint_errors,
    draw_on_devices,
    draw_tradeoff,
)
from edgepose.reporting.figures_against import draw_forest, draw_spectra
from edgepose.reporting.sections import build_document
from edgepose.reporting.sections_devices import by_device, device_caption
from edgepose.reporting.worst_frames import OVERLAYS, draw_worst
from edgepose.results.cells import conditions
from edgepose.results.results import Results
from edgepose.visual.style import figure_style, save_figure

DRAWN_MODELS = 6  # whose forests and worst frames are drawn
_OURS = (
    "accuracy-*.png",
    "device-*.png",
    "pckh-curves.png",
    "keypoint-errors.png",
    "forest-*.png",
    "spectra.png",
    "worst-*.png",
)


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
    with figure_style():
        figures = dict(_figures(comparison, entries))
        _write_figures({picture.name: figure for picture, figure in figures.items()}, out / "figures")
    document = build_document(comparison, list(figures))
    images = {picture.name: (out / "figures" / picture.name).read_bytes() for picture in figures}
    write_json(out / COMPARISON_NAME, to_plain(comparison))
    _write_text(out / "report.html", render_html(document, images))
    _write_text(out / "report.md", render_markdown(document))
    return out / "report.md"


def _figures(comparison: Comparison, entries: Sequence[Entry]) -> list[tuple[Picture, Figure]]:
    results = comparison.results
    text = "PCKh@0.5 (coarse) and PCKh@0.1 (fine) against {}. Bars: 95 % intervals. Grey: Pareto front. {}"
    drawn = [
        (
            Picture("accuracy-size.png", text.format("file size", _KEY)),
            draw_tradeoff(results, SIZE, ""),
        )
    ]
    for i, (where, rows) in enumerate(_by_conditions(comparison.everywhere).items(), start=1):
        picture = Picture(f"accuracy-latency-{i}.png", text.format(f"latency on {where}", _KEY))
        drawn.append((picture, draw_tradeoff(rows, LATENCY, where)))
    devices = by_device(comparison.everywhere)
    if devices:
        picture = Picture("device-instructions.png", f"{device_caption(devices)} {_KEY}")
        drawn.append((picture, draw_on_devices(devices)))
    drawn.append((Picture("pckh-curves.png", "PCKh over all keypoints by threshold."), draw_curves(results)))
    human = results[0].metrics.human
    beside = f" Human spread: {human.source}." if human else ""
    drawn.append(
        (
            Picture("keypoint-errors.png", f"Mean error of every keypoint, in head lengths.{beside}"),
            draw_keypoint_errors(results, human),
        )
    )
    return drawn + _against_figures(comparison) + _worst_figures(comparison, entries)


def _against_figures(comparison: Comparison) -> list[tuple[Picture, Figure]]:
    """The forests of the models with the largest mean difference, and the spectra of all."""
    judged = sorted(comparison.noninferiority, key=lambda n: -abs(n.mean.difference or float("inf")))
    chosen = {n.name for n in judged[:DRAWN_MODELS]}
    drawn = []
    for i, found in enumerate((n for n in comparison.noninferiority if n.name in chosen), start=1):
        text = f"Mean error, {found.name} minus {comparison.baseline}: 95 % intervals and margins."
        picture = Picture(f"forest-{i:02d}-{_slug(found.name)}.png", text)
        drawn.append((picture, draw_forest(found, comparison.baseline)))
    models = comparison.movement.models if comparison.movement else ()
    if any(model.spectra for model in models):
        figure = draw_spectra(models, comparison.results, comparison.baseline)
        drawn.append((Picture("spectra.png", "Power of movement by frequency, all body points."), figure))
    return drawn


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")


_KEY = "One colour a network, one marker a recipe."


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


def _by_conditions(results: Sequence[Results]) -> Mapping[str, list[Results]]:
    """Timed rows by where and how they were timed: times of different machines share no axis."""
    groups: dict[str, list[Results]] = {}
    for result in results:
        if result.speed is not None:
            groups.setdefault(conditions(result), []).append(result)
    return groups


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
