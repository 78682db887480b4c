"""`edgepose train`: fit a network to labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar


def command(
    model: Annotated[str, typer.Option(help="The network; `edgepose models` lists them.")],
    data: Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    init: Annotated[
        str | None,
        typer.Option(help="A checkpoint to start from, or default: the project's. Else from nothing."),
    ] = None,
    resume: options.Resume = False,
    split: options.Split = "train",
    validation_split: options.ValidationSplit = "val",
    keypoints: Annotated[
        str | None, typer.Option(help="The network's keypoint set; default: the data set's.")
    ] = None,
    near: options.Near = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Train although the data lacks some of the keypoints.")
    ] = False,
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    limit: options.Limit = None,
    resolution: Annotated[int | None, typer.Option(help="Input in pixels; default: the network's.")] = None,
    epochs: options.Epochs = 100,
    steps_per_epoch: options.StepsPerEpoch = None,
    batch: options.Batch = 16,
    accumulate: options.Accumulate = 1,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.Schedule = "constant",
    sigma: Annotated[
        str | None, typer.Option(help="Schedule of the targets' sigma; default: the network's.")
    ] = None,
    centre: options.Centre = "continuous",
    augmentation: options.Augmentation = "paper",
    precision: options.Precision = "auto",
    seed: options.Seed = 0,
    checkpoint_every: options.CheckpointEvery = 500,
    memory: options.Memory = 4.0,
    workers: options.Workers = 2,
    tensorboard: options.Tensorboard = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a network, by the paper's protocol unless told otherwise.

    Writes OUT/best.safetensors (by PCKh@0.1 on the validation split), OUT/last.safetensors and
    OUT/log.csv. Ctrl-C saves the last step; the same command with --resume goes on from it and ends with
    the same weights as a run that was not interrupted.
    """
    from edgepose.training.data import DataRequest
    from edgepose.training.fit import fit
    from edgepose.training.loop import Listener
    from edgepose.training.request import FitRequest
    from edgepose.training.starting import start_path

    request = FitRequest(
        model=model,
        data=DataRequest(data, split, validation_split, keypoints, near, partial, crop, margin, limit),
        out=out,
        init=start_path(init, model),
        resolution=resolution,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        learning_rate_schedule=schedule,
        sigma_schedule=sigma,
        centre=centre,
        augmentation=augmentation,
        precision=precision,
        seed=seed,
        checkpoint_every=checkpoint_every,
        memory_gib=memory,
        workers=workers,
        tensorboard=tensorboard,
        resume=resume,
    )
    told = Epochs()
    with resumable(out), bar(f"training {model}", "frames, then steps") as progress:
        kept = fit(request, Listener(progress, told.tell, lambda text: typer.echo(text, err=True)))
    told.print(kept, as_json)
