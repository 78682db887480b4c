"""`edgepose calibrate-confidence`: from a map's peak to the probability of being right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar
from edgepose.cli.running import runtime_threads


@options.spread()
def command(
    model: Annotated[
        Path,
        typer.Argument(help=options.RUNNABLE),
    ],
    data: options.Data,
    out: Annotated[Path, typer.Option(help="The file to write, for `edgepose predict --confidence`.")],
    split: Annotated[
        str,
        typer.Option(
            help="The split, or several as in val+test, of images that the model was not trained on."
        ),
    ] = "val",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    decode: options.Decode = None,
    flip: options.Flip = False,
    near: options.Near = False,
    threads: options.Threads = 1,
    workers: options.Workers = 2,
    seed: Annotated[
        int, typer.Option(help="The seed of the split into the halves that judge each other.")
    ] = 0,
    overwrite: options.Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the contents of the file.")] = False,
    *,
    given: options.Given,
) -> None:
    """Fit, for each keypoint, the probability that it lies within half a head of the truth.

    Says how well that holds on images that the curves were not fitted on: the expected calibration error
    before and after. The same command again finds the file finished.
    """
    from edgeio import jobs
    from edgepose.models.pretrained import model_path
    from edgepose.tracking.calibrate import CalibrationRequest, calibrate_into

    path = runtime_threads(model_path(model), given)
    request = CalibrationRequest(data, split, crop, margin, decode, near, threads, workers, seed, flip)
    with bar(f"calibrating {path.stem}", "images") as progress:
        found, before = calibrate_into(path, request, out, overwrite, progress)
    if before:
        options.say(jobs.said_before(out))
    if as_json:
        typer.echo(out.read_text(encoding="utf-8"), nl=False)
    else:
        _print(found, out)


def _print(found: Any, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="peak that stands for 50 and 90 %", title_justify="left", box=None, pad_edge=False)
    table.add_column("keypoint")
    for column in ("labelled", "within half a head", "peak at 50 %", "at 90 %"):
        table.add_column(column, justify="right")
    for name, curve in found.curves.items():
        share = f"{100 * curve.hits / curve.n:.1f} %" if curve.n else "-"
        table.add_row(
            name + (" (pooled)" if curve.pooled else ""),
            str(curve.n),
            share,
            *(_peak(curve.peak_at(probability)) for probability in (0.5, 0.9)),
        )
    Console().print(table)
    judged = found.reliability
    if judged is None:
        typer.echo("calibration error: not judged, since the images are of one video")
    else:
        typer.echo(
            f"calibration error on held-out videos: {judged.before:.3f} before, {judged.after:.3f} after "
            f"({judged.n} keypoints; {judged.method} curves, whose log loss is the lower there)"
        )
    typer.echo(out)


def _peak(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
