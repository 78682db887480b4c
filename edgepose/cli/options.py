"""Options that more than one command takes, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
Split = Annotated[str, typer.Option(help="Split to train on.")]
ValidationSplit = Annotated[str, typer.Option(help="Split to validate on, or none.")]
Near = Annotated[bool, typer.Option("--near", help="Also take keypoints of slightly different definitions.")]
Crop = Annotated[
    str, typer.Option(help="none: the whole image; person: the labelled keypoints plus --margin.")
]
Margin = Annotated[float, typer.Option(min=0.0, max=2.0, help="Share of the person box added on each side.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Train on the first so many frames.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes of --steps-per-epoch, each validated.")]
StepsPerEpoch = Annotated[int | None, typer.Option(min=1, help="Default: one pass over the data.")]
Batch = Annotated[int, typer.Option(min=1, help="Frames a step; small ones hurt precision.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Parts of a batch, where memory is short.")]
LearningRate = Annotated[float, typer.Option(help="The highest.")]
Schedule = Annotated[str, typer.Option(help="Of the learning rate: constant, cosine or step.")]
Centre = Annotated[
    str, typer.Option(help="Of the targets: continuous, or integer as in the authors' framework.")
]
Augmentation = Annotated[str, typer.Option(help="paper, paper-colour or none.")]
Precision = Annotated[
    str, typer.Option(help="auto (mixed on a GPU), float32, mixed_float16 or mixed_bfloat16.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn by chance.")]
CheckpointEvery = Annotated[int, typer.Option(min=1, help="Steps that a kill can cost.")]
Memory = Annotated[
    float, typer.Option(min=0.0, help="GiB for decoded frames; more are decoded in every pass.")
]
Workers = Annotated[int, typer.Option(min=1, help="Threads that decode images.")]
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
FineTuneLoss = Annotated[
    str, typer.Option(help="Learn from float (the float network's maps), labels, or both.")
]
FloatTeacher = Annotated[
    Path | None, typer.Option(help="Checkpoint of the float network to learn from; default: CHECKPOINT.")
]
