"""`edgepose export` and `edgepose import-tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.rounding import warn_of_rounding


@options.spread()
def command(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .safetensors checkpoint, or default:MODEL, which come with edgepose.")
    ],
    out: Annotated[Path, typer.Option(help="The folder for the .tflite files and their sidecars.")],
    recipe: Annotated[
        list[str],
        typer.Option(
            help="The number format: fp32, fp16, weights-int8, dynamic, int8 or int16x8. May be repeated."
        ),
    ] = ["fp16"],  # noqa: B006 - typer copies it
    output: Annotated[
        list[str], typer.Option(help="What the model gives: maps, upscaled or keypoints. May be repeated.")
    ] = ["maps"],  # noqa: B006
    calibrate: Annotated[
        str | None, typer.Option(help="The data set whose images set the ranges of int8 and int16x8.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many calibration images.")] = 200,
    split: options.CalibrationSplit = "train",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    seed: Annotated[int, typer.Option(help="The seed of the draw of calibration images.")] = 0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    *,
    given: options.Given,
) -> None:
    """Export a checkpoint as TFLite: every recipe with every output, each checked against Keras.

    The same command again passes over the files that are finished.
    """
    from edgeio import jobs
    from edgepose.cli.progress import bar
    from edgepose.deploy.export import Calibrate, export_checkpoint
    from edgepose.models.pretrained import checkpoint_path

    if calibrate is None:
        of_images = ("count", "split", "crop", "margin", "seed")
        given.refuse(*of_images, when="without --calibrate", hint="add --calibrate")
    checkpoint = checkpoint_path(checkpoint)
    source = Calibrate(calibrate, split, count, seed, crop, margin) if calibrate else None
    files = [(r, o) for r in recipe for o in output]
    made = []
    with bar(f"exporting {checkpoint.stem}", "files") as progress:
        for done, (r, o) in enumerate(files):
            progress(done, len(files))
            made.append(export_checkpoint(checkpoint, r, o, out, source, overwrite))
    for each in made:
        if each.before:
            options.say(jobs.said_before(each.path))
    if as_json:
        options.print_json([{"path": m.path, "sidecar": m.sidecar, "validation": m.validation} for m in made])
    else:
        _print_table(made)
    for each in made:
        warn_of_loss(each)
        warn_of_rounding(each.path)


def warn_of_loss(made: Any) -> None:
    """Say of a file that is far from its checkpoint what keeps it near."""
    checked = made.validation
    if checked.healthy:
        return
    moved = (
        "" if checked.peak_shift_px is None else f", peaks move {checked.peak_shift_px[0]:.1f} px on average"
    )
    hint = "use recipe weights-int8, or fp16"
    if made.sidecar.recipe == "int8":
        hint = "`edgepose quantize` chooses better ranges, `edgepose qat` trains for them"
    options.say(
        f"warning: {made.path.name} is far from its checkpoint (SNR {checked.snr_db:.0f} dB{moved}); {hint}"
    )


@options.spread()
def import_tflite(
    file: Annotated[Path, typer.Argument(help="A .tflite from elsewhere.")],
    out: Annotated[Path, typer.Option(help="Folder for the copy and its sidecar.")],
    output: Annotated[
        str,
        typer.Option(
            help="What its output is: maps, upscaled or keypoints of one of edgepose's networks; or, of "
            "others', movenet or blazepose."
        ),
    ] = "upscaled",
    model: Annotated[
        str | None,
        typer.Option(help="Which of edgepose's networks it is: that sets the normalisation of the input."),
    ] = None,
    keypoints: Annotated[str, typer.Option(help="Its keypoint set, or a keypoint file (.toml).")] = "mpii-16",
    output_index: Annotated[int, typer.Option(help="Which output; -1 is the last.")] = -1,
    detector: Annotated[
        str | None,
        typer.Option(
            help="With --output blazepose: its detector's file, which finds the region and the turn that the "
            "network sees; or none, and it sees what it is given."
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(help="Side of its square image, px, where the file leaves that open.", min=1, max=4096),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    *,
    given: options.Given,
) -> None:
    """Copy a .tflite from elsewhere and describe it in a sidecar, so that `evaluate` can score it."""
    from edgeio import lookup
    from edgepose.deploy.export import import_peer, import_tflite
    from edgepose.errors import UsageError
    from edgepose.inference.metadata import OUTPUTS
    from edgepose.inference.peers import PEERS
    from edgepose.keypoint_file import named_set

    lookup(dict.fromkeys((*OUTPUTS, *PEERS)), "output", output)
    if output in PEERS:
        when = f"with --output {output}"
        given.refuse(
            "model",
            "keypoints",
            "output_index",
            "resolution",
            when=when,
            hint="give maps, upscaled or keypoints",
        )
        wanted = PEERS[output].has_detector
        if not wanted:
            given.refuse("detector", when=when, hint="give blazepose")
        if wanted and detector is None:
            raise UsageError(f"--output {output} needs --detector", "give its detector's file, or none")
        found = None if detector in (None, "none") else Path(str(detector))
        typer.echo(import_peer(file, output, found, out, overwrite))
        return
    given.refuse("detector", when=f"with --output {output}", hint="give --output blazepose")
    if model is None:
        raise UsageError(f"--output {output} needs --model", "say which of edgepose's networks it is")
    size = None if resolution is None else (resolution, resolution)
    key = named_set(keypoints).key
    typer.echo(import_tflite(file, model, key, output, output_index, out, overwrite, size))


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
