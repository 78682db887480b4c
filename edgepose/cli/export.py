"""`edgepose export` and `edgepose import-tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options


@options.spread()
def command(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .safetensors checkpoint, or default:MODEL, which come with edgepose.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the .tflite files and their sidecars.")],
    recipe: Annotated[
        list[str], typer.Option(help="fp32, fp16, dynamic, int8 or int16x8; may be given several times.")
    ] = ["fp16"],  # noqa: B006 - typer copies it
    output: Annotated[
        list[str], typer.Option(help="maps, upscaled or keypoints; may be given several times.")
    ] = ["maps"],  # noqa: B006
    calibrate: Annotated[
        str | None, typer.Option(help="Data set whose images set the ranges (int8, int16x8).")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many calibration images.")] = 200,
    split: Annotated[str, typer.Option(help="The split that the calibration images come from.")] = "train",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    seed: Annotated[int, typer.Option(help="The seed of the draw of calibration images.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: options.AsJson = False,
    *,
    given: options.Given,
) -> None:
    """Export a checkpoint as TFLite: every recipe with every output, each checked against Keras."""
    from edgepose.cli.progress import bar
    from edgepose.deploy.export import Calibrate, export_checkpoint
    from edgepose.models.pretrained import checkpoint_path

    if calibrate is None:
        of_images = ("count", "split", "crop", "margin", "seed")
        given.refuse(*of_images, when="without --calibrate", hint="add --calibrate")
    checkpoint = checkpoint_path(checkpoint)
    source = Calibrate(calibrate, split, count, seed, crop, margin) if calibrate else None
    jobs = [(r, o) for r in recipe for o in output]
    made = []
    with bar(f"exporting {checkpoint.stem}", "files") as progress:
        for done, (r, o) in enumerate(jobs):
            progress(done, len(jobs))
            made.append(export_checkpoint(checkpoint, r, o, out, source, overwrite))
    if as_json:
        _print_json(made)
    else:
        _print_table(made)


def import_tflite(
    file: Annotated[Path, typer.Argument(help="A .tflite from elsewhere.")],
    model: Annotated[
        str, typer.Option(help="The network that it is: it sets the normalisation of the input.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the copy and its sidecar.")],
    keypoints: Annotated[str, typer.Option(help="Its keypoint set, or a keypoint file (.toml).")] = "mpii-16",
    output: Annotated[
        str, typer.Option(help="What its output is: maps, upscaled or keypoints.")
    ] = "upscaled",
    output_index: Annotated[int, typer.Option(help="Which output; -1 is the last.")] = -1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Copy a .tflite from elsewhere and describe it in a sidecar, so that `evaluate` can score it."""
    from edgepose.deploy.export import import_tflite
    from edgepose.keypoint_file import named_set

    key = named_set(keypoints).key
    typer.echo(import_tflite(file, model, key, output, output_index, out, overwrite))


def _print_json(made: list[Any]) -> None:
    import json
    from dataclasses import asdict

    rows = [
        {"path": str(m.path), "sidecar": asdict(m.sidecar), "validation": m.validation.to_json()}
        for m in made
    ]
    typer.echo(json.dumps(rows, indent=1))


def _print_table(made: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = "exported, and compared with Keras"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    columns = ("KB", "deflated", "ops", "float operators", "max |diff|", "SNR dB", "peak shift px", "healthy")
    for column in columns:
        table.add_column(column, justify="right")
    for m in made:
        shift = m.validation.peak_shift_px
        table.add_row(
            m.path.name,
            f"{m.sidecar.size_bytes / 1000:.0f}",
            f"{m.sidecar.deflated_bytes / 1000:.0f}",
            str(sum(m.sidecar.ops.values())),
            str(m.sidecar.float_operators),
            f"{m.validation.max_abs:.2g}",
            f"{m.validation.snr_db:.0f}",
            "-" if shift is None else f"{shift[0]:.1f} (max {shift[1]:.0f})",
            "yes" if m.validation.healthy else "NO",
        )
    Console().print(table)
    for m in made:
        ops = ", ".join(f"{count} {name}" for name, count in m.sidecar.ops.items())
        typer.echo(f"{m.path}: {ops}")
