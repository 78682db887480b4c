"""`edgepose quantize`: a checkpoint to a full-int8 .tflite, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar
from edgepose.cli.rounding import warn_of_rounding

_SHOWN = 20


@options.spread()
def command(
    checkpoint: options.Checkpoint,
    data: options.Mixture,
    out: Annotated[Path, typer.Option(help="The folder for the .tflite file and its sidecar.")],
    ranges: options.Ranges = "mse",
    equalize: options.Equalize = True,
    bias_correction: options.BiasCorrection = False,
    report_layers: Annotated[
        bool,
        typer.Option(
            "--report-layers",
            help="Measure what quantizing each layer alone costs: a table, a figure and JSON.",
        ),
    ] = False,
    keep: Annotated[
        str,
        typer.Option(
            help="Mixed precision: the layers that stay in float, by the names that --report-layers prints, "
            "separated by commas; * and ? stand for any characters. The file is then named int8-mixed in "
            "place of int8-ptq."
        ),
    ] = "",
    keep_as: Annotated[
        str, typer.Option(help="The type of the layers that --keep names; float32 is the only one.")
    ] = "float32",
    count: options.Count = 64,
    split: options.CalibrationSplit = "train",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    *,
    given: options.Given,
) -> None:
    """Quantize a network to full int8 without training, in minutes: OUT/NAME-int8-ptq-maps.tflite.

    The images of --data set the ranges of the activations; labels are not read. Where this costs too much
    accuracy, `edgepose qat` trains the network for int8. The same command again finds the file finished.
    """
    from edgeio import jobs
    from edgepose.compression import ptq
    from edgepose.compression.mixed_precision import check_type
    from edgepose.deploy.export import Calibrate
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    kept = tuple(name.strip() for name in keep.split(",") if name.strip())
    if not kept:
        given.refuse("keep_as", when="without --keep", hint="name the layers with --keep")
    check_type(keep_as)
    start = trained_path(checkpoint)
    calibrate = Calibrate(data[0], split, count, seed, crop, margin, tuple(data[1:]))
    how = ptq.PostTraining(ranges, equalize, bias_correction)
    with bar(f"quantizing {start.stem}", "parts") as progress:
        listener = Listener(progress, say=options.say)
        made = ptq.quantize(start, calibrate, how, out, overwrite, report_layers, listener, kept)
    if made.exported.before:
        options.say(jobs.said_before(made.exported.path))
    print_exported(made.exported, made.costs, as_json, made.suggestions)
    warn_of_rounding(made.exported.path)


def print_exported(
    exported: Any, costs: Sequence[Any], as_json: bool, suggestions: Sequence[Any] = ()
) -> None:
    if as_json:
        _print_json(exported, costs, suggestions)
        return
    if costs:
        _print_costs(costs)
        _print_suggestions(suggestions)
    found, sidecar = exported.validation, exported.sidecar
    typer.echo(
        f"{exported.path}: {sidecar.size_bytes / 1000:.0f} KB, "
        f"{sidecar.deflated_bytes / 1000:.0f} deflated, "
        f"{sidecar.float_operators} float operators, "
        f"SNR {found.snr_db:.1f} dB, peaks move {found.peak_shift_px[0]:.1f} px on average"
    )


def _print_json(exported: Any, costs: Sequence[Any], suggestions: Sequence[Any]) -> None:
    options.print_json(
        {
            "path": exported.path,
            "sidecar": exported.sidecar,
            "validation": exported.validation,
            "layers": costs,
            "suggestions": suggestions,
        }
    )


def _print_costs(costs: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="what rounding each part alone costs", title_justify="left", box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("part")
    for column in ("range", "SNR dB", "share %", "peak shift px"):
        table.add_column(column, justify="right")
    for cost in costs[:_SHOWN]:
        table.add_row(
            cost.layer,
            cost.part,
            f"{cost.low:.3g} .. {cost.high:.3g}",
            f"{cost.snr_db:.0f}",
            f"{100 * cost.share:.1f}",
            f"{cost.peak_shift_px:.2f}",
        )
    Console().print(table)


def _print_suggestions(suggestions: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not suggestions:
        typer.echo("no layer is worth keeping in float: none takes much of the noise for little work")
        return
    names = ",".join(each.layer for each in suggestions)
    table = Table(title="worth keeping in float, one after the other", title_justify="left", box=None)
    table.add_column("layer", overflow="fold")
    for column in ("noise saved %", "work in float %", "KB more", "SNR dB then"):
        table.add_column(column, justify="right")
    for each in suggestions:
        table.add_row(
            each.layer,
            f"{100 * each.saved:.1f}",
            f"{100 * each.work:.1f}",
            f"{each.extra_bytes / 1000:.1f}",
            f"{each.snr_db:.1f}",
        )
    Console().print(table)
    typer.echo(f"--keep {names}")
