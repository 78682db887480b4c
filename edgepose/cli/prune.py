"""`edgepose prune`: make the smallest weights zero while the network is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepose.cli import options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar

if TYPE_CHECKING:
    from edgepose.compression.pruning import Pruned


def command(
    checkpoint: Annotated[str, typer.Argument(help="A .safetensors checkpoint, or a run's folder.")],
    data: Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    sparsity: Annotated[
        float, typer.Option(help="Share of each pruned kernel that becomes zero, from 0 to below 1.")
    ] = 0.5,
    loss: options.FineTuneLoss = "float",
    teacher: options.FloatTeacher = None,
    steps: Annotated[int, typer.Option(min=1, help="Of training, at least.")] = 400,
    batch: options.Batch = 8,
    learning_rate: options.LearningRate = 3e-4,
    split: options.Split = "train",
    validation_split: options.ValidationSplit = "none",
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    augmentation: options.Augmentation = "paper",
    limit: options.Limit = None,
    seed: options.Seed = 0,
    checkpoint_every: options.CheckpointEvery = 25,
    memory: options.Memory = 4.0,
    workers: options.Workers = 2,
    resume: options.Resume = False,
    as_json: options.AsJson = False,
) -> None:
    """Prune a network by magnitude, and train it on.

    The share of zeros rises over the first 60 % of the steps. Left dense are the convolutions that read the
    image, depthwise ones, and those that give an output. Zeros make a file that deflates well, not a faster
    network. `edgepose quantize` keeps them. Ctrl-C saves the last step; the same command with --resume goes
    on.
    """
    from edgepose.compression.finetune import request_for
    from edgepose.compression.pruning import PruneRequest, prune
    from edgepose.training.data import DataRequest
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start = trained_path(checkpoint)
    fit = request_for(
        start,
        DataRequest(data, split, validation_split, crop=crop, margin=margin, limit=limit),
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
    told = Epochs()
    with resumable(out), bar(f"pruning {start.stem}", "frames, then steps") as progress:
        listener = Listener(progress, told.tell, lambda text: typer.echo(text, err=True))
        made = prune(PruneRequest(start, fit, loss, teacher, sparsity=sparsity), listener)
    if as_json:
        _print_json(made)
    else:
        _print(made)


def _print(made: Pruned) -> None:
    from edgeio import deflated_bytes

    by_reason: dict[str, list[str]] = {}
    for layer in made.layers:
        if layer.dense:
            by_reason.setdefault(layer.dense, []).append(layer.layer)
    sizes = made.checkpoint.stat().st_size / 1000, deflated_bytes(made.checkpoint) / 1000
    typer.echo(
        f"{made.checkpoint}: {made.share:.1%} of the kernels' weights are zero, "
        f"{sizes[0]:.0f} KB, {sizes[1]:.0f} deflated"
    )
    for reason, layers in by_reason.items():
        typer.echo(f"left dense ({reason}): {', '.join(layers)}")


def _print_json(made: Pruned) -> None:
    import json

    from edgeio import deflated_bytes

    sizes = {
        "size_bytes": made.checkpoint.stat().st_size,
        "deflated_bytes": deflated_bytes(made.checkpoint),
    }
    typer.echo(json.dumps({**made.to_json(), "checkpoint": str(made.checkpoint), **sizes}, indent=1))
