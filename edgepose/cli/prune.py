"""`edgepose prune`: make the smallest weights zero while the network is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgepose.cli import options, training_options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar
from edgepose.cli.running import draw_built_in

if TYPE_CHECKING:
    from edgepose.compression.pruning import Pruned


@options.spread(steps=400, batch=8, learning_rate=3e-4, checkpoint_every=25, validation_split="none")
def command(
    checkpoint: options.Checkpoint,
    data: options.Mixture,
    out: options.Out,
    *,
    sparsity: Annotated[
        float, typer.Option(help="Share of each pruned kernel that becomes zero, from 0 to below 1.")
    ] = 0.5,
    fine: training_options.FineTuning,
    frames: training_options.Frames,
    training: training_options.Training,
    as_json: options.AsJson = False,
) -> None:
    """Prune a network by magnitude, and train it on.

    The share of zeros rises over the first 60 % of the steps. Left dense are the convolutions that read the
    image, depthwise ones, and those that give an output. Zeros make a file that deflates well, not a faster
    network. `edgepose qat` keeps them. Ctrl-C saves the last step; the same command goes on.
    """
    from edgepose.compression.pruning import PruneRequest, prune
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start = trained_path(checkpoint)
    told = Epochs()
    with resumable(out):
        fit = fine.request(start, frames.request(draw_built_in(data)), out, training)
        request = PruneRequest(start, fit, fine.loss, fine.teacher_path, sparsity=sparsity)
        with bar(f"pruning {start.stem}", "frames, then steps", forecast=False) as progress:
            made = prune(request, Listener(progress, told.tell, options.say))
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
    from edgeio import deflated_bytes

    sizes = {
        "size_bytes": made.checkpoint.stat().st_size,
        "deflated_bytes": deflated_bytes(made.checkpoint),
    }
    options.print_json({**made.to_json(), "checkpoint": made.checkpoint, **sizes})
