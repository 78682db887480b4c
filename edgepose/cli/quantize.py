"""`edgepose quantize`: a checkpoint to a full-int8 .tflite that keeps its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.epochs import resumable
from edgepose.cli.progress import bar

_SHOWN = 20


def command(
    checkpoint: Annotated[str, typer.Argument(help="A .safetensors checkpoint, or a run's folder.")],
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
    keep: Annotated[
        str,
        typer.Option(
            help="With --post-training: layers that stay in float, NAME[,NAME...] as --report-layers has "
            "them; * and ? stand for any characters. Writes int8-mixed in place of int8-ptq."
        ),
    ] = "",
    keep_as: Annotated[str, typer.Option(help="The type that --keep keeps layers in.")] = "float32",
    count: Annotated[int, typer.Option(min=1, help="How many images set the ranges.")] = 64,
    split: Annotated[str, typer.Option(help="Split that the images come from.")] = "train",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    seed: options.Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file (--post-training).")
    ] = False,
    loss: options.FineTuneLoss = "float",
    teacher: options.FloatTeacher = None,
    keep_zeros: Annotated[
        bool, typer.Option("--keep-zeros/--no-keep-zeros", help="What `edgepose prune` cut stays zero.")
    ] = True,
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
    from edgepose.compression import ptq as without
    from edgepose.compression import qat
    from edgepose.compression.finetune import request_for
    from edgepose.compression.mixed_precision import check_type
    from edgepose.deploy.export import Calibrate
    from edgepose.errors import UsageError
    from edgepose.training.checkpoints import row_text
    from edgepose.training.data import DataRequest
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start = trained_path(checkpoint)
    how = without.PostTraining(ranges, equalize, bias_correction)
    kept = tuple(name.strip() for name in keep.split(",") if name.strip())
    check_type(keep_as)

    def say(text: str) -> None:
        typer.echo(text, err=True)

    if post_training:
        calibrate = Calibrate(data, split, count, seed, crop, margin)
        with bar(f"quantizing {start.stem}", "parts") as progress:
            made = without.quantize(
                start, calibrate, how, out, overwrite, report_layers, Listener(progress, say=say), kept
            )
        _print(made.exported, made.costs, as_json, made.suggestions)
        return
    if report_layers:
        raise UsageError("--report-layers is of networks as they are", "add --post-training")
    if kept:
        raise UsageError("--keep is of networks as they are", "add --post-training")
    frames = DataRequest(data, split, validation_split, crop=crop, margin=margin, limit=limit)
    fit = request_for(
        start,
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
    with resumable(out), bar(f"training {start.stem} for int8", "frames, then steps") as progress:
        listener = Listener(progress, lambda row: say(row_text(row)), say)
        request = qat.QatRequest(start, fit, loss, teacher, start=how, count=count, keep_zeros=keep_zeros)
        exported = qat.train(request, listener)
    _print(exported, (), as_json)


def _print(exported: Any, costs: Sequence[Any], as_json: bool, suggestions: Sequence[Any] = ()) -> None:
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
        f"{sidecar.float_islands} float operators, "
        f"SNR {found.snr_db:.1f} dB, peaks move {found.peak_shift_px[0]:.1f} px on average"
    )


def _print_json(exported: Any, costs: Sequence[Any], suggestions: Sequence[Any]) -> None:
    import json
    from dataclasses import asdict

    plain = {
        "path": str(exported.path),
        "sidecar": asdict(exported.sidecar),
        "validation": exported.validation.to_json(),
        "layers": [cost.to_json() for cost in costs],
        "suggestions": [each.to_json() for each in suggestions],
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
