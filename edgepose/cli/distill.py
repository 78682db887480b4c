"""`edgepose distill`: train a student towards a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options, training_options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar
from edgepose.cli.running import draw_built_in


@options.spread()
def command(
    teacher: Annotated[
        str,
        typer.Option(
            help="The teacher's network; `edgepose models` lists them; or movenet or blazepose, a black box."
        ),
    ],
    student: Annotated[str, typer.Option(help="The student's network; `edgepose models` lists them.")],
    out: options.Out,
    *,
    data: options.MixtureOrNone = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="A folder of images without labels, which the student learns from the teacher alone."
        ),
    ] = None,
    teacher_weights: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or a .tflite with its sidecar; default: the project's, or train it first."
        ),
    ] = None,
    teacher_resolution: Annotated[
        int | None,
        typer.Option(
            help="Train the teacher first, with an input of so many pixels; default: the network's own."
        ),
    ] = None,
    teacher_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Train the teacher first, for so many epochs; default: --epochs."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint for the student to start from, its own or a larger network's that it was cut "
            "from, or none; default: the project's, where it has one. From nothing FPD lost."
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="The student learns from: fpd (teacher and labels), features (its features too), "
            "teacher-only or ground-truth."
        ),
    ] = "fpd",
    teacher_share: Annotated[
        float, typer.Option(help="The teacher's share of the loss beside the labels, between 0 and 1.")
    ] = 0.5,
    teacher_confidence: Annotated[
        float,
        typer.Option(
            help="A keypoint that the teacher is less confident of, 0 to 1, has no say; such as 0.1."
        ),
    ] = 0.0,
    teacher_flip: Annotated[
        bool,
        typer.Option(
            "--teacher-flip",
            help="The teacher looks at each frame's mirror image too, and the student learns the mean.",
        ),
    ] = False,
    labelled_share: Annotated[
        float | None,
        typer.Option(
            help="The share of every batch that has labels, where some frames have none; default: half."
        ),
    ] = None,
    feature_weight: Annotated[
        float,
        typer.Option(
            help="Weight of the features' loss at first; it falls linearly to 0 at the end of the run."
        ),
    ] = 0.01,
    teacher_targets: Annotated[
        str,
        typer.Option(
            help="The teacher's maps as targets: rendered (decoded, drawn anew) or resized (averaged)."
        ),
    ] = "rendered",
    teacher_cache: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the teacher's outputs, which runs may share; default: OUT/teacher-cache."
        ),
    ] = None,
    cache_gib: Annotated[
        float,
        typer.Option(
            help="How many GiB of disk the teacher's outputs may take; the rest is computed in every pass."
        ),
    ] = 4.0,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="Run everything in miniature, to see that it works; the figures mean nothing."
        ),
    ] = False,
    frames: training_options.Frames,
    keypoints: training_options.Keypoints,
    schedule: training_options.Schedule,
    training: training_options.Training,
    hosts: training_options.Hosts = None,
    as_json: options.AsJson = False,
    given: options.Given,
) -> None:
    """Train a student network towards a teacher's output, beside the labels or without any.

    Writes what `edgepose train` writes, and OUT/teacher-cache. Without --teacher-weights the teacher is the
    project's own, or is trained first, into OUT/teacher. The teacher sees each frame as it is, the student
    augmented. Frames need no labels: --unlabelled, or labels=COUNT behind a --data, whose others the teacher
    alone explains. Ctrl-C saves the last step; the same command goes on.
    """
    from edgepose.models.pretrained import checkpoint_path
    from edgepose.training.distill import distill
    from edgepose.training.distill_request import DistillRequest
    from edgepose.training.distill_request import smoke as in_miniature
    from edgepose.training.hosts import process_index
    from edgepose.training.loop import Listener
    from edgepose.training.request import FitRequest
    from edgepose.training.starting import start_path

    if loss != "features":
        given.refuse("feature_weight", when="without --loss features", hint="add --loss features")
    if loss == "ground-truth":
        of_teacher = ["weights", "resolution", "epochs", "targets", "cache", "share", "confidence", "flip"]
        names = [f"teacher_{name}" for name in of_teacher]
        given.refuse(
            *names,
            "cache_gib",
            "unlabelled",
            "labelled_share",
            when="with --loss ground-truth",
            hint="choose another --loss",
        )
    if loss == "teacher-only":
        given.refuse(
            "teacher_share", "labelled_share", when="with --loss teacher-only", hint="use --loss fpd"
        )
    if smoke:
        small = ("limit", "resolution", "epochs", "steps_per_epoch", "batch", "teacher_resolution")
        given.refuse(*small, when="with --smoke, which sets it", hint="leave --smoke out")

    def request(found: list[str]) -> DistillRequest:
        fit = FitRequest(
            model=student,
            data=frames.request(found, **vars(keypoints)),
            out=out,
            init=start_path(init, student),
            hosts=hosts,
            **vars(schedule),
            **vars(training),
        )
        made = DistillRequest(
            student=fit,
            teacher=teacher,
            weights=checkpoint_path(teacher_weights) if teacher_weights else None,
            default_start=init is None,
            unlabelled=unlabelled,
            loss=loss,
            share=teacher_share,
            labelled_share=labelled_share,
            gate=teacher_confidence,
            flip=teacher_flip,
            feature_weight=feature_weight,
            targets=teacher_targets,
            cache=teacher_cache,
            cache_gib=cache_gib,
            teacher_resolution=teacher_resolution,
            teacher_epochs=teacher_epochs,
        )
        return in_miniature(made) if smoke else made

    told = Epochs()
    asked = data or ["built-in:infants"]
    request(asked).check()  # before infants are drawn for a request that cannot work
    with resumable(out):
        drawn = draw_built_in(asked, smoke)
        with bar(f"distilling {teacher} into {student}", "frames, then steps", forecast=False) as progress:
            kept = distill(request(drawn), Listener(progress, told.tell, options.say))
    if process_index() == 0:
        told.print(kept, as_json)
