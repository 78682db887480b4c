"""`edgepose qat`: train a network for int8, and write it as a full-int8 .tflite."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepose.cli import options, training_options
from edgepose.cli.epochs import resumable
from edgepose.cli.progress import bar
from edgepose.cli.quantize import print_exported
from edgepose.cli.rounding import warn_of_rounding
from edgepose.cli.running import draw_built_in


@options.spread(steps=200, batch=8, learning_rate=1e-4, checkpoint_every=25, validation_split="none")
def command(
    checkpoint: options.Checkpoint,
    data: options.Mixture,
    out: options.Out,
    *,
    ranges: options.Ranges = "mse",
    equalize: options.Equalize = True,
    bias_correction: options.BiasCorrection = False,
    count: options.Count = 64,
    keep_zeros: Annotated[
        bool,
        typer.Option(
            "--keep-zeros/--no-keep-zeros", help="Weights that `edgepose prune` set to zero stay zero."
        ),
    ] = True,
    fine: training_options.FineTuning,
    frames: training_options.Frames,
    training: training_options.Training,
    as_json: options.AsJson = False,
) -> None:
    """Train a network for int8 (quantization-aware training): OUT/NAME-int8-qat-maps.tflite.

    By default the network learns to give what it gives in float, for which only images matter.
    OUT/last.safetensors is the trained network in float. Ctrl-C saves the last step; the same command
    goes on.
    """
    from edgepose.compression import qat
    from edgepose.compression.ptq import PostTraining
    from edgepose.training.checkpoints import row_text
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start = trained_path(checkpoint)
    how = PostTraining(ranges, equalize, bias_correction)
    with resumable(out):
        fit = fine.request(start, frames.request(draw_built_in(data)), out, training)
        request = qat.QatRequest(
            start, fit, fine.loss, fine.teacher_path, start=how, count=count, keep_zeros=keep_zeros
        )
        with bar(f"training {start.stem} for int8", "frames, then steps", forecast=False) as progress:
            listener = Listener(progress, lambda row: options.say(row_text(row)), options.say)
            exported = qat.train(request, listener)
    print_exported(exported, (), as_json)
    warn_of_rounding(exported.path)
