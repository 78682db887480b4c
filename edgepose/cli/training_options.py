"""Options of the commands that train, in groups that `options.spread` unfolds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepose.cli.options import Crop, Margin, Overwrite, Seed, Workers

if TYPE_CHECKING:
    from edgepose.training.data import DataRequest
    from edgepose.training.request import FitRequest

_RUN = "The run"
_FRAMES = "Frames"
_TRAINING = "Training"


@dataclass(frozen=True)
class Frames:
    """Which frames a command trains on."""

    split: Annotated[
        str, typer.Option(help="The split to train on, or several: train+val.", rich_help_panel=_FRAMES)
    ] = "train"
    validation_split: Annotated[
        str, typer.Option(help="The split to validate on, or none.", rich_help_panel=_FRAMES)
    ] = "val"
    crop: Crop = "none"
    margin: Margin = 0.2
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train on the first LIMIT frames only.", rich_help_panel=_FRAMES)
    ] = None

    select_by: Annotated[
        str | None,
        typer.Option(
            help="Which of several data sets chooses the best checkpoint, FORMAT:FOLDER; default: the first.",
            rich_help_panel=_FRAMES,
        ),
    ] = None

    drop_shared: Annotated[
        bool,
        typer.Option(
            "--drop-shared",
            help="Leave pictures out of a mixture's training that another split has too.",
            rich_help_panel=_FRAMES,
        ),
    ] = False

    def request(self, data: str | list[str], **more: Any) -> DataRequest:
        from edgepose.training.data import DataRequest

        first, *others = [data] if isinstance(data, str) else data
        return DataRequest(first, more=tuple(others), **vars(self), **more)


@dataclass(frozen=True)
class Keypoints:
    """Which keypoints a network learns; the fields are those of `DataRequest`."""

    keypoints: Annotated[
        str | None,
        typer.Option(
            help="The keypoint set, or keypoint file (.toml), the network learns; default: the data set's.",
            rich_help_panel=_FRAMES,
        ),
    ] = None
    near: Annotated[
        bool,
        typer.Option(
            "--near",
            help="Also take keypoints of slightly different definitions (hip, pelvis).",
            rich_help_panel=_FRAMES,
        ),
    ] = False
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Train even if some of the keypoints have no labels and no teacher.",
            rich_help_panel=_FRAMES,
        ),
    ] = False


Hosts = Annotated[
    str | None,
    typer.Option(
        help="Which of several processes that train together this is: I/N, from 0/N, each started by the "
        "same command; I/N@ADDRESS:PORT on several machines, with the address of process 0; or slurm.",
        rich_help_panel=_RUN,
    ),
]


@dataclass(frozen=True)
class Training:
    """What every training has; the fields are those of `FitRequest`."""

    batch: Annotated[
        int,
        typer.Option(
            min=1, help="How many frames a step takes; few hurt precision.", rich_help_panel=_TRAINING
        ),
    ] = 16
    learning_rate: Annotated[
        float, typer.Option(help="The highest learning rate of the run.", rich_help_panel=_TRAINING)
    ] = 1e-3
    augmentation: Annotated[
        str,
        typer.Option(
            help="How frames are varied: paper, paper-colour (colours too), home (shift, erased boxes too), "
            "home-any-turn (any angle), home-cutout (joints painted over too), home-patches (and by "
            "other frames) or none.",
            rich_help_panel=_TRAINING,
        ),
    ] = "paper"
    seed: Seed = 0
    checkpoint_every: Annotated[
        int,
        typer.Option(
            min=1, help="Save the state every so many steps; a kill costs no more.", rich_help_panel=_RUN
        ),
    ] = 500
    memory_gib: Annotated[
        float,
        typer.Option(
            "--memory",
            min=0.0,
            help="How many GiB decoded frames may take; if they need more, they are decoded in every pass.",
            rich_help_panel=_RUN,
        ),
    ] = 4.0
    workers: Workers = 2
    overwrite: Overwrite = False


@dataclass(frozen=True)
class Schedule:
    """How long a network is trained, and how; the fields are those of `FitRequest`."""

    resolution: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the network's input in pixels; default: the network's own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    freeze_blocks: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Do not train the backbone's stem and its first so many blocks; with --init, and faster.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    epochs: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many epochs to train; each ends with a validation.",
            rich_help_panel=_TRAINING,
        ),
    ] = 100
    steps_per_epoch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many steps an epoch has; default: one pass over the data.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            help="Compute each batch in so many parts, where memory is short.",
            rich_help_panel=_TRAINING,
        ),
    ] = 1
    learning_rate_schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            help="How the learning rate changes: constant, cosine or step.",
            rich_help_panel=_TRAINING,
        ),
    ] = "constant"
    sigma_schedule: Annotated[
        str | None,
        typer.Option(
            "--sigma",
            help="The schedule of the target maps' sigma; default: the network's own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    centre: Annotated[
        str,
        typer.Option(
            help="Where a target's peak lies: continuous, or integer as in the authors' framework.",
            rich_help_panel=_TRAINING,
        ),
    ] = "continuous"
    ema: Annotated[
        float | None,
        typer.Option(
            help="Validate and keep an exponential moving average of the weights, with this decay, such as "
            "0.999; default: the weights themselves.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    precision: Annotated[
        str,
        typer.Option(
            help="The type to compute in: auto (mixed on a GPU), float32, mixed_float16, mixed_bfloat16, or "
            "bfloat16_products (float32, but multiplied in bfloat16 by a CPU that can).",
            rich_help_panel=_TRAINING,
        ),
    ] = "auto"
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard.", rich_help_panel=_RUN)
    ] = False


@dataclass(frozen=True)
class FineTuning:
    """How a trained network is trained on for its size: by qat, prune and cluster."""

    loss: Annotated[
        str,
        typer.Option(
            help="What the network learns from: float (a float network's maps), labels, or both.",
            rich_help_panel=_TRAINING,
        ),
    ] = "float"
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="The float network to learn from: a checkpoint or default:MODEL; default: CHECKPOINT's own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    steps: Annotated[
        int, typer.Option(min=1, help="How many steps to train, at least.", rich_help_panel=_TRAINING)
    ] = 200

    @property
    def teacher_path(self) -> Path | None:
        from edgepose.models.pretrained import checkpoint_path

        return checkpoint_path(self.teacher) if self.teacher else None

    def request(self, checkpoint: Path, data: DataRequest, out: Path, training: Training) -> FitRequest:
        from edgepose.compression.finetune import request_for

        return request_for(checkpoint, data, out, self.steps, **vars(training))
