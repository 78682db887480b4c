"""`edgepose cluster`: let the weights of a kernel share a few values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar


def command(
    checkpoint: Annotated[str, typer.Argument(help="A .safetensors checkpoint, or a run's folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint; with --data, the run's.")],
    clusters: Annotated[int, typer.Option(help="Of each kernel: 4 to 128.")] = 32,
    data: Annotated[
        str | None, typer.Option(help="Train the clusters on: FORMAT:PATH, or a path. Default: no training.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file (without --data).")
    ] = False,
    loss: options.FineTuneLoss = "float",
    teacher: options.FloatTeacher = None,
    steps: Annotated[int, typer.Option(min=1, help="Of training, at least.")] = 200,
    batch: options.Batch = 8,
    learning_rate: options.LearningRate = 1e-4,
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
    """Cluster a network's weights, so that its 8-bit file deflates well.

    Left as they are: the convolutions that read the image, depthwise ones, and those that give an output.
    Export what comes out with `edgepose quantize --post-training --no-equalize`, or by recipe int8 or
    dynamic; evening out channels, and training, would part the values again. With --data, Ctrl-C saves the
    last step, and the same command with --resume goes on.
    """
    from edgepose.compression import clustering
    from edgepose.compression.finetune import request_for
    from edgepose.training.data import DataRequest
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start, told = trained_path(checkpoint), Epochs()
    if data is None:
        told.print(clustering.cluster(start, clusters, out, overwrite), as_json)
        return
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
    request = clustering.ClusterRequest(start, fit, loss, teacher, count=clusters)
    with resumable(out), bar(f"clustering {start.stem}", "frames, then steps") as progress:
        listener = Listener(progress, told.tell, lambda text: typer.echo(text, err=True))
        kept = clustering.cluster_and_train(request, listener)
    told.print(kept, as_json)
