"""`edgepose raters`: how far human raters spread, and which of them deviate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepose.cli import options

if TYPE_CHECKING:
    from edgepose.reporting.rater_report import HumanFile

_SHOWN = 10  # outliers and frames; human.json lists all


def command(
    file: Annotated[
        Path,
        typer.Argument(
            help="The CSV file, with the columns image, rater, keypoint, x and y, in pixels.", metavar="FILE"
        ),
    ],
    keypoints: Annotated[
        str, typer.Option(help="The keypoint set that the names are of, or a keypoint file (.toml).")
    ] = "in-motion-19",
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for human.json and figures/raters.png; default: nothing is written."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure how far raters spread: H and H^0.95, each rater's bias, and who or what deviates.

    `edgepose evaluate --human DIR/human.json` takes its thresholds from there.
    """
    from edgepose.evaluation.raters import read_raters
    from edgepose.keypoint_file import named_set
    from edgepose.reporting.rater_report import write_rater_report

    described = write_rater_report(read_raters(file, named_set(keypoints)), file, out)
    if as_json:
        options.print_json(described)
    else:
        _print(described, out)


def _print(found: HumanFile, out: Path | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgepose.data.human_spread import HUMAN_NAME, human_for

    console, published = Console(), human_for(tuple(found.per_keypoint))
    console.print(f"{escape(found.source)}; distances in head lengths", soft_wrap=True, highlight=False)
    table = Table("keypoint", box=None, pad_edge=False)
    for heading in ("n", "H", "H^0.95", *(("paper's H", "paper's H^0.95") if published else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in found.per_keypoint.items():
        theirs = [*published.h_for([name]), *published.h95_for([name])] if published else []
        table.add_row(name, f"{row.n:,}", *(_cell(value) for value in (row.h, row.h95, *theirs)))
    ours, theirs = found.overall, [published.h_all, published.h95_all] if published else []
    table.add_row("all (mean)", f"{ours.n:,}", *(_cell(value) for value in (ours.h, ours.h95, *theirs)))
    console.print(table)
    table = Table("rater", box=None, pad_edge=False)
    for heading in ("points", "mean distance", "bias x", "bias y", "outliers", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, rater in found.raters.items():
        bias = rater.bias or (None, None)
        mark = "stands out" if rater.stands_out else ""
        cells = (_cell(rater.mean_distance), *map(_cell, bias), str(rater.outliers), mark)
        table.add_row(escape(name), f"{rater.points:,}", *cells)
    console.print(table)
    for frame in found.frames[:_SHOWN]:
        typer.echo(f"disagreement on {frame.image}: {_cell(frame.mean_distance)} on average")
    for slip in found.outliers[:_SHOWN]:
        typer.echo(f"outlier: {slip.rater} on {slip.image}, {slip.keypoint}: {_cell(slip.distance)} away")
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if out is not None:
        typer.echo(out / HUMAN_NAME)


def _cell(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"
