"""`edgepose distill`: train a student towards a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar


def command(
    teacher: Annotated[str, typer.Option(help="The teacher's network; `edgepose models` lists them.")],
    student: Annotated[str, typer.Option(help="The student's network.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    data: Annotated[
        str | None, typer.Option(help="FORMAT:PATH, or a path; default: the built-in infants.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Folder of images that only the teacher speaks of.")
    ] = None,
    teacher_weights: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or a .tflite with its sidecar; default: the project's, or train it first."
        ),
    ] = None,
    teacher_resolution: Annotated[
        int | None, typer.Option(help="Train the teacher first, at so many px; default: the network's.")
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Train the teacher first, for so many; default: --epochs.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint for the student to start from, or none; default: the project's, where it has "
            "one. From nothing FPD lost."
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="fpd (teacher and labels), features (its features too), teacher-only or ground-truth."
        ),
    ] = "fpd",
    teacher_share: Annotated[
        float, typer.Option(help="The teacher's part beside labels, between 0 and 1.")
    ] = 0.5,
    feature_weight: Annotated[
        float, typer.Option(help="Of the features at first; it falls linearly to 0 at the end of the run.")
    ] = 0.01,
    teacher_targets: Annotated[
        str, typer.Option(help="rendered (decoded, drawn anew) or resized (averaged maps).")
    ] = "rendered",
    teacher_cache: Annotated[
        Path | None,
        typer.Option(help="Folder of the teacher's answers; runs may share one. Default: OUT/teacher-cache."),
    ] = None,
    cache_gib: Annotated[
        float, typer.Option(help="GiB of disk for the teacher's answers; it is asked again for the rest.")
    ] = 4.0,
    smoke: Annotated[bool, typer.Option("--smoke", help="Everything in miniature: a test.")] = False,
    resume: options.Resume = False,
    split: options.Split = "train",
    validation_split: options.ValidationSplit = "val",
    keypoints: Annotated[
        str | None, typer.Option(help="The student's keypoint set; default: the data set's.")
    ] = None,
    near: options.Near = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Train although some keypoints are taught by nobody.")
    ] = False,
    crop: options.Crop = "none",
    margin: options.Margin = 0.2,
    limit: options.Limit = None,
    resolution: Annotated[int | None, typer.Option(help="The student's, px; default: the network's.")] = None,
    epochs: options.Epochs = 100,
    steps_per_epoch: options.StepsPerEpoch = None,
    batch: options.Batch = 16,
    accumulate: options.Accumulate = 1,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.Schedule = "constant",
    sigma: Annotated[
        str | None, typer.Option(help="Schedule of the student's sigma; default: the network's.")
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
    """Train a student network towards a teacher's output, beside the labels or without any.

    Writes what `edgepose train` writes, and OUT/teacher-cache. Without --teacher-weights the teacher is the
    project's own, or is trained first, into OUT/teacher. Ctrl-C saves the last step; the same command with
    --resume goes on.
    """
    from edgepose.models.pretrained import checkpoint_path
    from edgepose.training.builtin import FULL, SMOKE, built_in_infants
    from edgepose.training.data import DataRequest
    from edgepose.training.distill import distill
    from edgepose.training.distill_request import DistillRequest
    from edgepose.training.distill_request import smoke as in_miniature
    from edgepose.training.loop import Listener
    from edgepose.training.request import FitRequest
    from edgepose.training.starting import start_path

    def request(found: str) -> DistillRequest:
        fit = FitRequest(
            model=student,
            data=DataRequest(found, split, validation_split, keypoints, near, partial, crop, margin, limit),
            out=out,
            init=start_path(init, student),
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
        made = DistillRequest(
            student=fit,
            teacher=teacher,
            weights=checkpoint_path(teacher_weights) if teacher_weights else None,
            default_start=init is None,
            unlabelled=unlabelled,
            loss=loss,
            share=teacher_share,
            feature_weight=feature_weight,
            targets=teacher_targets,
            cache=teacher_cache,
            cache_gib=cache_gib,
            teacher_resolution=teacher_resolution,
            teacher_epochs=teacher_epochs,
        )
        return in_miniature(made) if smoke else made

    told = Epochs()
    listener = Listener(epoch=told.tell, say=lambda text: typer.echo(text, err=True))
    request(data or "").check()  # before infants are drawn for a request that cannot work
    if data is None:
        with bar("drawing infants", "frames") as progress:
            data = built_in_infants(SMOKE if smoke else FULL, listener.say, progress)
    with resumable(out), bar(f"distilling {teacher} into {student}", "frames, then steps") as progress:
        kept = distill(request(data), Listener(progress, listener.epoch, listener.say))
    told.print(kept, as_json)
