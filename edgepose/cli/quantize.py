"""`edgepose quantize`: a checkpoint to a full-int8 .tflite that keeps its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar

_SHOWN = 20


def command(
    checkpoint: Annotated[Path, typer.Argument(help="A .safetensors checkpoint.")],
    data: Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the .tflite and its sidecar; with training, the run's.")
    ],
    post_training: Annotated[
        bool, typer.Option("--post-training", help="Without training: minutes instead of an hour.")
    ] = False,
    ranges: Annotated[
        str,
        typer.Option(
            help="How activations get their ranges: mse (by what it costs the maps), percentile, minmax."
        ),
    ] = "mse",
    equalize: Annotated[
        bool, typer.Option("--equalize/--no-equalize", help="Even out the channels of linear tensors first.")
    ] = True,
    bias_correction: Annotated[
        bool, typer.Option("--bias-correction", help="Take every layer's mean error off its bias.")
    ] = False,
    report_layers: Annotated[
        bool,
        typer.Option(
            "--report-layers", help="With --post-training: what each layer costs, table, picture, JSON."
        ),
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="How many images set the ranges.")] = 64,
    split: Annotated[str, typer.Option(help="Split that the images come from.")] = "train",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    seed: options.Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file (--post-training).")
    ] = False,
    loss: Annotated[
        str, typer.Option(help="Learn from float (the float network's maps), labels, or both.")
    ] = "float",
    teacher: Annotated[
        Path | None, typer.Option(help="Checkpoint of the float network to learn from; default: CHECKPOINT.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of training, at least.")] = 200,
    batch: options.Batch = 8,
    learning_rate: options.LearningRate = 1e-4,
    validation_split: options.ValidationSplit = "none",
    augmentation: options.Augmentation = "paper",
    limit: options.Limit = None,
    checkpoint_every: options.CheckpointEvery = 25,
    memory: options.Memory = 4.0,
    workers: options.Workers = 2,
    resume: options.Resume = False,
    as_json: options.AsJson = False,
) -> None:
    """Quantize a network to full int8: OUT/NAME-int8-qat-maps.tflite, or int8-ptq with --post-training.

    Without --post-training the network is trained for int8, by default to give what its float twin gives,
    for which only images matter. OUT/last.safetensors is then the trained network in float. Ctrl-C saves
    the last step; the same command with --resume goes on.
    """
    from edgepose.compression import post_training as without
    from edgepose.compression import training as qat
    from edgepose.errors import UsageError
    from edgepose.exporting import Calibrate
    from edgepose.training.checkpoints import row_text
    from edgepose.training.loop import Listener
    from edgepose.training.material import DataRequest

    how = without.PostTraining(ranges, equalize, bias_correction)

    def say(text: str) -> None:
        typer.echo(text, err=True)

    if post_training:
        calibrate = Calibrate(data, split, count, seed, crop, margin)
        with bar(f"quantizing {checkpoint.stem}", "parts") as progress:
            made = without.quantize(
                checkpoint, calibrate, how, out, overwrite, report_layers, Listener(progress, say=say)
            )
        _print(made.exported, made.costs, as_json)
        return
    if report_layers:
        raise UsageError("--report-layers is of networks as they are", "add --post-training")
    frames = DataRequest(data, split, validation_split, crop=crop, margin=margin, limit=limit)
    fit = qat.request_for(
        checkpoint,
        frames,
        out,
        steps,
        batch,
        learning_rate,
        augmentation=augmentation,
        seed=seed,
        checkpoint_every=checkpoint_every,
        memory_gib=memory,
        workers=workers,
        resume=resume,
    )
    try:
        with bar(f"training {checkpoint.stem} for int8", "frames, then steps") as progress:
            listener = Listener(progress, lambda row: say(row_text(row)), say)
            exported = qat.train(qat.QatRequest(checkpoint, fit, how, count, loss, teacher), listener)
    except KeyboardInterrupt:
        say(f"stopped; the same command with --resume goes on from {out}")
        raise typer.Exit(130) from None
    _print(exported, (), as_json)


def _print(exported: Any, costs: Sequence[Any], as_json: bool) -> None:
    if as_json:
        _print_json(exported, costs)
        return
    if costs:
        _print_costs(costs)
    found, sidecar = exported.validation, exported.sidecar
    typer.echo(
        f"{exported.path}: {sidecar.size_bytes / 1000:.0f} KB, {sidecar.float_islands} float operators, "
        f"SNR {found.snr_db:.1f} dB, peaks move {found.peak_shift_px[0]:.1f} px on average"
    )


def _print_json(exported: Any, costs: Sequence[Any]) -> None:
    import json
    from dataclasses import asdict

    plain = {
        "path": str(exported.path),
        "sidecar": asdict(exported.sidecar),
        "validation": exported.validation.to_json(),
        "layers": [cost.to_json() for cost in costs],
    }
    typer.echo(json.dumps(plain, indent=1))


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
